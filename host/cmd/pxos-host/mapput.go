package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/term"
)

// mapWritten is the JSON form of what put did. Coordinates are strings, see regionJSON.
type mapWritten struct {
	Map        string     `json:"map"`
	Path       string     `json:"path"`
	Region     regionJSON `json:"region"`
	Bytes      int64      `json:"bytes,omitempty"` // with --bytes
	Generation uint64     `json:"generation"`
}

func (a *app) mapPutCmd() *cobra.Command {
	cmd := numbers(a.command("put MAP X Y FILE [--bytes] [flags]", "Put a picture, or bytes, on a map",
		`Puts a picture on a map, its top left pixel at X Y, and begins the map when there is
none. FILE is a PNG, JPEG or GIF picture (of an animation, the first frame), or - for
standard input. A PNG picture may be larger than memory. Pixels that are transparent
leave the map as it is, those that are partly so are mixed with what is there.

With --bytes any file is laid out as pixels, three bytes each, row by row in a block as
wide as a tile, or narrower when there are fewer pixels; map export --bytes N reads it.

All of it appears in one step, or nothing: not after a crash, and not when the file
turns out to be damaged.`,
		`  pxos-host map put world -320 -240 photo.png
  pxos-host map put --bytes world 0 1000 notes.txt`))
	fl := cmd.Flags()
	raw := fl.Bool("bytes", false, "lay out the file's bytes instead of a picture")
	tile := fl.Int("tile-size", 0, "`PIXELS` a side of the tiles of a new map: 16, 32, … 1024 (default: 256)")
	fl.Lookup("tile-size").DefValue = "0"
	asJSON := fl.Bool("json", false, "one JSON object")
	cmd.Args = takes(4, 4, "a map, X, Y and a file")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		at, err := point(args[1], args[2])
		if err != nil {
			return err
		}
		opt := infinitemap.Options{TileSize: *tile}
		if s := *tile; cmd.Flags().Changed("tile-size") && (s < infinitemap.MinTileSize || s > infinitemap.MaxTileSize || s&(s-1) != 0) {
			return usagef("choose 16, 32, 64, 128, 256, 512 or 1024", "a tile cannot have %d pixels a side", s)
		}
		in, err := a.openInput(args[3])
		if err != nil {
			return err
		}
		defer in.Close()
		out := mapWritten{}
		var m *openMap
		if *raw {
			m, err = a.putBytes(cmd, args[0], at, in, opt, &out)
		} else {
			m, err = a.putPicture(cmd, args[0], at, in, opt, &out)
		}
		if m == nil {
			return err
		}
		if err == nil {
			err = m.Flush(cmd.Context())
		}
		if err != nil {
			return errors.Join(mapError(err, m.ref), m.undo(err))
		}
		out.Map, out.Generation = m.ref.name, m.Generation()
		out.Path, err = filepath.Abs(m.ref.dir)
		if err := errors.Join(err, m.close()); err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(out)
		}
		what := ""
		if *raw {
			what = count(uint64(out.Bytes), "byte", "bytes") + " as "
		}
		_, err = fmt.Fprintf(a.out, "%s: %s%s x %s pixels at (%d,%d)\n", m.ref.said(), what, out.Region.W, out.Region.H, at.X, at.Y)
		return err
	}
	return cmd
}

// openInput opens a file to read, or standard input.
func (a *app) openInput(name string) (*os.File, error) {
	if name == "-" {
		if isTerminal(a.in) {
			return nil, usagef("pipe it in, or name a file", "a terminal is no picture")
		}
		return a.in, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, notThere(err, name, "name a file, or - for standard input")
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = hinted(fmt.Errorf("%s is a directory", name), "name a file in it")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fits returns the region of w × h pixels from a point on.
func fits(at infinitemap.Point, w, h int64) (infinitemap.Rect, error) {
	r, err := infinitemap.RectAt(at.X, at.Y, w, h)
	if err != nil {
		return r, usagef("choose a smaller X or Y", "the %d x %d pixels would reach beyond the plane", w, h)
	}
	return r, nil
}

// putPicture draws a picture on a map, without a flush. The map is returned when it was
// opened.
func (a *app) putPicture(cmd *cobra.Command, arg string, at infinitemap.Point, in *os.File, opt infinitemap.Options, out *mapWritten) (*openMap, error) {
	pic, err := openPicture(in)
	if err != nil {
		return nil, hinted(fmt.Errorf("%s: %w", term.Line(in.Name()), err), pictureHint(err))
	}
	r, err := fits(at, int64(pic.width), int64(pic.height))
	if err != nil {
		return nil, err
	}
	// A row of tiles in memory, so that each is written once although rows come one by one.
	side := int64(max(opt.TileSize, infinitemap.DefaultTileSize))
	opt.CacheBytes = min(max(infinitemap.DefaultCacheBytes, 2*3*side*(int64(pic.width)+2*side)), 1<<30)
	m, err := a.makeMap(cmd, arg, opt)
	if err != nil {
		return nil, err
	}
	out.Region = regionOf(r)
	step, clear := a.progress("writing")
	defer clear()
	if err := drawPicture(cmd.Context(), m.Map, at, pic, step); err != nil {
		if pic.failed {
			err = hinted(fmt.Errorf("%s: %w", term.Line(in.Name()), err), "nothing was changed; "+pictureHint(err))
		}
		return m, err
	}
	return m, nil
}

func pictureHint(err error) string {
	switch {
	case errors.Is(err, errNoPicture):
		return "put takes PNG, JPEG and GIF pictures; --bytes lays out any file"
	case errors.Is(err, errLargePicture):
		return "save it as a PNG picture that is not interlaced, which may have any size, or in parts"
	}
	return "the picture is damaged: get another copy"
}

// bandBytes is about how many bytes of pixels are handled at once.
const bandBytes = 4 << 20

// drawPicture copies a picture to a map in bands that end where tiles end.
func drawPicture(ctx context.Context, m *infinitemap.Map, at infinitemap.Point, pic *picture, step func(done, total int64)) error {
	w, tile := pic.width, m.TileSize()
	most := min(max(bandBytes/(4*w), 1), tile)
	src := make([]byte, 4*w*min(most, pic.height))
	dst := make([]byte, 3*w*min(most, pic.height))
	total := 3 * int64(w) * int64(pic.height)
	for y := 0; y < pic.height; {
		if err := ctx.Err(); err != nil {
			return err
		}
		top := at.Y + int64(y)
		n := min(most, pic.height-y, tile-int(top&int64(tile-1)))
		src, dst := src[:4*w*n], dst[:3*w*n]
		if err := pic.rows(src, n); err != nil {
			pic.failed = true
			return err
		}
		if !opaque(src) {
			if err := m.ReadRegion(dst, 3*w, at.X, top, w, n); err != nil {
				return err
			}
		}
		blend(dst, src)
		if err := m.WriteRegion(dst, 3*w, at.X, top, w, n); err != nil {
			return err
		}
		if y += n; step != nil {
			step(3*int64(w)*int64(y), total)
		}
	}
	if err := pic.end(); err != nil {
		pic.failed = true
		return err
	}
	return nil
}

// opaque reports whether all pixels of four bytes hide what is below them.
func opaque(rgba []byte) bool {
	for i := 3; i < len(rgba); i += 4 {
		if rgba[i] != 255 {
			return false
		}
	}
	return true
}

// blend lays pixels with alpha, not premultiplied, over pixels of three bytes.
func blend(dst, src []byte) {
	for len(src) >= 4 {
		d, s := dst[:3:3], src[:4:4]
		switch a := uint32(s[3]); a {
		case 255:
			d[0], d[1], d[2] = s[0], s[1], s[2]
		case 0:
		default:
			for i := range 3 {
				d[i] = uint8((uint32(s[i])*a + uint32(d[i])*(255-a) + 127) / 255)
			}
		}
		dst, src = dst[3:], src[4:]
	}
}

// putBytes lays out a file on a map, without a flush.
func (a *app) putBytes(cmd *cobra.Command, arg string, at infinitemap.Point, in *os.File, opt infinitemap.Options, out *mapWritten) (*openMap, error) {
	size := int64(-1) // not known of a pipe
	if info, err := in.Stat(); err != nil {
		return nil, err
	} else if info.Mode().IsRegular() {
		size = info.Size()
	}
	if size == 0 {
		return nil, hinted(fmt.Errorf("%s is empty", in.Name()), "there is nothing to put on the map")
	}
	m, err := a.makeMap(cmd, arg, opt)
	if err != nil {
		return nil, err
	}
	if size > 0 {
		w, h := blockOf(size, m.TileSize())
		if _, err := fits(at, w, h); err != nil {
			return m, err
		}
	}
	step, clear := a.progress("writing")
	defer clear()
	n, err := layOut(cmd.Context(), m.Map, at, in, size, step)
	if err != nil {
		return m, err
	}
	if n == 0 {
		return m, hinted(errors.New("there were no bytes"), "there is nothing to put on the map")
	}
	w, h := blockOf(n, m.TileSize())
	r, err := fits(at, w, h)
	out.Region, out.Bytes = regionOf(r), n
	return m, err
}

// blockOf gives the sides of the block that bytes fill, as infinitemap.Map.WriteBytes
// lays them out.
func blockOf(bytes int64, tile int) (w, h int64) {
	pixels := bytes / 3
	if bytes%3 != 0 {
		pixels++
	}
	w = min(int64(tile), pixels)
	return w, (pixels-1)/w + 1
}

// layOut writes the bytes of r as infinitemap.Map.WriteBytes would all at once, and
// returns how many there were.
func layOut(ctx context.Context, m *infinitemap.Map, at infinitemap.Point, r io.Reader, size int64, step func(done, total int64)) (int64, error) {
	row := 3 * m.TileSize()
	band := make([]byte, max(bandBytes/row, 1)*row)
	in := bufio.NewReaderSize(r, 64<<10)
	for sum := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := io.ReadFull(in, band)
		if err == io.EOF {
			return sum, nil
		}
		last := err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return sum, err
		}
		b := band[:n]
		if rest := n % row; rest != 0 && (sum > 0 || n > row) {
			// The block has its full width already.
			clear(band[n : n-rest+row])
			b = band[:n-rest+row]
		}
		down := sum / int64(row)
		if at.Y > math.MaxInt64-down {
			return sum, usagef("choose a smaller Y", "after %s the rest would reach beyond the plane", abi.FormatBytes(sum))
		}
		if _, _, err := m.WriteBytes(at.X, at.Y+down, b); err != nil {
			return sum, err
		}
		sum += int64(n)
		if last {
			return sum, nil
		}
		if step != nil && size > 0 {
			step(sum, size)
		}
	}
}
