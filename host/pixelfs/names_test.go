package pixelfs

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEncode(t *testing.T) {
	good := []struct{ name, place string }{
		{".", "."},
		{"a", "a"},
		{"a/b.txt", "a/b.txt"},
		{"README.md", "README.md"},
		{"50%", "50%25"},
		{`a\b:c*d?e"f<g>h|i`, "a%5Cb%3Ac%2Ad%3Fe%22f%3Cg%3Eh%7Ci"},
		{".hidden", "%2Ehidden"},
		{"...", "%2E.%2E"},
		{"dot.", "dot%2E"},
		{"space ", "space%20"},
		{" ", "%20"},
		{" a", " a"},
		{"x.pxi", "x%2Epxi"},
		{"x.PXI", "x%2EPXI"},
		{".pxi", "%2Epxi"},
		{"a.pxi.pxi", "a.pxi%2Epxi"},
		{".pxos", "%2Epxos"},
		{"con", "%63on"},
		{"CON.txt", "%43ON.txt"},
		{"aux .b", "%61ux .b"},
		{"com1", "%63om1"},
		{"LPT²", "%4CPT²"},
		{"conin$", "%63onin$"},
		{"com", "com"},
		{"console", "console"},
		{"LONGNA~1", "LONGNA%7E1"},
		{"file~", "file~"},
		{"größe/日本", "größe/日本"},
		{strings.Repeat("x", MaxPart), strings.Repeat("x", MaxPart)},
	}
	for _, c := range good {
		got, err := Encode(c.name)
		if err != nil || got != c.place {
			t.Errorf("Encode(%q) = %q, %v; want %q", c.name, got, err, c.place)
			continue
		}
		back, err := Decode(got)
		if err != nil || back != c.name {
			t.Errorf("Decode(%q) = %q, %v", got, back, err)
		}
	}
	bad := []struct{ name, why string }{
		{"", "empty"},
		{"/a", "empty part"},
		{"a/", "empty part"},
		{"a//b", "empty part"},
		{"..", "traversal"},
		{"a/../b", "traversal"},
		{"./a", "traversal"},
		{"a/.", "traversal"},
		{"a\x00b", "NUL"},
		{"a\nb", "control"},
		{"a\x7f", "control"},
		{"a\u0085b", "C1 control"},
		{"\xff", "not UTF-8"},
		{"a\xed\xa0\x80", "a surrogate"},
		{"e\u0301", "not NFC"},
		{strings.Repeat("x", MaxPart+1), "long part"},
		{strings.Repeat("x", 256), "255 bytes and more"},
		{strings.Repeat("%", 100), "long once escaped"},
		{strings.Repeat("abc/", 300) + "a", "long name"},
		{strings.Repeat("a/", MaxDepth) + "a", "deep"},
	}
	for _, c := range bad {
		_, err := Encode(c.name)
		var ne *NameError
		if !errors.As(err, &ne) {
			t.Errorf("%s: Encode(%q) = %v", c.why, c.name, err)
		}
	}
	for _, p := range []string{"a%62", "%2e", "%", "%4", "%zz", "a:b", "con", ".x", "a.", "x.pxi", "%2F", "a%00", "%2E", "%2E%2E"} {
		if name, err := Decode(p); err == nil {
			t.Errorf("Decode(%q) = %q, but Encode never gives that", p, name)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "a/b", ".pxos/lock", "con.txt", "50%", "x.pxi", "..", "e\u0301", "a\x00", "LONGNA~1", "COM¹"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		place, err := Encode(name)
		if err != nil {
			var ne *NameError
			if !errors.As(err, &ne) {
				t.Fatalf("error of type %T", err)
			}
		} else {
			back, err := Decode(place)
			if err != nil || back != name {
				t.Fatalf("%q became %q, which became %q, %v", name, place, back, err)
			}
			if place != "." {
				if !filepath.IsLocal(place) || within(place, meta) || !utf8.ValidString(place) {
					t.Fatalf("%q became %q", name, place)
				}
				for _, p := range strings.Split(place, "/") {
					if p == "" || p[0] == '.' || len(p)+len(Suffix) > 255 || strings.HasSuffix(p, Suffix) ||
						strings.ContainsAny(p, "\\:*?\"<>|\x00") || isDevice(p) || strings.HasSuffix(p, ".") || strings.HasSuffix(p, " ") {
						t.Fatalf("%q became %q", name, place)
					}
				}
			}
		}
		// The other way: what decodes encodes to itself.
		if dec, err := Decode(name); err == nil {
			if enc, err := Encode(dec); err != nil || enc != name {
				t.Fatalf("place %q is %q, whose place is %q, %v", name, dec, enc, err)
			}
		}
	})
}
