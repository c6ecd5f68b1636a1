package main

// Water runs over a lattice of springs, one at a random place of every 16 by 16 pixels.
// Each spring drains into the lowest of its neighbours, or, where it lies lowest, into
// a lower spring a little further on; where there is none it fills a lake. What drains
// through a spring is what drains into it, all the way up: a number that follows from
// the place alone, however the world around it is cut into pieces.

const (
	springBits = 4
	basinBits  = 5
	basinSide  = 1 << basinBits
	reachMax   = 4  // springs that a sink looks across
	riverFlow  = 20 // springs upstream that make a river
)

type spring struct {
	x, y   int64
	height float32
	to     [2]int8 // where it drains to, in springs; 0,0 for none
	ready  bool    // to is known
	flow   int32   // springs that drain through it, itself among them; 0 not known
}

// basin is a square of springs.
type basin struct{ s [basinSide * basinSide]spring }

func (w *world) spring(i, j int64) *spring {
	key := [2]int64{i >> basinBits, j >> basinBits}
	if w.lastBasin != nil && key == w.lastBasinAt {
		return &w.lastBasin.s[j&(basinSide-1)<<basinBits|i&(basinSide-1)]
	}
	b := w.basins[key]
	if b == nil {
		if len(w.basins) >= maxKept {
			clear(w.basins)
		}
		b = new(basin)
		for n := range b.s {
			si, sj := key[0]<<basinBits+int64(n&(basinSide-1)), key[1]<<basinBits+int64(n>>basinBits)
			h := hash(w.seed+0x51, si, sj)
			s := &b.s[n]
			s.x, s.y = si<<springBits+2+int64(h%13), sj<<springBits+2+int64(h>>8%13)
			s.height = w.at(s.x, s.y).height
		}
		w.basins[key] = b
	}
	w.lastBasin, w.lastBasinAt = b, key
	return &b.s[j&(basinSide-1)<<basinBits|i&(basinSide-1)]
}

// drain finds where a spring drains to. Below the sea nothing does.
func (w *world) drain(i, j int64) *spring {
	s := w.spring(i, j)
	if s.ready {
		return s
	}
	if s.height < -0.05 {
		s.ready = true
		return s
	}
	for r := int64(1); r <= reachMax && s.to == [2]int8{}; r++ {
		lowest := s.height
		for dj := -r; dj <= r; dj++ {
			for di := -r; di <= r; di++ {
				if max(di, -di, dj, -dj) != r {
					continue
				}
				if h := w.spring(i+di, j+dj).height; h < lowest {
					lowest, s.to = h, [2]int8{int8(di), int8(dj)}
				}
			}
		}
	}
	s.ready = true
	return s
}

// flow returns what drains through a spring. Upstream is always uphill, so that the
// search ends.
func (w *world) flow(i, j int64) int32 {
	s := w.spring(i, j)
	if s.flow > 0 {
		return s.flow
	}
	if s.height < -0.05 {
		s.flow = 1
		return 1
	}
	total := int32(1)
	for dj := int64(-reachMax); dj <= reachMax; dj++ {
		for di := int64(-reachMax); di <= reachMax; di++ {
			if u := w.drain(i+di, j+dj); u.to == [2]int8{int8(-di), int8(-dj)} && (di != 0 || dj != 0) {
				total += w.flow(i+di, j+dj)
			}
		}
	}
	// The memory may have been emptied meanwhile: s is then nobody's.
	w.spring(i, j).flow = total
	return total
}

// reach is a stretch of river: a curve from one place to another, bent towards a third.
// Its places are relative to one of the world, never to a piece, so that every piece
// rounds them in the same way.
type reach struct {
	place
	ax, ay, bx, by, cx, cy float32
	flow                   float32
}

// width of a river in pixels, from its middle to a bank.
func (r *reach) radius() float32 { return min(0.45+0.055*sqrt(r.flow), 4.5) }

// lake is the end of a river that does not reach the sea.
type lake struct {
	place
	flow int32
}

func (l *lake) radius() float32 { return min(4+0.8*sqrt(float32(l.flow)), 40) }

// rivers returns the stretches and lakes whose springs lie in a rectangle of pixels or
// within a margin around it.
func (w *world) rivers(x, y, width, height, margin int64) (out []reach, lakes []lake) {
	for j := (y - margin) >> springBits; j <= (y+height+margin)>>springBits; j++ {
		for i := (x - margin) >> springBits; i <= (x+width+margin)>>springBits; i++ {
			s := *w.drain(i, j)
			if s.height < -0.05 {
				continue
			}
			f := w.flow(i, j)
			if f < riverFlow {
				continue
			}
			at := place{s.x, s.y}
			if s.to == [2]int8{} {
				if s.height > 0 {
					lakes = append(lakes, lake{at, f})
				}
				continue
			}
			d := w.spring(i+int64(s.to[0]), j+int64(s.to[1]))
			dx, dy := float32(d.x-s.x), float32(d.y-s.y)
			if d.height < -0.05 || d.to == [2]int8{} {
				out = append(out, reach{at, dx / 2, dy / 2, dx / 2, dy / 2, dx, dy, float32(f)})
			}
			source := true
			for dj := int64(-reachMax); dj <= reachMax; dj++ {
				for di := int64(-reachMax); di <= reachMax; di++ {
					if u := *w.drain(i+di, j+dj); u.to == [2]int8{int8(-di), int8(-dj)} && u.to != [2]int8{} {
						if uf := w.flow(i+di, j+dj); uf >= riverFlow {
							source = false
							out = append(out, reach{at, float32(u.x-s.x) / 2, float32(u.y-s.y) / 2, 0, 0, dx / 2, dy / 2, float32(uf)})
						}
					}
				}
			}
			if source {
				out = append(out, reach{at, 0, 0, dx / 4, dy / 4, dx / 2, dy / 2, riverFlow})
			}
		}
	}
	return out, lakes
}

// point returns the place at t, 0 to 1, along a stretch.
func (r *reach) point(t float32) (x, y float32) {
	u := 1 - t
	return u*u*r.ax + 2*u*t*r.bx + t*t*r.cx, u*u*r.ay + 2*u*t*r.by + t*t*r.cy
}

// length is a little more than that of the curve.
func (r *reach) length() float32 {
	return sqrt((r.bx-r.ax)*(r.bx-r.ax)+(r.by-r.ay)*(r.by-r.ay)) + sqrt((r.cx-r.bx)*(r.cx-r.bx)+(r.cy-r.by)*(r.cy-r.by))
}
