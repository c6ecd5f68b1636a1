package main

import "math/rand/v2"

// trail is for how many generations a dead cell leaves a mark.
const trail = 64

// board is a torus of cells: the left edge meets the right one, the top the bottom.
type board struct {
	w, h  int
	alive []bool
	next  []bool
	// age is for how many generations a living cell has lived, gone for how many a
	// dead one has been dead, up to trail.
	age  []int
	gone []int
}

func newBoard(w, h int) *board {
	b := &board{w: w, h: h, alive: make([]bool, w*h), next: make([]bool, w*h), age: make([]int, w*h), gone: make([]int, w*h)}
	for i := range b.gone {
		b.gone[i] = trail
	}
	return b
}

// set makes the cell alive; coordinates wrap around.
func (b *board) set(x, y int) {
	x, y = (x%b.w+b.w)%b.w, (y%b.h+b.h)%b.h
	b.alive[y*b.w+x] = true
}

// step computes the next generation.
func (b *board) step() {
	for y := range b.h {
		up, here, down := (y+b.h-1)%b.h*b.w, y*b.w, (y+1)%b.h*b.w
		for x := range b.w {
			left, right := (x+b.w-1)%b.w, (x+1)%b.w
			n := 0
			for _, i := range [...]int{up + left, up + x, up + right, here + left, here + right, down + left, down + x, down + right} {
				if b.alive[i] {
					n++
				}
			}
			b.next[here+x] = n == 3 || n == 2 && b.alive[here+x]
		}
	}
	for i, lives := range b.next {
		switch {
		case lives && b.alive[i]:
			b.age[i]++
		case lives:
			b.age[i] = 0
		case b.alive[i]:
			b.gone[i] = 0
		default:
			b.gone[i] = min(b.gone[i]+1, trail)
		}
	}
	b.alive, b.next = b.next, b.alive
}

func (b *board) population() int {
	n := 0
	for _, lives := range b.alive {
		if lives {
			n++
		}
	}
	return n
}

// The patterns a run can begin with.
var patterns = []string{"kaleidoscope", "soup", "gun", "acorn", "rpentomino", "pulsar"}

// drawings are patterns as text, # for a living cell, put into the middle.
var drawings = map[string][]string{
	"gun": {
		"........................#...........",
		"......................#.#...........",
		"............##......##............##",
		"...........#...#....##............##",
		"##........#.....#...##..............",
		"##........#...#.##....#.#...........",
		"..........#.....#.......#...........",
		"...........#...#....................",
		"............##......................",
	},
	"acorn":      {".#.....", "...#...", "##..###"},
	"rpentomino": {".##", "##.", ".#."},
	"pulsar": {
		"..###...###..", ".............", "#....#.#....#", "#....#.#....#", "#....#.#....#", "..###...###..", ".............",
		"..###...###..", "#....#.#....#", "#....#.#....#", "#....#.#....#", ".............", "..###...###..",
	},
}

// begin puts the first generation on an empty board. The seed matters to the random
// patterns only. It reports false for a pattern it does not know.
func (b *board) begin(pattern string, seed uint64) bool {
	random := rand.New(rand.NewPCG(seed, 0x6c696665)) // the same on every machine
	switch pattern {
	case "soup":
		for i := range b.alive {
			b.alive[i] = random.IntN(8) < 3
		}
		return true
	case "kaleidoscope":
		b.kaleidoscope(random)
		return true
	}
	rows := drawings[pattern]
	if rows == nil {
		return false
	}
	x0, y0 := (b.w-len(rows[0]))/2, (b.h-len(rows))/2
	for y, row := range rows {
		for x, c := range row {
			if c == '#' {
				b.set(x0+x, y0+y)
			}
		}
	}
	return true
}

// kaleidoscope fills one eighth of a disc at random and mirrors it into the others;
// the rules of Life keep the symmetry for ever.
func (b *board) kaleidoscope(random *rand.Rand) {
	half := min(b.w, b.h) / 2
	radius := half * 5 / 8
	cx, cy := b.w/2, b.h/2
	for y := 0; y < radius; y++ {
		for x := 0; x <= y; x++ {
			if random.IntN(8) >= 3 || x*x+y*y >= radius*radius {
				continue
			}
			for _, p := range [...][2]int{{x, y}, {y, x}} {
				b.set(cx+p[0], cy+p[1])
				b.set(cx-1-p[0], cy+p[1])
				b.set(cx+p[0], cy-1-p[1])
				b.set(cx-1-p[0], cy-1-p[1])
			}
		}
	}
}
