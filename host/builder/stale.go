package builder

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pxos/pxos/abi"
)

// A Stale module lies in the directory and is older than its source, so that what is
// packed is not what the source says.
type Stale struct {
	Module string // path in the cartridge
	Source string // the newest of its sources, relative to the directory, with slashes
}

// staleMargin is how much newer a source has to be. Files that a tool writes one after
// the other, as unpack does, are of the same age.
const staleMargin = 2 * time.Second

// Stale returns the modules that are files of the tree although [Tree.Compile] would
// make them anew from newer source if they were not there, sorted by path. It goes by
// the times of the files, which say nothing about who made the module of what: this is
// a reason to tell the user, not to compile.
func (t *Tree) Stale(ctx context.Context) ([]Stale, error) {
	var modules []string
	for _, p := range t.Manifest.Programs {
		if t.has(p.Module) && !t.compiled[p.Module] && !slices.Contains(modules, p.Module) {
			modules = append(modules, p.Module)
		}
	}
	slices.Sort(modules)
	var out []Stale
	for _, module := range modules {
		info, err := os.Stat(filepath.Join(t.Dir, filepath.FromSlash(module)))
		if err != nil {
			continue // its name is another one on this file system
		}
		newest, when, err := t.newestSource(ctx, module)
		if err != nil {
			return nil, err
		}
		if newest != "" && when.Sub(info.ModTime()) > staleMargin {
			out = append(out, Stale{module, newest})
		}
	}
	return out, nil
}

// newestSource returns the source of a module that was written last, or "" when there
// is none that Compile would take.
func (t *Tree) newestSource(ctx context.Context, module string) (newest string, when time.Time, err error) {
	dir, goFiles, cFiles, err := t.source(module)
	if err != nil || !goFiles && len(cFiles) == 0 {
		return "", when, err
	}
	seen := 0
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if seen++; err == nil && seen > maxFiles {
			err = fs.SkipAll
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || p == dir {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if strings.HasPrefix(name, ".") || name == "third_party" || name == "testdata" || !goFiles || t.sourceOfAnother(p, module) {
				return fs.SkipDir
			}
			return nil
		}
		if !sourceFile(name, goFiles) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		if info.Mode().IsRegular() && info.ModTime().After(when) {
			rel, err := filepath.Rel(t.Dir, p)
			if err != nil {
				return err
			}
			newest, when = filepath.ToSlash(rel), info.ModTime()
		}
		return nil
	})
	return newest, when, err
}

// sourceOfAnother reports whether a directory is that of another module.
func (t *Tree) sourceOfAnother(dir, module string) bool {
	return slices.ContainsFunc(t.Manifest.Programs, func(p abi.Program) bool {
		return p.Module != module && filepath.Join(t.Dir, filepath.FromSlash(strings.TrimSuffix(p.Module, path.Ext(p.Module)))) == dir
	})
}

// sourceFile reports whether a compiler reads a file of that name for a module.
func sourceFile(name string, goFiles bool) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go":
		return goFiles && !strings.HasSuffix(name, "_test.go")
	case ".mod", ".sum":
		return goFiles && (name == "go.mod" || name == "go.sum")
	case ".c", ".h":
		return !goFiles
	}
	return false
}
