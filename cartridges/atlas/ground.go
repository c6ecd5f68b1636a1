package main

// A world is drawn in pieces. Around each piece a border is computed as well, as wide
// as a tree or a house, so that what stands on the edge is whole on both sides.
const (
	pieceBits = 9
	pieceSide = 1 << pieceBits
	border    = 8
	spread    = pieceSide + 2*border // pixels along a side with the border
	half      = spread/2 + 3         // samples along a side of the ground, every other pixel
)

// piece is a square of a world while it is drawn. What is smooth is known at every
// other pixel, from one sample before the first pixel on.
type piece struct {
	w      *world
	x, y   int64     // of the first pixel, border included
	height []float32 // of each pixel
	river  []uint8   // 0 land, 255 water
	taken  []uint8   // what stands there: keeps trees off roads and houses off each other
	rgb    []uint8

	climate []climate // of each sample
	fleck   []float32 // small differences in colour, about -0.5 to 0.5
	ground  []float32 // height
	calm    []float32 // 0 on a river, 1 away from rivers
	base    []rgb     // colour of the soil
	woods   []float32 // how thick the forest is, 0 to 1

	coarse []climate // samples of the climate, every grain pixels
	fields []float32 // calm, every 4 pixels
}

// What stands on a pixel.
const (
	takenNothing = iota
	takenField
	takenRoad
	takenHouse
)

// craggy is the height from which on the ground is rough.
const craggy = 0.15

func newPiece(w *world) *piece {
	const n = spread * spread
	return &piece{w: w, height: make([]float32, n), river: make([]uint8, n), taken: make([]uint8, n), rgb: make([]uint8, 3*n),
		climate: make([]climate, half*half), fleck: make([]float32, half*half), ground: make([]float32, half*half),
		calm: make([]float32, half*half), base: make([]rgb, half*half), woods: make([]float32, half*half)}
}

// at returns the sample nearest to a pixel.
func (p *piece) at(i, j int) int { return (j/2+1)*half + i/2 + 1 }

// survey computes the ground of the piece whose first pixel, without border, is x, y,
// which are even.
func (p *piece) survey(x, y int64) {
	p.x, p.y = x-border, y-border
	clear(p.river)
	clear(p.taken)
	p.interpolate()
	p.runRivers()
	for j := range half {
		for i := range half {
			n := j*half + i
			c := &p.climate[n]
			if c.height < -0.35 {
				p.ground[n] = c.height // the deep sea has no features that show
				continue
			}
			x, y := p.x+int64(2*i-2), p.y+int64(2*j-2)
			hills, ridges := p.w.relief(x, y)
			p.ground[n] = raise(c, hills, ridges, p.calm[n])
			if p.ground[n] > -0.05 {
				p.fleck[n] = p.w.patch[1].at(x, y, 0, 0)*0.6 + p.w.patch[2].at(x, y, 0, 0)*0.5
			}
		}
	}
	p.smooth()
}

// smooth spreads the ground over all pixels, with cubic B-splines.
func (p *piece) smooth() {
	var column [half]float32
	for y := range spread {
		row := p.ground[y/2*half:]
		a, b, c := row[:half], row[half:2*half], row[2*half:3*half]
		if y&1 == 0 {
			for i := range column {
				column[i] = (a[i] + 4*b[i] + c[i]) * (1. / 6)
			}
		} else {
			d := row[3*half : 4*half]
			for i := range column {
				column[i] = (a[i] + 23*(b[i]+c[i]) + d[i]) * (1. / 48)
			}
		}
		out := p.height[y*spread : (y+1)*spread]
		for i := 0; i < spread/2; i++ {
			q := column[i:][:4:4]
			out[2*i] = (q[0] + 4*q[1] + q[2]) * (1. / 6)
			out[2*i+1] = (q[0] + 23*(q[1]+q[2]) + q[3]) * (1. / 48)
		}
		for i, h := range out { // bare rock has what the samples are too far apart for
			if h > craggy {
				x, y := p.x+int64(i), p.y+int64(y)
				out[i] += step(craggy, 0.3, h) * (0.011*p.w.crag[0].at(x, y, 0, 0) + 0.008*p.w.crag[1].at(x, y, 0, 0))
			}
		}
	}
}

// interpolate spreads the samples of the climate with cubic B-splines, whose slopes
// are smooth: light shows every crease.
func (p *piece) interpolate() {
	const side = spread/grain + 5
	if p.coarse == nil {
		p.coarse = make([]climate, side*side)
	}
	x0, y0 := p.x-2, p.y-2
	i0, j0 := x0>>grainBits-1, y0>>grainBits-1
	for j := range int64(side) {
		for i := range int64(side) {
			p.coarse[j*side+i] = p.w.sample(i0+i, j0+j)
		}
	}
	var weights [grain][4]float32
	for i := range weights {
		weights[i] = spline(float32(i) / grain)
	}
	var column [side]climate
	for y := range half {
		ay := int(y0&(grain-1)) + 2*y
		wy, row := &weights[ay%grain], ay/grain
		for i := range column {
			column[i] = blend(wy, &p.coarse[row*side+i], &p.coarse[(row+1)*side+i], &p.coarse[(row+2)*side+i], &p.coarse[(row+3)*side+i])
		}
		for x := range half {
			ax := int(x0&(grain-1)) + 2*x
			c := column[ax/grain:][:4:4]
			p.climate[y*half+x] = blend(&weights[ax%grain], &c[0], &c[1], &c[2], &c[3])
		}
	}
}

func spline(t float32) [4]float32 {
	u := 1 - t
	return [4]float32{u * u * u / 6, (3*t*t*t - 6*t*t + 4) / 6, (3*u*u*u - 6*u*u + 4) / 6, t * t * t / 6}
}

func blend(w *[4]float32, a, b, c, d *climate) climate {
	return climate{
		w[0]*a.height + w[1]*b.height + w[2]*c.height + w[3]*d.height,
		w[0]*a.rugged + w[1]*b.rugged + w[2]*c.rugged + w[3]*d.rugged,
		w[0]*a.warm + w[1]*b.warm + w[2]*c.warm + w[3]*d.warm,
		w[0]*a.wet + w[1]*b.wet + w[2]*c.wet + w[3]*d.wet,
	}
}

// runRivers draws the water of rivers and lakes and smooths the hills around them.
func (p *piece) runRivers() {
	const lattice, side, reachOf = 4, spread/4 + 7, 64
	if p.fields == nil {
		p.fields = make([]float32, side*side)
	}
	for i := range p.fields {
		p.fields[i] = 1
	}
	x0, y0 := p.x>>2<<2-2*lattice, p.y>>2<<2-2*lattice // of the first lattice point
	// x and y are relative to from.
	quieten := func(from place, x, y, r float32) {
		fx, fy := int(from.x-x0), int(from.y-y0)
		left, right := max((fx+int(x-r))/lattice-1, 0), min((fx+int(x+r))/lattice+1, side-1)
		top, bottom := max((fy+int(y-r))/lattice-1, 0), min((fy+int(y+r))/lattice+1, side-1)
		for j := top; j <= bottom; j++ {
			for i := left; i <= right; i++ {
				u, v := float32(i*lattice-fx)-x, float32(j*lattice-fy)-y
				if d := (u*u + v*v) / (r * r); d < 1 {
					f := &p.fields[j*side+i]
					if q := 1 - (1-d)*(1-d); q < *f {
						*f = q
					}
				}
			}
		}
	}
	reaches, lakes := p.w.rivers(p.x, p.y, spread, spread, reachOf)
	for i := range reaches {
		r := &reaches[i]
		radius := r.radius()
		steps := int(r.length()/3) + 2
		for s := range steps {
			x, y := r.point(float32(s) / float32(steps))
			quieten(r.place, x, y, 12+7*radius)
		}
		steps = int(r.length()/0.6) + 2
		for s := range steps {
			x, y := r.point(float32(s) / float32(steps))
			p.wet(r.place, x, y, radius)
		}
	}
	for _, l := range lakes {
		quieten(l.place, 0, 0, l.radius()*2+16)
		p.flood(l)
	}
	var weights [lattice][4]float32
	for i := range weights {
		weights[i] = spline(float32(i) / lattice)
	}
	var column [side]float32
	f := p.fields
	for y := range half {
		ay := 2*y + int(p.y-y0) - 2 - lattice
		w, row := &weights[ay%lattice], ay/lattice
		for i := range column {
			column[i] = w[0]*f[row*side+i] + w[1]*f[(row+1)*side+i] + w[2]*f[(row+2)*side+i] + w[3]*f[(row+3)*side+i]
		}
		for x := range half {
			ax := 2*x + int(p.x-x0) - 2 - lattice
			w, c := &weights[ax%lattice], column[ax/lattice:][:4:4]
			p.calm[y*half+x] = w[0]*c[0] + w[1]*c[1] + w[2]*c[2] + w[3]*c[3]
		}
	}
}

// wet draws a drop of river with soft edges, at x, y from a place.
func (p *piece) wet(from place, x, y, r float32) {
	fx, fy := int(from.x-p.x), int(from.y-p.y)
	top, bottom := max(fy+int(y-r)-1, 0), min(fy+int(y+r)+1, spread-1)
	left, right := max(fx+int(x-r)-1, 0), min(fx+int(x+r)+1, spread-1)
	for j := top; j <= bottom; j++ {
		for i := left; i <= right; i++ {
			u, v := float32(i-fx)-x, float32(j-fy)-y
			if a := r + 0.5 - sqrt(u*u+v*v); a > 0 {
				at := &p.river[j*spread+i]
				*at = max(*at, uint8(clamp(a)*255))
			}
		}
	}
}

// flood draws a lake with an uneven shore.
func (p *piece) flood(l lake) {
	radius := l.radius()
	reach := int(radius * 1.7)
	fx, fy := int(l.x-p.x), int(l.y-p.y)
	top, bottom := max(fy-reach, 0), min(fy+reach, spread-1)
	left, right := max(fx-reach, 0), min(fx+reach, spread-1)
	for j := top; j <= bottom; j++ {
		for i := left; i <= right; i++ {
			u, v := float32(i-fx), float32(j-fy)
			x, y := p.x+int64(i), p.y+int64(j)
			edge := radius * (1 + 0.9*p.w.patch[1].at(x, y, 0, 0) + 0.4*p.w.patch[2].at(x, y, 0, 0))
			if a := edge - sqrt(u*u+v*v); a > 0 {
				at := &p.river[j*spread+i]
				*at = max(*at, uint8(clamp(a)*255))
			}
		}
	}
}
