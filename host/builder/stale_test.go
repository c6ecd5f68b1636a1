package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const twoPrograms = manifest + `[programs.other]
module = "other.wasm"
kind = "wasi"
`

func TestStale(t *testing.T) {
	const old, fresh = 2 * time.Hour, time.Minute
	for _, tc := range []struct {
		name     string
		manifest string
		ages     map[string]time.Duration // of the files, other than the manifest
		want     string
	}{
		{"go source is newer", manifest, map[string]time.Duration{"demo.wasm": old, "main.go": fresh}, "demo.wasm<main.go"},
		{"go source is older", manifest, map[string]time.Duration{"demo.wasm": fresh, "main.go": old}, ""},
		{"written together", manifest, map[string]time.Duration{"demo.wasm": old, "main.go": old - time.Second}, ""},
		{"the newest is named", manifest, map[string]time.Duration{"demo.wasm": old, "main.go": time.Hour, "inner/x.go": fresh, "go.mod": time.Hour}, "demo.wasm<inner/x.go"},
		{"go.mod alone", manifest, map[string]time.Duration{"demo.wasm": old, "main.go": old, "go.mod": fresh}, "demo.wasm<go.mod"},
		{"not read by a compiler", manifest, map[string]time.Duration{"demo.wasm": old, "main.go": old, "main_test.go": fresh, "README.md": fresh,
			".x/y.go": fresh, "third_party/z.go": fresh, "testdata/t.go": fresh, "note.c": fresh}, ""},
		{"directory of its own", manifest, map[string]time.Duration{"demo.wasm": old, "demo/main.go": fresh, "other.go": old}, "demo.wasm<demo/main.go"},
		{"c source", manifest, map[string]time.Duration{"demo.wasm": old, "main.c": old, "demo.h": fresh}, "demo.wasm<demo.h"},
		{"source in another language", manifest, map[string]time.Duration{"demo.wasm": old, "src/lib.rs": fresh}, ""},
		{"no module", manifest, map[string]time.Duration{"main.go": fresh}, ""},
		{"source of another module", twoPrograms, map[string]time.Duration{"demo.wasm": old, "main.go": old, "other.wasm": old, "other/main.go": fresh}, "other.wasm<other/main.go"},
		{"both", twoPrograms, map[string]time.Duration{"demo.wasm": old, "main.go": fresh, "other.wasm": old, "other/main.go": fresh}, "demo.wasm<main.go other.wasm<other/main.go"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string]string{"cartridge.toml": tc.manifest}
			for name := range tc.ages {
				files[name] = ""
			}
			dir := tree(t, files)
			now := time.Now()
			for name, age := range tc.ages {
				if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(name)), now.Add(-age), now.Add(-age)); err != nil {
					t.Fatal(err)
				}
			}
			tr, err := Collect(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			stale, err := tr.Stale(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range stale {
				got = append(got, fmt.Sprintf("%s<%s", s.Module, s.Source))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
