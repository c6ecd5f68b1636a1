package vfs

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func TestClean(t *testing.T) {
	long := strings.Repeat("n", maxName)
	deep := strings.Repeat("d/", maxPath/2)
	for _, tt := range []struct {
		name, in, want string
		dir            bool
		errno          sys.Errno
	}{
		{"file", "a", "a", false, 0},
		{"nested", "a/b/c", "a/b/c", false, 0},
		{"root", ".", ".", true, 0},
		{"slash", "/", ".", true, 0},
		{"slashes", "///", ".", true, 0},
		{"leading slash", "/a", "a", false, 0},
		{"doubled slash", "a//b", "a/b", false, 0},
		{"trailing slash", "a/", "a", true, 0},
		{"trailing dot", "a/.", "a", true, 0},
		{"inner dot", "./a/./b", "a/b", false, 0},
		{"parent inside", "a/../b", "b", false, 0},
		{"parent to root", "a/..", ".", true, 0},
		{"parent leaves", "..", "", false, sys.EPERM},
		{"parent leaves late", "a/../../b", "", false, sys.EPERM},
		{"parent leaves and returns", "../x/a", "", false, sys.EPERM},
		{"slash and parent", "/..", "", false, sys.EPERM},
		{"dots are a name", "...", "...", false, 0},
		{"backslash is a byte", `..\a`, `..\a`, false, 0},
		{"empty", "", "", false, sys.ENOENT},
		{"NUL", "a\x00b", "", false, sys.EINVAL},
		{"longest name", long, long, false, 0},
		{"name too long", long + "n", "", false, sys.ENAMETOOLONG},
		{"name too long inside", "a/" + long + "n/b", "", false, sys.ENAMETOOLONG},
		{"longest path", deep, strings.TrimSuffix(deep, "/"), true, 0},
		{"path too long", deep + "d", "", false, sys.ENAMETOOLONG},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, dir, errno := clean(tt.in)
			if got != tt.want || dir != tt.dir || errno != tt.errno {
				t.Errorf("clean(%.40q) = %.40q, %v, %v; want %.40q, %v, %v", tt.in, got, dir, errno, tt.want, tt.dir, tt.errno)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a/b", "../a", "/", "a/../..", "\x00", "a//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, _, errno := clean(in)
		if errno != 0 {
			return
		}
		again, _, errno := clean(got)
		if errno != 0 || again != got {
			t.Fatalf("clean(%q) = %q, which cleans to %q, %v", in, got, again, errno)
		}
		for _, c := range strings.Split(got, "/") {
			if c == ".." || c == "" || c == "." && got != "." || len(c) > maxName {
				t.Fatalf("clean(%q) = %q holds the component %q", in, got, c)
			}
		}
	})
}
