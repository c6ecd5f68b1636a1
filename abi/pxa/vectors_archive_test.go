package pxa

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"

	"github.com/ulikunitz/xz"
)

// vectorsCopies are what people and programs do to pictures.
func vectorsCopies(add func(string, string, []byte), r raster) {
	stored := encoding{level: 9}
	scaled := func(w, h int) raster {
		s := raster{w: w, h: h}
		for y := range h {
			for x := range w {
				s.pix = append(s.pix, r.at(x*r.w/w, y*r.h/h)...)
			}
		}
		return s
	}
	cut := func(x0, y0, w, h int) raster {
		c := raster{w: w, h: h}
		for y := y0; y < y0+h; y++ {
			c.pix = append(c.pix, r.pix[3*(y*r.w+x0):3*(y*r.w+x0+w)]...)
		}
		return c
	}
	mapped := func(f func(p []byte) []byte) raster {
		m := raster{w: r.w, h: r.h}
		for i := 0; i < len(r.pix); i += 3 {
			m.pix = append(m.pix, f(r.pix[i:i+3])...)
		}
		return m
	}
	add("copy-resized-double", "altered PXA-H1", scaled(2*r.w, 2*r.h).encode(stored))
	add("copy-resized-half", "altered PXA-G1", scaled(r.w/2, r.h/2).encode(stored))
	add("copy-resized-odd", "altered PXA-G1", scaled(300, 120).encode(stored))
	add("copy-cropped-right", "altered PXA-G1", cut(0, 0, r.w-1, r.h).encode(stored))
	add("copy-cropped-bottom", "altered PXA-G2", cut(0, 0, r.w, r.h-1).encode(stored))
	add("copy-cropped-top", "altered PXA-H1", func() []byte {
		c := cut(0, 1, r.w, r.h-1)
		c.pix, c.h = append(c.pix, make([]byte, 3*r.w)...), r.h
		return c.encode(stored)
	}())
	add("copy-cover-only", "altered PXA-G2", cut(0, 0, r.w, coverHeight).encode(stored))
	add("copy-extended", "altered PXA-G2", raster{r.w, r.h + 1, append(bytes.Clone(r.pix), make([]byte, 3*r.w)...)}.encode(stored))
	add("copy-channels-swapped", "altered PXA-H1", mapped(func(p []byte) []byte { return []byte{p[2], p[1], p[0]} }).encode(stored))
	add("copy-inverted", "altered PXA-H1", mapped(func(p []byte) []byte { return []byte{^p[0], ^p[1], ^p[2]} }).encode(stored))
	add("copy-darker", "altered PXA-H1", mapped(func(p []byte) []byte { return []byte{p[0] - p[0]/8, p[1] - p[1]/8, p[2] - p[2]/8} }).encode(stored))
	add("copy-mirrored", "altered PXA-H1", func() []byte {
		m := raster{w: r.w, h: r.h}
		for y := range r.h {
			for x := range r.w {
				m.pix = append(m.pix, r.at(r.w-1-x, y)...)
			}
		}
		return m.encode(stored)
	}())
	add("copy-cover-edited", "altered PXA-C1", raster{r.w, r.h, edited(r.pix, func(b []byte) { b[3*(5*r.w+9)] ^= 1 })}.encode(stored))
	add("copy-archive-edited", "altered PXA-C1", func() []byte {
		e := edited(r.pix, func(b []byte) { b[3*r.w*coverHeight+9] = 1 }) // a newer minor version
		return raster{r.w, r.h, e}.encode(stored)
	}())
	add("copy-padding", "format PXA-G3", raster{r.w, r.h, edited(r.pix, func(b []byte) { b[len(b)-1] = 1 })}.encode(stored))

	img := image.NewNRGBA(image.Rect(0, 0, r.w, r.h))
	gray := image.NewGray(img.Rect)
	deep := image.NewNRGBA64(img.Rect)
	var colours color.Palette
	for i := range 256 {
		colours = append(colours, color.NRGBA{uint8(i), uint8(i * 7), uint8(i * 13), 255})
	}
	indexed := image.NewPaletted(img.Rect, colours)
	for y := range r.h {
		for x := range r.w {
			p := r.at(x, y)
			c := color.NRGBA{p[0], p[1], p[2], 255}
			img.Set(x, y, c)
			gray.Set(x, y, c)
			deep.Set(x, y, c)
			indexed.Pix[y*r.w+x] = p[1]
		}
	}
	encoded := func(img image.Image) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	add("copy-grey", "unsupported PXA-P3", encoded(gray))
	add("copy-16-bit", "unsupported PXA-P3", encoded(deep))
	add("copy-palette", "unsupported PXA-P3", encoded(indexed))
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		panic(err)
	}
	add("copy-jpeg", "altered PXA-P1", bytes.Clone(b.Bytes()))
	lossy, err := jpeg.Decode(&b)
	if err != nil {
		panic(err)
	}
	back := raster{w: r.w, h: r.h}
	for y := range r.h {
		for x := range r.w {
			r, g, b, _ := lossy.At(x, y).RGBA()
			back.pix = append(back.pix, byte(r>>8), byte(g>>8), byte(b>>8))
		}
	}
	add("copy-jpeg-and-back", "altered PXA-H1", back.encode(stored))
	b.Reset()
	if err := gif.Encode(&b, indexed, nil); err != nil {
		panic(err)
	}
	add("copy-gif", "altered PXA-P1", bytes.Clone(b.Bytes()))
}

// vectorsArchive lie in the archive header, the table and the contents.
func vectorsArchive(crafted func(string, string, lies, ...part)) {
	header := func(f func(h []byte)) lies { return lies{header: f} }
	entries := func(f func(e []Entry)) lies { return lies{entries: f} }
	table := func(f func(t []byte)) lies {
		return lies{table: func(t []byte) []byte { f(t); return t }}
	}
	base := baseParts()
	put64 := binary.BigEndian.PutUint64
	crafted("header-magic-pico8", "altered PXA-H1", header(func(h []byte) { copy(h, "\x00pxa\x00\x00\x00\x00") }), base...)
	crafted("header-newer-major", "unsupported PXA-H2", header(func(h []byte) { h[8] = 2 }), base...)
	crafted("header-length", "format PXA-H3", header(func(h []byte) { h[11] = 65 }), base...)
	crafted("header-length-short", "format PXA-H3", header(func(h []byte) { h[9], h[11] = 1, 32 }), base...)
	crafted("header-archive-long", "format PXA-H4", header(func(h []byte) { h[23]++ }), base...)
	crafted("header-archive-short", "format PXA-T6", header(func(h []byte) { h[23]-- }), base...)
	crafted("header-archive-huge", "limit", header(func(h []byte) { put64(h[16:], 1<<63) }), base...)
	crafted("header-archive-wide", "altered PXA-G1", header(func(h []byte) { put64(h[16:], 1<<20) }), base...)
	crafted("header-table-huge", "limit", header(func(h []byte) { put64(h[24:], 1<<62) }), base...)
	crafted("header-table-long", "format PXA-H4", header(func(h []byte) { put64(h[24:], 5000) }), base...)
	crafted("header-count-huge", "limit", header(func(h []byte) { binary.BigEndian.PutUint32(h[12:], 1<<32-1) }), base...)
	crafted("header-count-over-table", "format PXA-H5", header(func(h []byte) { h[15] = 4 }), base...)
	crafted("header-count-low", "format PXA-H5", header(func(h []byte) { h[15] = 1 }), base...)
	crafted("header-table-sum", "format PXA-H6", header(func(h []byte) { h[63] ^= 1 }), base...)

	crafted("table-record-short", "format PXA-T1", table(func(t []byte) { t[1] = 63 }), base...)
	crafted("table-record-long", "format PXA-T1", table(func(t []byte) { t[1]++ }), base...)
	crafted("table-record-past-end", "format PXA-T1", table(func(t []byte) { t[0] = 0xff }), base...)
	crafted("table-path-length", "format PXA-T1", table(func(t []byte) { t[3]++ }), base...)
	crafted("table-cut", "format PXA-T1", lies{
		table:  func(t []byte) []byte { return t[:len(t)-1] },
		header: func(h []byte) {},
	}, base...)
	crafted("table-flags", "format PXA-T2", table(func(t []byte) { t[5] = 2 }), base...)
	crafted("table-reserved", "format PXA-T2", table(func(t []byte) { t[7] = 1 }), base...)
	crafted("table-order", "format PXA-T3", lies{}, file1("b", "1"), file1("a", "2"))
	crafted("table-unaligned", "format PXA-T4", entries(func(e []Entry) { e[1].Offset++ }), base...)
	crafted("table-overlap", "format PXA-T5", entries(func(e []Entry) { e[1].Offset = e[0].Offset }), base...)
	crafted("table-overlap-table", "format PXA-T5", entries(func(e []Entry) { e[0].Offset = 48 }), base...)
	crafted("table-past-end", "format PXA-T6", entries(func(e []Entry) { e[1].Offset += 24 * 1000 }), base...)
	crafted("table-offset-negative", "format PXA-T4", entries(func(e []Entry) { e[1].Offset = -24 }), base...)
	crafted("table-stored-size-huge", "format PXA-T6", entries(func(e []Entry) { e[1].Codec, e[1].StoredSize = 9, 1<<62 }), base...)
	crafted("table-gap", "format PXA-T7", lies{
		entries: func(e []Entry) { e[1].Offset += 24 },
		header:  func(h []byte) { h[23] += 24 },
		archive: func(a []byte) []byte { return append(a, make([]byte, 24)...) },
	}, base...)
	crafted("table-size", "format PXA-T8", entries(func(e []Entry) { e[1].Size++ }), base...)
	crafted("table-size-huge", "limit", entries(func(e []Entry) { e[1].Size = 1 << 60 }), base...)
	crafted("gap-not-zero", "format PXA-G3", lies{archive: func(a []byte) []byte {
		a[headerSize+2*recordFixed+len(base[0].path)+len(base[1].path)] = 1
		return a
	}}, base...)
	crafted("content-sum", "format PXA-E1", entries(func(e []Entry) { e[1].Sum[0] ^= 1 }), base...)
	crafted("content-sum-empty", "format PXA-E1", entries(func(e []Entry) { e[0].Sum[0] ^= 1 }), file1("a", ""))
	crafted("content-damaged", "format PXA-E1", lies{archive: func(a []byte) []byte { a[len(a)-1] ^= 1; return a }}, base...)
	crafted("part-unknown-codec", "part", lies{}, append(base, part{path: "future", data: []byte("?"), codec: 9, content: []byte("something else")})...)

	newer := lies{
		header: func(h []byte) { h[9] = 7 },
		table: func(t []byte) []byte {
			t[5] |= 0x80
			return t
		},
	}
	crafted("ok-newer-minor", "ok", newer, base...)
}

// vectorsNames are paths that no entry may have.
func vectorsNames(crafted func(string, string, lies, ...part)) {
	for _, n := range []struct{ name, rule, path string }{
		{"empty", "N1", ""},
		{"not-utf8", "N2", "a\xff"},
		{"absolute", "N3", "/etc/passwd"},
		{"parent", "N3", "../up"},
		{"parent-inside", "N3", "a/../../up"},
		{"dot", "N3", "./a"},
		{"double-slash", "N3", "a//b"},
		{"trailing-slash", "N3", "a/"},
		{"nul", "N4", "a\x00b"},
		{"ansi", "N4", "a\x1b[31mred"},
		{"newline", "N4", "a\nb"},
		{"c1-control", "N4", "a\u009bb"},
		{"bidi", "N4", "a\u202egpj.exe"},
		{"zero-width", "N4", "a\u200bb"},
		{"backslash", "N5", `a\b`},
		{"drive", "N5", "C:/x"},
		{"stream", "N5", "a:b"},
		{"wildcard", "N5", "a*"},
		{"trailing-dot", "N5", "a."},
		{"trailing-space", "N5", "a /b"},
		{"device", "N5", "dir/NUL.txt"},
		{"device-com", "N5", "com¹"},
		{"decomposed", "N6", "e\u0301"},
		{"component", "N7", strings.Repeat("x", 256)},
	} {
		crafted("name-"+n.name, "format PXA-"+n.rule, lies{}, file1(n.path, "x"))
	}
	crafted("name-long", "limit", lies{}, file1(strings.Repeat("abcdefg/", 129)+"x", "x"))
	crafted("name-twice", "format PXA-N9", lies{}, file1("a", "1"), file1("a", "2"))
	crafted("name-file-and-directory", "format PXA-N9", lies{}, file1("a", "1"), file1("a/b", "2"))
	crafted("name-twin-case", "format PXA-N8", lies{}, file1("README", "1"), file1("readme", "2"))
	crafted("name-twin-directory", "format PXA-N8", lies{}, file1("Lib/a", "1"), file1("lib/b", "2"))
	crafted("name-twin-sharp-s", "format PXA-N8", lies{}, file1("strasse", "1"), file1("straße", "2"))
	crafted("name-twin-kelvin", "format PXA-N8", lies{}, file1("k", "1"), file1("ｋ", "2"))
	crafted("name-twin-sigma", "format PXA-N8", lies{}, file1("ΟΔΟΣ", "1"), file1("οδος", "2"))
}

func xzOf(content []byte, cfg xz.WriterConfig) []byte {
	var b bytes.Buffer
	w, err := cfg.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	w.Write(content)
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// xzIndex rewrites the one-record index of a stream with its checksum.
func xzIndex(b []byte, f func(fields []byte)) []byte {
	back := (int(binary.LittleEndian.Uint32(b[len(b)-8:])) + 1) * 4
	index := b[len(b)-12-back : len(b)-12]
	f(index[1 : back-4])
	binary.LittleEndian.PutUint32(index[back-4:], crc32.ChecksumIEEE(index[:back-4]))
	return b
}

func vectorsXZ(crafted func(string, string, lies, ...part)) {
	text := []byte(strings.Repeat("abcabcabd ", 100))
	small := xz.WriterConfig{DictCap: 1 << 16, CheckSum: xz.CRC32}
	good := func() []byte { return xzOf(text, small) }
	one := func(name, want string, data []byte) {
		crafted(name, want, lies{}, part{path: "text", data: data, codec: XZ, content: text})
	}
	one("ok-xz", "ok", good())
	one("ok-xz-crc64", "ok", xzOf(text, xz.WriterConfig{DictCap: 1 << 16, CheckSum: xz.CRC64}))
	one("ok-xz-no-check", "ok", xzOf(text, xz.WriterConfig{DictCap: 1 << 16, NoCheckSum: true}))
	one("xz-magic", "format PXA-X1", edited(good(), func(b []byte) { b[0] = 0 }))
	one("xz-cut", "format PXA-X1", good()[:len(good())-4])
	one("xz-short", "format PXA-X1", []byte("xz"))
	one("xz-padding", "format PXA-X1", append(good(), 0, 0, 0, 0))
	one("xz-two-streams", "format PXA-X1", append(good(), good()...))
	one("xz-two-blocks", "unsupported PXA-X2", xzOf(text, xz.WriterConfig{DictCap: 1 << 16, BlockSize: 600, CheckSum: xz.CRC32}))
	one("xz-dictionary", "limit", xzOf(text, xz.WriterConfig{DictCap: 16 << 20, CheckSum: xz.CRC32}))
	one("xz-filter", "unsupported PXA-X3", edited(good(), func(b []byte) {
		b[14] = 4 // the x86 filter in place of LZMA2
		n := (int(b[12]) + 1) * 4
		binary.LittleEndian.PutUint32(b[12+n-4:], crc32.ChecksumIEEE(b[12:12+n-4]))
	}))
	one("xz-index-size", "format PXA-X1", xzIndex(good(), func(f []byte) { f[1] ^= 0x10 }))
	one("xz-data", "format PXA-X1", edited(good(), func(b []byte) { b[40] ^= 0x55 }))
	crafted("xz-size", "format PXA-E2", lies{entries: func(e []Entry) { e[0].Size++ }}, part{path: "text", data: good(), codec: XZ, content: text})
	longer := xzIndex(xzOf(append(text[:999:999], "and more"...), small), func(f []byte) {
		_, rest, _ := xzInt(f[1:])
		rest[0], rest[1] = byte(len(text)&0x7f|0x80), byte(len(text)>>7)
	})
	one("xz-longer", "format PXA-E2", longer)
	bomb := make([]byte, 1<<20)
	crafted("xz-bomb", "limit", lies{}, part{path: "bomb", data: xzOf(bomb, small), codec: XZ, content: bomb})
}
