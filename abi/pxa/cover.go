package pxa

//go:generate go run gen_font.go

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/BurntSushi/toml"
)

// The cover is a picture of the digest: a skyline at dusk with one tower in
// the back and one in front for each of the 32 bytes, as high as the byte's
// upper and lower half, under a sky whose colour and sun come from the digest
// too. Below stand name, version and the digest's first digits. PXA.md section
// 5 gives every number. Only integers are used, so that all machines agree.

const (
	sceneRows = 66 // the rest is the band with the text
	towerWide = coverWidth / 32

	maxManifest = 1 << 20 // a longer manifest gives no title
)

type rgb [3]uint8

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
	c.scene(d)
	c.band(d, t)
	return c
}

// hue gives a colour of the wheel: h in sixths of 256 (0 to 1535), saturation
// and value from 0 to 255.
func hue(h, s, v int) rgb {
	h = (h%1536 + 1536) % 1536
	f := h % 256
	p := v * (255 - s) / 255
	q := v * (255*255 - s*f) / (255 * 255)
	u := v * (255*255 - s*(255-f)) / (255 * 255)
	k := [6][3]int{{v, u, p}, {q, v, p}, {p, v, u}, {p, q, v}, {u, p, v}, {v, p, q}}[h/256]
	return rgb{uint8(k[0]), uint8(k[1]), uint8(k[2])}
}

func (c *cover) scene(d Digest) {
	base := int(binary.BigEndian.Uint16(d[0:])) % 1536
	swing := 150 + int(d[2])%120
	if d[2]&1 == 1 {
		swing = -swing
	}
	low := hue(base+swing, 150, 250) // sky at the horizon
	top := hue(base, 190, 96)
	sunX, sunY := 40+int(d[3])*176/255, 22+int(d[4])%18
	radius := 9 + int(d[5])%7
	sun := hue(base+swing+swing/2, 60, 255)
	back := [3]int{-62, -58, -40}
	front := [3]int{-118, -112, -86}
	for y := range sceneRows {
		for x := range coverWidth {
			var px [3]int
			dx := x - sunX
			glow := max(0, 24-max(dx, -dx)/5)
			for k := range px {
				px[k] = int(top[k]) + (int(low[k])-int(top[k]))*y/(sceneRows-1) + glow
			}
			dy := y - sunY
			if dx*dx+dy*dy <= radius*radius {
				px = [3]int{int(sun[0]), int(sun[1]), int(sun[2])}
			}
			v := d[x/towerWide]
			fromBottom := sceneRows - y
			var off [3]int
			switch {
			case fromBottom <= 5+2*int(v&15):
				off = front
			case fromBottom <= 21+2*int(v>>4):
				off = back
			}
			if off != [3]int{} {
				for k := range px {
					px[k] = int(top[k]) + (int(low[k])-int(top[k]))*y/(sceneRows-1) + off[k]
				}
			}
			for k := range px {
				c[y][x][k] = uint8(min(max(px[k], 0), 255))
			}
		}
	}
}

func (c *cover) band(d Digest, t title) {
	base := int(binary.BigEndian.Uint16(d[0:])) % 1536
	bg := hue(base, 150, 26)
	ink := rgb{244, 244, 248}
	dim := hue(base, 60, 170)
	for y := sceneRows; y < coverHeight; y++ {
		for x := range coverWidth {
			c[y][x] = bg
		}
	}
	scale := 2
	if len([]rune(t.name)) > 11 {
		scale = 1
	}
	c.text(6, sceneRows+2+7*(2-scale), scale, 22/scale, t.name, ink)
	c.text(coverWidth-6-12*7, sceneRows+3, 1, 12, t.version, ink)
	c.text(coverWidth-6-12*7, sceneRows+15, 1, 12, d.Short(), dim)
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
		g := &glyphs[r-' ']
		for gy := range 13 * scale {
			for gx := range 6 * scale {
				if g[gy/scale]>>(gx/scale)&1 != 0 {
					c[y+gy][x+gx] = ink
				}
			}
		}
		x += 7 * scale
	}
}

// row gives row y enlarged to width pixels.
func (c *cover) row(y, width int, buf []byte) []byte {
	buf = buf[:0]
	for _, px := range c[y] {
		for range width / coverWidth {
			buf = append(buf, px[:]...)
		}
	}
	return buf
}

// sum is SHA-256 over the cover's pixels at a width.
func (c *cover) sum(width int) Digest {
	h := sha256.New()
	var buf []byte
	for y := range c {
		buf = c.row(y, width, buf)
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
		scale  = width / coverWidth
		stride = 1 + 3*width
		w      = bitWriter{out: []byte{0x78, 0x01}}
		sum    adler
		prev   = make([]byte, 3*width)
		cur    []byte
		all    []byte
		same   adler
		repeat = make([]byte, stride) // a row like the one above
	)
	repeat[0] = 2
	same.update(repeat)
	w.bits(0b010, 3) // a block with the fixed code, not the last one
	for y := range c {
		cur = c.row(y, width, cur)
		row := filterRow(cur, prev)
		cur, prev = prev, cur
		sum.update(row)
		if scale == 1 {
			all = append(all, row...)
			continue
		}
		w.runs(row)
		for range scale - 1 {
			w.literal(2)
			w.literal(0)
			w.run(stride-2, 1, repeat[2:])
			sum.join(same)
		}
	}
	if scale == 1 {
		w.compress(all)
	}
	c256 := literalCodes[256]
	w.bits(uint64(c256.v), uint(c256.n))
	w.flush()
	return w.out, sum
}

// filterRow gives a row behind its filter byte, with that one of the filters
// none, sub and up which leaves the fewest changes from pixel to pixel.
func filterRow(cur, prev []byte) []byte {
	best, fewest := []byte(nil), 0
	for f := range byte(3) {
		row := make([]byte, 1, 1+len(cur))
		row[0] = f
		for i, v := range cur {
			switch {
			case f == 1 && i >= 3:
				v -= cur[i-3]
			case f == 2:
				v -= prev[i]
			}
			row = append(row, v)
		}
		changes := 0
		for i := 4; i+3 <= len(row); i += 3 {
			if !bytes.Equal(row[i:i+3], row[i-3:i]) {
				changes++
			}
		}
		if best == nil || changes < fewest {
			best, fewest = row, changes
		}
	}
	return best
}
