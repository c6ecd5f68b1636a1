package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

// mapTile is the JSON form of a tile that query found.
type mapTile struct {
	TX     int64      `json:"tx,string"` // in tiles
	TY     int64      `json:"ty,string"`
	Region regionJSON `json:"region"`
}

func (a *app) mapQueryCmd() *cobra.Command {
	cmd := numbers(a.command("query MAP [X Y W H] [--count] [--json]", "List the tiles with content in a region",
		`Lists the tiles under a region, or all, that have content: the tile's coordinates in
tiles, then its pixels as X Y W H. It takes the time of what it finds, however large
the region is. With --json each tile is one object on a line of its own; coordinates
are strings there.`,
		`  pxos-host map query world -1000 -1000 2000 2000
  pxos-host map query world --count`))
	fl := cmd.Flags()
	only := fl.Bool("count", false, "print only how many there are")
	asJSON := fl.Bool("json", false, "one JSON object a line; with --count one object")
	snapshot := snapshotFlag(cmd)
	cmd.Args = argCount("a map, and X Y W H or nothing", 1, 5)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		r := infinitemap.Plane
		if len(args) == 5 {
			if r, err = region(args[1:]); err != nil {
				return err
			}
		}
		m, err := a.readMap(cmd, args[0], *snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		w := bufio.NewWriter(a.out)
		found := uint64(0)
		var failed error
		err = m.Tiles(r, func(t infinitemap.TileInfo) bool {
			found++
			if *only {
				return cmd.Context().Err() == nil
			}
			if *asJSON {
				failed = a.bufferJSON(w, mapTile{t.TX, t.TY, regionOf(t.Area)})
			} else {
				_, failed = fmt.Fprintf(w, "%d %d  %s\n", t.TX, t.TY, regionText(t.Area))
			}
			if failed == nil {
				failed = cmd.Context().Err()
			}
			return failed == nil
		})
		if failed == nil {
			failed = cmd.Context().Err()
		}
		if failed == nil && *only {
			if *asJSON {
				failed = a.bufferJSON(w, map[string]uint64{"tiles": found})
			} else {
				_, failed = fmt.Fprintln(w, found)
			}
		}
		if failed == nil {
			failed = w.Flush()
		}
		return errors.Join(failed, mapError(err, m.ref))
	}
	return cmd
}

func (a *app) mapSnapshotCmd() *cobra.Command {
	cmd := a.command("snapshot MAP NAME [--delete]", "Keep the present state of a map under a name",
		`Keeps the present state under a name: letters, digits, dots, dashes and underscores.
It costs one small file, and later the room of the tiles that change. With --delete
that name is given up, and what only it had is lost.`,
		`  pxos-host map snapshot world monday
  pxos-host map snapshot world monday --delete`)
	drop := cmd.Flags().Bool("delete", false, "delete the snapshot NAME")
	cmd.Args = takes(2, 2, "a map and a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.writeMap(cmd, args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		if *drop {
			err = m.DeleteSnapshot(args[1])
			if errors.Is(err, fs.ErrNotExist) {
				return noSnapshot(m.ref, args[1])
			}
			if err == nil {
				_, err = fmt.Fprintf(a.out, "%s: snapshot %s is deleted\n", m.ref.said(), term.Line(args[1]))
			}
			return mapError(err, m.ref)
		}
		if err = m.Snapshot(args[1]); errors.Is(err, fs.ErrExist) {
			return hinted(fmt.Errorf("%s has a snapshot %s already", m.ref.name, args[1]), "choose another name; pxos-host map snapshots "+m.ref.name+" lists them")
		}
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s: snapshot %s\n", m.ref.said(), term.Line(args[1]))
		}
		return mapError(err, m.ref)
	}
	return cmd
}

// mapSnapshot is the JSON form of a snapshot.
type mapSnapshot struct {
	Name       string    `json:"name"`
	Made       time.Time `json:"made"`
	Generation uint64    `json:"generation"`
	Tiles      uint64    `json:"tiles"`
	Error      string    `json:"error,omitempty"`
}

func (a *app) mapSnapshotsCmd() *cobra.Command {
	cmd := a.command("snapshots MAP [--json]", "List the snapshots of a map",
		`Lists the snapshots: name, when it was made, tiles. Commands that read take one with
--snapshot. With --json each is one JSON object on a line of its own.`,
		`  pxos-host map snapshots world
  pxos-host map view world --snapshot monday`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.readMap(cmd, args[0], "")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		list, err := m.Snapshots()
		if err != nil {
			return err
		}
		t := newTable(a.out)
		faults := 0
		for _, s := range list {
			state := count(s.Tiles, "tile", "tiles")
			j := mapSnapshot{s.Name, s.Made.UTC(), s.Generation, s.Tiles, ""}
			if s.Err != nil {
				faults++
				j.Error = s.Err.Error()
				state = "cannot be read: " + term.Line(j.Error)
			}
			if *asJSON {
				if err := a.printJSON(j); err != nil {
					return err
				}
				continue
			}
			t.row(term.Line(s.Name), s.Made.Local().Format("2006-01-02 15:04:05"), state)
		}
		if err := t.flush(); err != nil {
			return err
		}
		if faults > 0 {
			return hinted(fmt.Errorf("%d of %s cannot be read", faults, count(len(list), "snapshot", "snapshots")), "pxos-host map snapshot "+m.ref.name+" NAME --delete gives one up")
		}
		return nil
	}
	return cmd
}

func (a *app) mapRestoreCmd() *cobra.Command {
	cmd := a.command("restore MAP NAME", "Go back to a snapshot",
		`Makes a snapshot the present state of a map, in one step. What the map was before is
kept as the snapshot before-restore-N, unless one has that state already.`,
		"  pxos-host map restore world monday")
	cmd.Args = takes(2, 2, "a map and the name of a snapshot")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.writeMap(cmd, args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		before, err := m.Snapshots()
		if err != nil {
			return err
		}
		if err = m.Restore(args[1]); errors.Is(err, fs.ErrNotExist) {
			return noSnapshot(m.ref, args[1])
		}
		if err != nil {
			return mapError(err, m.ref)
		}
		if _, err := fmt.Fprintf(a.out, "%s: is as in snapshot %s again\n", m.ref.said(), term.Line(args[1])); err != nil {
			return err
		}
		known := make(map[string]bool)
		for _, s := range before {
			known[s.Name] = true
		}
		after, err := m.Snapshots()
		for _, s := range after {
			if !known[s.Name] {
				a.note("what it was before is kept: pxos-host map restore %s %s goes back", m.ref.name, s.Name)
			}
		}
		return err
	}
	return cmd
}

// mapVerified is the JSON form of verify.
type mapVerified struct {
	Map     string      `json:"map"`
	OK      bool        `json:"ok"`
	Tiles   uint64      `json:"tiles"` // that were read, of all levels and states
	Damaged []mapDamage `json:"damaged"`
	More    uint64      `json:"more"` // damaged tiles that are not listed
	Index   []mapDamage `json:"index"`
}

// mapDamage is a tile, or a part of the index, that cannot be read.
type mapDamage struct {
	Snapshot string      `json:"snapshot,omitempty"` // empty: the present state
	Level    int         `json:"level"`
	TX       int64       `json:"tx,string"`
	TY       int64       `json:"ty,string"`
	Region   *regionJSON `json:"region,omitempty"`
	File     string      `json:"file"`
	Error    string      `json:"error"`
}

func (a *app) mapVerifyCmd() *cobra.Command {
	cmd := a.command("verify MAP [--snapshots] [--json]", "Read every tile of a map and name the damaged ones",
		`Reads every tile of every level and compares it with its checksum. Damaged tiles are
named with their file and the pixels they cover, and it fails when there are some; the
rest of the map can be read all the same. Writing over all of a damaged tile mends it.
With --json it is one JSON object.`,
		`  pxos-host map verify world
  pxos-host map verify world --snapshots --json`)
	every := cmd.Flags().Bool("snapshots", false, "check the snapshots too")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		ref, err := a.existingMap(cmd, args[0])
		if err != nil {
			return err
		}
		out := &mapVerified{Map: ref.name, Damaged: []mapDamage{}, Index: []mapDamage{}}
		states := []string{""}
		m, err := openReader(ref, "", infinitemap.Options{})
		if err != nil {
			return err
		}
		if *every {
			list, err := m.Snapshots()
			if err != nil {
				return errors.Join(err, m.close())
			}
			for _, s := range list {
				states = append(states, s.Name)
			}
		}
		for i, s := range states {
			if i > 0 {
				if m, err = openReader(ref, s, infinitemap.Options{}); err != nil {
					out.Index = append(out.Index, mapDamage{Snapshot: s, File: "snapshots/" + s + ".pxi", Error: err.Error()})
					continue
				}
			}
			err := a.verifyMap(cmd, m, s, out)
			if err := errors.Join(err, m.close()); err != nil {
				return err
			}
		}
		return a.showVerified(out, *asJSON)
	}
	return cmd
}

// verifyMap checks one state of a map.
func (a *app) verifyMap(cmd *cobra.Command, m *openMap, snapshot string, out *mapVerified) error {
	size := int64(m.TileSize())
	step, clear := a.progress("verifying")
	var tell func(done, total uint64)
	if step != nil {
		tell = func(done, total uint64) { step(int64(done)*3*size*size, int64(total)*3*size*size) }
	}
	rep, err := m.Verify(cmd.Context(), tell)
	clear()
	if err != nil {
		return mapError(err, m.ref)
	}
	out.Tiles += rep.Tiles
	out.More += rep.More
	for _, t := range rep.Damaged {
		r := regionOf(tilePixels(t, size))
		out.Damaged = append(out.Damaged, mapDamage{snapshot, t.Level, t.TX, t.TY, &r, t.File, t.Err.Error()})
	}
	for _, e := range rep.Index {
		out.Index = append(out.Index, mapDamage{Snapshot: snapshot, File: e.File, Error: e.Err.Error()})
	}
	return nil
}

// tilePixels returns the pixels of the plane below a tile.
func tilePixels(t *infinitemap.TileError, size int64) infinitemap.Rect {
	at := infinitemap.Point{X: t.TX * size << t.Level, Y: t.TY * size << t.Level}
	last := size<<t.Level - 1
	return infinitemap.Rect{Min: at, Max: infinitemap.Point{X: at.X + last, Y: at.Y + last}}
}

func (a *app) showVerified(v *mapVerified, asJSON bool) error {
	faults := uint64(len(v.Damaged)+len(v.Index)) + v.More
	v.OK = faults == 0
	if asJSON {
		if err := a.printJSON(v); err != nil {
			return err
		}
	} else if v.OK {
		_, err := fmt.Fprintf(a.out, "%s: ok, %s\n", term.Line(v.Map), count(v.Tiles, "tile", "tiles"))
		return err
	} else {
		w := bufio.NewWriter(a.out)
		in := func(s string) string {
			if s != "" {
				s = "snapshot " + term.Line(s) + ": "
			}
			return s
		}
		for _, d := range v.Index {
			fmt.Fprintf(w, "%sindex %s: %s\n", in(d.Snapshot), term.Line(d.File), term.Line(d.Error))
		}
		for _, d := range v.Damaged {
			fmt.Fprintf(w, "%stile (%d,%d) of level %d, %d %d %s %s, in %s: %s\n", in(d.Snapshot), d.TX, d.TY, d.Level, d.Region.X, d.Region.Y, d.Region.W, d.Region.H, term.Line(d.File), term.Line(d.Error))
		}
		if v.More > 0 {
			fmt.Fprintf(w, "and %d more tiles\n", v.More)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if v.OK {
		return nil
	}
	return hinted(fmt.Errorf("map %s: %s damaged", v.Map, count(faults, "place is", "places are")),
		"what is there can still be read; pxos-host map export --salvage saves it, and writing over all of a damaged tile mends it")
}

func (a *app) mapCompactCmd() *cobra.Command {
	cmd := a.command("compact MAP", "Give back the room of what was replaced",
		`Rewrites the files of a map without the tiles that were replaced, except what
snapshots and open readers need. Writing does so bit by bit by itself.`,
		"  pxos-host map compact world")
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		m, err := a.writeMap(cmd, args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		before, err := sizeBelow(m.ref.dir)
		if err != nil {
			return err
		}
		if err := m.Compact(cmd.Context()); err != nil {
			return mapError(err, m.ref)
		}
		after, err := sizeBelow(m.ref.dir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: freed %s, %s on disk\n", m.ref.said(), abi.FormatBytes(max(before-after, 0)), abi.FormatBytes(after))
		if n := m.Stats().ObsoleteFiles; n > 0 {
			a.note("%s kept for those who are reading the map now", count(n, "more file is", "more files are"))
		}
		return err
	}
	return cmd
}

// removedMaps is the directory beside maps to which rm moves them.
const removedMaps = ".removed"

func (a *app) mapRmCmd() *cobra.Command {
	cmd := a.command("rm MAP", "Move a map away",
		`Moves a map, with its snapshots, into the directory .removed beside it, and says
where. Nothing is deleted: moved back, it is the map that it was.`,
		"  pxos-host map rm world")
	cmd.Args = takes(1, 1, "a map")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// As its writer, so that nobody else is.
		m, err := a.writeMap(cmd, args[0])
		if err != nil {
			return err
		}
		from, err := filepath.Abs(m.ref.dir)
		if err != nil {
			return errors.Join(err, m.close())
		}
		to, err := moveAway(from, time.Now(), m.close)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: moved to %s\n", m.ref.said(), term.Line(to))
		return err
	}
	return cmd
}

// moveAway renames a map's directory to a name that is free. release is called when
// the map may not be open any more.
func moveAway(from string, now time.Time, release func() error) (string, error) {
	dir := filepath.Join(filepath.Dir(from), removedMaps)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", errors.Join(err, release())
	}
	stem := filepath.Join(dir, filepath.Base(from)+"-"+now.UTC().Format("20060102T150405Z"))
	to := stem
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", errors.Join(err, release())
		}
		to = fmt.Sprintf("%s-%d", stem, i)
	}
	if err := renameOpen(from, to, release); err != nil {
		return "", err
	}
	return to, nil
}
