package pxi

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSpec ties PXI.md to the code: every rule is used and every rule that is
// used is stated, the limits are those of the code, and the example is true.
func TestSpec(t *testing.T) {
	b, err := os.ReadFile("PXI.md")
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.ReplaceAll(string(b), "\r\n", "\n")
	id := regexp.MustCompile(`PXI-[A-Z]\d`)
	stated, used := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(spec, "\n") {
		if strings.HasPrefix(line, "| PXI-") {
			if m := id.FindString(line); stated[m] {
				t.Errorf("%s is stated twice", m)
			} else {
				stated[m] = true
			}
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
			t.Errorf("%s is in the code but not in PXI.md", m)
		}
	}
	for m := range stated {
		if !used[m] {
			t.Errorf("%s is in PXI.md but not in the code", m)
		}
	}
	// Every rule about files is broken by a vector.
	broken := map[string]bool{}
	for _, v := range vectors() {
		if v.Error != "" {
			broken[v.Rule] = true
		}
	}
	for m := range stated {
		if strings.Contains("HTDG", m[4:5]) && !broken[m] {
			t.Errorf("no vector breaks %s", m)
		}
	}

	for _, row := range []string{
		fmt.Sprintf("| width | %s |", digits(MaxWidth)),
		fmt.Sprintf("| block size | %s to %s |", digits(MinBlock), digits(MaxBlock)),
		fmt.Sprintf("| blocks | %s |", digits(MaxBlocks)),
		fmt.Sprintf("| data | %s |", digits(maxSize)),
		fmt.Sprintf("| pixels of a plain PNG | %s |", digits(MaxPNGPixels)),
		fmt.Sprintf("width %d; blocks of %d data bytes, of %s when compressed", DefaultWidth, DefaultBlock, digits(DefaultCompressedBlock)),
		fmt.Sprintf("(the check value of `123456789` is %08X)", crc32.Checksum([]byte("123456789"), castagnoli)),
	} {
		if !strings.Contains(spec, row) {
			t.Errorf("PXI.md does not say %q", row)
		}
	}
	data := []byte("pixels, 3")
	example := craft(data, 4, 512, None, nil).bytes()
	if !strings.Contains(spec, hex.Dump(example)) {
		t.Errorf("PXI.md does not show the example:\n%s", hex.Dump(example))
	}
	if got := mustEncode(t, data, Options{Width: 4, BlockSize: 512}); !bytes.Equal(got, example) {
		t.Error("the encoder makes another file")
	}
}

// digits writes n with commas.
func digits(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
