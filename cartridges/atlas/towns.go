package main

// Settlements are drawn house by house. Whether a house stands depends on the ground
// beneath it alone.

var (
	roofs = [...][2]rgb{ // lit and shaded
		{hex(0xd8744f), hex(0xa84d38)}, {hex(0xc9603f), hex(0x93402f)}, {hex(0xd99058), hex(0xa9683f)},
		{hex(0xb8836a), hex(0x84584a)}, {hex(0xa9a6a6), hex(0x76747c)}, {hex(0xcf7f62), hex(0x9a5546)},
	}
	wallTop  = hex(0xcfc6b4)
	wallFoot = hex(0x7d7468)
	field1   = hex(0xd8c06a)
	field2   = hex(0xb9b95c)
	field3   = hex(0x8fae4f)
	field4   = hex(0xc59d5e)
	furrow   = hex(0x6f7a3a)
	street   = hex(0xd9c9a0)
)

// Pictures of what is larger than a house. A capital letter has the same colour
// wherever it is used: R roof, D its shade, W wall, G grey wall, K dark, B blue, S shadow.
var (
	church  = sprite{"..K...", "..R...", "..R...", ".RRR..", ".WWDRR", ".WKDDD", ".WWGWG"}
	castle  = sprite{"B...B...B", "K...K...K", "W.W.W.W.W", "WGWWWWWGG", "WGWKWKWGG", "WGWWWWWGG", "WGWWKWWGG", ".SSSSSSSS"}
	mill    = sprite{"K...K", ".K.K.", "..K..", ".KWK.", "K.W.K", "..WG.", ".WWGS", ".WKGS"}
	ship    = sprite{"...K...", ".WWKW..", ".WWKWW.", ".WWKWWW", "...K...", "KRRRRRK", ".DDDDD."}
	boat    = sprite{".K..", ".KW.", ".KWW", "RRRR"}
	serpent = sprite{"..LLL........", ".LKLL........", ".LLLL...LL...", "...LL..LMML..", "...LM.LM..ML.", "F.FLMFLMFFFLF"}
	palette = map[byte]rgb{
		'R': hex(0xc9603f), 'D': hex(0x8f3f30), 'W': hex(0xf1e9d8), 'G': hex(0xb7ab98), 'K': hex(0x3c322d), 'B': hex(0x3d66a8),
		'L': hex(0x5fa27c), 'M': hex(0x36735e), 'F': hex(0xd7efe6),
	}
)

// picture draws a sprite of made things with its upper left corner at i, j.
func (p *piece) picture(s sprite, i, j int) {
	for y, row := range s {
		for x := range len(row) {
			if uint(i+x) >= spread || uint(j+y) >= spread || row[x] == '.' {
				continue
			}
			n := (j+y)*spread + i + x
			p.taken[n] = takenHouse
			if row[x] == 'S' {
				p.dot(n, shade, 0.4)
			} else {
				p.dot(n, palette[row[x]], 1)
			}
		}
	}
}

// till draws the fields around settlements: strips in blocks that are turned this way
// and that.
func (p *piece) till() {
	for _, s := range p.w.sitesIn(p.x, p.y, spread, spread, 96) {
		r := s.rank.radius()*1.7 + 14
		cx, cy := float32(s.x-p.x), float32(s.y-p.y)
		turn := compass[s.seed%64]
		for j := max(int(cy-r), 0); j <= min(int(cy+r), spread-1); j++ {
			for i := max(int(cx-r), 0); i <= min(int(cx+r), spread-1); i++ {
				n := j*spread + i
				h := p.height[n]
				if h < 0.014 || h > 0.2 || p.river[n] > 0 || p.taken[n] != takenNothing || i < 1 || j < 1 || i > spread-2 || j > spread-2 {
					continue
				}
				if sx, sy := p.height[n+1]-p.height[n-1], p.height[n+spread]-p.height[n-spread]; sx*sx+sy*sy > 0.00022 {
					continue
				}
				dx, dy := float32(i)-cx, float32(j)-cy
				u, v := dx*turn[0]+dy*turn[1], -dx*turn[1]+dy*turn[0]
				bu, bv := int64(floor(u/13+0.5*float32(int64(floor(v/9))&1))), int64(floor(v/9))
				b := hash(s.seed, bu, bv)
				// A block is tilled as a whole, and the fewer the farther out.
				mu, mv := (float32(bu)+0.5)*13, (float32(bv)+0.5)*9
				if d := sqrt(mu*mu+mv*mv) / r; d > 0.55+0.5*unit(b, 0) {
					continue
				}
				c := [...]rgb{field1, field2, field3, field4}[b>>20&3]
				strip := int64(floor(u / 2))
				if b>>24&1 == 0 {
					strip = int64(floor(v / 2))
				}
				fu, fv := u/13+0.5*float32(int64(floor(v/9))&1), v/9
				edge := fu-floor(fu) < 0.08 || fv-floor(fv) < 0.115
				a := float32(0.62)
				if edge {
					c, a = furrow, 0.55
				} else if strip&1 == 0 {
					c = c.times(0.93)
				}
				p.dot(n, c, a)
				p.taken[n] = takenField
			}
		}
	}
}

// build draws the settlements of the piece.
func (p *piece) build() {
	for _, s := range p.w.sitesIn(p.x, p.y, spread, spread, 48) {
		p.buildOne(s)
	}
}

// firm reports whether something can stand at a pixel.
func (p *piece) firm(i, j int) bool {
	if uint(i-1) >= spread-2 || uint(j-1) >= spread-2 {
		return false
	}
	n := j*spread + i
	return p.height[n] > 0.006 && p.river[n] < 30
}

func (p *piece) buildOne(s *site) {
	cx, cy := int(s.x-p.x), int(s.y-p.y)
	r := s.rank.radius()
	if s.rank == city {
		p.wall(cx, cy, r, -1)
	}
	if s.rank >= town {
		p.cobble(cx, cy, 0.95*r)
	}
	const plot = 4
	n := int(r)/plot + 1
	for b := -n; b <= n; b++ {
		for a := -n; a <= n; a++ {
			h := hash(s.seed+1, int64(a), int64(b))
			dx, dy := a*plot+int(h%2), b*plot+int(h>>8%2)
			d := sqrt(float32(dx*dx+dy*dy)) / r
			if d > 0.92 || unit(h, 16) > 1.3-0.7*d {
				continue
			}
			if s.rank >= town && (a == 0 || b == 0) && (a+b)&3 != 0 || s.rank >= town && abs(float32(dx)) < 6 && abs(float32(dy)) < 6 {
				continue // streets and the market
			}
			p.house(cx+dx, cy+dy, h)
		}
	}
	switch {
	case s.rank == city:
		p.wall(cx, cy, r, 1)
		for _, d := range [...][2]int{{0, 0}, {0, -9}, {10, 0}, {-10, 0}, {0, 10}, {9, -9}, {-9, -9}, {9, 9}} {
			if x, y := cx+d[0], cy+d[1]; p.firm(x-4, y+3) && p.firm(x+4, y+3) && p.firm(x, y-2) && p.firm(x, y) {
				p.picture(castle, x-4, y-5)
				break
			}
		}
	case s.rank >= village && p.firm(cx, cy+2):
		p.picture(church, cx-2, cy-4)
	}
	if s.rank >= village && s.rank < city {
		side := 1 - 2*int(s.seed>>40&1)
		if x, y := cx+side*int(r+9), cy-int(s.seed>>41%9)+2; p.firm(x, y) && p.firm(x+3, y+3) && p.firm(x-3, y+3) {
			p.picture(mill, x-2, y-4)
		}
	}
}

// cobble draws the ground of a town.
func (p *piece) cobble(cx, cy int, r float32) {
	n := int(r) + 1
	for j := max(cy-n, 0); j <= min(cy+n, spread-1); j++ {
		for i := max(cx-n, 0); i <= min(cx+n, spread-1); i++ {
			dx, dy := float32(i-cx), float32(j-cy)/0.92
			if at := j*spread + i; dx*dx+dy*dy < r*r && p.height[at] > 0.004 && p.river[at] == 0 && p.taken[at] != takenRoad {
				p.dot(at, street.times(0.96+0.06*unit(hash(1, p.x+int64(i), p.y+int64(j)), 0)), 0.6)
				p.taken[at] = takenField
			}
		}
	}
}

// house draws a house of three by three pixels if the ground carries it.
func (p *piece) house(i, j int, h uint64) {
	if !p.firm(i, j) || !p.firm(i+2, j+2) || !p.firm(i+2, j) || !p.firm(i, j+2) {
		return
	}
	for y := range 3 {
		for x := range 3 {
			if t := p.taken[(j+y)*spread+i+x]; t == takenRoad || t == takenHouse {
				return
			}
		}
	}
	roof := &roofs[pick(h, 32, len(roofs))]
	wide := h>>50&1 == 0
	for y := range 2 {
		for x := range 3 {
			lit := y == 0
			if !wide {
				lit = x < 2
			}
			c := roof[1]
			if lit {
				c = roof[0]
			}
			n := (j+y)*spread + i + x
			p.dot(n, c, 1)
			p.taken[n] = takenHouse
		}
	}
	for x := range 3 {
		n := (j+2)*spread + i + x
		p.dot(n, hex(0xe9dcc0), 0.9)
		p.taken[n] = takenHouse
		if h>>52%3 == uint64(x) {
			p.dot(n, hex(0x4a3b30), 0.8)
		}
	}
	if n := (j+2)*spread + i + 3; i+3 < spread && p.taken[n] == takenNothing {
		p.dot(n, shade, 0.35)
	}
}

// wall draws the northern (-1) or the southern half of a town wall with its towers.
func (p *piece) wall(cx, cy int, r float32, half int) {
	steps := int(r * 9)
	for k := range steps {
		// The first half of the turn is the north.
		t := float32(k) / float32(steps) * 32
		g := &compass[int(t)&31|32]
		if half > 0 {
			g = &compass[int(t)&31]
		}
		next := compass[(int(t)&31+1)&63]
		if half < 0 {
			next = compass[(int(t)&31|32+1)&63]
		}
		f := t - float32(int(t))
		i := cx + int(floor(r*lerp(g[0], next[0], f)+0.5))
		j := cy + int(floor(r*0.92*lerp(g[1], next[1], f)+0.5))
		if !p.firm(i, j) || !p.firm(i, j+1) || p.taken[j*spread+i] == takenRoad {
			continue
		}
		n := j*spread + i
		p.dot(n, wallTop, 1)
		p.dot(n+spread, wallFoot, 1)
		p.taken[n], p.taken[n+spread] = takenHouse, takenHouse
	}
	for k := 0; k < 16; k++ {
		if (k < 8) != (half > 0) {
			continue
		}
		g := compass[(k*4+2)&63]
		i, j := cx+int(floor(r*g[0]+0.5)), cy+int(floor(r*0.92*g[1]+0.5))
		if p.firm(i, j) && p.firm(i, j+1) && p.firm(i-1, j) && p.firm(i+1, j) {
			for y := -2; y <= 1; y++ {
				for x := -1; x <= 1; x++ {
					if uint(i+x) >= spread || uint(j+y) >= spread {
						continue
					}
					n := (j+y)*spread + i + x
					c := wallTop
					if x == 1 || y == 1 {
						c = wallFoot
					}
					if y == -2 {
						c = roofs[0][(x+1)/2]
					}
					p.dot(n, c, 1)
					p.taken[n] = takenHouse
				}
			}
		}
	}
}
