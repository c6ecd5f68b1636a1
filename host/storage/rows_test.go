package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
)

func le32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func le64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
func sum(s string) string  { d := sha256.Sum256([]byte(s)); return string(d[:]) }

// watched is how much of the guest's memory a transcript covers.
const watched = 0x4000

// row is a transcript of one call: what it answers, and every byte of memory that it
// changes.
type row struct {
	name string
	prep func(g *guest)                    // what was before
	call func(g *guest) (string, []uint64) // the call; parameters in memory are put there
	code abi.Code
	want map[uint32]string // what the call writes, by place; '*' in it stands for any byte
}

func (r row) run(t *testing.T, grants ...string) {
	t.Run(r.name, func(t *testing.T) {
		g := begin(t, config(t, t.TempDir(), grants...), nil)
		if r.prep != nil {
			r.prep(g)
		}
		g.put(0, bytes.Repeat([]byte{'?'}, watched))
		name, args := r.call(g)
		before := g.mem(0, watched)
		if code := g.call(name, args...); code != r.code {
			t.Fatalf("%s: %v, want %v", name, code, r.code)
		}
		after := g.mem(0, watched)
		for off, s := range r.want {
			copy(before[off:], s)
			for i := range s {
				if s[i] == '*' {
					before[int(off)+i] = after[int(off)+i]
				}
			}
		}
		for i := range before {
			if before[i] != after[i] {
				from := i &^ 15
				t.Fatalf("%s: memory at %#x\n%q\nwant\n%q", name, from, after[from:from+64], before[from:from+64])
			}
		}
	})
}

// at makes the parameters of a path and others behind it.
func at(g *guest, name, path string, more ...uint64) (string, []uint64) {
	p, n := g.text(pathAt, path)
	return name, append([]uint64{p, n}, more...)
}

// two makes the parameters of two paths.
func two(g *guest, name, a, b string) (string, []uint64) {
	p, n := g.text(pathAt, a)
	q, m := g.text(otherAt, b)
	return name, []uint64{p, n, q, m}
}

// minus gives a negative number as a parameter.
func minus(n int64) uint64 { return uint64(-n) }

func TestFileRows(t *testing.T) {
	hello := func(g *guest) { g.write("a.txt", "hello") }
	open := func(flags uint64) func(g *guest) {
		return func(g *guest) { hello(g); g.openFile("a.txt", flags) }
	}
	const h = 2 // the handle that open has got: hello closed 1
	versions := func(g *guest) { hello(g); g.write("a.txt", "hello, world") }
	trashed := func(g *guest) {
		versions(g)
		if code := g.path("pixelfs.trash", "a.txt"); code != 0 {
			g.t.Fatal(code)
		}
	}
	call := func(name string, args ...uint64) func(g *guest) (string, []uint64) {
		return func(*guest) (string, []uint64) { return "pixelfs." + name, args }
	}
	path := func(name, path string, more ...uint64) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) { return at(g, "pixelfs."+name, path, more...) }
	}
	rename := func(a, b string) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) { return two(g, "pixelfs.rename", a, b) }
	}
	data := func(name, data string, before ...uint64) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) {
			p, n := g.text(dataAt, data)
			return "pixelfs." + name, append(before, p, n, outAt)
		}
	}
	mkdir := func(names ...string) func(g *guest) {
		return func(g *guest) {
			hello(g)
			for _, n := range names {
				if code := g.path("pixelfs.mkdir", n); code != 0 {
					g.t.Fatal(n, code)
				}
			}
		}
	}
	long := strings.Repeat("x", 201)
	for _, r := range []row{
		{"open", hello, path("open", "a.txt", 1, outAt), 0, map[uint32]string{outAt: le32(2)}},
		{"open with a slash", hello, path("open", "/a.txt", 1, outAt), 0, map[uint32]string{outAt: le32(2)}},
		{"open missing", nil, path("open", "a.txt", 1, outAt), abi.CodeNotFound, nil},
		{"open in no directory", hello, path("open", "d/a.txt", 6, outAt), abi.CodeNotFound, nil},
		{"open below a file", hello, path("open", "a.txt/b", 6, outAt), abi.CodeNotFound, nil},
		{"open a directory", mkdir("d"), path("open", "d", 1, outAt), abi.CodeInvalid, nil},
		{"open a directory to write", mkdir("d"), path("open", "d", 3, outAt), abi.CodeInvalid, nil},
		{"open the root", hello, path("open", "", 1, outAt), abi.CodeInvalid, nil},
		{"open creates", nil, path("open", "a.txt", 2|4, outAt), 0, map[uint32]string{outAt: le32(1)}},
		{"open exclusively", nil, path("open", "a.txt", 2|4|8, outAt), 0, map[uint32]string{outAt: le32(1)}},
		{"open exclusively what is there", hello, path("open", "a.txt", 2|4|8, outAt), abi.CodeExists, nil},
		{"open exclusively a directory", mkdir("d"), path("open", "d", 2|4|8, outAt), abi.CodeExists, nil},
		{"open without a way", hello, path("open", "a.txt", 0, outAt), abi.CodeInvalid, nil},
		{"open create to read", hello, path("open", "a.txt", 1|4, outAt), abi.CodeInvalid, nil},
		{"open truncate to read", hello, path("open", "a.txt", 1|16, outAt), abi.CodeInvalid, nil},
		{"open append to read", hello, path("open", "a.txt", 1|32, outAt), abi.CodeInvalid, nil},
		{"open exclusive alone", hello, path("open", "a.txt", 2|8, outAt), abi.CodeInvalid, nil},
		{"open unknown flag", hello, path("open", "a.txt", 1|64, outAt), abi.CodeInvalid, nil},
		{"open dots", nil, path("open", "../a", 1, outAt), abi.CodeInvalid, nil},
		{"open a dot", nil, path("open", ".", 1, outAt), abi.CodeInvalid, nil},
		{"open two slashes", nil, path("open", "//a", 1, outAt), abi.CodeInvalid, nil},
		{"open a slash behind", hello, path("open", "a.txt/", 1, outAt), abi.CodeInvalid, nil},
		{"open a long part", nil, path("open", long, 2|4, outAt), abi.CodeInvalid, nil},
		{"open a control character", nil, path("open", "a\nb", 2|4, outAt), abi.CodeInvalid, nil},
		{"open no NFC", nil, path("open", "e\u0301", 2|4, outAt), abi.CodeInvalid, nil},
		{"open what is no text", nil, path("open", "\xff", 2|4, outAt), abi.CodeInvalid, nil},
		{"open what the store keeps to itself", hello, path("open", ".pxos/lock", 1, outAt), abi.CodeNotFound, nil},

		{"open_version", versions, path("open_version", "a.txt", 1, outAt), 0, map[uint32]string{outAt: le32(3)}},
		{"open_version missing", versions, path("open_version", "a.txt", 3, outAt), abi.CodeNotFound, nil},
		{"open_version 0", versions, path("open_version", "a.txt", 0, outAt), abi.CodeNotFound, nil},
		{"open_version in the trash", trashed, path("open_version", "a.txt", 2, outAt), 0, map[uint32]string{outAt: le32(3)}},
		{"open_version of a directory", mkdir("d"), path("open_version", "d", 1, outAt), abi.CodeInvalid, nil},

		{"read", open(1), call("read", h, dataAt, 100, outAt), 0, map[uint32]string{dataAt: "hello", outAt: le32(5)}},
		{"read part", open(1), call("read", h, dataAt, 3, outAt), 0, map[uint32]string{dataAt: "hel", outAt: le32(3)}},
		{"read nothing", open(1), call("read", h, dataAt, 0, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"read on", func(g *guest) { open(1)(g); g.ok("pixelfs.read", h, dataAt, 3, outAt) }, call("read", h, dataAt, 100, outAt), 0, map[uint32]string{dataAt: "lo", outAt: le32(2)}},
		{"read at the end", func(g *guest) { open(1)(g); g.ok("pixelfs.seek", h, 5, 0, outAt) }, call("read", h, dataAt, 100, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"read to write only", open(2), call("read", h, dataAt, 100, outAt), abi.CodeBadHandle, nil},
		{"read no handle", open(1), call("read", 9, dataAt, 100, outAt), abi.CodeBadHandle, nil},
		{"read handle 0", open(1), call("read", 0, dataAt, 100, outAt), abi.CodeBadHandle, nil},
		{"read a closed handle", open(1), call("read", 1, dataAt, 100, outAt), abi.CodeBadHandle, nil},
		{"read_at", open(1), call("read_at", h, 2, dataAt, 100, outAt), 0, map[uint32]string{dataAt: "llo", outAt: le32(3)}},
		{"read_at the end", open(1), call("read_at", h, 5, dataAt, 100, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"read_at far behind", open(1), call("read_at", h, math.MaxUint64, dataAt, 100, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"read_at 2^63-1", open(1), call("read_at", h, math.MaxInt64, dataAt, 100, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"read an old version", func(g *guest) {
			versions(g)
			p, n := g.text(pathAt, "a.txt")
			g.ok("pixelfs.open_version", p, n, 1, outAt)
		}, call("read", 3, dataAt, 100, outAt), 0, map[uint32]string{dataAt: "hello", outAt: le32(5)}},

		{"write", open(2), data("write", "HE", h), 0, map[uint32]string{outAt: le32(2)}},
		{"write nothing", open(2), data("write", "", h), 0, map[uint32]string{outAt: le32(0)}},
		{"write to read only", open(1), data("write", "HE", h), abi.CodeBadHandle, nil},
		{"write_at", open(2), data("write_at", "x", h, 10), 0, map[uint32]string{outAt: le32(1)}},
		{"write_at far behind", open(2), data("write_at", "x", h, math.MaxUint64), abi.CodeLimit, nil},
		{"write_at the largest size", open(2), data("write_at", "x", h, 1<<44), abi.CodeLimit, nil},
		{"write_at to append", open(2 | 32), data("write_at", "x", h, 0), abi.CodeInvalid, nil},
		{"write_at an old version", func(g *guest) {
			versions(g)
			p, n := g.text(pathAt, "a.txt")
			g.ok("pixelfs.open_version", p, n, 1, outAt)
		}, data("write_at", "x", 3, 0), abi.CodeBadHandle, nil},

		{"seek from the start", open(1), call("seek", h, 3, 0, outAt), 0, map[uint32]string{outAt: le64(3)}},
		{"seek from the end", open(1), call("seek", h, minus(1), 2, outAt), 0, map[uint32]string{outAt: le64(4)}},
		{"seek past the end", open(1), call("seek", h, 100, 1, outAt), 0, map[uint32]string{outAt: le64(100)}},
		{"seek before the start", open(1), call("seek", h, minus(1), 1, outAt), abi.CodeInvalid, nil},
		{"seek too far", open(1), call("seek", h, math.MaxInt64, 2, outAt), abi.CodeInvalid, nil},
		{"seek the smallest", open(1), call("seek", h, 1<<63, 2, outAt), abi.CodeInvalid, nil},
		{"seek from nowhere", open(1), call("seek", h, 0, 3, outAt), abi.CodeInvalid, nil},
		{"size", open(1), call("size", h, outAt), 0, map[uint32]string{outAt: le64(5)}},
		{"size with what is not committed", func(g *guest) { open(2)(g); g.ok("pixelfs.truncate", h, 70000) }, call("size", h, outAt), 0, map[uint32]string{outAt: le64(70000)}},
		{"truncate", open(2), call("truncate", h, 2), 0, nil},
		{"truncate too large", open(2), call("truncate", h, math.MaxUint64), abi.CodeLimit, nil},
		{"truncate to read only", open(1), call("truncate", h, 2), abi.CodeBadHandle, nil},
		{"sync", open(2), call("sync", h), 0, nil},
		{"sync to read only", open(1), call("sync", h), 0, nil},
		{"sync no handle", nil, call("sync", h), abi.CodeBadHandle, nil},
		{"close", open(2), call("close", h), 0, nil},
		{"close twice", open(2), call("close", 1), abi.CodeBadHandle, nil},

		{"stat", hello, path("stat", "a.txt", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(0), outAt + 8: le64(5), outAt + 16: "******" + le64(0)[:0], dataAt: sum("hello"), outAt + 22: "**", outAt + 24: le64(1)}},
		{"stat the second version", versions, path("stat", "a.txt", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(0), outAt + 8: le64(12), outAt + 16: "********", dataAt: sum("hello, world"), outAt + 24: le64(2)}},
		{"stat a directory", mkdir("d"), path("stat", "d", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(1), outAt + 8: le64(0), outAt + 16: "********", dataAt: strings.Repeat("\x00", 32), outAt + 24: le64(0)}},
		{"stat the root", nil, path("stat", "/", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(1), outAt + 8: le64(0), outAt + 16: "********", dataAt: strings.Repeat("\x00", 32), outAt + 24: le64(0)}},
		{"stat what is being written", func(g *guest) {
			open(2)(g)
			p, n := g.text(dataAt, "HELLO, and more")
			g.ok("pixelfs.write", h, p, n, outAt)
		}, path("stat", "a.txt", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(0), outAt + 8: le64(5), outAt + 16: "********", dataAt: sum("hello"), outAt + 24: le64(1)}},
		{"stat what was synced", func(g *guest) {
			open(2)(g)
			p, n := g.text(dataAt, "HELLO")
			g.ok("pixelfs.write", h, p, n, outAt)
			g.ok("pixelfs.sync", h)
		}, path("stat", "a.txt", outAt, outAt+8, outAt+16, dataAt, outAt+24), 0,
			map[uint32]string{outAt: le32(0), outAt + 8: le64(5), outAt + 16: "********", dataAt: sum("HELLO"), outAt + 24: le64(2)}},
		{"stat missing", hello, path("stat", "b", outAt, outAt+8, outAt+16, dataAt, outAt+24), abi.CodeNotFound, nil},
		{"stat below a file", hello, path("stat", "a.txt/b", outAt, outAt+8, outAt+16, dataAt, outAt+24), abi.CodeNotFound, nil},

		{"list", mkdir("b", "a"), path("list", "", dataAt, 100, outAt), 0, map[uint32]string{dataAt: "a/\x00a.txt\x00b/\x00", outAt: le32(12)}},
		{"list too small", mkdir("b", "a"), path("list", "/", dataAt, 11, outAt), abi.CodeTooSmall, map[uint32]string{outAt: le32(12)}},
		{"list nothing", nil, path("list", "/", dataAt, 11, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"list a file", hello, path("list", "a.txt", dataAt, 100, outAt), abi.CodeInvalid, nil},
		{"list missing", hello, path("list", "b", dataAt, 100, outAt), abi.CodeNotFound, nil},
		{"list sorts without the slash", mkdir("a", "a-b"), path("list", "/", dataAt, 100, outAt), 0, map[uint32]string{dataAt: "a/\x00a-b/\x00a.txt\x00", outAt: le32(14)}},

		{"mkdir", nil, path("mkdir", "d"), 0, nil},
		{"mkdir what is there", mkdir("d"), path("mkdir", "d"), abi.CodeExists, nil},
		{"mkdir a file", hello, path("mkdir", "a.txt"), abi.CodeExists, nil},
		{"mkdir the root", nil, path("mkdir", "/"), abi.CodeExists, nil},
		{"mkdir in nothing", nil, path("mkdir", "d/e"), abi.CodeNotFound, nil},

		{"rename", hello, rename("a.txt", "b"), 0, nil},
		{"rename to itself", hello, rename("a.txt", "a.txt"), 0, nil},
		{"rename over a file", func(g *guest) { hello(g); g.write("b", "B") }, rename("a.txt", "b"), 0, nil},
		{"rename a directory", mkdir("d", "d/e"), rename("d", "f"), 0, nil},
		{"rename over a directory", mkdir("d", "e"), rename("d", "e"), abi.CodeExists, nil},
		{"rename a file over a directory", mkdir("d"), rename("a.txt", "d"), abi.CodeExists, nil},
		{"rename a directory over a file", mkdir("d"), rename("d", "a.txt"), abi.CodeExists, nil},
		{"rename a directory into itself", mkdir("d"), rename("d", "d/e"), abi.CodeInvalid, nil},
		{"rename below a file", hello, rename("a.txt", "a.txt/b"), abi.CodeNotFound, nil},
		{"rename into nothing", hello, rename("a.txt", "d/b"), abi.CodeNotFound, nil},
		{"rename missing", hello, rename("b", "c"), abi.CodeNotFound, nil},
		{"rename the root", hello, rename("/", "c"), abi.CodeInvalid, nil},
		{"rename to the root", hello, rename("a.txt", ""), abi.CodeInvalid, nil},
		{"rename what is written", open(2), rename("a.txt", "b"), abi.CodeBusy, nil},
		{"rename over what is written", func(g *guest) { open(2)(g); g.write("b", "B") }, rename("b", "a.txt"), abi.CodeBusy, nil},
		{"rename what is read", open(1), rename("a.txt", "b"), 0, nil},

		{"trash", hello, path("trash", "a.txt"), 0, nil},
		{"trash a directory", mkdir("d", "d/e"), path("trash", "d"), 0, nil},
		{"trash missing", hello, path("trash", "b"), abi.CodeNotFound, nil},
		{"trash the root", hello, path("trash", "/"), abi.CodeInvalid, nil},
		{"trash what is written", open(2), path("trash", "a.txt"), abi.CodeBusy, nil},
		{"trash with what is written", func(g *guest) { mkdir("d")(g); g.openFile("d/f", 2|4) }, path("trash", "d"), abi.CodeBusy, nil},

		{"verify", hello, path("verify", "a.txt"), 0, nil},
		{"verify missing", hello, path("verify", "b"), abi.CodeNotFound, nil},
		{"verify a directory", mkdir("d"), path("verify", "d"), abi.CodeInvalid, nil},

		{"versions missing", hello, path("versions", "b", dataAt, 100, outAt), abi.CodeNotFound, nil},
		{"versions too small", hello, path("versions", "a.txt", dataAt, 100, outAt), abi.CodeTooSmall, map[uint32]string{outAt: "****"}},

		{"restore", versions, path("restore", "a.txt", 1), 0, nil},
		{"restore missing version", versions, path("restore", "a.txt", 9), abi.CodeNotFound, nil},
		{"restore missing", nil, path("restore", "a.txt", 1), abi.CodeNotFound, nil},
		{"restore from the trash", trashed, path("restore", "a.txt", 0), 0, nil},
		{"restore a version from the trash", trashed, path("restore", "a.txt", 1), 0, nil},
		{"restore what is not in the trash", hello, path("restore", "b", 0), abi.CodeNotFound, nil},
		{"restore over something", func(g *guest) { trashed(g); hello(g) }, path("restore", "a.txt", 0), abi.CodeExists, nil},
		{"restore what is written", func(g *guest) { versions(g); g.openFile("a.txt", 2) }, path("restore", "a.txt", 1), abi.CodeBusy, nil},
		{"restore the root", nil, path("restore", "/", 0), abi.CodeInvalid, nil},
		{"restore a directory's version", mkdir("d"), path("restore", "d", 1), abi.CodeInvalid, nil},
	} {
		r.run(t, everything...)
	}
}
