// Package templates writes new cartridges: a directory with a manifest, a first
// program, a README, and everything that the build needs, so that it works offline
// with the compiler alone.
package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/strict"
	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/c"
)

// Options describe the cartridge to begin.
type Options struct {
	Name        string // a-z, 0-9 and -, beginning with a letter; also the name of its first program and module
	Lang        string // one of Langs
	Creator     string // name of who makes it
	CreatorKind string // abi.CreatorHuman, abi.CreatorLLM or abi.CreatorHybrid; empty means human
	CreatedAt   time.Time
	Licence     string // empty means MIT
}

// Langs returns the languages there is a template for.
func Langs() []string { return []string{"c", "go"} }

// The template files as they are named here; "gomod" is a go.mod under another
// name, because a folder with a go.mod is not embedded.
//
//go:embed all:files
var files embed.FS

// goVersion is the language version of new cartridges: that of this SDK, which a
// test compares with the module's.
const goVersion = "1.26.0"

var nameRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`) })

// Write creates the cartridge in dir, which must be empty or not exist while its
// parent does. When it fails nothing of it is left behind.
func Write(dir string, opt Options) error {
	content, err := render(opt)
	if err != nil {
		return err
	}
	existed, err := checkEmpty(dir)
	if err != nil {
		return err
	}
	if existed {
		return writeInto(dir, content)
	}
	// A directory that appears at once, or not at all.
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".pxos-new-")
	if err != nil {
		return err
	}
	err = writeAll(tmp, content)
	if err == nil {
		err = os.Chmod(tmp, 0o755)
	}
	if err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

func checkEmpty(dir string) (existed bool, err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(entries) > 0:
		return false, fmt.Errorf("%s is not empty: choose a directory that does not exist yet", dir)
	}
	return true, nil
}

// writeInto fills a directory that exists and is empty, and empties it again on
// failure.
func writeInto(dir string, content map[string][]byte) error {
	err := writeAll(dir, content)
	if err == nil {
		return nil
	}
	top := map[string]bool{}
	for name := range content {
		first, _, _ := strings.Cut(name, "/")
		top[first] = true
	}
	for first := range top {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, first)))
	}
	return err
}

func writeAll(dir string, content map[string][]byte) error {
	for name, data := range content {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// render makes every file of the cartridge in memory, by slash path.
func render(opt Options) (map[string][]byte, error) {
	if !nameRE().MatchString(opt.Name) {
		return nil, fmt.Errorf("invalid cartridge name %q: want 1 to 64 characters of a-z, 0-9 and -, beginning with a letter", opt.Name)
	}
	if strings.TrimSpace(opt.Creator) == "" {
		return nil, errors.New("the creator has no name: say who makes the cartridge")
	}
	if !utf8.ValidString(opt.Creator) || !utf8.ValidString(opt.Licence) {
		return nil, errors.New("the creator's name and the licence must be UTF-8 text")
	}
	if opt.CreatorKind == "" {
		opt.CreatorKind = abi.CreatorHuman
	}
	if opt.Licence == "" {
		opt.Licence = "MIT"
	}
	marks := map[string]string{
		"name": opt.Name, "creator": opt.Creator, "creator-kind": opt.CreatorKind, "licence": opt.Licence,
		"created": opt.CreatedAt.UTC().Format(time.RFC3339), "genesis": abi.GenesisVersion, "abi": abi.Version(), "go": goVersion,
	}
	for name, text := range languages[opt.Lang] {
		marks[name] = text
	}
	out := map[string][]byte{}
	if !slices.Contains(Langs(), opt.Lang) {
		return nil, fmt.Errorf("no template for language %q: there are %s", opt.Lang, strings.Join(Langs(), ", "))
	}
	for _, dir := range []string{"files/common", "files/" + opt.Lang} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if out[realName(e.Name())], err = fill(path.Join(dir, e.Name()), marks); err != nil {
				return nil, err
			}
		}
	}
	var err error
	switch opt.Lang {
	case "go":
		err = addSDK(out)
	case "c":
		out["pxos.h"] = c.Header
	}
	if err != nil {
		return nil, err
	}
	if _, err := abi.ParseManifest(out[abi.ManifestPath]); err != nil {
		return nil, err
	}
	return out, nil
}

// languages holds what the common files say differently for each language.
var languages = map[string]map[string]string{
	"go": {
		"toolchain": "the SDK in `third_party` and the Go compiler",
		"tests":     "`go test` runs its program against a host in memory",
	},
	"c": {
		"toolchain": "the C library and the compiler",
		"tests":     "no tests yet",
	},
}

// fill puts texts in the place of the marks of one template file: «name» stands for
// one, «quote name» for one as a TOML string. It is not text/template because that
// keeps the linker from leaving out unused methods, which makes every start of
// pxos-host slower.
func fill(file string, marks map[string]string) ([]byte, error) {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for rest := string(text); ; {
		plain, behind, found := strings.Cut(rest, "«")
		b.WriteString(plain)
		if !found {
			return b.Bytes(), nil
		}
		mark, after, _ := strings.Cut(behind, "»")
		name, quoted := strings.CutPrefix(mark, "quote ")
		value, ok := marks[name]
		if !ok {
			return nil, fmt.Errorf("%s: there is no mark %q", file, mark)
		}
		if quoted {
			value = strict.Quote(value)
		}
		b.WriteString(value)
		rest = after
	}
}

// realName undoes what keeps template files from being built with this module.
func realName(name string) string {
	switch name = strings.TrimSuffix(name, ".tmpl"); name {
	case "gomod":
		return "go.mod"
	case "gitignore":
		return ".gitignore"
	}
	return name
}

// addSDK adds a copy of the Go SDK as a module of its own, without its tests.
func addSDK(out map[string][]byte) error {
	const at = "third_party/pxos/"
	out[at+"go.mod"] = []byte("module github.com/pxos/pxos\n\ngo " + goVersion + "\n")
	out[at+"README.md"] = []byte("A copy of the pxOS SDK for Go, so that this cartridge builds without a network.\nIt is not packed into the cartridge. `pxos-host new` of a newer pxOS writes a newer copy.\n")
	return fs.WalkDir(pxos.Sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || name == "sources.go" {
			return err
		}
		data, err := fs.ReadFile(pxos.Sources, name)
		out[at+"sdk/"+name] = data
		return err
	})
}
