package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

func (a *app) mapViewCmd() *cobra.Command {
	cmd := numbers(a.command("view MAP [X Y W H] [-o OUT.png] [flags]", "Show a picture of a map",
		`Shows a map, or a region of it, in a terminal with colours: two pixels in each
character, one above the other. With -o it is written as a PNG picture instead. Any
region is drawn in the time that the picture takes, up to the whole plane.`,
		`  pxos-host map view world
  pxos-host map view world -320 -240 640 480
  pxos-host map view world -o world.png`))
	fl := cmd.Flags()
	out := fl.StringP("output", "o", "", "write the picture `OUT.png`, or - for standard output")
	width := fl.Int("width", 0, "as many `PIXELS` wide (default: the terminal, or 1024 with -o)")
	colours := fl.String("colours", "auto", "`KIND` of terminal: auto, 24bit, or 256")
	snapshot := snapshotFlag(cmd)
	complete(cmd, "colours", "auto", "24bit", "256")
	cmd.Args = argCount("a map, and X Y W H or nothing", 1, 5)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var r infinitemap.Rect
		if len(args) == 5 {
			if r, err = region(args[1:]); err != nil {
				return err
			}
		}
		if cmd.Flags().Changed("width") && (*width < 1 || *width > 1<<13) {
			return usagef("choose 1 to 8192; map export draws larger ones", "a picture of %d pixels in width is not shown", *width)
		}
		paint := a.painter(*colours)
		if *out == "" && paint == nil {
			if *colours != "auto" && *colours != "24bit" && *colours != "256" {
				return usagef("", "--colours %q: choose auto, 24bit or 256", *colours)
			}
			return usagef("write it with -o world.png, or say what colours there are with --colours 24bit", "this is no terminal with colours")
		}
		m, err := a.readMap(cmd, args[0], *snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		if len(args) < 5 {
			if r, err = m.content(); err != nil {
				return err
			}
		}
		if *out != "" {
			return a.viewPicture(m, r, *out, *width)
		}
		cols, rows := 80, 24
		if c, l, err := xterm.GetSize(int(a.out.Fd())); err == nil && c > 0 && l > 0 {
			cols, rows = c, l
		}
		w, h := boxed(r, cols, max(2*(rows-2), 2))
		if *width > 0 {
			w, h = boxed(r, *width, 1<<13)
		}
		rgb, damaged := render(m, r, w, h)
		if rgb == nil {
			return mapError(damaged, m.ref)
		}
		b := bufio.NewWriterSize(a.out, 1<<16)
		halfBlocks(b, rgb, w, h, paint)
		fmt.Fprintf(b, "%s %s\n", m.ref.said(), regionText(r))
		if err := b.Flush(); err != nil {
			return err
		}
		return mapError(damaged, m.ref)
	}
	return cmd
}

// render draws a region. Of a map with damage it returns what could be drawn, and the
// error.
func render(m *openMap, r infinitemap.Rect, w, h int) ([]byte, error) {
	rgb := make([]byte, 3*w*h)
	err := m.Render(rgb, 3*w, r, w, h)
	var tile *infinitemap.TileError
	var index *infinitemap.IndexError
	if err != nil && !errors.As(err, &tile) && !errors.As(err, &index) {
		return nil, err
	}
	return rgb, err
}

// viewPicture writes the picture to a file.
func (a *app) viewPicture(m *openMap, r infinitemap.Rect, out string, width int) error {
	w, h := boxed(r, 1024, 1024)
	if width > 0 {
		w, h = boxed(r, width, 1<<13)
	}
	rgb, damaged := render(m, r, w, h)
	if rgb == nil {
		return mapError(damaged, m.ref)
	}
	draw := func(dst io.Writer) error { return pxi.WritePNG(dst, bytes.NewReader(rgb), int64(len(rgb)), w) }
	if out == "-" {
		if err := a.drawOut(draw); err != nil {
			return err
		}
		return mapError(damaged, m.ref)
	}
	if err := builder.WritePicture(out, draw); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.out, "%s: %d x %d pixels of %s at %s\n", term.Line(out), w, h, m.ref.said(), regionText(r)); err != nil {
		return err
	}
	return mapError(damaged, m.ref)
}

// painter returns how a colour is asked of the terminal, or nil when there is none with
// colours.
func (a *app) painter(kind string) func(ground int, c []byte) string {
	if kind == "auto" {
		name, depth := os.Getenv("TERM"), os.Getenv("COLORTERM")
		switch {
		case !isTerminal(a.out), os.Getenv("NO_COLOR") != "", name == "dumb":
			return nil
		case depth == "truecolor", depth == "24bit", strings.HasSuffix(name, "-direct"), os.Getenv("WT_SESSION") != "":
			kind = "24bit"
		case strings.Contains(name, "256color"):
			kind = "256"
		}
	}
	switch kind {
	case "24bit":
		return func(ground int, c []byte) string { return fmt.Sprintf("\x1b[%d;2;%d;%d;%dm", ground, c[0], c[1], c[2]) }
	case "256":
		return func(ground int, c []byte) string { return fmt.Sprintf("\x1b[%d;5;%dm", ground, of256(c)) }
	}
	return nil
}

// of256 finds the nearest of the 256 colours that terminals have: a cube of 6 x 6 x 6 and
// a scale of grays behind it.
func of256(c []byte) int {
	levels := [6]int{0, 95, 135, 175, 215, 255}
	apart := func(r, g, b int) int {
		r, g, b = r-int(c[0]), g-int(c[1]), b-int(c[2])
		return r*r + g*g + b*b
	}
	var at [3]int
	for i := range 3 {
		for l, v := range levels {
			if d, best := int(c[i])-v, int(c[i])-levels[at[i]]; d*d < best*best {
				at[i] = l
			}
		}
	}
	n, best := 16+36*at[0]+6*at[1]+at[2], apart(levels[at[0]], levels[at[1]], levels[at[2]])
	for i := range 24 {
		if v := 8 + 10*i; apart(v, v, v) < best {
			n, best = 232+i, apart(v, v, v)
		}
	}
	return n
}

// halfBlocks writes a picture as characters whose upper half is one pixel and whose
// ground the one below it. A last row of odd number stands on the terminal's own ground.
func halfBlocks(w io.Writer, rgb []byte, width, height int, paint func(ground int, c []byte) string) {
	for y := 0; y < height; y += 2 {
		var fore, back string
		for x := range width {
			if s := paint(38, rgb[3*(y*width+x):]); s != fore {
				io.WriteString(w, s)
				fore = s
			}
			if y+1 < height {
				if s := paint(48, rgb[3*((y+1)*width+x):]); s != back {
					io.WriteString(w, s)
					back = s
				}
			}
			io.WriteString(w, "▀")
		}
		io.WriteString(w, "\x1b[0m\n")
	}
}
