// Command life is a pxOS cartridge that plays Conway's Game of Life and draws it.
package main

import (
	"bytes"
	"image/png"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	pxos "github.com/pxos/pxos/sdk"
)

// Args choose what is played and how it is shown. Every key has a default.
type Args struct {
	Pattern     string  `json:"pattern"`     // one of patterns
	Seed        *uint64 `json:"seed"`        // of the random patterns
	Size        int     `json:"size"`        // cells along a side, 16 to 256
	Generations int     `json:"generations"` // up to 10000
	Format      string  `json:"format"`      // "png" or "text"; default: text on a terminal
}

// Picture is the result of life:picture.
type Picture struct {
	PNG         []byte `json:"png"` // base64 in JSON
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Generations []int  `json:"generations"` // that the panels show
	Population  []int  `json:"population"`  // of each panel
}

// columns and rows of the sheet.
const (
	columns = 4
	rows    = 3
)

func (a *Args) check() error {
	if a.Pattern == "" {
		a.Pattern = patterns[0]
	}
	if a.Seed == nil {
		seed := uint64(17) // of the first few hundred, the one that fills the sheet best
		a.Seed = &seed
	}
	if a.Size == 0 {
		a.Size = 64
	}
	if a.Generations == 0 {
		a.Generations = 176
	}
	switch {
	case !slices.Contains(patterns, a.Pattern):
		return pxos.Errorf("unknown_pattern", "no pattern %q: there are %s", a.Pattern, strings.Join(patterns, ", "))
	case a.Size < 16 || a.Size > 256:
		return pxos.Errorf("out_of_range", "size is 16 to 256 cells, not %d", a.Size)
	case a.Pattern == "gun" && a.Size < 40:
		return pxos.Errorf("out_of_range", "a gun needs a size of at least 40")
	case a.Generations < columns*rows-1 || a.Generations > 10000:
		return pxos.Errorf("out_of_range", "generations are %d to 10000, not %d", columns*rows-1, a.Generations)
	case a.Format != "" && a.Format != "png" && a.Format != "text":
		return pxos.Errorf("unknown_format", "no format %q: there are png, text", a.Format)
	}
	return nil
}

// play runs the game and calls show for every panel.
func play(a *Args, show func(panel, generation int, b *board)) *board {
	b := newBoard(a.Size, a.Size)
	b.begin(a.Pattern, *a.Seed)
	panel := 0
	for g := 0; ; g++ {
		if g == panel*a.Generations/(columns*rows-1) {
			show(panel, g, b)
			panel++
		}
		if g == a.Generations {
			return b
		}
		b.step()
	}
}

// draw makes the picture.
func draw(a *Args) (*Picture, error) {
	var s *sheet
	p := &Picture{}
	play(a, func(panel, g int, b *board) {
		if s == nil {
			s = newSheet(b, columns, rows)
			text(s.img, margin, 20, 4, ink, "Life")
			title := a.Pattern
			if a.Pattern == "kaleidoscope" || a.Pattern == "soup" {
				title += "  seed " + strconv.FormatUint(*a.Seed, 10)
			}
			text(s.img, s.img.Rect.Dx()-margin-textWidth(title, 2), 30, 2, faint, title)
		}
		n := b.population()
		s.panel(panel, b, "generation "+strconv.Itoa(g), strconv.Itoa(n)+" alive")
		p.Generations, p.Population = append(p.Generations, g), append(p.Population, n)
	})
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed} // half the work, for a picture 14 % larger
	if err := encoder.Encode(&buf, s.img); err != nil {
		return nil, err
	}
	p.PNG, p.Width, p.Height = buf.Bytes(), s.img.Rect.Dx(), s.img.Rect.Dy()
	pxos.Info("drew", "pattern", a.Pattern, "generations", a.Generations, "alive", p.Population[len(p.Population)-1], "bytes", len(p.PNG))
	return p, nil
}

// show writes the picture, or text, to standard output.
func show(ctx *pxos.Context, a Args) (pxos.None, error) {
	if err := a.check(); err != nil {
		return pxos.None{}, err
	}
	if a.Format == "" && isTerminal(ctx.Stdout) {
		a.Format = "text"
		pxos.Info("the picture is a PNG: send it to a file with > life.png")
	}
	if a.Format == "text" {
		last := play(&a, func(int, int, *board) {})
		_, err := io.WriteString(ctx.Stdout, blocks(last))
		return pxos.None{}, err
	}
	p, err := draw(&a)
	if err == nil {
		_, err = ctx.Stdout.Write(p.PNG)
	}
	return pxos.None{}, err
}

// picture returns the same as JSON.
func picture(_ *pxos.Context, a Args) (*Picture, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	return draw(&a)
}

// blocks writes a board in characters that hold two cells each.
func blocks(b *board) string {
	var sb strings.Builder
	for y := 0; y < b.h; y += 2 {
		var line strings.Builder
		for x := range b.w {
			top, bottom := b.alive[y*b.w+x], y+1 < b.h && b.alive[(y+1)*b.w+x]
			switch {
			case top && bottom:
				line.WriteRune('█')
			case top:
				line.WriteRune('▀')
			case bottom:
				line.WriteRune('▄')
			default:
				line.WriteByte(' ')
			}
		}
		sb.WriteString(strings.TrimRight(line.String(), " "))
		sb.WriteByte('\n')
	}
	return sb.String()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func init() {
	pxos.Register("life", show)
	pxos.Register("life:picture", picture)
}

func main() { pxos.Main() }
