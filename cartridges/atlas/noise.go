package main

import "math"

// Everything in a world is a pure function of its seed and of coordinates, and every
// coordinate of the plane is a place. Lattices are therefore found by shifting whole
// numbers, never by dividing floating-point ones: a world looks as fine at 2^60 as it
// does at the origin.

// hash mixes a seed and a place of a lattice into 64 even bits.
func hash(seed uint64, x, y int64) uint64 {
	h := (seed ^ uint64(x)*0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93
	h ^= h >> 32
	h = (h ^ uint64(y)*0xc2b2ae3d27d4eb4f) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	h *= 0x94d049bb133111eb
	return h ^ h>>32
}

// unit turns 16 bits of a hash, counted from bit at, into a number from 0 up to 1.
func unit(h uint64, at uint) float32 { return float32(h>>at&0xffff) / 65536 }

// pick chooses one of n by 16 bits of a hash.
func pick(h uint64, at uint, n int) int { return int(h >> at & 0xffff * uint64(n) >> 16) }

// compass holds the directions that gradients have.
var compass = func() (out [64][2]float32) {
	for i := range out {
		s, c := math.Sincos(2 * math.Pi * (float64(i) + 0.5) / float64(len(out)))
		out[i] = [2]float32{float32(c), float32(s)}
	}
	return
}()

// octave is gradient noise with features of one size. It remembers the last lattice
// cell it was asked about, because neighbouring pixels ask about the same one.
type octave struct {
	seed   uint64
	bits   uint // features are 1<<bits pixels apart
	scale  float32
	mask   int64
	known  bool
	cx, cy int64
	grad   [4][2]float32 // of the corners: upper left, upper right, lower left, lower right
}

func newOctave(seed uint64, bits uint) octave {
	return octave{seed: seed ^ uint64(bits)*0xa0761d6478bd642f, bits: bits, scale: 1 / float32(int64(1)<<bits), mask: 1<<bits - 1}
}

// cell makes the gradients of a lattice cell those in grad.
func (o *octave) cell(cx, cy int64) {
	o.known, o.cx, o.cy = true, cx, cy
	o.grad[0] = compass[hash(o.seed, cx, cy)%64]
	o.grad[1] = compass[hash(o.seed, cx+1, cy)%64]
	o.grad[2] = compass[hash(o.seed, cx, cy+1)%64]
	o.grad[3] = compass[hash(o.seed, cx+1, cy+1)%64]
}

// place finds the cell of a pixel that is moved by dx, dy, and where in it that is.
func (o *octave) place(x, y int64, dx, dy float32) (u, v float32) {
	u, v = (float32(x&o.mask)+dx)*o.scale, (float32(y&o.mask)+dy)*o.scale
	fu, fv := floor(u), floor(v)
	cx, cy := x>>o.bits+int64(fu), y>>o.bits+int64(fv)
	if cx != o.cx || cy != o.cy || !o.known {
		o.cell(cx, cy)
	}
	return u - fu, v - fv
}

// at returns the noise, about -0.7 to 0.7, at a pixel that is moved by dx, dy.
func (o *octave) at(x, y int64, dx, dy float32) float32 {
	u, v := o.place(x, y, dx, dy)
	g := &o.grad
	a := g[0][0]*u + g[0][1]*v
	b := g[1][0]*(u-1) + g[1][1]*v
	c := g[2][0]*u + g[2][1]*(v-1)
	d := g[3][0]*(u-1) + g[3][1]*(v-1)
	fu, fv := fade(u), fade(v)
	top, bottom := a+(b-a)*fu, c+(d-c)*fu
	return top + (bottom-top)*fv
}

// slope returns the noise and its derivatives, in its own lattice's units.
func (o *octave) slope(x, y int64, dx, dy float32) (n, nx, ny float32) {
	u, v := o.place(x, y, dx, dy)
	g := &o.grad
	a := g[0][0]*u + g[0][1]*v
	b := g[1][0]*(u-1) + g[1][1]*v
	c := g[2][0]*u + g[2][1]*(v-1)
	d := g[3][0]*(u-1) + g[3][1]*(v-1)
	fu, fv := fade(u), fade(v)
	du, dv := 30*u*u*(u*(u-2)+1), 30*v*v*(v*(v-2)+1)
	uv, k := fu*fv, a-b-c+d
	n = a + fu*(b-a) + fv*(c-a) + uv*k
	nx = g[0][0] + fu*(g[1][0]-g[0][0]) + fv*(g[2][0]-g[0][0]) + uv*(g[0][0]-g[1][0]-g[2][0]+g[3][0]) + du*(b-a+fv*k)
	ny = g[0][1] + fu*(g[1][1]-g[0][1]) + fv*(g[2][1]-g[0][1]) + uv*(g[0][1]-g[1][1]-g[2][1]+g[3][1]) + dv*(c-a+fu*k)
	return
}

// What follows has no branches: in a guest made by the Go compiler a branch, and a
// call of min or max of floating-point numbers even more, costs as much as many
// additions. math.Abs, math.Floor and math.Sqrt are single instructions there.

func fade(t float32) float32 { return t * t * t * (t*(t*6-15) + 10) }

func abs(f float32) float32 { return float32(math.Abs(float64(f))) }

func floor(f float32) float32 { return float32(math.Floor(float64(f))) }

func sqrt(f float32) float32 { return float32(math.Sqrt(float64(f))) }

// positive returns f, or 0 where f is negative.
func positive(f float32) float32 { return 0.5 * (f + abs(f)) }

// clamp returns the part of f between 0 and 1.
func clamp(f float32) float32 { return 0.5 * (abs(f) - abs(f-1) + 1) }

// step rises smoothly from 0 at lo to 1 at hi.
func step(lo, hi, f float32) float32 {
	t := clamp((f - lo) / (hi - lo))
	return t * t * (3 - 2*t)
}

func lerp(a, b, t float32) float32 { return a + (b-a)*t }
