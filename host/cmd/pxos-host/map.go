package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

func (a *app) mapCmd() *cobra.Command {
	cmd := a.command("map COMMAND", "Look after maps: planes of pixels without an end",
		`A map is a plane of RGB pixels that never ends: both coordinates are whole numbers
from -9223372036854775808 to 9223372036854775807, x grows to the right and y
downwards. What nobody wrote is black and takes no room.

MAP is a name in your namespace, or the path of a map's directory: ./world, or
another path with a slash. Cartridges keep their maps in namespaces of their own,
which --namespace names. Everything that changes a map does so in one step: after a
crash all of it is there, or nothing.

Negative numbers are written as they are: map get world -5 -7. Behind -- everything
is an argument, also a file whose name is a negative number.`,
		`  pxos-host map put world -320 -240 photo.png
  pxos-host map view world
  pxos-host map serve world
  pxos-host map export world -320 -240 640 480 part.png`)
	cmd.PersistentFlags().StringP("namespace", "n", userNamespace, namespaceUsage)
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return usagef("pxos-host map ls, or pxos-host help map", "map needs a command such as ls, put, view or serve")
	}
	cmd.AddCommand(a.mapLsCmd(), a.mapInfoCmd(), a.mapGetCmd(), a.mapSetCmd(), a.mapPutCmd(), a.mapExportCmd(),
		a.mapViewCmd(), a.mapServeCmd(), a.mapQueryCmd(), a.mapSnapshotCmd(), a.mapSnapshotsCmd(), a.mapRestoreCmd(),
		a.mapVerifyCmd(), a.mapCompactCmd(), a.mapRmCmd())
	for _, sub := range cmd.Commands() {
		if sub.Name() != "ls" {
			sub.ValidArgsFunction = a.completeMap
		}
	}
	return cmd
}

// mapManifest is the file that makes a directory a map.
const mapManifest = "manifest.pxi"

// mapRef is a map that the user named.
type mapRef struct {
	name  string // as it was named
	dir   string
	plain bool // a name in a namespace, not a path
}

func (r mapRef) exists() (bool, error) {
	_, err := os.Lstat(filepath.Join(r.dir, mapManifest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// mapsDir returns the directory of the namespaces' maps.
func (a *app) mapsDir() (string, error) {
	home, err := a.home()
	return filepath.Join(home, "maps"), err
}

// namespaceDir returns the directory of a namespace's maps.
func (a *app) namespaceDir(cmd *cobra.Command) (dir, name string, err error) {
	name, err = cmd.Flags().GetString("namespace")
	if err != nil {
		return "", "", err
	}
	if name, err = a.findNamespace(cmd.Context(), name); err != nil {
		return "", "", err
	}
	maps, err := a.mapsDir()
	return filepath.Join(maps, name), name, err
}

// findMap says which map an argument means. It need not exist.
func (a *app) findMap(cmd *cobra.Command, arg string) (mapRef, error) {
	if strings.ContainsRune(arg, '/') || strings.ContainsRune(arg, filepath.Separator) {
		return mapRef{name: arg, dir: filepath.Clean(arg)}, nil
	}
	space, _, err := a.namespaceDir(cmd)
	if err != nil {
		return mapRef{}, err
	}
	named := mapRef{name: arg, dir: filepath.Join(space, arg), plain: true}
	valid := abi.ValidMapName(arg)
	if valid {
		if ok, err := named.exists(); ok || err != nil {
			return named, err
		}
	}
	if arg != "" {
		here := mapRef{name: arg, dir: arg}
		if ok, err := here.exists(); ok && err == nil {
			return here, nil
		}
	}
	if !valid {
		return mapRef{}, usagef("a name has 1 to 64 of a-z, 0-9, - and _ and begins with a letter or digit; a path has a slash, such as ./"+arg, "%q is no name of a map", arg)
	}
	return named, nil
}

// openMap is an open map with the directory beneath it.
type openMap struct {
	*infinitemap.Map
	ref  mapRef
	dir  *disk.Dir
	made bool // just now, by this command
}

// close closes the map; what was not flushed is forgotten.
func (m *openMap) close() error { return errors.Join(m.Map.Close(), m.dir.Close()) }

// readMap opens the map that an argument names, or a snapshot of it, for reading.
func (a *app) readMap(cmd *cobra.Command, arg, snapshot string) (*openMap, error) {
	ref, err := a.existingMap(cmd, arg)
	if err != nil {
		return nil, err
	}
	return openReader(ref, snapshot, infinitemap.Options{})
}

func openReader(ref mapRef, snapshot string, opt infinitemap.Options) (*openMap, error) {
	dir, err := disk.Open(ref.dir)
	if err != nil {
		return nil, err
	}
	var m *infinitemap.Map
	if snapshot != "" {
		m, err = infinitemap.OpenSnapshot(dir, snapshot, opt)
		if errors.Is(err, fs.ErrNotExist) {
			err = noSnapshot(ref, snapshot)
		}
	} else {
		opt.ReadOnly = true
		m, err = infinitemap.Open(dir, opt)
	}
	if err != nil {
		return nil, errors.Join(mapError(err, ref), dir.Close())
	}
	return &openMap{Map: m, ref: ref, dir: dir}, nil
}

func noSnapshot(ref mapRef, name string) error {
	return hinted(fmt.Errorf("%s has no snapshot %q", ref.name, name), "pxos-host map snapshots "+ref.name+" lists them")
}

// existingMap is findMap for a map that must be there.
func (a *app) existingMap(cmd *cobra.Command, arg string) (mapRef, error) {
	ref, err := a.findMap(cmd, arg)
	if err != nil {
		return ref, err
	}
	ok, err := ref.exists()
	if err != nil {
		return ref, err
	}
	if !ok {
		return ref, noMap(ref)
	}
	return ref, nil
}

func noMap(ref mapRef) error {
	if !ref.plain {
		return hinted(fmt.Errorf("there is no map in %s", ref.dir), "name a map's directory, or the name of a map; pxos-host map ls lists yours")
	}
	return hinted(fmt.Errorf("there is no map %s in namespace %s", ref.name, filepath.Base(filepath.Dir(ref.dir))),
		"pxos-host map ls --all lists the maps; pxos-host map put begins one")
}

// writeMap opens an existing map as its one writer.
func (a *app) writeMap(cmd *cobra.Command, arg string) (*openMap, error) {
	ref, err := a.existingMap(cmd, arg)
	if err != nil {
		return nil, err
	}
	return openWriter(ref, infinitemap.Options{})
}

func openWriter(ref mapRef, opt infinitemap.Options) (*openMap, error) {
	dir, err := disk.Open(ref.dir)
	if err != nil {
		return nil, err
	}
	m, err := infinitemap.Open(dir, opt)
	if err != nil {
		return nil, errors.Join(mapError(err, ref), dir.Close())
	}
	return &openMap{Map: m, ref: ref, dir: dir}, nil
}

// makeMap is writeMap that begins a map where there is none. A directory that holds
// something else is not made a map.
func (a *app) makeMap(cmd *cobra.Command, arg string, opt infinitemap.Options) (*openMap, error) {
	ref, err := a.findMap(cmd, arg)
	if err != nil {
		return nil, err
	}
	ok, err := ref.exists()
	if err != nil {
		return nil, err
	}
	if !ok {
		entries, err := os.ReadDir(ref.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, hinted(err, "name a directory for the map")
		}
		for _, e := range entries {
			// What a crash may leave of a map that was just begun.
			if e.Name() != "lock" && e.Name() != "pins" && !disk.IsTemp(e.Name()) {
				return nil, hinted(fmt.Errorf("%s is a directory with other files in it, and no map", ref.dir), "name a directory that does not exist")
			}
		}
		dir, err := disk.Create(ref.dir)
		if err != nil {
			return nil, err
		}
		if err := dir.Close(); err != nil {
			return nil, err
		}
	}
	m, err := openWriter(ref, opt)
	if err == nil {
		m.made = !ok && m.Generation() == 1
	}
	return m, err
}

// undo closes a map after a change that failed. One that was begun for it, and in which
// nothing was ever flushed, goes.
func (m *openMap) undo(cause error) error {
	var unsure *infinitemap.CommitError
	if !m.made || m.Generation() != 1 || errors.As(cause, &unsure) {
		return m.close()
	}
	return removeOpen(m.ref.dir, m.close)
}

// mapError adds what the user can do about an error of a map.
func mapError(err error, ref mapRef) error {
	var (
		exit        *exitError
		damagedTile *infinitemap.TileError
		damagedRun  *infinitemap.IndexError
		format      *infinitemap.FormatError
		file        *pxi.FormatError
		corrupt     *pxi.CorruptError
		newer       *infinitemap.UnsupportedError
		area        *infinitemap.RectError
		name        *infinitemap.NameError
		spill       *infinitemap.SpillError
	)
	switch {
	case err == nil, errors.As(err, &exit):
		return err
	case errors.Is(err, infinitemap.ErrBusy):
		return hinted(fmt.Errorf("map %s: %w", ref.name, err), "a map has one writer at a time: try again when the other one has ended; reading works meanwhile")
	case errors.As(err, &damagedTile), errors.As(err, &damagedRun):
		return hinted(err, "the rest of the map can be read; pxos-host map verify "+ref.name+" names all that is damaged")
	case errors.As(err, &newer):
		return hinted(err, "use the version of pxos-host that wrote the map, or a newer one")
	case errors.As(err, &format), errors.As(err, &file), errors.As(err, &corrupt):
		return hinted(fmt.Errorf("map %s is damaged: %w", ref.name, err), "a snapshot may be whole: the directory snapshots in "+ref.dir+" has them, and --snapshot NAME reads one")
	case errors.As(err, &spill):
		return hinted(err, "nothing was changed; free some space")
	case errors.As(err, &area), errors.As(err, &name):
		return usagef("", "%w", err)
	}
	return err
}

// completeMap completes the name of a map as the first argument, and leaves the others,
// which may be files, to the shell.
func (a *app) completeMap(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	space, _, err := a.namespaceDir(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, ref := range mapsIn(space) {
		if strings.HasPrefix(ref.name, begun) {
			names = append(names, ref.name)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

// mapsIn lists the maps of a namespace by name. What cannot be read has none.
func mapsIn(dir string) []mapRef {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []mapRef
	for _, e := range entries {
		ref := mapRef{e.Name(), filepath.Join(dir, e.Name()), true}
		if !e.IsDir() || !abi.ValidMapName(e.Name()) {
			continue
		}
		if ok, err := ref.exists(); ok || err != nil {
			out = append(out, ref)
		}
	}
	return out
}

// argCount is a check of the number of arguments for commands that take one of few.
func argCount(what string, counts ...int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		most := 0
		for _, n := range counts {
			if len(args) == n {
				return nil
			}
			most = max(most, n)
		}
		if len(args) > most {
			return fmt.Errorf("%s takes only %s, and %q is another argument", cmd.Name(), what, args[most])
		}
		return fmt.Errorf("%s needs %s; there are %s", cmd.Name(), what, count(len(args), "argument", "arguments"))
	}
}

const planeHint = "coordinates go from -9223372036854775808 to 9223372036854775807"

// coordinate reads a whole number of the plane.
func coordinate(what, s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, usagef(planeHint, "%s %s lies beyond the plane", what, s)
	case err != nil:
		return 0, usagef("write "+what+" as a whole number such as -5", "%s %q is no whole number", what, s)
	}
	return n, nil
}

// point reads X and Y.
func point(x, y string) (p infinitemap.Point, err error) {
	if p.X, err = coordinate("X", x); err != nil {
		return p, err
	}
	p.Y, err = coordinate("Y", y)
	return p, err
}

// side reads a width or height, and returns it less one: the whole plane is 2^64 wide.
func side(what, s string) (uint64, error) {
	digits := strings.TrimPrefix(s, "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, usagef("write "+what+" as a whole number of pixels, at least 1", "%s %q is no size", what, s)
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, usagef("write "+what+" as a whole number of pixels, at least 1", "%s is 0", what)
	}
	if len(digits) <= 20 {
		n, _ := new(big.Int).SetString(digits, 10) // digits only
		if n.Sub(n, big.NewInt(1)).IsUint64() {
			return n.Uint64(), nil
		}
	}
	return 0, usagef("the whole plane is 18446744073709551616 pixels wide and high", "%s %.40s is larger than the plane", what, digits)
}

// region reads X Y W H.
func region(args []string) (r infinitemap.Rect, err error) {
	if r.Min, err = point(args[0], args[1]); err != nil {
		return r, err
	}
	w1, err := side("W", args[2])
	if err != nil {
		return r, err
	}
	h1, err := side("H", args[3])
	if err != nil {
		return r, err
	}
	for _, v := range []struct {
		what  string
		from  int64
		size1 uint64
	}{{"X", r.Min.X, w1}, {"Y", r.Min.Y, h1}} {
		// The distance to the last pixel, as an unsigned number, is exact.
		if v.size1 > uint64(math.MaxInt64)-uint64(v.from) {
			return r, usagef(planeHint, "the region reaches beyond the plane: from %s %d on there are %s pixels", v.what, v.from, sizeText(uint64(math.MaxInt64)-uint64(v.from)))
		}
	}
	r.Max = infinitemap.Point{X: int64(uint64(r.Min.X) + w1), Y: int64(uint64(r.Min.Y) + h1)}
	return r, nil
}

// sizeText writes a size that is kept less one.
func sizeText(size1 uint64) string {
	if size1 == math.MaxUint64 {
		return "18446744073709551616"
	}
	return strconv.FormatUint(size1+1, 10)
}

// regionText writes a region as the command line takes it.
func regionText(r infinitemap.Rect) string {
	w1, h1 := r.Size()
	return fmt.Sprintf("%d %d %s %s", r.Min.X, r.Min.Y, sizeText(w1), sizeText(h1))
}

// regionJSON is a region in JSON. Its numbers are strings, because many readers of JSON
// round what lies beyond 2^53.
type regionJSON struct {
	X int64  `json:"x,string"`
	Y int64  `json:"y,string"`
	W string `json:"w"`
	H string `json:"h"`
}

func regionOf(r infinitemap.Rect) regionJSON {
	w1, h1 := r.Size()
	return regionJSON{r.Min.X, r.Min.Y, sizeText(w1), sizeText(h1)}
}

// content returns the region that a map's content fills, for commands without X Y W H.
func (m *openMap) content() (infinitemap.Rect, error) {
	r, ok, err := m.Bounds()
	if err != nil {
		return r, mapError(err, m.ref)
	}
	if !ok {
		return r, hinted(fmt.Errorf("the map %s is empty", m.ref.name), "name a region as X Y W H, or put a picture on it")
	}
	return r, nil
}

// said is a name for a line of output.
func (r mapRef) said() string { return term.Line(r.name) }
