package main

import "strings"

// pen is how a text is written.
type pen struct {
	scale, gap int
	ink, halo  rgb
	deep, glow float32 // how much of the ink and of the halo covers
}

var (
	smallPen = pen{scale: 1, ink: hex(0x2c241c), halo: hex(0xf6efdc), deep: 1, glow: 0.72}
	cityPen  = pen{scale: 2, ink: hex(0x2a1a14), halo: hex(0xfaf3e0), deep: 1, glow: 0.70}
	seaPen   = pen{scale: 5, gap: 2, ink: hex(0xe8f6f4), deep: 0.50}
	bayPen   = pen{scale: 2, gap: 1, ink: hex(0xeefaf6), deep: 0.62}
	realmPen = pen{scale: 5, gap: 3, ink: hex(0x3a2a1c), deep: 0.44}
	rangePen = pen{scale: 3, gap: 1, ink: hex(0x2b2018), halo: hex(0xf3ead8), deep: 0.80, glow: 0.38}
)

// write centres a text on a place of the piece.
func (p *piece) write(s string, cx, top int, q *pen) {
	width, height := textWidth(s, q.scale, q.gap), 8*q.scale
	x0 := cx - width/2
	if x0-1 >= spread || x0+width+1 < 0 || top-1 >= spread || top+height+1 < 0 {
		return
	}
	q.trace(s, func(x, y int, ink bool) {
		i, j := x0+x, top+y
		switch {
		case uint(i) >= spread || uint(j) >= spread:
		case ink:
			p.dot(j*spread+i, q.ink, q.deep)
		default:
			p.dot(j*spread+i, q.halo, q.glow)
		}
	})
}

// trace calls dot once for every pixel of a text whose top left corner is 0, 0: those
// of the letters and, where the pen has one, those of the halo around them.
func (q *pen) trace(s string, dot func(x, y int, ink bool)) {
	w, h := textWidth(s, q.scale, q.gap)+2, 8*q.scale+2
	cover := make([]bool, w*h)
	text(s, q.scale, q.gap, func(x, y int) { cover[(y+1)*w+x+1] = true })
	at := func(x, y int) bool { return uint(x) < uint(w) && uint(y) < uint(h) && cover[y*w+x] }
	for y := range h {
		for x := range w {
			if cover[y*w+x] {
				dot(x-1, y-1, true)
			} else if q.glow > 0 && (at(x-1, y) || at(x+1, y) || at(x, y-1) || at(x, y+1) ||
				at(x-1, y-1) || at(x+1, y-1) || at(x-1, y+1) || at(x+1, y+1)) {
				dot(x-1, y-1, false)
			}
		}
	}
}

const regionBits = 10

// region is a name written across a part of the world.
type region struct {
	place
	name string
	kind string // sea, realm or range
	pen  *pen
}

// regionsOf returns the names in a square of 1024 by 1024 pixels: of a sea, a realm and
// two ranges at most, each where there is most room for it.
func (w *world) regionsOf(i, j int64) []region {
	key := [2]int64{i, j}
	out, ok := w.regions[key]
	if !ok {
		if len(w.regions) >= maxKept {
			clear(w.regions)
		}
		out = w.findRegions(i, j)
		w.regions[key] = out
	}
	return out
}

func (w *world) findRegions(i, j int64) (out []region) {
	t := w.tongueAt(i<<regionBits+1<<(regionBits-1), j<<regionBits+1<<(regionBits-1))
	h := hash(w.seed+0x4e9, i, j)
	type candidate struct {
		place
		room float32
	}
	var sea, realm candidate
	var ranges []candidate
	const lattice = 7
	for b := range int64(lattice) {
		for a := range int64(lattice) {
			c := place{i<<regionBits + (a+1)<<regionBits/(lattice+1), j<<regionBits + (b+1)<<regionBits/(lattice+1)}
			lowest, highest, rugged := float32(9), float32(-9), float32(0)
			for _, d := range [...][2]int64{{0, 0}, {-110, 0}, {110, 0}, {-220, 0}, {220, 0}, {0, -45}, {0, 45}} {
				s := w.sample((c.x+d[0])>>grainBits, (c.y+d[1])>>grainBits)
				lowest, highest = min(lowest, s.height), max(highest, s.height)
				if d[0]*d[0] <= 110*110 {
					rugged += s.rugged / 5
				}
			}
			if a < 1 || a > lattice-2 { // away from the names beside it
				continue
			}
			jitter := 0.02 * unit(hash(h, a, b), 0)
			if room := -highest - 0.03 + jitter; room > sea.room && a >= 2 && a <= 4 {
				sea = candidate{c, room}
			}
			if room := lowest - 0.01 - 0.25*rugged + jitter; room > realm.room && a >= 2 && a <= 4 {
				realm = candidate{c, room}
			}
			if rugged > 0.45 && lowest > -0.1 {
				ranges = append(ranges, candidate{c, rugged + jitter})
			}
		}
	}
	if sea.room > 0.02 {
		out = append(out, region{sea.place, strings.ToUpper(regionName(t, t.sea, h)), "sea", &seaPen})
	}
	if realm.room > 0.02 {
		out = append(out, region{realm.place, strings.ToUpper(regionName(t, t.realm, h>>7)), "realm", &realmPen})
	}
	for n := range 2 {
		best := candidate{}
		for _, r := range ranges {
			clear := true
			for _, o := range out {
				if abs(float32(o.x-r.x)) < 420 && abs(float32(o.y-r.y)) < 130 {
					clear = false
				}
			}
			if clear && r.room > best.room {
				best = r
			}
		}
		if best.room > 0 {
			out = append(out, region{best.place, regionName(t, t.range_, h>>(11+n*9)), "range", &rangePen})
		}
	}
	return out
}

// label writes names: of regions first, of settlements over them.
func (p *piece) label() {
	const reach = 640
	for j := (p.y - reach) >> regionBits; j <= (p.y+spread+reach)>>regionBits; j++ {
		for i := (p.x - reach) >> regionBits; i <= (p.x+spread+reach)>>regionBits; i++ {
			for _, r := range p.w.regionsOf(i, j) {
				p.write(r.name, int(r.x-p.x), int(r.y-p.y)-4*r.pen.scale, r.pen)
			}
		}
	}
	for _, s := range p.w.sitesIn(p.x, p.y, spread, spread, 128) {
		q := &smallPen
		if s.rank == city {
			q = &cityPen
		}
		p.write(s.name, int(s.x-p.x), int(s.y-p.y)+int(s.rank.radius())+3, q)
	}
}

// sail puts ships on the sea, and what else lives there.
func (p *piece) sail() {
	const bits, reach = 7, 90
	for j := (p.y - reach) >> bits; j <= (p.y+spread+reach)>>bits; j++ {
		for i := (p.x - reach) >> bits; i <= (p.x+spread+reach)>>bits; i++ {
			h := hash(p.w.seed+0x5a1, i, j)
			if h%100 >= 9 {
				continue
			}
			x, y := i<<bits+int64(h>>8&(1<<bits-1)), j<<bits+int64(h>>20&(1<<bits-1))
			c := p.w.at(x, y)
			u, v := int(x-p.x), int(y-p.y)
			switch {
			case c.height < -0.30 && h>>40&3 == 0:
				p.picture(serpent, u-6, v-3)
				if h>>44&3 == 0 {
					p.write("Here be pixels", u, v+6, &pen{scale: 1, ink: hex(0xd7efe6), deep: 0.8})
				}
			case c.height < -0.12:
				p.picture(ship, u-3, v-4)
			case c.height < -0.09:
				p.picture(boat, u-2, v-2)
			}
		}
	}
}

// draw computes and draws the piece whose first pixel is x, y.
func (p *piece) draw(x, y int64) {
	p.survey(x, y)
	p.paint()
	p.till()
	p.pave()
	p.build()
	p.plant()
	p.sail()
	p.label()
}
