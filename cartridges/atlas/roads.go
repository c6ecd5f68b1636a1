package main

// Roads join settlements that have no third one closer to both. They are found on a
// lattice of 8 pixels, around slopes and water.
const (
	roadBits   = 3
	roadLength = 400 // pixels, as the crow flies
	roadMargin = 9   // lattice steps that a road may leave the rectangle of its ends
)

// road returns the way from one settlement to another, nil when there is none. Both
// ends name the same road.
func (w *world) road(a, b *site) []place {
	if b.j < a.j || b.j == a.j && b.i < a.i {
		a, b = b, a
	}
	key := [4]int64{a.i, a.j, b.i, b.j}
	if r, ok := w.roads[key]; ok {
		return r
	}
	if len(w.roads) >= 16*maxKept {
		clear(w.roads)
	}
	r := w.findRoad(a, b)
	w.roads[key] = r
	return r
}

type step8 struct {
	at   int32
	cost float32
}

// frontier is a heap, the cheapest first.
type frontier []step8

func (a step8) before(b step8) bool { return a.cost < b.cost || a.cost == b.cost && a.at < b.at }

func (f *frontier) push(s step8) {
	h := append(*f, s)
	i := len(h) - 1
	for i > 0 && s.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i], *f = s, h
}

func (f *frontier) pop() step8 {
	h := *f
	first, s := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if child >= len(h) || !h[child].before(s) {
			h[i] = s
			break
		}
		h[i], i = h[child], child
	}
	*f = h
	return first
}

func (w *world) findRoad(a, b *site) []place {
	x0, y0 := min(a.x, b.x)>>roadBits-roadMargin, min(a.y, b.y)>>roadBits-roadMargin
	cols := int32(max(a.x, b.x)>>roadBits + roadMargin + 1 - x0)
	rows := int32(max(a.y, b.y)>>roadBits + roadMargin + 1 - y0)
	index := func(p place) int32 { return int32(p.y>>roadBits-y0)*cols + int32(p.x>>roadBits-x0) }
	high := func(n int32) float32 { return w.highSample(x0+int64(n%cols), y0+int64(n/cols)) }
	lakes := make([]int8, cols*rows) // 1 in a lake, -1 not
	inLake := func(n int32) bool {
		if lakes[n] == 0 {
			lakes[n] = -1
			if w.lakeAt((x0+int64(n%cols))<<roadBits+4, (y0+int64(n/cols))<<roadBits+4) {
				lakes[n] = 1
			}
		}
		return lakes[n] > 0
	}
	cost := make([]float32, cols*rows)
	from := make([]int32, cols*rows)
	start, goal := index(a.place), index(b.place)
	cost[start], from[start] = 1, start
	var open frontier
	open.push(step8{start, 1})
	limit := 3.2*float32(roadLength)/(1<<roadBits) + 1
	for len(open) > 0 {
		at := open.pop()
		if at.at == goal {
			break
		}
		if at.cost > cost[at.at] {
			continue
		}
		if at.cost > limit {
			return nil
		}
		i, j, h := at.at%cols, at.at/cols, high(at.at)
		for dj := int32(-1); dj <= 1; dj++ {
			for di := int32(-1); di <= 1; di++ {
				if di == 0 && dj == 0 || i+di < 0 || j+dj < 0 || i+di >= cols || j+dj >= rows {
					continue
				}
				n := at.at + dj*cols + di
				g := high(n)
				length := float32(1)
				if di != 0 && dj != 0 {
					length = 1.4142
				}
				climb := (g - h) / length * 30
				c := at.cost + length*(1+climb*climb+6*positive(g-0.2))
				if g < 0.006 || inLake(n) {
					c += 14 * length
				}
				if cost[n] == 0 || c < cost[n] {
					cost[n], from[n] = c, at.at
					open.push(step8{n, c})
				}
			}
		}
	}
	if cost[goal] == 0 {
		return nil
	}
	way := []place{b.place}
	wet := 0
	for n := from[goal]; n != start; n = from[n] {
		// A little off the lattice, so that a straight road does not look ruled.
		x, y := x0+int64(n%cols), y0+int64(n/cols)
		if high(n) < 0.002 || inLake(n) {
			if wet++; wet > 3 {
				return nil
			}
		}
		k := hash(w.seed+0x70ad, x, y)
		way = append(way, place{x<<roadBits + 1 + int64(k%6), y<<roadBits + 1 + int64(k>>8%6)})
	}
	return append(way, a.place)
}

// neighbours returns the settlements that roads of s lead to.
func (w *world) neighbours(s *site) (out []*site) {
	const far = roadLength>>siteBits + 1
	var near []*site
	for dj := int64(-far); dj <= far; dj++ {
		for di := int64(-far); di <= far; di++ {
			if o := w.site(s.i+di, s.j+dj); o != nil && o != s && distance2(s, o) <= roadLength*roadLength {
				near = append(near, o)
			}
		}
	}
	for _, o := range near {
		d := distance2(s, o)
		closer := false
		for _, c := range near {
			if c != o && max(distance2(s, c), distance2(o, c)) < d {
				closer = true
				break
			}
		}
		if !closer {
			out = append(out, o)
		}
	}
	return out
}

func distance2(a, b *site) int64 {
	dx, dy := a.x-b.x, a.y-b.y
	return dx*dx + dy*dy
}

var (
	roadEdge = hex(0x8a7350)
	roadTop  = hex(0xe9d7a6)
	bridge   = hex(0x7a5a3c)
)

// pave draws the roads that touch the piece.
func (p *piece) pave() {
	const around = roadLength + roadMargin<<roadBits
	seen := map[[4]int64]bool{}
	var ways [][]place
	for _, s := range p.w.sitesIn(p.x, p.y, spread, spread, around) {
		for _, o := range p.w.neighbours(s) {
			if seen[[4]int64{s.i, s.j, o.i, o.j}] {
				continue
			}
			seen[[4]int64{s.i, s.j, o.i, o.j}], seen[[4]int64{o.i, o.j, s.i, s.j}] = true, true
			m := int64(roadMargin+1) << roadBits
			if max(s.x, o.x)+m < p.x || min(s.x, o.x)-m > p.x+spread || max(s.y, o.y)+m < p.y || min(s.y, o.y)-m > p.y+spread {
				continue
			}
			if way := p.w.road(s, o); way != nil {
				ways = append(ways, way)
			}
		}
	}
	for pass := range 2 {
		for _, way := range ways {
			p.paveOne(way, pass)
		}
	}
}

// paveOne draws a road as a curve: first its edge, then its top.
func (p *piece) paveOne(way []place, pass int) {
	for n := 0; n+1 < len(way); n++ {
		at, next := way[n], way[n+1]
		dx, dy := float32(next.x-at.x), float32(next.y-at.y)
		r := reach{place: at, bx: dx / 4, by: dy / 4, cx: dx / 2, cy: dy / 2}
		if n > 0 {
			r.ax, r.ay, r.bx, r.by = float32(way[n-1].x-at.x)/2, float32(way[n-1].y-at.y)/2, 0, 0
		}
		p.stroke(&r, pass)
		if n+2 == len(way) {
			p.stroke(&reach{place: next, ax: -dx / 2, ay: -dy / 2, bx: -dx / 4, by: -dy / 4}, pass)
		}
	}
}

func (p *piece) stroke(r *reach, pass int) {
	fx, fy := int(r.x-p.x), int(r.y-p.y)
	steps := int(r.length()*1.5) + 1
	for s := range steps + 1 {
		x, y := r.point(float32(s) / float32(steps))
		i, j := fx+int(floor(x+0.5)), fy+int(floor(y+0.5))
		if i < 2 || j < 2 || i >= spread-2 || j >= spread-2 {
			continue
		}
		n := j*spread + i
		over := p.height[n] <= 0 || p.river[n] > 60
		if pass == 0 {
			for _, m := range [...]int{n - 1, n + 1, n - spread, n + spread} {
				if over && p.taken[m] == takenNothing {
					p.dot(m, bridge, 0.55)
				} else if p.taken[m] == takenNothing {
					p.dot(m, roadEdge, 0.30)
				}
				p.taken[m] = takenRoad
			}
			p.taken[n] = takenRoad
			continue
		}
		p.set(n, roadTop, over)
	}
}

func (p *piece) set(n int, c rgb, over bool) {
	if over {
		c = c.mix(bridge, 0.25)
	}
	p.dot(n, c, 0.92)
}
