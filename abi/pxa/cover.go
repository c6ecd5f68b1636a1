package pxa

//go:generate go run gen_font.go

import (
	"crypto/sha256"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// The cover is a picture of the digest: a skyline at dusk with one tower in
// the back and one in front for each of the 32 bytes, as high as the byte's
// upper and lower half, under a sky whose colour and sun come from the digest
// too. Below stand name, version and the digest's first digits. PXA.md section
// 5 gives every number. Only integers are used, so that all machines agree.

const (
	sceneRows = 66 // the rest is the band with the text
	horizon   = 48 // the row where the sky has the horizon's colour
	towerWide = coverWidth / 32
	frontRise = 5  // rows of a front tower for half a byte of 0
	backRise  = 21 // and of one in the back

	maxManifest = 1 << 20 // a longer manifest gives no title
)

// An rgb is a pixel: red, green and blue in the lowest 24 bits, red lowest, so
// that its bytes lie in memory as in the picture.
type rgb uint32

func mix(c [3]int) rgb {
	var v rgb
	for k, x := range c {
		v |= rgb(min(max(x, 0), 255)) << (8 * k)
	}
	return v
}

// skies are the colours of the twenty kinds of dusk: the sky's top, the
// horizon, and the sun, each 0xRRGGBB.
var skies = [...][3]uint32{
	{0x1b1447, 0xff7e5f, 0xffe3a3},
	{0x24476b, 0xf8b195, 0xfff1c9},
	{0x03204c, 0x3ec6c6, 0xeafff7},
	{0x04122e, 0x2fd89c, 0xd7ffe9},
	{0x3a0d4f, 0xff8fb1, 0xffe9f0},
	{0x2a0a1e, 0xff6a3d, 0xffd28f},
	{0x2a2568, 0xc7a6ff, 0xffffff},
	{0x0d3348, 0xa8f0c6, 0xfbffe0},
	{0x3b1d2f, 0xffc857, 0xfff6d6},
	{0x0f2a5a, 0xbfe6ff, 0xffffff},
	{0x4a2555, 0xffb88a, 0xffecc9},
	{0x0b3c59, 0xf7a1c4, 0xfff0d9},
	{0x14022f, 0xe8375a, 0xffb36b},
	{0x0c2b2f, 0x9bd770, 0xf6ffc9},
	{0x240b55, 0x4fd1ff, 0xe6fbff},
	{0x13294b, 0xff9a76, 0xfff3b0},
	{0x30104a, 0xd16bff, 0xffe0fb},
	{0x062a3a, 0xffd38a, 0xffffff},
	{0x1a1a3e, 0x7f9cff, 0xfff7d1},
	{0x2e1030, 0xff5f8f, 0xffd9c2},
}

func split(c uint32) [3]int { return [3]int{int(c >> 16), int(c >> 8 & 255), int(c & 255)} }

// A title is the text of a cover.
type title struct{ name, version string }

// titleOf reads name and version from a manifest. A manifest that is not TOML
// gives an empty title; whether it is a valid manifest is not decided here.
func titleOf(manifest []byte) title {
	if len(manifest) > maxManifest {
		return title{}
	}
	var m map[string]any
	if err := toml.Unmarshal(manifest, &m); err != nil {
		return title{}
	}
	name, _ := m["name"].(string)
	version, _ := m["version"].(string)
	return title{name, version}
}

// cover is the picture at its own size, before it is enlarged.
type cover [coverHeight][coverWidth]rgb

func drawCover(d Digest, t title) *cover {
	c := new(cover)
	sky := skies[int(d[0])%len(skies)]
	c.scene(d, split(sky[0]), split(sky[1]), mix(split(sky[2])))
	c.band(d, t, split(sky[0]), split(sky[1]))
	return c
}

func (c *cover) scene(d Digest, top, low [3]int, sun rgb) {
	// The colour k of a layer in row y is sky(k, y) less the layer's depth,
	// which is small enough for the layer's highest tower to stay above 0.
	sky := func(k, y int) int { return top[k] + (low[k]-top[k])*(y/2*2)/horizon }
	var backDepth, frontDepth [3]int
	for k := range 3 {
		backDepth[k] = min(low[k]*9/20, sky(k, sceneRows-backRise-2*15))
		frontDepth[k] = min(low[k]*4/5, sky(k, sceneRows-frontRise-2*15))
	}
	sunX, sunY, radius := 32+int(d[1])*192/255, 13+int(d[2])%12, 8+int(d[3])%6
	for y := range sceneRows {
		var back, front [3]int
		for k := range 3 {
			back[k] = sky(k, y) - backDepth[k]
			front[k] = sky(k, y) - frontDepth[k]
		}
		row := &c[y]
		for i := range 16 {
			// The sky is a little brighter near the sun.
			glow := 2 * max(0, 8-max(i*16+8-sunX, sunX-i*16-8)/12)
			fill(row[i*16:i*16+16], mix([3]int{sky(0, y) + glow, sky(1, y) + glow, sky(2, y) + glow}))
		}
		half, dy := 0, (y-sunY)/2*2
		for half*half+dy*dy <= radius*radius {
			half++
		}
		if half > 0 {
			fill(row[sunX-half+1:sunX+half], sun)
		}
		rise := sceneRows - y
		for i, v := range d {
			switch {
			case rise <= frontRise+2*int(v&15):
				fill(row[i*towerWide:(i+1)*towerWide], mix(front))
			case rise <= backRise+2*int(v>>4):
				fill(row[i*towerWide:(i+1)*towerWide], mix(back))
			}
		}
	}
}

func fill(row []rgb, v rgb) {
	for i := range row {
		row[i] = v
	}
}

// band draws the text, under a line of 256 colours. With the line every cover
// has more colours than a palette holds: tools that optimise PNG files do not
// turn it into a palette picture, which would be no cartridge any more.
func (c *cover) band(d Digest, t title, top, low [3]int) {
	var ground, dim [3]int
	for k := range dim {
		ground[k] = top[k] / 3
		dim[k] = (low[k] + 255) / 2
	}
	for x := range coverWidth {
		c[sceneRows][x] = mix([3]int{x, low[1] / 2, 255 - x})
	}
	for y := sceneRows + 1; y < coverHeight; y++ {
		fill(c[y][:], mix(ground))
	}
	ink := mix([3]int{248, 248, 250})
	scale := 2
	if utf8.RuneCountInString(t.name) > 11 {
		scale = 1
	}
	c.text(6, sceneRows+2+7*(2-scale), scale, 22/scale, t.name, ink)
	c.text(coverWidth-6-12*7, sceneRows+3, 1, 12, t.version, ink)
	c.text(coverWidth-6-12*7, sceneRows+15, 1, 12, d.Short(), mix(dim))
}

// text draws at most n characters in a cell of 7 × 13 pixels each.
func (c *cover) text(x, y, scale, n int, s string, ink rgb) {
	for _, r := range s {
		if n == 0 {
			return
		}
		n--
		if r < ' ' || r > '~' {
			r = '~' + 1
		}
		for gy := range 13 * scale {
			for gx := range 6 {
				if glyphs[r-' '][gy/scale]>>gx&1 != 0 {
					fill(c[y+gy][x+gx*scale:][:scale], ink)
				}
			}
		}
		x += 7 * scale
	}
}

// sum is SHA-256 over the cover's pixels at a width.
func (c *cover) sum(width int) Digest {
	h := sha256.New()
	buf := make([]byte, 0, 3*width)
	for y := range c {
		buf = buf[:0]
		for _, px := range c[y] {
			for range width / coverWidth {
				buf = append(buf, byte(px), byte(px>>8), byte(px>>16))
			}
		}
		for range width / coverWidth {
			h.Write(buf)
		}
	}
	return Digest(h.Sum(nil))
}

// encode gives the start of the image's zlib stream up to the first archive
// row, and the Adler-32 of what it inflates to.
func (c *cover) encode(width int) ([]byte, adler) {
	var (
		w      deflater
		scale  = width / coverWidth
		stride = 1 + 3*width
		raw    []byte
		sum    adler
		same   adler
		repeat = make([]byte, stride) // a row like the one above
	)
	repeat[0] = 2
	same.update(repeat)
	w.tokens = make([]token, 0, 4096)
	if scale == 1 {
		raw = make([]byte, 0, coverHeight*stride)
		for y := range c {
			row := c.filter(y, true)
			raw = appendRow(raw, &row, 1)
		}
		sum.update(raw)
		w.compress(raw)
	} else {
		raw = make([]byte, 0, stride)
		for y := range c {
			row := c.filter(y, false)
			raw = appendRow(raw[:0], &row, scale)
			sum.update(raw)
			w.row(raw, &row, scale)
			for range scale - 1 {
				w.literal(2)
				w.literal(0)
				w.run(repeat[2:], 1)
				sum.join(same)
			}
		}
	}
	out := bitWriter{out: []byte{0x78, 0x01}}
	out.block(w.tokens)
	return out.out, sum
}

// row encodes an enlarged row by its runs of equal pixels.
func (w *deflater) row(raw []byte, row *filtered, scale int) {
	w.literal(raw[0])
	for i := 0; i < coverWidth; {
		n := 1
		for i+n < coverWidth && row.px[i+n] == row.px[i] {
			n++
		}
		at := 1 + 3*scale*i
		for _, b := range raw[at : at+3] {
			w.literal(b)
		}
		w.run(raw[at+3:at+3*scale*n], 3)
		i += n
	}
}

// filtered is a row after one of PNG's filters.
type filtered struct {
	filter byte
	px     [coverWidth]rgb
}

// noRow is what lies above the first row.
var noRow [coverWidth]rgb

// filter chooses among the filters up, sub (if wanted) and none the one with
// the fewest changes from pixel to pixel, and the first of these on a tie.
func (c *cover) filter(y int, sub bool) (f filtered) {
	row, above := &c[y], &noRow
	if y > 0 {
		above = &c[y-1]
	}
	if *row == *above {
		f.filter = 2 // a row of zeros: nothing is smaller
		return f
	}
	ups, subs, nones := 0, 0, 0
	for i := 1; i < coverWidth; i++ {
		if row[i] != row[i-1] {
			nones++
		}
		if row[i].less(above[i]) != row[i-1].less(above[i-1]) {
			ups++
		}
	}
	if sub {
		step := row[0]
		for i := 1; i < coverWidth; i++ {
			if next := row[i].less(row[i-1]); next != step {
				step = next
				subs++
			}
		}
	}
	switch {
	case ups <= nones && (!sub || ups <= subs):
		f.filter = 2
		for i := range row {
			f.px[i] = row[i].less(above[i])
		}
	case sub && subs <= nones:
		f.filter = 1
		f.px[0] = row[0]
		for i := 1; i < coverWidth; i++ {
			f.px[i] = row[i].less(row[i-1])
		}
	default:
		f.px = *row
	}
	return f
}

// less subtracts each byte on its own: the top bits are set so that no borrow
// leaves a byte, and then put right.
func (v rgb) less(p rgb) rgb {
	const high = 0x808080
	return (v | high) - (p &^ high) ^ (v^p^high)&high
}

func appendRow(b []byte, row *filtered, scale int) []byte {
	b = append(b, row.filter)
	for _, px := range row.px {
		for range scale {
			b = append(b, byte(px), byte(px>>8), byte(px>>16))
		}
	}
	return b
}
