package pxa

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// Tools that make pictures by hand, right ones and wrong ones.

// part is an entry before it is laid out.
type part struct {
	path    string
	data    []byte // as stored
	codec   Codec
	content []byte // decoded; data when nil
}

func file1(path, content string) part { return part{path: path, data: []byte(content)} }

// lies change an archive at the layer they are named for.
type lies struct {
	entries func(e []Entry)
	table   func(t []byte) []byte
	header  func(h []byte)
	archive func(a []byte) []byte
}

// craftArchive lays parts out in the order given, so that order can be wrong.
func craftArchive(l lies, parts ...part) []byte {
	entries := make([]Entry, len(parts))
	end := int64(headerSize)
	for _, p := range parts {
		end += recordFixed + int64(len(p.path))
	}
	tableEnd := end
	for i, p := range parts {
		content := p.content
		if content == nil {
			content = p.data
		}
		entries[i] = Entry{
			Path: p.path, Codec: p.codec, Size: int64(len(content)), StoredSize: int64(len(p.data)),
			Offset: alignUp(end), Sum: sha256.Sum256(content),
		}
		end = alignUp(end) + int64(len(p.data))
	}
	places := make([]int64, len(entries))
	for i, e := range entries {
		places[i] = e.Offset
	}
	if l.entries != nil {
		l.entries(entries)
	}
	table := encodeTable(entries)
	if l.table != nil {
		table = l.table(table)
	}
	h := header{headerLen: headerSize, entries: int64(len(parts)), archiveLen: end, tableLen: int64(len(table)), tableSum: sha256.Sum256(table)}
	a := make([]byte, end)
	head := h.encode()
	if l.header != nil {
		l.header(head)
	}
	copy(a, head)
	copy(a[headerSize:tableEnd], table)
	for i, p := range parts {
		copy(a[places[i]:], p.data)
	}
	if l.archive != nil {
		a = l.archive(a)
	}
	return a
}

// picture puts any archive bytes into a picture with the right cover, laid
// out as Pack does it.
func picture(archive []byte, manifest string) []byte {
	g := geometryFor(int64(len(archive)))
	cover, sum := drawCover(sha256.Sum256(archive), titleOf([]byte(manifest))).encode(g.width)
	var b bytes.Buffer
	b.Write(pngFront(g, cover))
	w := newBodyWriter(&b, g, sum)
	if _, err := w.Write(archive); err != nil {
		panic(err)
	}
	if err := w.close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// raster is a decoded picture.
type raster struct {
	w, h int
	pix  []byte // RGB
}

// rasterOf decodes a right picture with this package's own decoder.
func rasterOf(t testing.TB, file []byte) raster {
	t.Helper()
	h, err := decodeIHDR(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newPixels(bytes.NewReader(file), h, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r := raster{w: int(h.width), h: int(h.height)}
	for range r.h {
		row, err := d.next()
		if err != nil {
			t.Fatal(err)
		}
		r.pix = append(r.pix, row...)
	}
	return r
}

func (r raster) at(x, y int) []byte { return r.pix[3*(y*r.w+x):][:3] }

// encoding says how to write a PNG; the zero value is filter 0, stored.
type encoding struct {
	filter    int // 0 to 4, 5 to go through all
	level     int
	interlace bool
	rgba      bool
	alpha     byte // of the last pixel, when not 0
	split     int  // bytes of one IDAT chunk, 0 for a single one
	before    []byte
	after     []byte
	raw       func(raw []byte) []byte // before compression
	z         func(z []byte) []byte   // after it
}

func (r raster) encode(o encoding) []byte {
	bpp, colour := 3, byte(2)
	if o.rgba {
		bpp, colour = 4, 6
	}
	passes := []pass{{0, 0, 1, 1}}
	if o.interlace {
		passes = adam7[:]
	}
	var raw []byte
	n := 0
	for _, p := range passes {
		w, h := p.size(ihdr{width: int64(r.w), height: int64(r.h)})
		prev := make([]byte, int(w)*bpp)
		for y := range int(h) {
			row := make([]byte, 0, int(w)*bpp)
			for x := range int(w) {
				px, py := int(p.x0)+x*int(p.dx), int(p.y0)+y*int(p.dy)
				row = append(row, r.at(px, py)...)
				if o.rgba {
					a := byte(255)
					if o.alpha != 0 && px == r.w-1 && py == r.h-1 {
						a = o.alpha
					}
					row = append(row, a)
				}
			}
			f := o.filter
			if f == 5 {
				f = n % 5
				n++
			}
			raw = append(raw, byte(f))
			for i, v := range row {
				var left, corner byte
				if i >= bpp {
					left, corner = row[i-bpp], prev[i-bpp]
				}
				raw = append(raw, v-[]byte{0, left, prev[i], byte((int(left) + int(prev[i])) / 2), paeth(left, prev[i], corner)}[f])
			}
			prev = row
		}
	}
	if o.raw != nil {
		raw = o.raw(raw)
	}
	var z bytes.Buffer
	zw, err := zlib.NewWriterLevel(&z, o.level)
	if err != nil {
		panic(err)
	}
	zw.Write(raw)
	zw.Close()
	data := z.Bytes()
	if o.z != nil {
		data = o.z(data)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(r.w))
	head = binary.BigEndian.AppendUint32(head, uint32(r.h))
	head = append(head, 8, colour, 0, 0, 0)
	if o.interlace {
		head[12] = 1
	}
	b := appendChunk([]byte(pngSignature), "IHDR", head)
	b = append(b, o.before...)
	if o.split == 0 {
		o.split = len(data)
	}
	for len(data) > 0 {
		k := min(o.split, len(data))
		b = appendChunk(b, "IDAT", data[:k])
		data = data[k:]
	}
	b = append(b, o.after...)
	return append(b, iendChunk...)
}

// chunk is where one lies in a file.
type chunk struct {
	typ      string
	at, size int // of the whole chunk
}

func chunks(file []byte) []chunk {
	var list []chunk
	for at := 8; at < len(file); {
		n := int(binary.BigEndian.Uint32(file[at:])) + 12
		list = append(list, chunk{string(file[at+4 : at+8]), at, n})
		at += n
	}
	return list
}

// reseal puts the CRCs of a file right.
func reseal(file []byte) []byte {
	for _, c := range chunks(file) {
		binary.BigEndian.PutUint32(file[c.at+c.size-4:], crc32.ChecksumIEEE(file[c.at+4:c.at+c.size-4]))
	}
	return file
}

// edited is a copy of b with f applied.
func edited(b []byte, f func(b []byte)) []byte {
	c := bytes.Clone(b)
	f(c)
	return c
}
