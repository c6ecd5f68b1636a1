package pxa

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSpec ties PXA.md to the code: the same rules, and an example that is true.
func TestSpec(t *testing.T) {
	b, err := os.ReadFile("PXA.md")
	if err != nil {
		t.Fatal(err)
	}
	spec := string(b)
	id := regexp.MustCompile(`PXA-[A-Z]\d`)
	stated, used := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(spec, "\n") {
		if strings.HasPrefix(line, "| PXA-") {
			stated[id.FindString(line)] = true
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range id.FindAllString(string(src), -1) {
			used[m] = true
		}
	}
	for m := range used {
		if !stated[m] {
			t.Errorf("%s is reported but not in PXA.md", m)
		}
	}
	for m := range stated {
		if !used[m] {
			t.Errorf("%s is in PXA.md but never reported", m)
		}
	}
	archive := craftArchive(lies{}, baseParts()...)
	if !strings.Contains(spec, hex.Dump(archive)) {
		t.Errorf("PXA.md does not show the archive of the example:\n%s", hex.Dump(archive))
	}
	if !strings.Contains(spec, hex.Dump(picture(archive, manifest)[1443:1459])) {
		t.Error("PXA.md does not show the chunk of the example")
	}
}
