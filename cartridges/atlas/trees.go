package main

// Trees stand on a lattice of small cells, at most one in each, where it is wet and
// warm enough and nothing else stands. They are drawn from north to south, so that
// those in front hide those behind.
const treeBits = 2 // a cell is 4 by 4 pixels

// sprite is a small picture: rows of a letter a pixel, a space or dot where nothing is.
type sprite []string

// The letters of trees: d, m and l are the dark, middle and light of their leaves, s a
// shadow on the ground, t a trunk.
var (
	leafTree = sprite{".ll.", "llmm", "lmmd", ".dds"}
	smallOak = sprite{"lm.", "mmd", ".ds"}
	fir      = sprite{".l.", ".m.", "lmd", "lmd", ".ts"}
	palm     = sprite{"m.l", ".mm", "m.d", ".t.", ".ts"}
	cactus   = sprite{"l.d", "lmd", ".ms"}
)

var (
	oakLeaves  = [3]rgb{hex(0x2f5a33), hex(0x417440), hex(0x6b9a4c)}
	firLeaves  = [3]rgb{hex(0x1f453c), hex(0x2d5a49), hex(0x4b7a5c)}
	palmLeaves = [3]rgb{hex(0x4b7038), hex(0x66923f), hex(0x95b650)}
	trunk      = hex(0x5b4632)
)

// plant draws the trees of a piece. It needs everything else that stands there.
func (p *piece) plant() {
	const cell = 1 << treeBits
	for cy := (p.y + cell - 1) >> treeBits; cy<<treeBits+cell <= p.y+spread; cy++ {
		for cx := (p.x + cell - 1) >> treeBits; cx<<treeBits+cell <= p.x+spread; cx++ {
			h := hash(p.w.seed+0x7e, cx, cy)
			i, j := int(cx<<treeBits-p.x)+int(h%cell), int(cy<<treeBits-p.y)+int(h>>8%cell)
			n := j*spread + i
			if i < 2 || j < 2 || i >= spread-2 || j >= spread-2 {
				continue
			}
			if p.height[n] < 0.012 || p.height[n] > 0.36 || p.taken[n] != takenNothing || p.river[n] > 40 {
				continue
			}
			if sx, sy := p.height[n+1]-p.height[n-1], p.height[n+spread]-p.height[n-spread]; sx*sx+sy*sy > 0.0011 {
				continue // too steep to stand on
			}
			c := &p.climate[p.at(i, j)]
			warm := c.warm - 0.9*p.height[n]
			many := p.woods[p.at(i, j)]
			kind, leaves := leafTree, &oakLeaves
			switch {
			case warm < -0.12+0.3*(unit(h, 16)-0.5) || p.height[n] > 0.2:
				kind, leaves = fir, &firLeaves
			case warm > 0.5 && c.wet < 0.3:
				kind, leaves = palm, &palmLeaves
				if c.wet < -0.15 {
					kind = cactus
				}
				many = 0.02 + 0.3*many
			case h>>40&1 == 0:
				kind = smallOak
			}
			if many < 0.01 {
				many = 0.012 // here and there one stands alone
			}
			if unit(h, 44) >= 0.9*many {
				continue
			}
			tint := 0.88 + 0.24*unit(h, 24)
			p.stamp(kind, i-1, j-len(kind)+1, leaves, tint)
		}
	}
}

// stamp draws a sprite of the living, its upper left corner at i, j.
func (p *piece) stamp(s sprite, i, j int, leaves *[3]rgb, tint float32) {
	for y, row := range s {
		for x := range len(row) {
			if uint(i+x) >= spread || uint(j+y) >= spread {
				continue
			}
			n := (j+y)*spread + i + x
			switch row[x] {
			case 'd':
				p.dot(n, leaves[0].times(tint), 1)
			case 'm':
				p.dot(n, leaves[1].times(tint), 1)
			case 'l':
				p.dot(n, leaves[2].times(tint), 1)
			case 't':
				p.dot(n, trunk, 1)
			case 's':
				p.dot(n, shade, 0.4)
			}
		}
	}
}

// dot covers a pixel with a colour to a part of a.
func (p *piece) dot(n int, c rgb, a float32) {
	q := p.rgb[3*n : 3*n+3 : 3*n+3]
	q[0] = level(lerp(float32(q[0]), c.r, a))
	q[1] = level(lerp(float32(q[1]), c.g, a))
	q[2] = level(lerp(float32(q[2]), c.b, a))
}
