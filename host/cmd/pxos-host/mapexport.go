package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

// Limits of pictures that are written. One of exact pixels is streamed; one at another
// scale is drawn in memory, three bytes a pixel.
const (
	maxExact    = maxStreamed
	maxRendered = 1 << 26
	maxBytes    = 1 << 40 // with --bytes
)

// mapExported is the JSON form of what export wrote.
type mapExported struct {
	Map    string     `json:"map"`
	Region regionJSON `json:"region"`
	File   string     `json:"file"`
	Width  int64      `json:"width"` // of the picture
	Height int64      `json:"height"`
	Bytes  int64      `json:"bytes,omitempty"` // with --bytes
}

type exportFlags struct {
	scale, snapshot string
	width           int
	bytes           int64
	salvage, asJSON bool
}

func (a *app) mapExportCmd() *cobra.Command {
	cmd := numbers(a.command("export MAP [X Y W H] OUT.png [flags]", "Write a region as a PNG picture",
		`Writes the W x H pixels from X Y on as a PNG picture, exactly, or everything there is
without X Y W H. With --width or --scale it is a smaller or larger picture of the
region, which may then be of any size, up to the whole plane: pixels of a smaller
picture are means of those below that are not black, so that a single pixel can be
seen from any height.

OUT.png is - for standard output. It appears whole or not at all; an existing PNG
picture is replaced, any other file is not. put and export give back the same pixels.

With --bytes N the arguments are MAP X Y FILE, and the N bytes that map put --bytes
laid out at X Y are written to FILE.`,
		`  pxos-host map export world -320 -240 640 480 part.png
  pxos-host map export world all.png --width 2000
  pxos-host map export world -5000 -5000 10000 10000 tenth.png --scale 1/10
  pxos-host map export --bytes 1500 world 0 1000 notes.txt`))
	var f exportFlags
	fl := cmd.Flags()
	fl.StringVar(&f.scale, "scale", "", "picture pixels for each pixel of the map: `S` such as 4, 0.25 or 1/16")
	fl.IntVar(&f.width, "width", 0, "draw a picture of `PIXELS` in width, and a height in proportion")
	fl.Int64Var(&f.bytes, "bytes", 0, "write `N` bytes, not a picture")
	fl.BoolVar(&f.salvage, "salvage", false, "draw tiles that cannot be read black, and go on")
	fl.StringVar(&f.snapshot, "snapshot", "", "read the snapshot `NAME` instead of the present state")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON object")
	cmd.Args = argCount("a map, X Y W H or nothing, and the name of the picture", 2, 4, 6)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		raw := cmd.Flags().Changed("bytes")
		if raw != (len(args) == 4) {
			if raw {
				return usagef("pxos-host map export --bytes 1500 world 0 1000 notes.txt", "with --bytes, export needs a map, X, Y and a file")
			}
			return usagef("pxos-host map export world -320 -240 640 480 part.png", "export needs a map, X Y W H or nothing, and the name of the picture")
		}
		out := args[len(args)-1]
		if f.asJSON && out == "-" {
			return usagef("name a file", "the picture and --json cannot both go to standard output")
		}
		if raw {
			return a.exportBytes(cmd, args, &f)
		}
		return a.exportPicture(cmd, args, &f)
	}
	return cmd
}

// readFor opens a map for rows of so many pixels, so that a row of tiles fits in memory.
func (a *app) readFor(cmd *cobra.Command, arg, snapshot string, width int64) (*openMap, error) {
	ref, err := a.existingMap(cmd, arg)
	if err != nil {
		return nil, err
	}
	const side = infinitemap.DefaultTileSize
	cache := min(max(infinitemap.DefaultCacheBytes, 2*3*side*(min(width, 1<<24)+2*side)), 1<<30)
	return openReader(ref, snapshot, infinitemap.Options{CacheBytes: cache})
}

func (a *app) exportPicture(cmd *cobra.Command, args []string, f *exportFlags) (err error) {
	var r infinitemap.Rect
	named := len(args) == 6
	if named {
		if r, err = region(args[1:5]); err != nil {
			return err
		}
	}
	w1, _ := r.Size()
	m, err := a.readFor(cmd, args[0], f.snapshot, int64(min(w1, 1<<24)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	if !named {
		if r, err = m.content(); err != nil {
			return err
		}
	}
	drawn := f.scale != "" || cmd.Flags().Changed("width")
	w, h, err := pictureSize(r, f.scale, f.width, cmd.Flags().Changed("width"))
	if err != nil {
		return err
	}
	out := args[len(args)-1]
	step, clear := a.progress("drawing")
	draw := func(dst io.Writer) error {
		if drawn {
			rgb := make([]byte, 3*w*h)
			if err := a.salvaged(m.Render(rgb, int(3*w), r, int(w), int(h)), f.salvage); err != nil {
				return err
			}
			return pxi.WritePNG(dst, bytes.NewReader(rgb), int64(len(rgb)), int(w))
		}
		src := &mapRows{ctx: cmd.Context(), m: m.Map, at: r.Min, width: int(w), step: step, total: 3 * w * h}
		if f.salvage {
			src.forgive = func(err error) error { return a.salvaged(err, true) }
		}
		return pxi.WritePNG(dst, src, src.total, int(w))
	}
	if out == "-" {
		err = a.drawOut(draw)
	} else {
		err = builder.WritePicture(out, draw)
	}
	clear()
	if err != nil || out == "-" {
		return mapError(err, m.ref)
	}
	if f.asJSON {
		return a.printJSON(mapExported{Map: m.ref.name, Region: regionOf(r), File: out, Width: w, Height: h})
	}
	_, err = fmt.Fprintf(a.out, "%s: %d x %d pixels of %s at %s\n", term.Line(out), w, h, m.ref.said(), regionText(r))
	return err
}

// salvaged lets damaged tiles pass when they should be black, and says so.
func (a *app) salvaged(err error, pass bool) error {
	var tile *infinitemap.TileError
	var index *infinitemap.IndexError
	if !pass || !errors.As(err, &tile) && !errors.As(err, &index) {
		return err
	}
	a.note("black because it cannot be read: %v", err)
	return nil
}

// pictureSize says how large the picture of a region is, and refuses what no picture can
// hold.
func pictureSize(r infinitemap.Rect, scale string, width int, wide bool) (w, h int64, err error) {
	w1, h1 := r.Size()
	switch {
	case scale != "" && wide:
		return 0, 0, usagef("choose one of them", "--scale and --width both say how large the picture is")
	case scale == "" && !wide:
		if w1 >= pxi.MaxWidth || h1 >= 1<<31-1 || (w1+1)*(h1+1) > maxExact {
			return 0, 0, usagef("--width 2000 draws a smaller picture of any region; or write it in parts",
				"%s x %s pixels are too many for one picture: at most %d wide and %d in all", sizeText(w1), sizeText(h1), pxi.MaxWidth, int64(maxExact))
		}
		return int64(w1) + 1, int64(h1) + 1, nil
	}
	rw, rh := plusOne(w1), plusOne(h1)
	s := new(big.Rat)
	if wide {
		if width < 1 || width > maxRendered {
			return 0, 0, usagef("choose 1 or more", "a picture cannot be %d pixels wide", width)
		}
		s.Quo(new(big.Rat).SetInt64(int64(width)), rw)
	} else if s, err = readScale(scale); err != nil {
		return 0, 0, err
	}
	pw, ph := rounded(new(big.Rat).Mul(rw, s)), rounded(new(big.Rat).Mul(rh, s))
	if wide {
		pw.SetInt64(int64(width))
	}
	if area := new(big.Int).Mul(pw, ph); !area.IsInt64() || area.Int64() > maxRendered || pw.Cmp(big.NewInt(pxi.MaxWidth)) > 0 {
		return 0, 0, usagef("choose a smaller --width or --scale; without them exact pixels are written, which may be more",
			"%s x %s pixels are too many for a picture that is drawn: at most %d wide and %d in all", pw, ph, pxi.MaxWidth, maxRendered)
	}
	return pw.Int64(), ph.Int64(), nil
}

func plusOne(size1 uint64) *big.Rat {
	n := new(big.Int).SetUint64(size1)
	return new(big.Rat).SetInt(n.Add(n, big.NewInt(1)))
}

// rounded is the nearest whole number of at least 1.
func rounded(v *big.Rat) *big.Int {
	n := new(big.Rat).Add(v, big.NewRat(1, 2))
	q := new(big.Int).Quo(n.Num(), n.Denom())
	if q.Sign() < 1 {
		q.SetInt64(1)
	}
	return q
}

// readScale reads 4, 0.25 or 1/16.
func readScale(s string) (*big.Rat, error) {
	v, ok := new(big.Rat), false
	// Other forms that big.Rat knows, with exponents, could be of any size.
	if len(s) <= 40 && strings.Trim(s, "0123456789./") == "" {
		v, ok = v.SetString(s)
	}
	if !ok || v.Sign() <= 0 {
		return nil, usagef("write --scale 4, --scale 0.25 or --scale 1/16", "--scale %q is no scale", s)
	}
	return v, nil
}

// mapRows gives the pixels of a region as bytes, row after row, to a reader that takes
// whole rows.
type mapRows struct {
	ctx     context.Context
	m       *infinitemap.Map
	at      infinitemap.Point
	width   int
	total   int64
	step    func(done, total int64)
	forgive func(error) error // of tiles that cannot be read
}

func (s *mapRows) ReadAt(p []byte, off int64) (int, error) {
	row := 3 * s.width
	if off%int64(row) != 0 || len(p)%row != 0 {
		return 0, fmt.Errorf("%d bytes at %d are no whole rows", len(p), off)
	}
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	err := s.m.ReadRegion(p, row, s.at.X, s.at.Y+off/int64(row), s.width, len(p)/row)
	if err != nil && s.forgive != nil {
		err = s.forgive(err)
	}
	if err != nil {
		return 0, err
	}
	if s.step != nil {
		s.step(off+int64(len(p)), s.total)
	}
	return len(p), nil
}

// exportBytes writes what put --bytes laid out.
func (a *app) exportBytes(cmd *cobra.Command, args []string, f *exportFlags) (err error) {
	if f.scale != "" || cmd.Flags().Changed("width") {
		return usagef("leave them out", "--scale and --width are for pictures, not for --bytes")
	}
	at, err := point(args[1], args[2])
	if err != nil {
		return err
	}
	if f.bytes < 1 {
		return usagef("say how many bytes were put there: --bytes 1500", "--bytes %d is no number of bytes", f.bytes)
	}
	if f.bytes > maxBytes {
		return usagef("say how many bytes were put there: --bytes 1500", "--bytes %d is over the limit of %s", f.bytes, abi.FormatBytes(maxBytes))
	}
	m, err := a.readMap(cmd, args[0], f.snapshot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	w, h := blockOf(f.bytes, m.TileSize())
	r, err := fits(at, w, h)
	if err != nil {
		return err
	}
	step, clear := a.progress("reading")
	write := func(dst io.Writer) error {
		return mapError(a.layBack(cmd.Context(), m.Map, r, f, dst, step), m.ref)
	}
	out := args[3]
	if out == "-" {
		b := bufio.NewWriterSize(a.out, 1<<20)
		if err = write(b); err == nil {
			err = b.Flush()
		}
		clear()
		return err
	}
	if _, err := os.Lstat(out); err == nil {
		return hinted(fmt.Errorf("%s exists", out), "choose another name, or remove the file first")
	}
	err = writeWhole(out, write)
	clear()
	if err != nil {
		return notThere(err, out, "name a file in a directory that exists")
	}
	if f.asJSON {
		return a.printJSON(mapExported{Map: m.ref.name, Region: regionOf(r), File: out, Width: w, Height: h, Bytes: f.bytes})
	}
	_, err = fmt.Fprintf(a.out, "%s: %s of %s from (%d,%d) on\n", term.Line(out), count(uint64(f.bytes), "byte", "bytes"), m.ref.said(), at.X, at.Y)
	return err
}

// layBack reads a block of bytes in bands.
func (a *app) layBack(ctx context.Context, m *infinitemap.Map, r infinitemap.Rect, f *exportFlags, dst io.Writer, step func(done, total int64)) error {
	w1, h1 := r.Size()
	w, left := int(w1)+1, int64(h1)+1
	band := make([]byte, 3*w*int(min(int64(max(bandBytes/(3*w), 1)), left)))
	src := &mapRows{ctx: ctx, m: m, at: r.Min, width: w, total: f.bytes, step: step}
	if f.salvage {
		src.forgive = func(err error) error { return a.salvaged(err, true) }
	}
	for done := int64(0); done < f.bytes; {
		b := band[:min(int64(len(band)), 3*int64(w)*left)]
		if _, err := src.ReadAt(b, done); err != nil {
			return err
		}
		left -= int64(len(b) / (3 * w))
		b = b[:min(int64(len(b)), f.bytes-done)]
		if _, err := dst.Write(b); err != nil {
			return err
		}
		done += int64(len(b))
	}
	return nil
}

// boxed gives the sides of the picture of a region that fills a box: in proportion, and
// enlarged by a whole number only.
func boxed(r infinitemap.Rect, w, h int) (int, int) {
	w1, h1 := r.Size()
	rw, rh := float64(w1)+1, float64(h1)+1
	s := min(float64(w)/rw, float64(h)/rh)
	if s > 1 {
		s = math.Floor(s)
	}
	return min(max(int(math.Round(rw*s)), 1), w), min(max(int(math.Round(rh*s)), 1), h)
}
