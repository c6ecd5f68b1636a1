package storage_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// fill makes files that runs with fewer grants then see.
func fill(t *testing.T, dir string, names ...string) {
	t.Helper()
	g := begin(t, config(t, dir, everything...), nil)
	for _, n := range names {
		for i, c := range n {
			if c == '/' {
				g.path("pixelfs.mkdir", n[:i])
			}
		}
		g.write(n, "content of "+n)
	}
	g.end()
}

func TestPathGrants(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "top", "a/one", "a/b/two", "a/b/c/three", "a/bc/four", "w/five")
	grants := []string{"pixelfs:/a/b:read", "pixelfs:/w:write", "pixelfs:/new/deep:write", "pixelfs:/none:read"}
	open := func(flags uint64) func(g *guest, path string) abi.Code {
		return func(g *guest, path string) abi.Code { return g.path("pixelfs.open", path, flags, outAt) }
	}
	call := func(name string, more ...uint64) func(g *guest, path string) abi.Code {
		return func(g *guest, path string) abi.Code { return g.path("pixelfs."+name, path, more...) }
	}
	rename := func(to string) func(g *guest, path string) abi.Code {
		return func(g *guest, path string) abi.Code {
			name, args := two(g, "pixelfs.rename", path, to)
			return g.call(name, args...)
		}
	}
	stat := call("stat", outAt, outAt+8, outAt+16, dataAt, outAt+24)
	list := call("list", dataAt, 1000, outAt)
	const ok, denied, missing, invalid, exists = abi.CodeOK, abi.CodeDenied, abi.CodeNotFound, abi.CodeInvalid, abi.CodeExists
	for _, tc := range []struct {
		name string
		call func(g *guest, path string) abi.Code
		want map[string]abi.Code
	}{
		{"open to read", open(1), map[string]abi.Code{
			"a/b/two": ok, "/a/b/c/three": ok, "w/five": ok, "top": denied, "a/one": denied, "a/bc/four": denied, "a/b/none": missing, "none": missing, "none/x": missing,
			"a": invalid, "a/b": invalid, "": invalid, "new/deep": invalid, "new/deep/x": missing, "x": denied, "a/b/../one": invalid, "new/other": denied,
		}},
		{"open to write", open(2), map[string]abi.Code{"a/b/two": denied, "w/five": ok, "top": denied, "a": denied, "w": invalid, "new/deep": invalid, "w/x": missing}},
		{"create", open(2 | 4), map[string]abi.Code{"a/b/new": denied, "w/new": ok, "new/deep/x": ok, "new/x": denied, "x": denied, "none": denied, "w/d/x": missing, "wx": denied}},
		{"open_version", call("open_version", 1, outAt), map[string]abi.Code{"a/b/two": ok, "top": denied, "w/five": ok}},
		{"stat", stat, map[string]abi.Code{
			"": ok, "a": ok, "a/b": ok, "a/b/two": ok, "a/bc": denied, "a/one": denied, "w": ok, "new": ok, "new/deep": ok, "new/deep/x": missing, "none": missing, "top": denied,
		}},
		{"list", list, map[string]abi.Code{"": ok, "a": ok, "a/b": ok, "a/bc": denied, "new": ok, "new/deep": ok, "none": missing, "top": denied, "a/b/two": invalid}},
		{"mkdir", call("mkdir"), map[string]abi.Code{"w/d": ok, "w": exists, "new/deep": exists, "new/deep/d": ok, "a/b/d": denied, "a": denied, "d": denied, "new": denied}},
		{"rename from", rename("w/to"), map[string]abi.Code{"w/five": ok, "a/b/two": denied, "top": denied, "w": invalid, "new/deep": invalid, "w/none": missing, "": denied}},
		{"rename to", func(g *guest, path string) abi.Code { return rename(path)(g, "w/five") }, map[string]abi.Code{
			"w/to": ok, "new/deep/to": ok, "a/b/to": denied, "to": denied, "w": invalid, "new/deep": invalid,
		}},
		{"trash", call("trash"), map[string]abi.Code{"w/five": ok, "a/b/two": denied, "top": denied, "w": invalid, "new/deep": invalid, "new": denied, "w/none": missing}},
		{"verify", call("verify"), map[string]abi.Code{"w/five": ok, "a/b/two": ok, "top": denied, "a": denied, "a/b": invalid}},
		{"versions", call("versions", dataAt, 1000, outAt), map[string]abi.Code{"w/five": ok, "a/b/two": ok, "top": denied}},
		{"restore", call("restore", 1), map[string]abi.Code{"w/five": ok, "a/b/two": denied, "top": denied}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for path, want := range tc.want {
				// A copy each: calls change things.
				g := begin(t, config(t, copyOf(t, dir), grants...), nil)
				if got := tc.call(g, path); got != want {
					t.Errorf("%q: %v, want %v", path, got, want)
				}
				g.end()
			}
		})
	}
	t.Run("what lists show", func(t *testing.T) {
		g := begin(t, config(t, dir, grants...), nil)
		for path, want := range map[string]string{
			"": "a/ new/ w/", "a": "b/", "a/b": "c/ two", "w": "five", "new": "deep/", "new/deep": "",
		} {
			if got := g.list(path); got != want {
				t.Errorf("%q: %q, want %q", path, got, want)
			}
		}
	})
	t.Run("a granted file", func(t *testing.T) {
		g := begin(t, config(t, dir, "pixelfs:/a/one:write", "pixelfs:/top:read"), nil)
		if got := g.list("") + "; " + g.list("a"); got != "a/ top; one" {
			t.Errorf("lists %q", got)
		}
		g.write("a/one", "changed")
		if got := g.read("a/one"); got != "changed" {
			t.Errorf("read %q", got)
		}
		if code := g.path("pixelfs.trash", "a/one"); code != invalid {
			t.Errorf("trash: %v", code)
		}
	})
	t.Run("reading makes nothing", func(t *testing.T) {
		empty := t.TempDir()
		g := begin(t, config(t, empty, "pixelfs:/:read", "infinitemap:*:read"), nil)
		if got := g.list(""); got != "" {
			t.Errorf("list %q", got)
		}
		if code := g.path("pixelfs.open", "x", 2|4, outAt); code != denied {
			t.Errorf("create: %v", code)
		}
		if code := g.path("infinitemap.open", "x", 2|4, outAt); code != denied {
			t.Errorf("create a map: %v", code)
		}
		g.end()
		list, _ := os.ReadDir(filepath.Join(empty, "pixelfs"))
		if _, err := os.Stat(filepath.Join(empty, "maps")); len(list) > 0 || err == nil {
			t.Errorf("there is something now: %v, %v", list, err)
		}
	})
	t.Run("no use makes nothing", func(t *testing.T) {
		empty := t.TempDir()
		begin(t, config(t, empty, everything...), nil).end()
		if list, _ := os.ReadDir(empty); len(list) > 0 {
			t.Errorf("there is something now: %v", list)
		}
	})
}

// copyOf copies a directory tree.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return out
}

// The directory has the same rules, in error numbers.
func TestPathGrantsInDirectory(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "top", "a/one", "a/b/two", "w/five")
	m := mounted(t, dir, false, "pixelfs:/a/b:read", "pixelfs:/w:write", "pixelfs:/new/deep:write")
	open := func(path string, flag sys.Oflag) sys.Errno {
		f, errno := m.OpenFile(path, flag, 0o600)
		if f != nil {
			defer f.Close()
		}
		return errno
	}
	const rw, create = sys.O_RDWR, sys.O_RDWR | sys.O_CREAT
	for name, tc := range map[string]struct{ got, want sys.Errno }{
		"read":                    {open("a/b/two", 0), 0},
		"read, create if missing": {open("a/b/two", sys.O_CREAT), 0},
		"read outside":            {open("top", 0), sys.EACCES},
		"write what is read only": {open("a/b/two", rw), sys.EROFS},
		"truncate by the way":     {open("a/b/two", sys.O_TRUNC), sys.EROFS},
		"create what is missing":  {open("a/b/new", create), sys.EROFS},
		"create outside":          {open("new/x", create), sys.EACCES},
		"create above":            {open("x", create), sys.EACCES},
		"write":                   {open("w/five", rw), 0},
		"create":                  {open("new/deep/x", create), 0},
		"open a directory above":  {open("a", 0), 0},
		"write a directory above": {open("a", rw), sys.EISDIR},
		"mkdir what is above":     {m.Mkdir("a", 0o700), sys.EEXIST},
		"mkdir":                   {m.Mkdir("w/d", 0o700), 0},
		"mkdir read only":         {m.Mkdir("a/b/d", 0o700), sys.EROFS},
		"mkdir outside":           {m.Mkdir("d", 0o700), sys.EACCES},
		"rmdir what was granted":  {m.Rmdir("new/deep"), vfs.EBUSY},
		"unlink read only":        {m.Unlink("a/b/two"), sys.EROFS},
		"unlink outside":          {m.Unlink("top"), sys.EACCES},
		"rename out":              {m.Rename("w/five", "five"), sys.EACCES},
		"rename in":               {m.Rename("top", "w/top"), sys.EACCES},
		"rename what was granted": {m.Rename("w", "new/deep/w"), vfs.EBUSY},
		"times read only":         {m.Utimens("a/b/two", 0, 0), sys.EROFS},
		"a name that cannot be":   {open("w/\xff", create), vfs.EBUSY&^0xff | 25},
		"no such strange name":    {open("w/\xff", 0), sys.ENOENT},
		"a name too long":         {open("w/"+strings.Repeat("x", 201), create), sys.ENAMETOOLONG},
		"a path too deep":         {open("w/"+strings.Repeat("x/", 33)+"x", create), sys.ENAMETOOLONG},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v (%d), want %v (%d)", name, tc.got, tc.got, tc.want, tc.want)
		}
	}
}

func TestMapGrants(t *testing.T) {
	dir := t.TempDir()
	g := begin(t, config(t, dir, everything...), nil)
	for _, name := range []string{"world", "other", "part"} {
		h := g.openMap(name, 2|4)
		g.ok("infinitemap.set", h, 5, 5, 0x010203)
		g.ok("infinitemap.close", h)
	}
	g.end()

	grants := []string{"infinitemap:world:read", "infinitemap:part:write:0,0,100,100", "infinitemap:part:read:-50,-50,100,100"}
	g = begin(t, config(t, dir, grants...), nil)
	const ok, denied = abi.CodeOK, abi.CodeDenied
	open := func(name string, flags uint64) abi.Code { return g.path("infinitemap.open", name, flags, outAt) }
	for name, tc := range map[string]struct{ got, want abi.Code }{
		"another map":         {open("other", 1), denied},
		"a map that is not":   {open("none", 2|4), denied},
		"write what is read":  {open("world", 2), denied},
		"create what is read": {open("world", 2|4), denied},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
		}
	}
	g.ok("infinitemap.list", dataAt, 100, outAt)
	if got := string(g.mem(dataAt, g.u32(outAt))); got != "part\x00world\x00" {
		t.Errorf("list %q", got)
	}
	world, part := g.openMap("world", 1), g.openMap("part", 2)
	p, n := g.text(dataAt, le64(1)+le64(1)+"abc\x00"+le64(200)+le64(1)+"abc\x00")
	pts, _ := g.text(dataAt+0x100, le64(1)+le64(1)+le64(minus(20))+le64(minus(20)))
	call := func(name string, args ...uint64) abi.Code { return g.call("infinitemap."+name, args...) }
	region := func(h, x, y, w, hh, level uint64) abi.Code {
		return call("read_region", h, x, y, w, hh, level, 0x4000, 3*w*hh)
	}
	for name, tc := range map[string]struct{ got, want abi.Code }{
		"get anywhere":              {call("get", world, minInt, maxInt, outAt), ok},
		"bounds":                    {call("bounds", world, outAt, outAt+8, outAt+16, outAt+24), ok},
		"stats":                     {call("stats", world, 0x4000, 500, outAt), ok},
		"bounds of a part":          {call("bounds", part, outAt, outAt+8, outAt+16, outAt+24), denied},
		"stats of a part":           {call("stats", part, 0x4000, 500, outAt), denied},
		"snapshot of a part":        {call("snapshot", part, pathAt, 4), denied},
		"get in both":               {call("get", part, 10, 10, outAt), ok},
		"get in the read part":      {call("get", part, minus(10), 10, outAt), ok},
		"get outside":               {call("get", part, 100, 10, outAt), denied},
		"set":                       {call("set", part, 99, 99, 1), ok},
		"set in the read part":      {call("set", part, minus(1), 0, 1), denied},
		"set outside":               {call("set", part, 100, 99, 1), denied},
		"set_many within":           {call("set_many", part, p, 20), ok},
		"set_many beyond":           {call("set_many", part, p, n), denied},
		"get_many within":           {call("get_many", part, pts, 16, 0x4000, 3), ok},
		"get_many in one part":      {call("get_many", part, pts, 32, 0x4000, 6), ok},
		"region in one part":        {region(part, minus(50), minus(50), 100, 100, 0), ok},
		"region in the other":       {region(part, 0, 0, 100, 100, 0), ok},
		"region in two parts":       {region(part, minus(50), minus(50), 101, 100, 0), denied},
		"level within":              {region(part, minus(25), minus(25), 50, 50, 1), ok},
		"level that reaches out":    {region(part, minus(26), minus(25), 50, 50, 1), denied},
		"level of everything":       {region(part, 0, 0, 1, 1, 63), denied},
		"write region":              {call("write_region", part, 98, 99, 2, 1, 0x4000, 6), ok},
		"write region beyond":       {call("write_region", part, 99, 99, 2, 1, 0x4000, 6), denied},
		"write bytes":               {call("write_bytes", part, 98, 99, 0x4000, 6), ok},
		"write bytes beyond":        {call("write_bytes", part, 98, 99, 0x4000, 7), denied},
		"read bytes":                {call("read_bytes", part, 98, 99, 0x4000, 6), ok},
		"read bytes beyond":         {call("read_bytes", part, 98, 99, 0x4000, 7), denied},
		"neighbours":                {call("neighbours", part, 1, 1, 1, 0x4000, 27), ok},
		"neighbours beyond":         {call("neighbours", part, 99, 1, 1, 0x4000, 27), denied},
		"tiles":                     {call("tiles", part, 0, 0, 100, 100, 0x4000, 100, outAt), ok},
		"tiles beyond":              {call("tiles", part, 0, 0, 100, 101, 0x4000, 100, outAt), denied},
		"tiles of everything":       {call("tiles", part, minInt, minInt, 0, 0, 0x4000, 100, outAt), denied},
		"tiles of all there is":     {call("tiles", world, minInt, minInt, 0, 0, 0x4000, 100, outAt), ok},
		"neighbours everywhere":     {call("neighbours", world, maxInt, minInt, 1, 0x4000, 27), ok},
		"flush":                     {call("flush", part), ok},
		"write through a reader":    {call("set", world, 1, 1, 1), abi.CodeBadHandle},
		"set_many through a reader": {call("set_many", world, p, 20), abi.CodeBadHandle},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
		}
	}
	// Nothing of a set_many that was refused was done.
	g.ok("infinitemap.set", part, 1, 1, 7)
	if code := call("set_many", part, p, n); code != denied {
		t.Fatal(code)
	}
	g.ok("infinitemap.get", part, 1, 1, outAt)
	if got := g.u32(outAt); got != 7 {
		t.Errorf("a part of what was refused was done: %x", got)
	}
}

// A run without the capability gets no further than the wrapper, and one whose host has
// no storage no further than that.
func TestNotGranted(t *testing.T) {
	g := begin(t, config(t, t.TempDir(), "pixelfs:/:read"), nil)
	if code := g.path("infinitemap.open", "x", 1, outAt); code != abi.CodeDenied {
		t.Errorf("open a map: %v", code)
	}
	g = begin(t, config(t, t.TempDir(), "infinitemap:*:read"), nil)
	if code := g.path("pixelfs.list", "", dataAt, 10, outAt); code != abi.CodeDenied {
		t.Errorf("list: %v", code)
	}
}

// Whatever numbers a guest passes, every function answers with a code.
func TestHostileNumbers(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "a.txt")
	cfg := config(t, dir, everything...)
	cfg.Handles = 1 << 20
	g := begin(t, cfg, nil)
	g.openFile("a.txt", 3)
	g.openMap("world", 2|4)
	g.put(pathAt, []byte("a.txt"))
	values := []uint64{0, 1, 5, pathAt, memorySize - 1, memorySize, 1 << 31, 1<<32 - 1, 1 << 63, math.MaxUint64, math.MaxInt64}
	for _, module := range []string{"pixelfs", "infinitemap"} {
		for _, r := range rowsOf(module) {
			if r.Name == "close" {
				continue // it would take the handles away
			}
			name := module + "." + r.Name
			args := make([]uint64, len(r.Lower()))
			for i := range args {
				for j := range i {
					for _, v := range values {
						for _, w := range values {
							for k := range args {
								args[k] = 1
							}
							args[i], args[j] = v, w
							if code := g.call(name, args...); strings.HasPrefix(code.String(), "code ") || code == abi.CodeInternal {
								t.Fatalf("%s%v: %v", name, args, code)
							}
						}
					}
				}
			}
		}
	}
}
