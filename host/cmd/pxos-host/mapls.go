package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

// mapInfo is the JSON form of a map in ls and info. Keys are added, none is removed.
type mapInfo struct {
	Name       string      `json:"name"`
	Namespace  string      `json:"namespace,omitempty"` // not for a map named by its path
	Path       string      `json:"path"`
	Empty      bool        `json:"empty"`
	Bounds     *regionJSON `json:"bounds"` // whole tiles; null when empty
	Tiles      uint64      `json:"tiles"`
	TileSize   int         `json:"tile_size"`
	Generation uint64      `json:"generation"` // counts the flushes
	Bytes      int64       `json:"bytes"`      // on disk, snapshots and all
	Changed    time.Time   `json:"changed"`
	Error      string      `json:"error,omitempty"`
}

// mapDetails is the JSON form of info.
type mapDetails struct {
	mapInfo
	Stats     infinitemap.Stats `json:"stats"`
	Snapshots []string          `json:"snapshots"`
}

// aboutMap fills in what ls shows. A map that cannot be read has its error there.
func aboutMap(ref mapRef, m *openMap) (*mapInfo, *infinitemap.Rect) {
	info := &mapInfo{Name: ref.name, Path: ref.dir}
	if ref.plain {
		info.Namespace = filepath.Base(filepath.Dir(ref.dir))
	}
	if abs, err := filepath.Abs(ref.dir); err == nil {
		info.Path = abs
	}
	err := func() error {
		st, err := os.Lstat(filepath.Join(ref.dir, mapManifest))
		if err != nil {
			return err
		}
		info.Changed = st.ModTime().UTC()
		info.Bytes, err = sizeBelow(ref.dir)
		return err
	}()
	var bounds *infinitemap.Rect
	if m != nil {
		s := m.Stats()
		info.Tiles, info.TileSize, info.Generation = s.Tiles, s.TileSize, s.Generation
		r, ok, berr := m.Bounds()
		switch {
		case berr != nil:
			err = errors.Join(err, berr)
		case ok:
			j := regionOf(r)
			info.Bounds, bounds = &j, &r
		default:
			info.Empty = true
		}
	}
	if err != nil {
		info.Error = err.Error()
	}
	return info, bounds
}

// sizeBelow adds up the files below a directory. What goes while it looks counts as 0.
func sizeBelow(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			sum += info.Size()
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
	return sum, err
}

func (a *app) mapLsCmd() *cobra.Command {
	cmd := a.command("ls [--all] [--json]", "List maps",
		`Lists the maps of a namespace: name, tiles, room on disk, last change, and the region
that holds everything as X Y W H. With --json each map is one JSON object on a line of
its own; coordinates are strings there, because many readers of JSON round what lies
beyond 2^53. It fails when a map cannot be read, and lists the others.`,
		`  pxos-host map ls
  pxos-host map ls --all --json`)
	all := cmd.Flags().Bool("all", false, "the maps of all namespaces")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		space, name, err := a.namespaceDir(cmd)
		if err != nil {
			return err
		}
		spaces := []string{space}
		if *all {
			if spaces, err = a.namespaces(); err != nil {
				return err
			}
		} else if _, err := os.ReadDir(space); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t := newTable(a.out)
		faults, shown := 0, 0
		for _, space := range spaces {
			for _, ref := range mapsIn(space) {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				info, bounds := lookAt(ref)
				shown++
				if info.Error != "" {
					faults++
				}
				if *asJSON {
					if err := a.printJSON(info); err != nil {
						return err
					}
					continue
				}
				where := "empty"
				switch {
				case info.Error != "":
					where = "cannot be read: " + term.Line(info.Error)
				case bounds != nil:
					where = regionText(*bounds)
				}
				full := info.Name
				if *all {
					full = info.Namespace + "/" + full
				}
				t.row(term.Line(full), count(info.Tiles, "tile", "tiles"), abi.FormatBytes(info.Bytes), info.Changed.Local().Format("2006-01-02 15:04:05"), where)
			}
		}
		if err := t.flush(); err != nil {
			return err
		}
		if shown == 0 && !*asJSON {
			if *all {
				a.note("there is no map yet; pxos-host map put begins one")
			} else {
				a.note("there is no map in namespace %s; --all looks into the others, pxos-host map put begins one", name)
			}
		}
		if faults > 0 {
			return hinted(fmt.Errorf("%d of %s cannot be read", faults, count(shown, "map", "maps")), "pxos-host map verify says what is wrong with a map")
		}
		return nil
	}
	return cmd
}

// lookAt opens a map for aboutMap.
func lookAt(ref mapRef) (*mapInfo, *infinitemap.Rect) {
	m, err := openReader(ref, "", infinitemap.Options{})
	if err != nil {
		info, _ := aboutMap(ref, nil)
		info.Error = err.Error()
		return info, nil
	}
	info, bounds := aboutMap(ref, m)
	if err := m.close(); err != nil && info.Error == "" {
		info.Error = err.Error()
	}
	return info, bounds
}

// namespaces lists the directories of maps of all namespaces.
func (a *app) namespaces() ([]string, error) {
	dir, err := a.mapsDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && host.ValidNamespace(e.Name()) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, err
}

func (a *app) mapInfoCmd() *cobra.Command {
	cmd := a.command("info MAP [--snapshot NAME] [--json]", "Describe a map",
		`Shows where a map is, how large it is and what it takes on disk. With --json it is
one JSON object: what ls has, and stats and snapshots. Coordinates are strings there.`,
		`  pxos-host map info world
  pxos-host map info world --json`)
	snapshot := snapshotFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.readMap(cmd, args[0], *snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		info, bounds := aboutMap(m.ref, m)
		d := mapDetails{mapInfo: *info, Stats: m.Stats(), Snapshots: []string{}}
		snaps, err := m.Snapshots()
		if err != nil {
			return err
		}
		for _, s := range snaps {
			d.Snapshots = append(d.Snapshots, s.Name)
		}
		if *asJSON {
			if err := a.printJSON(d); err != nil {
				return err
			}
		} else if err := a.showInfo(&d, bounds); err != nil {
			return err
		}
		if info.Error != "" {
			return hinted(errors.New(info.Error), "pxos-host map verify "+m.ref.name+" names all that is damaged")
		}
		return nil
	}
	return cmd
}

func (a *app) showInfo(d *mapDetails, bounds *infinitemap.Rect) error {
	t := newTable(a.out)
	t.row("map", term.Line(d.Name))
	if d.Namespace != "" {
		t.row("namespace", term.Line(d.Namespace))
	}
	t.row("path", term.Line(d.Path))
	if bounds != nil {
		w1, h1 := bounds.Size()
		t.row("region", fmt.Sprintf("%s  (%s x %s pixels from %d,%d)", regionText(*bounds), sizeText(w1), sizeText(h1), bounds.Min.X, bounds.Min.Y))
	} else if d.Error == "" {
		t.row("region", "empty")
	}
	t.row("tiles", fmt.Sprintf("%d of %d x %d pixels, %s above them", d.Tiles, d.TileSize, d.TileSize, count(d.Stats.Levels, "smaller level", "smaller levels")))
	t.row("on disk", fmt.Sprintf("%s, %d of %s in use", abi.FormatBytes(d.Bytes), d.Stats.LiveTiles, count(d.Stats.StoredTiles, "stored tile", "stored tiles")))
	t.row("flushes", fmt.Sprint(d.Generation))
	t.row("changed", d.Changed.Local().Format("2006-01-02 15:04:05"))
	for _, s := range d.Snapshots {
		t.row("snapshot", term.Line(s))
	}
	if d.Stats.DamagedRuns > 0 {
		t.row("damaged", count(d.Stats.DamagedRuns, "part of the index", "parts of the index"))
	}
	return t.flush()
}

// snapshotFlag adds --snapshot to a command that reads.
func snapshotFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("snapshot", "", "read the snapshot `NAME` instead of the present state")
}
