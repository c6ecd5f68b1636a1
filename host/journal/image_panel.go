package journal

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// kinds are the colours that the legend names, in the order in which the bars
// of the timeline stack them.
var kinds = [...]struct {
	tint [3]byte
	name string
}{
	{tintBegin, "run begins"},
	{tintOK, "ok"},
	{tintExit, "exit code"},
	{tintError, "error"},
	{tintNetwork, "network"},
	{tintRegistry, "registry"},
	{tintRecovered, "recovered"},
	{inkOther, "other"},
}

// kindOf returns the index of a colour in kinds.
func kindOf(tint [3]byte) int {
	for i, k := range kinds {
		if k.tint == tint {
			return i
		}
	}
	return len(kinds) - 1
}

// flagOf makes three colours of a digest (or of any other name).
func flagOf(digest []byte) (flag [3][3]byte) {
	h := fnv.New64a()
	h.Write(digest)
	v := h.Sum64()
	for i := range flag {
		flag[i] = hue(int(v>>(16*i)) & 0xFFFF)
	}
	return flag
}

// hue gives a colour from the upper half of brightness; v of 16 bits chooses
// the hue by its upper and the lightness by its lower bits.
func hue(v int) [3]byte {
	const sixth = 0x10000 / 6
	part, rest := v/sixth, v%sixth*0xA0/sixth
	lo := 0x50 + v%7*8
	up, down := byte(lo+rest*(0xFF-lo)/0xA0), byte(0xFF-rest*(0xFF-lo)/0xA0)
	l, x := byte(lo), byte(0xFF)
	switch part {
	case 0:
		return [3]byte{x, up, l}
	case 1:
		return [3]byte{down, x, l}
	case 2:
		return [3]byte{l, x, up}
	case 3:
		return [3]byte{l, down, x}
	case 4:
		return [3]byte{up, l, x}
	}
	return [3]byte{x, l, down}
}

func rgb(c [3]byte) color.RGBA { return color.RGBA{c[0], c[1], c[2], 0xFF} }

func newPanel(height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, imageWidth, height))
	draw.Draw(m, m.Bounds(), image.NewUniform(rgb(inkBack)), image.Point{}, draw.Src)
	return m
}

func box(m *image.RGBA, x, y, w, h int, ink [3]byte) {
	draw.Draw(m, image.Rect(x, y, x+w, y+h), image.NewUniform(rgb(ink)), image.Point{}, draw.Src)
}

// text draws s with its top left corner at x, y, each pixel of the font size ×
// size pixels, and returns the x behind it.
func text(m *image.RGBA, x, y, size int, ink [3]byte, s string) int {
	face := basicfont.Face7x13
	width := face.Advance * len(s)
	mask := image.NewAlpha(image.Rect(0, 0, width, face.Height))
	d := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.P(0, face.Ascent)}
	d.DrawString(s)
	for py := range face.Height {
		for px := range width {
			if mask.AlphaAt(px, py).A > 0x7F {
				box(m, x+px*size, y+py*size, size, size, ink)
			}
		}
	}
	return x + width*size
}

// textRight draws s so that it ends at x.
func textRight(m *image.RGBA, x, y int, ink [3]byte, s string) {
	text(m, x-basicfont.Face7x13.Advance*len(s), y, 1, ink, s)
}

// plural and thousands make counts readable.
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

const (
	panelHeight = 236
	barsTop     = 132
	barsHeight  = 64
)

// panel draws what stands above the tiles.
func (p *picture) panel() *image.RGBA {
	m := newPanel(panelHeight)
	right := imageWidth - imageMargin
	text(m, imageMargin, 18, 3, inkText, "pxOS journal")
	textRight(m, right, 20, inkText, plural(p.entries, "entry", "entries")+", "+plural(p.segments, "segment", "segments")+", "+plural(uint64(p.bytes), "byte", "bytes"))
	textRight(m, right, 36, inkFaint, "log "+hex.EncodeToString(p.logID[:8]))
	if p.entries > 0 {
		textRight(m, right, 52, inkFaint, fmt.Sprintf("entries %s to %s", thousands(p.seq[0]), thousands(p.seq[1])))
	}
	// The legend shows only what occurs.
	box(m, imageMargin, 77, 11, 11, inkSeg)
	x := text(m, imageMargin+17, 76, 1, inkText, "segment") + 18
	for i, k := range kinds {
		if n := p.counts[i]; n > 0 {
			box(m, x, 77, 11, 11, k.tint)
			x = text(m, x+17, 76, 1, inkText, k.name)
			x = text(m, x+7, 76, 1, inkFaint, thousands(n)) + 18
		}
	}
	x = text(m, imageMargin, 98, 1, inkFaint, "Each tile is an entry: its cap says what happened, its end")
	flag := flagOf(p.hash[:])
	for i := range flag {
		box(m, x+7+5*i, 101, 5, 8, flag[i])
	}
	text(m, x+29, 98, 1, inkFaint, "which cartridge; below are the entry's own bytes, three a pixel.")
	p.bars(m)
	return m
}

// bars draws the timeline: entries over time, stacked by kind.
func (p *picture) bars(m *image.RGBA) {
	var most uint64 = 1
	for _, b := range p.buckets {
		var sum uint64
		for _, n := range b {
			sum += n
		}
		most = max(most, sum)
	}
	for i, b := range p.buckets {
		y, rest := barsTop+barsHeight, uint64(0)
		for at, k := range kinds {
			// Heights are rounded on the running sum, so that they add up.
			low := rest * barsHeight / most
			rest += b[at]
			h := int(rest*barsHeight/most - low)
			if h == 0 && b[at] > 0 && y > barsTop {
				h = 1 // one entry among thousands is still seen
			}
			h = min(h, y-barsTop)
			y -= h
			box(m, imageMargin+i*bucketWidth, y, bucketWidth-1, h, k.tint)
		}
	}
	box(m, imageMargin, barsTop+barsHeight, imageWidth-2*imageMargin, 1, inkLine)
	if p.entries > 0 {
		text(m, imageMargin, barsTop+barsHeight+6, 1, inkFaint, utc(p.from))
		textRight(m, imageWidth-imageMargin, barsTop+barsHeight+6, inkFaint, utc(p.to)+" UTC")
		textRight(m, imageWidth-imageMargin, barsTop-14, inkFaint, "highest bar: "+plural(most, "entry", "entries"))
	}
}

// footer draws the head, so that a printed picture still checks a log.
func (p *picture) footer() *image.RGBA {
	m := newPanel(46)
	box(m, imageMargin, 8, imageWidth-2*imageMargin, 1, inkLine)
	h := Head{Seq: p.seq[1], Segment: p.last, Size: p.size, Hash: p.hash}
	x := text(m, imageMargin, 18, 1, inkFaint, "head ")
	text(m, x, 18, 1, inkText, h.String())
	if p.view.torn > 0 && p.last == p.view.last {
		textRight(m, imageWidth-imageMargin, 18, tintRecovered, strings.TrimSpace(plural(uint64(p.view.torn), "torn byte", "torn bytes")))
	}
	return m
}
