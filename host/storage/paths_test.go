package storage

import (
	"strings"
	"testing"

	"github.com/pxos/pxos/host/pixelfs"
)

// Whatever a guest sends as a path, what comes of it stays below the root, and is a name
// of the store or refused by it.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{"a/b", "/a", "//a", "a/", ".", "..", "a/../b", "a/../..", "", "/", "\xff", "a\x00b", strings.Repeat("x/", 40), "e\u0301", ".pxos/lock"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if name, err := clean(path); err == nil {
			sound(t, path, name)
		}
		if name, _, errno := resolve(path); errno == 0 {
			for part := range strings.SplitSeq(name, "/") {
				if part == ".." || part == "" || part == "." && name != "." {
					t.Fatalf("resolve(%q) = %q", path, name)
				}
			}
			if holdable(name) == 0 {
				sound(t, path, name)
			}
		}
	})
}

func sound(t *testing.T, path, name string) {
	t.Helper()
	place, err := pixelfs.Encode(name)
	if err != nil {
		t.Fatalf("%q became %q, which the store refuses: %v", path, name, err)
	}
	if strings.HasPrefix(place, ".") && place != "." {
		t.Fatalf("%q became %q, which lies at %q", path, name, place)
	}
}
