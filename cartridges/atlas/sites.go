package main

import "slices"

// A site is where people live: at most one in a cell of 128 by 128 pixels, on the spring
// of the cell that they like best. They like rivers, coasts and flat land.
const siteBits = 7

type rank uint8

const (
	hamlet rank = iota
	village
	town
	city
)

var rankNames = [...]string{"hamlet", "village", "town", "city"}

func (r rank) String() string { return rankNames[r] }

type place struct{ x, y int64 }

type site struct {
	place
	i, j    int64 // of its cell
	worth   float32
	seed    uint64
	port    bool // by the sea
	river   bool
	hill    bool
	settled bool // candidate becomes a settlement
	ranked  bool
	rank    rank
	name    string
}

// radius of the settled ground in pixels.
func (r rank) radius() float32 { return [...]float32{8, 12, 18, 28}[r] }

// candidate returns the site of a cell, settled or not.
func (w *world) candidate(i, j int64) *site {
	key := [2]int64{i, j}
	if s := w.sites[key]; s != nil {
		return s
	}
	if len(w.sites) >= 64*maxKept {
		clear(w.sites)
	}
	h := hash(w.seed+0x517e, i, j)
	s := &site{i: i, j: j, seed: h, worth: -1}
	const springs = 1 << (siteBits - springBits)
	for b := range int64(springs) {
		for a := range int64(springs) {
			si, sj := i*springs+a, j*springs+b
			sp := *w.drain(si, sj)
			if sp.height < 0.012 || sp.height > 0.30 || sp.to == [2]int8{} {
				continue
			}
			worth := 0.25*unit(hash(h, a, b), 0) - 0.9*max(sp.height-0.1, 0)
			f := w.flow(si, sj)
			if f >= riverFlow {
				worth += 0.25 + 0.02*sqrt(float32(f))
			}
			port := w.spring(si+int64(sp.to[0]), sj+int64(sp.to[1])).height < 0
			if port {
				worth += 0.32
			}
			if worth > s.worth {
				s.worth, s.place, s.port, s.river, s.hill = worth, place{sp.x, sp.y}, port, f >= riverFlow, sp.height > 0.17
			}
		}
	}
	w.sites[key] = s
	if s.worth < 0 {
		return s
	}
	c := w.at(s.x, s.y)
	s.worth -= 0.5*c.rugged + 0.35*step(0.5, 0.9, abs(c.warm-0.05)) + 0.3*step(-0.1, -0.6, c.wet)
	s.worth += 0.35 * unit(h, 32)
	if w.high(s.x, s.y) < 0.008 { // its ground is below the sea after all
		s.worth = -1
	}
	return s
}

// site returns the settlement of a cell, or nil. Of neighbours whose names would meet
// only the one with more to offer is settled.
func (w *world) site(i, j int64) *site {
	s := w.candidate(i, j)
	if s.ranked {
		return s.orNil()
	}
	s.ranked = true
	if s.worth < 0.42 {
		return nil
	}
	best := 0 // how far around nobody has more to offer
	for r := int64(1); r <= 4; r++ {
		for dj := -r; dj <= r; dj++ {
			for di := -r; di <= r; di++ {
				if max(di, -di, dj, -dj) != r {
					continue
				}
				o := w.candidate(i+di, j+dj)
				ahead := o.worth > s.worth || o.worth == s.worth && o.seed > s.seed
				if ahead && r <= 2 && abs(float32(o.x-s.x)) < 104 && abs(float32(o.y-s.y)) < 34 {
					return nil
				}
				if ahead && best == 0 {
					best = int(r)
				}
			}
		}
	}
	switch {
	case best == 0:
		s.rank = city
	case best >= 3:
		s.rank = town
	case best == 2 || unit(s.seed, 20) < 0.35:
		s.rank = village
	}
	s.settled, s.name = true, w.siteName(s)
	return s
}

func (s *site) orNil() *site {
	if s.settled {
		return s
	}
	return nil
}

// sitesIn returns the settlements within a rectangle of pixels and around it, from
// north to south.
func (w *world) sitesIn(x, y, width, height, around int64) (out []*site) {
	for j := (y - around) >> siteBits; j <= (y+height+around)>>siteBits; j++ {
		for i := (x - around) >> siteBits; i <= (x+width+around)>>siteBits; i++ {
			if s := w.site(i, j); s != nil {
				out = append(out, s)
			}
		}
	}
	slices.SortFunc(out, func(a, b *site) int {
		if a.y != b.y {
			if a.y < b.y {
				return -1
			}
			return 1
		}
		if a.x < b.x {
			return -1
		}
		return 1
	})
	return out
}
