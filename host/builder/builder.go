// Package builder makes cartridges: from a directory with a manifest, whose
// programs it compiles where that is asked for, or from a single WebAssembly module,
// for which it writes a manifest.
//
// # Directories
//
// A cartridge directory has a cartridge.toml at its top. [Collect] takes every file
// below it into the cartridge, sources included, because a cartridge is open and can
// be inspected; left out are hidden files and directories (names that begin with a
// dot), other cartridges (*.pxa), directories called third_party, and what
// .pxaignore names. Symbolic links, devices and pipes are refused. Nothing about a
// file but its path and its content enters the cartridge, so that the same files
// pack to the same bytes on every machine.
//
// .pxaignore at the top of the directory holds one pattern a line, in the syntax of
// [path.Match]. A pattern with a slash in it is matched against the whole path,
// another one against the last element; one that ends in a slash matches directories
// only. Empty lines and lines that begin with # are skipped.
//
// # Compiling
//
// [Compile] makes the modules that the manifest names and that are not there as
// files. For the module NAME.wasm the source is the directory NAME when there is
// one, and the top of the cartridge otherwise. A source directory with .go files is
// a Go command, compiled with
//
//	GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w -buildid="
//
// without a network (GOPROXY=off, GOTOOLCHAIN=local): modules that it needs have to
// be in the module cache or beside it. One with .c files a C command, compiled with
//
//	clang --target=wasm32-wasi -O2 -Wl,--strip-all *.c
//
// Modules go to a temporary directory, never into the source directory. A module that
// is there as a file is taken as it is; [Tree.Stale] finds those that are older than
// their source.
package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
)

// IgnoreFile is the name of the file with patterns of what stays out.
const IgnoreFile = ".pxaignore"

// maxIgnore bounds the ignore file, and maxFiles the walk before the archive's own
// limits are checked.
const (
	maxIgnore = 64 << 10
	maxFiles  = 1 << 20
)

// Error is a failure with something that the user can do about it.
type Error struct {
	Msg  string
	Hint string
	Err  error // the cause, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(hint, format string, args ...any) error {
	return &Error{Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// Tree is a cartridge directory as it will be packed.
type Tree struct {
	Dir      string // absolute
	Manifest *abi.Manifest
	Sources  []pxa.Source    // sorted by path
	compiled map[string]bool // modules that Compile made

	temp string // holds compiled modules
}

// Collect reads the manifest of a cartridge directory and lists its files. Paths in
// skip, such as the cartridge that is about to be written, are left out. The caller
// closes the Tree.
func Collect(ctx context.Context, dir string, skip ...string) (*Tree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	src, err := readLimited(filepath.Join(dir, abi.ManifestPath), abi.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail("\"pxos-host new\" begins a cartridge; a single WebAssembly module packs without one: pxos-host pack FILE.wasm", "%s has no %s", dir, abi.ManifestPath)
	}
	if err != nil {
		return nil, err
	}
	m, err := abi.ParseManifest(src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	t := &Tree{Dir: dir, Manifest: m}
	ignore, err := readIgnore(filepath.Join(dir, IgnoreFile))
	if err != nil {
		return nil, err
	}
	for i, p := range skip {
		if skip[i], err = filepath.Abs(p); err != nil {
			return nil, err
		}
	}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = norm.NFC.String(filepath.ToSlash(rel)) // some file systems decompose names
		if left := leftOut(rel, d.IsDir()) || ignore.matches(rel, d.IsDir()) || slices.Contains(skip, p); left && d.IsDir() {
			return filepath.SkipDir
		} else if left || d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			return fail("name it in "+IgnoreFile+" or put the file itself there", "%s is %s; cartridges hold plain files only", rel, describe(d.Type()))
		}
		if len(t.Sources) >= maxFiles {
			return fail("name what does not belong to the cartridge in "+IgnoreFile, "%s has more than %d files", dir, maxFiles)
		}
		s, err := fileSource(rel, p)
		if err != nil {
			return err
		}
		t.Sources = append(t.Sources, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.sort()
	return t, nil
}

func (t *Tree) sort() {
	slices.SortFunc(t.Sources, func(a, b pxa.Source) int { return strings.Compare(a.Path, b.Path) })
}

// leftOut says what never goes into a cartridge.
func leftOut(rel string, dir bool) bool {
	name := path.Base(rel)
	return strings.HasPrefix(name, ".") || dir && name == "third_party" || !dir && strings.EqualFold(path.Ext(name), ".pxa")
}

func describe(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "not a plain file"
}

// fileSource makes a source of a file. It is executable when it begins like a
// script, which is the same on file systems that have no such permission.
func fileSource(rel, file string) (pxa.Source, error) {
	f, err := os.Open(file)
	if err != nil {
		return pxa.Source{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return pxa.Source{}, err
	}
	var front [2]byte
	n, err := io.ReadFull(f, front[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return pxa.Source{}, err
	}
	return pxa.Source{
		Path: rel, Size: info.Size(), Executable: n == 2 && string(front[:]) == "#!",
		Open: func() (io.ReadCloser, error) { return os.Open(file) },
	}, nil
}

// Missing returns the module paths that programs name and that are no files of the
// tree, sorted and without repetition.
func (t *Tree) Missing() []string {
	var out []string
	for _, p := range t.Manifest.Programs {
		if !t.has(p.Module) && !slices.Contains(out, p.Module) {
			out = append(out, p.Module)
		}
	}
	slices.Sort(out)
	return out
}

func (t *Tree) has(p string) bool {
	return slices.ContainsFunc(t.Sources, func(s pxa.Source) bool { return s.Path == p })
}

// Close removes what was compiled.
func (t *Tree) Close() error {
	if t.temp == "" {
		return nil
	}
	err := os.RemoveAll(t.temp)
	t.temp = ""
	return err
}

func readLimited(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return b, err
}

// ignore holds the patterns of an ignore file.
type ignore []pattern

type pattern struct {
	glob    string
	whole   bool // against the whole path
	dirOnly bool
}

func readIgnore(file string) (ignore, error) {
	src, err := readLimited(file, maxIgnore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out ignore
	for i, l := range strings.Split(string(src), "\n") {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			continue
		}
		if l[0] == '!' {
			return nil, fmt.Errorf("%s: line %d: patterns that begin with ! are not supported", file, i+1)
		}
		p := pattern{glob: strings.TrimSuffix(l, "/"), dirOnly: strings.HasSuffix(l, "/")}
		p.whole = strings.Contains(p.glob, "/")
		p.glob = strings.TrimPrefix(p.glob, "/")
		if _, err := path.Match(p.glob, ""); err != nil {
			return nil, fmt.Errorf("%s: line %d: invalid pattern %q", file, i+1, l)
		}
		out = append(out, p)
	}
	return out, nil
}

func (ig ignore) matches(rel string, dir bool) bool {
	for _, p := range ig {
		name := rel
		if !p.whole {
			name = path.Base(rel)
		}
		if ok, _ := path.Match(p.glob, name); ok && (dir || !p.dirOnly) {
			return true
		}
	}
	return false
}
