package pxi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors again")

const vectorDir = "testdata/vectors"

// A vector is one line of the index. Rejected files hold one fault each.
type vector struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	Layer string `json:"layer"`          // that must fail: header, trailer, data, padding, png; "" when the file is valid
	Error string `json:"error"`          // class: format, unsupported, corrupt; "" when the file is valid
	Rule  string `json:"rule,omitempty"` // of PXI.md; for valid files, the one it shows

	Size   int64  `json:"size"`             // bytes of data; 0 where they cannot be had
	Digest string `json:"digest,omitempty"` // SHA-256 of the data

	// For a valid file that an encoder makes again from its data.
	Encode      bool   `json:"encode,omitempty"`
	Width       uint32 `json:"width,omitempty"`
	Compression string `json:"compression,omitempty"`
	BlockSize   int    `json:"block_size,omitempty"`

	// For corrupt data: the first damaged block, its bytes and pixel rows.
	Fault *faultPlace `json:"fault,omitempty"`

	content []byte
	opt     Options
}

type faultPlace struct {
	Kind     FaultKind `json:"kind"`
	Block    int64     `json:"block"`
	Offset   int64     `json:"offset"`
	Length   int64     `json:"length"`
	FirstRow int64     `json:"first_row"`
	LastRow  int64     `json:"last_row"`
}

func plain(n int) *crafted { return craft(count(n), 8, 512, None, nil) }

// count is data whose every byte tells its place.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	return b
}

// packedRLE is 600 bytes in blocks of 512, by hand: four runs of 128, then a
// literal run of 8 and a run of 80.
func packedRLE() ([]byte, *crafted) {
	data := bytes.Repeat([]byte{9}, 512)
	data = append(data, 1, 2, 3, 4, 5, 6, 7, 8)
	data = append(data, bytes.Repeat([]byte{0}, 80)...)
	first := []byte{0x81, 9, 0x81, 9, 0x81, 9, 0x81, 9}
	second := []byte{7, 1, 2, 3, 4, 5, 6, 7, 8, 0xB1, 0}
	return data, craft(data, 8, 512, RLE, [][]byte{first, second})
}

// packedLZ4 is 1100 bytes in blocks of 512, by hand: a literal 9 repeated, a
// block of other bytes kept as it is, and a short one.
func packedLZ4() ([]byte, *crafted) {
	data := bytes.Repeat([]byte{9}, 512)
	data = append(data, count(512)...)
	data = append(data, bytes.Repeat([]byte{5}, 76)...)
	// token, literal, distance 1, further length; then the five literals that end a block
	first := []byte{0x1F, 9, 1, 0, 255, 232, 0x50, 9, 9, 9, 9, 9}
	third := []byte{0x1F, 5, 1, 0, 51, 0x50, 5, 5, 5, 5, 5}
	return data, craft(data, 8, 512, LZ4, [][]byte{first, data[512:1024], third})
}

func rgbPicture(f func(m *image.NRGBA)) []byte {
	m := image.NewNRGBA(image.Rect(0, 0, 5, 4))
	for i := range m.Pix {
		m.Pix[i] = byte(i * 11)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	if f != nil {
		f(m)
	}
	return encodePNG(m)
}

func encodePNG(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func vectors() []*vector {
	var out []*vector
	add := func(layer, class, rule, name string, b []byte) *vector {
		v := &vector{Name: name, File: name + ".pxi", Layer: layer, Error: class, Rule: rule, content: b}
		out = append(out, v)
		return v
	}
	good := func(rule, name string, data, b []byte) *vector {
		v := add("", "", rule, name, b)
		sum := sha256.Sum256(data)
		v.Size, v.Digest = int64(len(data)), hex.EncodeToString(sum[:])
		return v
	}
	encodes := func(v *vector, opt Options) {
		v.Encode, v.Width, v.Compression, v.BlockSize = true, opt.Width, opt.Compression.String(), opt.BlockSize
		v.opt = opt
	}
	lie := func(rule, class, name string, f func(c *crafted)) {
		c := plain(1300)
		f(c)
		layer := "header"
		if rule[4] == 'T' {
			layer = "trailer"
		}
		add(layer, class, rule, name, c.bytes())
	}
	const format, unsup, corrupt = "format", "unsupported", "corrupt"

	for name, n := range map[string]int{"empty": 0, "one-byte": 1, "pixel": 3, "row-less-one": 23, "row": 24, "row-and-one": 25,
		"block": 512, "block-and-one": 513, "blocks": 1300} {
		encodes(good("PXI-W1", "good-"+name, count(n), plain(n).bytes()), Options{Width: 8, BlockSize: 512})
	}
	encodes(good("PXI-W1", "good-default-options", []byte("pixels"), craft([]byte("pixels"), 1024, 4096, None, nil).bytes()), Options{})
	encodes(good("PXI-H3", "good-width-1", count(10), craft(count(10), 1, 512, None, nil).bytes()), Options{Width: 1, BlockSize: 512})
	for name, n := range map[string]int{"empty": 0, "small": 100, "blocks": 5000} {
		good("PXI-R3", "prototype-"+name, count(n), plain(n).prototype().bytes())
	}
	labelled := plain(100).prototype()
	labelled.comp = 2
	good("PXI-H4", "prototype-labelled-lz4", count(100), labelled.bytes())
	data, rle := packedRLE()
	encodes(good("PXI-C1", "rle", data, rle.bytes()), Options{Width: 8, BlockSize: 512, Compression: RLE})
	noop := craft(data[:512], 8, 512, RLE, [][]byte{{0x80, 0x81, 9, 0x81, 9, 0x81, 9, 0x80, 0x81, 9}})
	good("PXI-C1", "rle-no-operation", data[:512], noop.bytes())
	data, lz := packedLZ4()
	good("PXI-C2", "lz4", data, lz.bytes())
	data, _ = packedLZ4()
	encoded, err := Encode(data, Options{Width: 8, BlockSize: 512, Compression: LZ4})
	if err != nil {
		panic(err)
	}
	encodes(good("PXI-C3", "lz4-encoded", data, encoded), Options{Width: 8, BlockSize: 512, Compression: LZ4})
	newer := plain(1300)
	newer.minor, newer.reserved, newer.tail = 7, [3]byte{1, 2, 3}, []byte("more")
	good("PXI-V1", "newer-minor", count(1300), newer.bytes())
	newer = plain(1300).prototype()
	newer.minor, newer.ext, newer.trailer, newer.tail = 7, 200, 12345, []byte("something unknown")
	good("PXI-V2", "newer-extension", count(1300), newer.bytes())

	add("header", format, "PXI-H1", "magic", append([]byte("PXIG"), plain(100).bytes()[4:]...))
	add("header", format, "PXI-H1", "nothing", nil)
	add("header", format, "PXI-H8", "header-cut", plain(100).bytes()[:40])
	lie("PXI-H2", unsup, "version-2", func(c *crafted) { c.major = 2 })
	lie("PXI-H2", format, "version-0", func(c *crafted) { c.major = 0 })
	lie("PXI-H3", format, "width-0", func(c *crafted) { c.width = 0 })
	lie("PXI-H3", unsup, "width-over-limit", func(c *crafted) { c.width = 1<<20 + 1 })
	lie("PXI-H4", unsup, "compression-3", func(c *crafted) { c.comp = 3 })
	lie("PXI-H5", unsup, "size-over-limit", func(c *crafted) { c.size = 1<<50 + 1 })
	lie("PXI-H5", unsup, "size-all-bits", func(c *crafted) { c.size = 1<<64 - 1 })
	lie("PXI-H5", format, "size-needs-more-rows", func(c *crafted) { c.size = 5000 })
	lie("PXI-H5", format, "height-one-more", func(c *crafted) { c.height++ })
	lie("PXI-H5", format, "height-all-bits", func(c *crafted) { c.height = 1<<32 - 1 })
	lie("PXI-H6", format, "extension-2", func(c *crafted) { c.ext = 2 })
	_, lz = packedLZ4()
	lz.minor, lz.ext = 1, 2
	add("header", unsup, "PXI-H6", "extension-newer-compressed", lz.bytes())
	lie("PXI-H7", format, "trailer-offset", func(c *crafted) { c.trailer++ })
	lie("PXI-H7", format, "trailer-offset-all-bits", func(c *crafted) { c.trailer = 1<<64 - 1 })
	lie("PXI-H7", format, "reserved-not-zero", func(c *crafted) { c.prototype(); c.trailer = 1 << 40 })
	add("header", format, "PXI-H8", "prototype-cut", plain(1300).prototype().bytes()[:700])
	lie("PXI-H8", format, "prototype-longer", func(c *crafted) { c.prototype(); c.tail = []byte{0} })
	add("header", format, "PXI-H8", "trailer-missing", plain(1300).bytes()[:64+1320])

	lie("PXI-T1", format, "trailer-magic", func(c *crafted) { c.trailerMagic = "PXIb" })
	lie("PXI-T2", unsup, "trailer-version", func(c *crafted) { c.trailerVersion = 2 })
	lie("PXI-T3", format, "trailer-reserved", func(c *crafted) { c.reserved[1] = 1 })
	lie("PXI-T4", format, "block-size-0", func(c *crafted) { c.block = 0 })
	lie("PXI-T4", format, "block-size-511", func(c *crafted) { c.block = 511 })
	lie("PXI-T4", format, "block-size-over-limit", func(c *crafted) { c.block = 16<<20 + 1 })
	lie("PXI-T5", format, "count-one-more", func(c *crafted) { c.count++ })
	lie("PXI-T5", format, "count-all-bits", func(c *crafted) { c.count = 1<<64 - 1 })
	lie("PXI-T6", format, "stored-less", func(c *crafted) { c.stored-- })
	lie("PXI-T6", format, "stored-all-bits", func(c *crafted) { c.stored = 1<<64 - 1 })
	lie("PXI-T8", format, "trailer-sum", func(c *crafted) { c.wrongSum = true })
	lie("PXI-T9", format, "trailer-longer", func(c *crafted) { c.tail = []byte{0} })
	whole := plain(1300).bytes()
	add("trailer", format, "PXI-T9", "trailer-cut", whole[:len(whole)-1])
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-33] ^= 4
	add("trailer", format, "PXI-T8", "checksum-bit", flipped)
	flipped = bytes.Clone(whole)
	flipped[30] ^= 4
	add("trailer", format, "PXI-T8", "header-digest-bit", flipped)
	packedLie := func(rule, name string, f func(c *crafted)) {
		_, c := packedLZ4()
		f(c)
		add("trailer", format, rule, name, c.bytes())
	}
	packedLie("PXI-T7", "length-0", func(c *crafted) { c.lens[0] = 0 })
	packedLie("PXI-T7", "length-over-block", func(c *crafted) { c.lens[1] = 513 })
	packedLie("PXI-T7", "length-all-bits", func(c *crafted) { c.lens[1] = 1<<32 - 1 })
	packedLie("PXI-T7", "lengths-too-few", func(c *crafted) { c.lens[1]-- })
	packedLie("PXI-H5", "compressed-height", func(c *crafted) { c.height++; c.pixels = append(c.pixels, make([]byte, 24)...); c.trailer += 24 })
	packedLie("PXI-T6", "stored-over-size", func(c *crafted) { c.stored = c.size + 1 })

	damaged := func(layer, rule, name string, at faultPlace, c *crafted) {
		add(layer, corrupt, rule, name, c.bytes()).Fault = &at
	}
	c := plain(1300)
	c.pixels[700] ^= 1
	damaged("data", "PXI-D2", "data-bit", faultPlace{FaultBlock, 1, 512, 512, 21, 42}, c)
	c = plain(1300)
	c.crcs[2] ^= 1 << 31
	damaged("data", "PXI-D2", "checksum-wrong", faultPlace{FaultBlock, 2, 1024, 276, 42, 54}, c)
	c = plain(1300)
	c.sum[0] ^= 1
	damaged("data", "PXI-D1", "digest-wrong", faultPlace{FaultDigest, -1, 0, 1300, 0, 54}, c)
	c = plain(1300).prototype()
	c.pixels[1299] ^= 1
	damaged("data", "PXI-D1", "prototype-data-bit", faultPlace{FaultDigest, -1, 0, 1300, 0, 54}, c)
	c = plain(1300)
	c.pixels[1310] = 1
	damaged("padding", "PXI-D3", "padding-not-zero", faultPlace{FaultPadding, -1, 1300, 1, 54, 54}, c)
	c = plain(100).prototype()
	c.pixels[119] = 1
	damaged("padding", "PXI-D3", "prototype-padding-not-zero", faultPlace{FaultPadding, -1, 100, 1, 4, 4}, c)
	unpackable := func(name string, comp Compression, stored []byte) {
		damaged("data", "PXI-D4", name, faultPlace{FaultBlock, 0, 0, 512, 0, int64(len(stored)-1) / 24},
			craft(bytes.Repeat([]byte{9}, 512), 8, 512, comp, [][]byte{stored}))
	}
	unpackable("rle-too-short", RLE, []byte{0x81, 9, 0x81, 9, 0x81, 9})
	unpackable("rle-too-long", RLE, []byte{0x81, 9, 0x81, 9, 0x81, 9, 0x81, 9, 0, 9})
	unpackable("rle-run-cut", RLE, []byte{0x81, 9, 0x81, 9, 0x81, 9, 0x81})
	unpackable("rle-literals-cut", RLE, []byte{0x81, 9, 0x81, 9, 0x81, 9, 127, 9, 9})
	unpackable("lz4-too-short", LZ4, []byte{0x1F, 9, 1, 0, 255, 231, 0x50, 9, 9, 9, 9, 9})
	unpackable("lz4-too-long", LZ4, []byte{0x1F, 9, 1, 0, 255, 233, 0x50, 9, 9, 9, 9, 9})
	unpackable("lz4-distance-before-start", LZ4, []byte{0x1F, 9, 2, 0, 255, 232, 0x50, 9, 9, 9, 9, 9})
	unpackable("lz4-distance-0", LZ4, []byte{0x1F, 9, 0, 0, 255, 232, 0x50, 9, 9, 9, 9, 9})
	unpackable("lz4-cut", LZ4, []byte{0x1F, 9, 1, 0, 255})

	rgb := func(b []byte) []byte {
		m, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		var out []byte
		for y := range m.Bounds().Dy() {
			for x := range m.Bounds().Dx() {
				c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
				out = append(out, c.R, c.G, c.B)
			}
		}
		return out
	}
	pic := rgbPicture(nil)
	good("PXI-G1", "png-rgb", rgb(pic), pic)
	grey := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(grey.Pix, []byte{0, 50, 100, 150, 200, 255})
	good("PXI-G1", "png-grey", rgb(encodePNG(grey)), encodePNG(grey))
	pal := image.NewPaletted(image.Rect(0, 0, 4, 3), color.Palette{color.RGBA{1, 2, 3, 255}, color.RGBA{250, 5, 6, 255}})
	pal.Pix[3], pal.Pix[7] = 1, 1
	good("PXI-G1", "png-palette", rgb(encodePNG(pal)), encodePNG(pal))
	add("png", unsup, "PXI-G2", "png-transparent", rgbPicture(func(m *image.NRGBA) { m.Pix[7] = 254 }))
	add("png", unsup, "PXI-G2", "png-16-bit", encodePNG(image.NewGray16(image.Rect(0, 0, 2, 2))))
	add("png", format, "PXI-G1", "png-cut", pic[:len(pic)-20])
	flipped = bytes.Clone(pic)
	flipped[len(flipped)-20] ^= 1
	add("png", format, "PXI-G1", "png-bit", flipped)
	add("png", unsup, "PXI-G3", "png-over-limit", bigPNG(1<<14, 1<<13))
	add("png", format, "PXI-G4", "png-cannot-hold", bigPNG(1<<12, 1<<12))
	slices.SortFunc(out, func(a, b *vector) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func classOf(err error) string {
	var f *FormatError
	var u *UnsupportedError
	var c *CorruptError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &c):
		return "corrupt"
	case errors.As(err, &u):
		return "unsupported"
	case errors.As(err, &f):
		return "format"
	}
	return err.Error()
}

func ruleOf(err error) string {
	var f *FormatError
	var u *UnsupportedError
	var c *CorruptError
	switch {
	case errors.As(err, &c):
		switch f := c.Faults[0]; {
		case f.Kind == FaultDigest:
			return "PXI-D1"
		case f.Kind == FaultPadding:
			return "PXI-D3"
		case f.Err != nil:
			return "PXI-D4"
		}
		return "PXI-D2"
	case errors.As(err, &u):
		return u.ID
	case errors.As(err, &f):
		return f.ID
	}
	return ""
}

// TestVectors holds the published files against the programs that make them
// and against every way to read them.
func TestVectors(t *testing.T) {
	list := vectors()
	index, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	index = append(index, '\n')
	indexName := filepath.Join(vectorDir, "index.json")
	if *update {
		if err := os.MkdirAll(vectorDir, 0o777); err != nil {
			t.Fatal(err)
		}
		old, _ := filepath.Glob(filepath.Join(vectorDir, "*"))
		for _, name := range old {
			os.Remove(name)
		}
		for _, v := range list {
			if err := os.WriteFile(filepath.Join(vectorDir, v.File), v.content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(indexName, index, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(indexName); err != nil || !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), index) {
		t.Errorf("%s is not what the test makes: run go test -run TestVectors -update (%v)", indexName, err)
	}
	if files, _ := filepath.Glob(filepath.Join(vectorDir, "*.pxi")); len(files) != len(list) {
		t.Errorf("%d files, %d vectors", len(files), len(list))
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(vectorDir, v.File))
			if err != nil || !bytes.Equal(b, v.content) {
				t.Fatalf("the file is not what the test makes: run go test -run TestVectors -update (%v)", err)
			}
			checkVector(t, v, b)
		})
	}
}

func checkVector(t *testing.T, v *vector, b []byte) {
	data, err := Decode(b)
	if classOf(err) != v.Error {
		t.Fatalf("Decode: %v; want an error of class %q", err, v.Error)
	}
	if err != nil && ruleOf(err) != v.Rule {
		t.Errorf("Decode: %v; want %s", err, v.Rule)
	}
	slow, ok := slowDecode(b)
	if Sniff(b) == Container && len(b) > 5 && b[5] == 0 {
		if ok != (err == nil) || ok && !bytes.Equal(slow, data) {
			t.Errorf("the slow path says %v, the fast one %v", ok, err)
		}
	}
	r, openErr := Open(bytes.NewReader(b), int64(len(b)))
	early := v.Layer == "header" || v.Layer == "trailer" || v.Layer == "png"
	if early != (openErr != nil) || early && classOf(openErr) != v.Error {
		t.Errorf("Open: %v", openErr)
	}
	rep, err := Check(context.Background(), bytes.NewReader(b), int64(len(b)), nil)
	switch {
	case err == nil && (rep.Err() == nil) != (v.Error == ""):
		t.Errorf("Check: %v", rep.Err())
	case err != nil && !early:
		t.Errorf("Check: %v", err)
	}
	if v.Fault != nil {
		f := rep.Faults[0]
		if got := (faultPlace{f.Kind, f.Block, f.Offset, f.Length, f.FirstRow, f.LastRow}); got != *v.Fault || len(rep.Faults) != 1 {
			t.Errorf("faults %+v; want %+v", rep.Faults, *v.Fault)
		}
	}
	if v.Error != "" {
		return
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != v.Digest || int64(len(data)) != v.Size {
		t.Errorf("%d bytes, digest %x", len(data), sum)
	}
	if !rep.DigestOK || r.Size() != v.Size || r.Header().Sum != rep.Digest {
		t.Errorf("report %+v", rep)
	}
	if v.Encode {
		again, err := Encode(data, v.opt)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("encoded again it is another file (%v)", err)
		}
	}
}
