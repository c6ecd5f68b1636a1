// Command hello is the pxOS cartridge to look at first. It shows all that a program
// has: arguments, a result, errors with a type, a log, standard output, and the
// cartridge's own archive.
package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"sort"
	"strconv"
	"strings"

	pxos "github.com/pxos/pxos/sdk"
)

// Args say whom to greet, and how.
type Args struct {
	Name     string `json:"name"`     // default: world
	Language string `json:"language"` // a key of greetings.json; default: en
}

// Greeting is the result of hello.
type Greeting struct {
	Greeting string `json:"greeting"`
	Language string `json:"language"`
}

// greetingsPath is a file of this cartridge: from language to greeting, in which
// NAME stands for the name.
const greetingsPath = "greetings.json"

const maxName = 200 // bytes

func greet(ctx *pxos.Context, in Args) (Greeting, error) {
	if in.Name == "" {
		in.Name = "world"
	}
	if len(in.Name) > maxName {
		return Greeting{}, pxos.Errorf("name_too_long", "a name has at most %d bytes, this one has %d", maxName, len(in.Name))
	}
	if in.Language == "" {
		in.Language = "en"
	}
	greetings, err := load()
	if err != nil {
		return Greeting{}, err
	}
	form, ok := greetings[in.Language]
	if !ok {
		return Greeting{}, pxos.Errorf("unknown_language", "no greeting in %q: there are %s", in.Language, strings.Join(languages(greetings), ", "))
	}
	pxos.Info("greeting", "name", in.Name, "language", in.Language)
	text := strings.Replace(form, "NAME", in.Name, 1)
	if _, err := io.WriteString(ctx.Stdout, text+"\n"); err != nil {
		return Greeting{}, err
	}
	return Greeting{text, in.Language}, nil
}

// load reads the greetings from the cartridge's own archive.
func load() (map[string]string, error) {
	data, err := fs.ReadFile(pxos.Archive(), greetingsPath)
	if err != nil {
		return nil, err
	}
	var greetings map[string]string
	if err := json.Unmarshal(data, &greetings); err != nil {
		return nil, pxos.Errorf("damaged", "%s: %w", greetingsPath, err)
	}
	return greetings, nil
}

func languages(greetings map[string]string) []string {
	var list []string
	for l := range greetings {
		list = append(list, l)
	}
	sort.Strings(list)
	return list
}

// File is one file of the cartridge.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// archive lists what this cartridge is made of.
func archive(ctx *pxos.Context, _ pxos.None) ([]File, error) {
	files := []File{}
	var out strings.Builder
	own := pxos.Archive()
	err := fs.WalkDir(own, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		digest, err := pxos.Digest(path)
		if err != nil {
			return err
		}
		f := File{path, info.Size(), hex.EncodeToString(digest[:])}
		files = append(files, f)
		size := strconv.FormatInt(f.Size, 10)
		out.WriteString(strings.Repeat(" ", max(0, 9-len(size))) + size + "  " + f.SHA256[:12] + "  " + path + "\n")
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(ctx.Stdout, out.String())
	return files, err
}

func init() {
	pxos.Register("hello", greet)
	pxos.Register("hello:archive", archive)
}

func main() { pxos.Main() }
