package main

// grain is the distance of the samples of climate in pixels; between them it is
// smooth. A block of them is kept together.
const (
	grainBits = 3
	grain     = 1 << grainBits
	blockBits = 6 // samples along a block's side
	blockSide = 1 << blockBits
)

// A climate is what is smooth about a place.
type climate struct {
	height float32 // of the land without its hills; below 0 is sea, peaks stand on about 0.5
	rugged float32 // 0 plain to 1 mountains
	warm   float32 // about -1 to 1
	wet    float32 // about -1 to 1
}

// world is one of 2^64 worlds. What it knows of one place it computes when it is first
// asked and keeps for a while.
type world struct {
	seed        uint64
	shape       [4]octave // of continents
	warp        [4]octave // which way and how far they are bent
	belt        [2]octave // of mountains
	bumps       [2]octave
	weather     [4]octave
	detail      [6]octave // of hills and ridges
	bend        [2]octave // of the same
	patch       [3]octave // of forests and of colours
	crag        [2]octave // of bare rock
	climates    map[[2]int64]*[blockSide * blockSide]climate
	heights     map[[2]int64]*[blockSide * blockSide]float32 // of samples; 0 not known
	regions     map[[2]int64][]region
	basins      map[[2]int64]*basin
	lastBlock   *[blockSide * blockSide]climate
	lastBlockAt [2]int64
	lastBasin   *basin
	lastBasinAt [2]int64
	sites       map[[2]int64]*site
	roads       map[[4]int64][]place
}

func newWorld(seed uint64) *world {
	w := &world{seed: seed, climates: map[[2]int64]*[blockSide * blockSide]climate{}, heights: map[[2]int64]*[blockSide * blockSide]float32{}, regions: map[[2]int64][]region{},
		basins: map[[2]int64]*basin{}, sites: map[[2]int64]*site{}, roads: map[[4]int64][]place{}}
	n := uint64(0)
	fill := func(o []octave, bits ...uint) {
		for i := range o {
			n++
			o[i] = newOctave(hash(seed, int64(n), 1), bits[i])
		}
	}
	fill(w.shape[:], 11, 10, 9, 8)
	fill(w.warp[:], 10, 10, 8, 8)
	fill(w.belt[:], 10, 9)
	fill(w.bumps[:], 7, 6)
	fill(w.weather[:], 11, 9, 10, 8)
	fill(w.detail[:], 8, 7, 6, 5, 4, 3)
	fill(w.bend[:], 7, 7)
	fill(w.patch[:], 7, 5, 4)
	fill(w.crag[:], 3, 2)
	return w
}

// home raises land around the origin, so that every world begins on a continent.
func home(x, y int64) float32 {
	const reach = 1500
	if x < -reach || x > reach || y < -reach || y > reach {
		return 0
	}
	r := float32(x*x+y*y) / (reach * reach)
	return 0.30*(1-step(0, 0.8, r)) - 0.10*step(0.3, 0.6, r)*(1-step(0.6, 1, r))
}

// at computes the climate of a place.
func (w *world) at(x, y int64) climate {
	bx := 190*w.warp[0].at(x, y, 0, 0) + 80*w.warp[2].at(x, y, 0, 0)
	by := 190*w.warp[1].at(x, y, 0, 0) + 80*w.warp[3].at(x, y, 0, 0)
	land := 0.62*w.shape[0].at(x, y, bx, by) + 0.78*w.shape[1].at(x, y, bx, by) +
		0.46*w.shape[2].at(x, y, bx, by) + 0.26*w.shape[3].at(x, y, bx, by) + home(x, y) - 0.13
	belt := 1 - 3.4*abs(w.belt[0].at(x, y, bx, by)+0.4*w.belt[1].at(x, y, bx, by))
	var c climate
	inland := step(0, 0.16, land)
	c.rugged = step(0.1, 0.95, belt) * step(0.02, 0.24, land)
	if land > 0 {
		knolls := 0.020*w.bumps[0].at(x, y, 0, 0) + 0.010*w.bumps[1].at(x, y, 0, 0)
		c.height = 0.10*land + 0.13*land/(0.5+land) + 0.20*c.rugged + inland*knolls
	} else {
		c.height = 0.36*land - 1.1*land*land
	}
	c.warm = 1.5*w.weather[0].at(x, y, bx, by) + 0.5*w.weather[1].at(x, y, bx, by) + 0.12
	c.wet = 1.6*w.weather[2].at(x, y, by, bx) + 0.8*w.weather[3].at(x, y, by, bx) + 0.12
	return c
}

// maxKept bounds each of a world's memories; one that is full is emptied.
const maxKept = 512

// sample returns the climate at a place of the lattice of samples.
func (w *world) sample(ix, iy int64) climate {
	key := [2]int64{ix >> blockBits, iy >> blockBits}
	if w.lastBlock != nil && key == w.lastBlockAt {
		return w.lastBlock[iy&(blockSide-1)<<blockBits|ix&(blockSide-1)]
	}
	b := w.climates[key]
	if b == nil {
		if len(w.climates) >= maxKept {
			clear(w.climates)
		}
		b = new([blockSide * blockSide]climate)
		for j := range int64(blockSide) {
			for i := range int64(blockSide) {
				b[j<<blockBits|i] = w.at((key[0]<<blockBits+i)<<grainBits, (key[1]<<blockBits+j)<<grainBits)
			}
		}
		w.climates[key] = b
	}
	w.lastBlock, w.lastBlockAt = b, key
	return b[iy&(blockSide-1)<<blockBits|ix&(blockSide-1)]
}

// relief returns the hills, about -1 to 1, and the ridges, 0 to about 1, of a place.
// Octaves pile up less where those above them are steep already: valley floors stay
// smooth and flanks break into spurs, as in eroded land.
func (w *world) relief(x, y int64) (hills, ridges float32) {
	bx, by := 34*w.bend[0].at(x, y, 0, 0), 34*w.bend[1].at(x, y, 0, 0)
	amp, weight := float32(0.5), float32(1)
	var sx, sy float32
	for i := range w.detail {
		n, nx, ny := w.detail[i].slope(x, y, bx, by)
		sx, sy = sx+nx*amp, sy+ny*amp
		hills += 2.4 * amp * n / (1 + 0.8*(sx*sx+sy*sy))
		r := positive(1 - 2.9*abs(n))
		r *= r * weight
		ridges += amp * r
		weight = 0.1 + 0.9*clamp(2.4*r-0.1)
		amp *= 0.53
	}
	return
}

// raise adds hills to a climate. calm is 0 on a river and 1 away from rivers.
func raise(c *climate, hills, ridges, calm float32) float32 {
	h := c.height
	coast := 1 - step(0.02, 0.10, abs(h))
	if h < 0 {
		return h + (0.03+0.07*coast)*hills
	}
	more := (0.030+0.07*coast+0.02*c.rugged)*hills + c.rugged*(0.80*ridges-0.12)
	if more < 0 { // a river does not keep the sea out of its mouth
		calm = lerp(calm, 1, coast)
	}
	return h + calm*more
}

// high returns the height of a place, rivers left aside.
func (w *world) high(x, y int64) float32 {
	c := w.at(x, y)
	hills, ridges := w.relief(x, y)
	return raise(&c, hills, ridges, 1)
}

// highSample returns the same in the middle of a sample of the climate.
func (w *world) highSample(ix, iy int64) float32 {
	key := [2]int64{ix >> blockBits, iy >> blockBits}
	b := w.heights[key]
	if b == nil {
		if len(w.heights) >= maxKept {
			clear(w.heights)
		}
		b = new([blockSide * blockSide]float32)
		w.heights[key] = b
	}
	h := &b[iy&(blockSide-1)<<blockBits|ix&(blockSide-1)]
	if *h == 0 {
		c := w.sample(ix, iy)
		hills, ridges := w.relief(ix<<grainBits+grain/2, iy<<grainBits+grain/2)
		*h = raise(&c, hills, ridges, 1)
	}
	return *h
}

// lakeAt reports whether a place lies in a lake, or close to its shore.
func (w *world) lakeAt(x, y int64) bool {
	const around = 3
	i, j := x>>springBits, y>>springBits
	for dj := int64(-around); dj <= around; dj++ {
		for di := int64(-around); di <= around; di++ {
			s := w.drain(i+di, j+dj)
			if s.to != [2]int8{} || s.height <= 0 {
				continue
			}
			l := lake{flow: w.flow(i+di, j+dj)}
			dx, dy := float32(s.x-x), float32(s.y-y)
			if r := l.radius() * 1.2; l.flow >= riverFlow && dx*dx+dy*dy < r*r {
				return true
			}
		}
	}
	return false
}
