package main

// rgb is a colour with each part from 0 to 255.
type rgb struct{ r, g, b float32 }

func hex(v uint32) rgb { return rgb{float32(v >> 16), float32(v >> 8 & 0xff), float32(v & 0xff)} }

func (c rgb) mix(d rgb, t float32) rgb {
	return rgb{c.r + (d.r-c.r)*t, c.g + (d.g-c.g)*t, c.b + (d.b-c.b)*t}
}

func (c rgb) times(k float32) rgb { return rgb{c.r * k, c.g * k, c.b * k} }

// level makes a part of a colour a byte that is never 0: black is what nobody drew.
func level(f float32) uint8 { return uint8(0.5*(abs(f-0.5)-abs(f-255)+255.5) + 0.5) }

var (
	abyss        = hex(0x17345c)
	deep         = hex(0x245a86)
	offshore     = hex(0x3f86a8)
	shallow      = hex(0x7cc0c0)
	surf         = hex(0xb9e0d2)
	fresh        = hex(0x4f93b8)
	shore        = hex(0xe6d6a4)
	sand         = hex(0xe2c98f)
	steppe       = hex(0xc3bd74)
	meadow       = hex(0x93b25c)
	lush         = hex(0x6a9f4e)
	taiga        = hex(0x8b9c74)
	tundra       = hex(0xb3b39a)
	heath        = hex(0xad9a6b)
	scree        = hex(0x9b8b78)
	rock         = hex(0x857a72)
	snow         = hex(0xf7f8fb)
	floorOfWoods = hex(0x47743f)
	shade        = hex(0x27304f)
	light        = hex(0xfff3d6)
)

// paint colours the ground. The outermost pixels of the border get none: their slope
// is not known.
func (p *piece) paint() {
	p.soil()
	for j := 1; j < spread-1; j++ {
		for i := 1; i < spread-1; i++ {
			n := j*spread + i
			var c rgb
			if p.height[n] <= 0 {
				c = p.sea(n)
			} else {
				c = p.land(n, i, j)
			}
			q := p.rgb[3*n : 3*n+3 : 3*n+3]
			q[0], q[1], q[2] = level(c.r), level(c.g), level(c.b)
		}
	}
}

// soil colours the samples of land by their climate.
func (p *piece) soil() {
	for n := range p.base {
		h, cl := p.ground[n], &p.climate[n]
		if h < -0.05 {
			continue
		}
		fleck := p.fleck[n]
		wet, warm := cl.wet+0.3*fleck, cl.warm-0.9*h
		c := sand.mix(steppe, step(-0.55, -0.2, wet)).mix(meadow, step(-0.25, 0.1, wet)).mix(lush, step(0.1, 0.6, wet))
		c = c.mix(taiga.mix(tundra, step(-0.5, -0.9, warm)), step(-0.15, -0.5, warm))
		c = c.mix(sand.mix(steppe, step(0, 0.5, wet)), 0.75*step(0.45, 0.9, warm)*(1-step(0.2, 0.6, wet)))
		c = c.mix(snow, 0.8*step(-0.85, -1.15, warm))
		if cl.rugged < 0.6 {
			c = c.mix(shore, 0.9*(1-step(0.006, 0.016, h))*step(0.5, 0.9, p.calm[n]))
		}
		grove := 1.9 * p.w.patch[0].at(p.x+int64(2*(n%half)-2), p.y+int64(2*(n/half)-2), 0, 0)
		woods := step(0.10, 0.40, 0.55*cl.wet+0.75*(grove+0.9*fleck)+0.1) * (1 - step(-0.8, -1.1, warm)) * (1 - step(0.26, 0.34, h))
		p.woods[n] = woods
		if h > 0.01 {
			c = c.mix(floorOfWoods, 0.5*woods)
		}
		p.base[n] = c.times(1 + 0.035*fleck)
	}
}

// seaColour returns the colour of water of a depth.
func seaColour(d float32) rgb {
	var c rgb
	switch {
	case d < 0.03:
		c = surf.mix(shallow, d/0.03)
	case d < 0.12:
		c = shallow.mix(offshore, (d-0.03)/0.09)
	case d < 0.35:
		c = offshore.mix(deep, (d-0.12)/0.23)
	default:
		c = deep.mix(abyss, clamp((d-0.35)/0.5))
	}
	// Lines of equal depth, as engravers draw them, fade out from the coast.
	if d < 0.3 {
		f := d*42 - floor(d*42)
		c = c.mix(surf, 0.26*step(0.62, 0.8, f)*(1-step(0.8, 0.98, f))*(1-d/0.3))
	}
	return c
}

func (p *piece) sea(n int) rgb {
	d := -p.height[n]
	c := seaColour(d)
	if d < 0.4 { // the light falls through the water
		k := (p.height[n+1] - p.height[n-1]) + (p.height[n+spread] - p.height[n-spread])
		c = c.times(1 - (0.14*clamp(0.5+16*k)-0.07)*(1-d/0.4))
	}
	return c
}

// land colours a pixel by soil, height and light.
func (p *piece) land(n, i, j int) rgb {
	h, at := p.height[n], p.at(i, j)
	c := p.base[at]
	gx, gy := p.height[n+1]-p.height[n-1], p.height[n+spread]-p.height[n-spread]
	if h > 0.12 {
		fleck, warm := p.fleck[at], p.climate[at].warm
		steep := sqrt(gx*gx+gy*gy) * 26
		up := h + 0.05*fleck
		c = c.mix(heath, 0.85*step(0.16, 0.30, up))
		c = c.mix(scree, 0.9*step(0.27, 0.42, up))
		c = c.mix(rock, 0.85*step(0.5, 1.15, steep)*step(0.12, 0.3, up))
		line := 0.46 + 0.20*(2*clamp(0.5+0.5*warm)-1)
		c = c.mix(snow, step(line, line+0.05, up-0.07*step(0.6, 1.5, steep)))
	}
	c = illuminate(c, gx, gy)
	if r := p.river[n]; r > 0 {
		c = c.mix(fresh, 0.92/255*float32(r))
	}
	// A coast is drawn with a fine pen.
	if h < 0.03 && (p.height[n-1] <= 0 || p.height[n+1] <= 0 || p.height[n-spread] <= 0 || p.height[n+spread] <= 0) {
		c = c.mix(ink, 0.55)
	}
	return c
}

var ink = hex(0x5a5a48)

// illuminate returns a colour in the light of a slope, which is given as the rise over
// two pixels to the right and down. The light comes from the upper left and is warm;
// shadows are cool.
func illuminate(c rgb, gx, gy float32) rgb {
	const relief = 17
	nx, ny := -gx*relief, -gy*relief
	lit := (-0.62*nx - 0.62*ny + 0.95) / (sqrt(1+nx*nx+ny*ny) * 0.95)
	if lit < 1 {
		t := 0.80 * (1 - lit)
		t = 0.5 * (t + 0.74 - abs(t-0.74))
		// Towards a mix of the colour darkened and the shadow's own.
		return rgb{c.r*(1-t) + t*(c.r*(0.65/255)+0.35)*shade.r, c.g*(1-t) + t*(c.g*(0.65/255)+0.35)*shade.g, c.b*(1-t) + t*(c.b*(0.65/255)+0.35)*shade.b}
	}
	t := 0.55 * (lit - 1)
	return c.mix(light, 0.5*(t+0.5-abs(t-0.5)))
}
