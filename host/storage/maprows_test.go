package storage_test

import (
	"math"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
)

const (
	minInt = 1 << 63       // the smallest int64, as a parameter
	maxInt = math.MaxInt64 // the largest
)

func TestMapRows(t *testing.T) {
	const h = 1
	open := func(flags uint64) func(g *guest) { return func(g *guest) { g.openMap("world", flags) } }
	rw := open(2 | 4)
	call := func(name string, args ...uint64) func(g *guest) (string, []uint64) {
		return func(*guest) (string, []uint64) { return "infinitemap." + name, args }
	}
	text := func(name, s string, more ...uint64) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) { return at(g, "infinitemap."+name, s, more...) }
	}
	// data puts data and passes it after the given parameters.
	data := func(name, data string, before ...uint64) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) {
			p, n := g.text(dataAt, data)
			return "infinitemap." + name, append(before, p, n)
		}
	}
	set := func(pixels ...uint64) func(g *guest) {
		return func(g *guest) {
			rw(g)
			for ; len(pixels) > 0; pixels = pixels[3:] {
				g.ok("infinitemap.set", h, pixels[0], pixels[1], pixels[2])
			}
		}
	}
	readOnly := func(g *guest) {
		rw(g)
		g.ok("infinitemap.set", h, 0, 0, 0x010203)
		g.ok("infinitemap.close", h)
		g.openMap("world", 1)
	}
	written := func(g *guest) {
		rw(g)
		p, n := g.text(dataAt, "abcdefgh")
		g.ok("infinitemap.write_bytes", h, 10, 20, p, n)
	}
	black := func(n int) string { return strings.Repeat("\x00", n) }
	many := func(n uint64, x, y uint64) string { return le64(x) + le64(y) }
	point := func(x, y uint64) string { return many(1, x, y) }
	pixel := func(x, y uint64, rgb string) string { return point(x, y) + rgb + "\x00" }
	getMany := func(points string, colours uint64) func(g *guest) (string, []uint64) {
		return func(g *guest) (string, []uint64) {
			p, n := g.text(dataAt, points)
			return "infinitemap.get_many", []uint64{h, p, n, 0x2000, colours}
		}
	}
	for _, r := range []row{
		{"list", func(g *guest) { open(6)(g); g.openMap("atlas", 6) }, call("list", dataAt, 100, outAt), 0, map[uint32]string{dataAt: "atlas\x00world\x00", outAt: le32(12)}},
		{"list too small", open(6), call("list", dataAt, 5, outAt), abi.CodeTooSmall, map[uint32]string{outAt: le32(6)}},
		{"list nothing", nil, call("list", dataAt, 5, outAt), 0, map[uint32]string{outAt: le32(0)}},

		{"open", func(g *guest) { rw(g) }, text("open", "world", 1, outAt), 0, map[uint32]string{outAt: le32(2)}},
		{"open creates", nil, text("open", "world", 2|4, outAt), 0, map[uint32]string{outAt: le32(1)}},
		{"open missing", nil, text("open", "world", 1, outAt), abi.CodeNotFound, nil},
		{"open missing to write", nil, text("open", "world", 3, outAt), abi.CodeNotFound, nil},
		{"open without a way", nil, text("open", "world", 0, outAt), abi.CodeInvalid, nil},
		{"open create to read", nil, text("open", "world", 1|4, outAt), abi.CodeInvalid, nil},
		{"open unknown flag", nil, text("open", "world", 2|4|8, outAt), abi.CodeInvalid, nil},
		{"open dots", nil, text("open", "../x", 2|4, outAt), abi.CodeInvalid, nil},
		{"open upper case", nil, text("open", "World", 2|4, outAt), abi.CodeInvalid, nil},
		{"open star", nil, text("open", "*", 2|4, outAt), abi.CodeInvalid, nil},
		{"open nothing", nil, text("open", "", 2|4, outAt), abi.CodeInvalid, nil},
		{"open a long name", nil, text("open", strings.Repeat("x", 65), 2|4, outAt), abi.CodeInvalid, nil},
		{"close", rw, call("close", h), 0, nil},
		{"close twice", func(g *guest) { rw(g); g.ok("infinitemap.close", h) }, call("close", h), abi.CodeBadHandle, nil},
		{"close no handle", nil, call("close", 0), abi.CodeBadHandle, nil},

		{"get", set(3, minus(4), 0x010203), call("get", h, 3, minus(4), outAt), 0, map[uint32]string{outAt: "\x03\x02\x01\x00"}},
		{"get nothing", rw, call("get", h, 3, minus(4), outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"get at the corners", set(minInt, maxInt, 0xffffff), call("get", h, minInt, maxInt, outAt), 0, map[uint32]string{outAt: le32(0xffffff)}},
		{"get no handle", nil, call("get", h, 3, 4, outAt), abi.CodeBadHandle, nil},
		{"set", rw, call("set", h, 3, 4, 0xabcdef), 0, nil},
		{"set no colour", rw, call("set", h, 3, 4, 0x1000000), abi.CodeInvalid, nil},
		{"set to read only", readOnly, call("set", 2, 3, 4, 5), abi.CodeBadHandle, nil},

		{"get_many", set(1, 2, 0x414243, minInt, 7, 0x444546), getMany(point(1, 2)+point(0, 0)+point(minInt, 7), 9), 0, map[uint32]string{0x2000: "ABC\x00\x00\x00DEF"}},
		{"get_many nothing", rw, getMany("", 0), 0, nil},
		{"get_many half a point", rw, getMany(point(1, 2)[:15], 3), abi.CodeInvalid, nil},
		{"get_many too little room", rw, getMany(point(1, 2)+point(1, 2), 3), abi.CodeInvalid, nil},
		{"get_many too much room", rw, getMany(point(1, 2), 6), abi.CodeInvalid, nil},
		{"set_many", rw, data("set_many", pixel(1, 2, "abc")+pixel(maxInt, maxInt, "def"), h), 0, nil},
		{"set_many nothing", rw, data("set_many", "", h), 0, nil},
		{"set_many half a pixel", rw, data("set_many", pixel(1, 2, "abc")[:19], h), abi.CodeInvalid, nil},
		{"set_many a byte that is not 0", rw, data("set_many", pixel(1, 2, "abc")+point(1, 2)+"abc\x01", h), abi.CodeInvalid, nil},
		{"set_many to read only", readOnly, data("set_many", pixel(1, 2, "abc"), 2), abi.CodeBadHandle, nil},

		{"read_region", set(0, 0, 0x414243, 1, 1, 0x444546), call("read_region", h, 0, 0, 2, 2, 0, dataAt, 12), 0, map[uint32]string{dataAt: "ABC" + black(6) + "DEF"}},
		{"read_region across 0", set(minus(1), minus(1), 0x414243), call("read_region", h, minus(1), minus(1), 2, 1, 0, dataAt, 6), 0, map[uint32]string{dataAt: "ABC" + black(3)}},
		{"read_region at the end", set(maxInt, maxInt, 0x414243), call("read_region", h, maxInt-1, maxInt, 2, 1, 0, dataAt, 6), 0, map[uint32]string{dataAt: black(3) + "ABC"}},
		{"read_region level 1", set(0, 0, 0x414243, 1, 1, 0x434547), call("read_region", h, 0, 0, 1, 1, 1, dataAt, 3), 0, map[uint32]string{dataAt: "BDE"}},
		{"read_region level 1 of the past", set(minus(1), minus(1), 0x414243), call("read_region", h, minus(1), minus(1), 2, 1, 1, dataAt, 6), 0, map[uint32]string{dataAt: "ABC" + black(3)}},
		{"read_region level 40", set(minus(5), 5, 0x414243), call("read_region", h, minus(1), 0, 2, 1, 40, dataAt, 6), 0, map[uint32]string{dataAt: "ABC" + black(3)}},
		{"read_region level 56", set(minus(5), 5, 0x414243), call("read_region", h, minus(1), 0, 2, 1, 56, dataAt, 6), 0, map[uint32]string{dataAt: "ABC" + black(3)}},
		{"read_region level 63", set(minInt, maxInt, 0x414243, 5, minus(5), 0x444546), call("read_region", h, minus(1), minus(1), 2, 2, 63, dataAt, 12), 0, map[uint32]string{dataAt: black(3) + "DEF" + "ABC" + black(3)}},
		{"read_region level 64", rw, call("read_region", h, 0, 0, 1, 1, 64, dataAt, 3), abi.CodeInvalid, nil},
		{"read_region beyond level 63", rw, call("read_region", h, 0, 0, 2, 1, 63, dataAt, 6), abi.CodeInvalid, nil},
		{"read_region beyond level 1", rw, call("read_region", h, maxInt/2, 0, 2, 1, 1, dataAt, 6), abi.CodeInvalid, nil},
		{"read_region beyond the plane", rw, call("read_region", h, maxInt, 0, 2, 1, 0, dataAt, 6), abi.CodeInvalid, nil},
		{"read_region of another size", rw, call("read_region", h, 0, 0, 2, 1, 0, dataAt, 5), abi.CodeInvalid, nil},
		{"read_region of absurd size", rw, call("read_region", h, 0, 0, math.MaxUint32, math.MaxUint32, 0, dataAt, 3), abi.CodeInvalid, nil},
		{"read_region that overflows to its size", rw, call("read_region", h, 0, 0, 1<<31, 1<<31, 0, dataAt, 0), abi.CodeInvalid, nil},
		{"read_region without pixels", rw, call("read_region", h, maxInt, 0, 0, 1, 0, dataAt, 0), 0, nil},
		{"read_region without pixels, with room", rw, call("read_region", h, 0, 0, 0, 1, 0, dataAt, 1), abi.CodeInvalid, nil},
		{"write_region", rw, data("write_region", "abcdef", h, minInt, maxInt-1, 1, 2), 0, nil},
		{"write_region beyond the plane", rw, data("write_region", "abcdef", h, minInt, maxInt, 1, 2), abi.CodeInvalid, nil},
		{"write_region of another size", rw, data("write_region", "abcde", h, 0, 0, 1, 2), abi.CodeInvalid, nil},
		{"write_region without pixels", rw, data("write_region", "", h, 0, 0, 5, 0), 0, nil},
		{"write_region to read only", readOnly, data("write_region", "abcdef", 2, 0, 0, 1, 2), abi.CodeBadHandle, nil},

		{"read_bytes", written, call("read_bytes", h, 10, 20, 0x2000, 8), 0, map[uint32]string{0x2000: "abcdefgh"}},
		{"read_bytes as pixels", written, call("read_region", h, 10, 20, 3, 1, 0, 0x2000, 9), 0, map[uint32]string{0x2000: "abcdefgh\x00"}},
		{"read_bytes nothing", written, call("read_bytes", h, maxInt, 20, 0x2000, 0), 0, nil},
		{"read_bytes beyond the plane", written, call("read_bytes", h, maxInt, 20, 0x2000, 6), abi.CodeInvalid, nil},
		{"write_bytes", rw, data("write_bytes", "abcdefgh", h, 10, 20), 0, nil},
		{"write_bytes nothing", rw, data("write_bytes", "", h, 10, 20), 0, nil},
		{"write_bytes beyond the plane", rw, data("write_bytes", "abcdefgh", h, maxInt-1, 20), abi.CodeInvalid, nil},
		{"write_bytes to read only", readOnly, data("write_bytes", "abc", 2, 0, 0), abi.CodeBadHandle, nil},

		{"neighbours", set(0, 0, 0x414243, 1, minus(1), 0x444546), call("neighbours", h, 0, 0, 1, dataAt, 27), 0, map[uint32]string{dataAt: black(6) + "DEF" + black(3) + "ABC" + black(12)}},
		{"neighbours of radius 0", set(7, 7, 0x414243), call("neighbours", h, 7, 7, 0, dataAt, 3), 0, map[uint32]string{dataAt: "ABC"}},
		{"neighbours at a corner", set(minInt, maxInt, 0x414243), call("neighbours", h, minInt, maxInt, 1, dataAt, 27), 0, map[uint32]string{dataAt: black(12) + "ABC" + black(12)}},
		{"neighbours of another size", rw, call("neighbours", h, 0, 0, 1, dataAt, 26), abi.CodeInvalid, nil},
		{"neighbours of absurd radius", rw, call("neighbours", h, 0, 0, math.MaxUint32, dataAt, 27), abi.CodeInvalid, nil},
		{"neighbours of a radius that overflows", rw, call("neighbours", h, 0, 0, 1<<31-1, dataAt, 3), abi.CodeInvalid, nil},

		{"tiles", set(300, 0, 1, 0, 0, 1, minus(1), 300, 1), call("tiles", h, minInt, minInt, 0, 0, dataAt, 100, outAt), 0,
			map[uint32]string{dataAt: point(0, 0) + point(256, 0) + point(minus(256), 256), outAt: le32(48)}},
		{"tiles that touch", set(300, 0, 1, 0, 0, 1), call("tiles", h, 511, 255, 1, 1, dataAt, 100, outAt), 0, map[uint32]string{dataAt: point(256, 0), outAt: le32(16)}},
		{"tiles too small", set(300, 0, 1, 0, 0, 1), call("tiles", h, 0, 0, 1000, 1000, dataAt, 31, outAt), abi.CodeTooSmall, map[uint32]string{outAt: le32(32)}},
		{"tiles of nothing", rw, call("tiles", h, 0, 0, 1000, 1000, dataAt, 31, outAt), 0, map[uint32]string{outAt: le32(0)}},
		{"tiles beyond the plane", rw, call("tiles", h, 1, 0, 1<<63, 0, dataAt, 31, outAt), abi.CodeInvalid, nil},
		{"tiles of the widest", set(0, 0, 1), call("tiles", h, minInt, 0, math.MaxUint64, 0, dataAt, 31, outAt), 0, map[uint32]string{dataAt: point(0, 0), outAt: le32(16)}},

		{"bounds", set(300, 0, 1, minus(1), minus(1), 1), call("bounds", h, outAt, outAt+8, outAt+16, outAt+24), 0,
			map[uint32]string{outAt: le64(minus(256)) + le64(minus(256)) + le64(511) + le64(255)}},
		{"bounds of nothing", rw, call("bounds", h, outAt, outAt+8, outAt+16, outAt+24), abi.CodeNotFound, nil},
		{"stats", func(g *guest) { set(300, 0, 1)(g); g.ok("infinitemap.flush", h); g.ok("infinitemap.set", h, 0, 0, 1) }, call("stats", h, dataAt, 200, outAt), 0,
			map[uint32]string{dataAt: `{"tile_size":256,"tiles":1,"levels":0,"dirty":1,"bytes":****,"generation":2,"writable":true}`, outAt: "****"}},
		{"stats too small", rw, call("stats", h, dataAt, 2, outAt), abi.CodeTooSmall, map[uint32]string{outAt: "****"}},
		{"flush", set(0, 0, 1), call("flush", h), 0, nil},
		{"flush to read only", readOnly, call("flush", 2), abi.CodeBadHandle, nil},
		{"snapshot", set(0, 0, 1), text2("infinitemap.snapshot", h, "before"), 0, nil},
		{"snapshot again", func(g *guest) { set(0, 0, 1)(g); n, a := text2("infinitemap.snapshot", h, "before")(g); g.ok(n, a...) }, text2("infinitemap.snapshot", h, "before"), abi.CodeExists, nil},
		{"snapshot of a bad name", rw, text2("infinitemap.snapshot", h, "a/b"), abi.CodeInvalid, nil},
		{"snapshot to read only", readOnly, text2("infinitemap.snapshot", 2, "before"), abi.CodeBadHandle, nil},
	} {
		r.run(t, everything...)
	}
}

// text2 makes the parameters of a handle and a text.
func text2(name string, h uint64, s string) func(g *guest) (string, []uint64) {
	return func(g *guest) (string, []uint64) {
		p, n := g.text(pathAt, s)
		return name, []uint64{h, p, n}
	}
}
