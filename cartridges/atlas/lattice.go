package main

// lattice is a smooth field over a square of pixels that is known at every fourth pixel
// and followed between them with cubic B-splines.
type lattice struct {
	side   int // pixels
	n      int // samples along a side, from one before the first pixel on
	v      []float32
	column []float32
}

const latticeStep = 4

func newLattice(side int, f func(x, y int64) float32) *lattice {
	n := (side+latticeStep-1)/latticeStep + 3
	l := &lattice{side: side, n: n, v: make([]float32, n*n), column: make([]float32, n)}
	for j := range n {
		for i := range n {
			l.v[j*n+i] = f(int64(i-1)*latticeStep, int64(j-1)*latticeStep)
		}
	}
	return l
}

// row stores the field along a row of pixels in out, which is as long as a side.
func (l *lattice) row(y int, out []float32) {
	n, at := l.n, y/latticeStep
	w := spline(float32(y%latticeStep) / latticeStep)
	a, b, c, d := l.v[at*n:][:n], l.v[(at+1)*n:][:n], l.v[(at+2)*n:][:n], l.v[(at+3)*n:][:n]
	for i := range l.column {
		l.column[i] = w[0]*a[i] + w[1]*b[i] + w[2]*c[i] + w[3]*d[i]
	}
	var weights [latticeStep][4]float32
	for i := range weights {
		weights[i] = spline(float32(i) / latticeStep)
	}
	for x := range out {
		w, q := &weights[x%latticeStep], l.column[x/latticeStep:][:4:4]
		out[x] = w[0]*q[0] + w[1]*q[1] + w[2]*q[2] + w[3]*q[3]
	}
}

// octaves returns noise from one size down to another, 1<<top to 1<<bottom pixels.
func octaves(seed uint64, top, bottom uint) []octave {
	out := []octave{newOctave(seed, max(top, bottom))}
	for b := top; b > bottom; b-- {
		out = append(out, newOctave(seed, b-1))
	}
	return out
}
