package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/host/infinitemap"
)

// mapPixel is the JSON form of one pixel. Coordinates are strings, see regionJSON.
type mapPixel struct {
	X      int64  `json:"x,string"`
	Y      int64  `json:"y,string"`
	Colour string `json:"colour"` // #rrggbb
	RGB    [3]int `json:"rgb"`
}

func colourText(c infinitemap.RGB) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (a *app) mapGetCmd() *cobra.Command {
	cmd := numbers(a.command("get MAP X Y [--snapshot NAME] [--json]", "Show the colour of a pixel",
		`Prints the colour of one pixel as #rrggbb; #000000 is also what nobody wrote. With
--json it is one object with the keys x, y (strings), colour and rgb.`,
		`  pxos-host map get world -5 -7
  pxos-host map get world 0 0 --json`))
	snapshot := snapshotFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(3, 3, "a map, X and Y")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		p, err := point(args[1], args[2])
		if err != nil {
			return err
		}
		m, err := a.readMap(cmd, args[0], *snapshot)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		c, err := m.At(p.X, p.Y)
		if err != nil {
			return mapError(err, m.ref)
		}
		if *asJSON {
			return a.printJSON(mapPixel{p.X, p.Y, colourText(c), [3]int{int(c.R), int(c.G), int(c.B)}})
		}
		_, err = fmt.Fprintln(a.out, colourText(c))
		return err
	}
	return cmd
}

func (a *app) mapSetCmd() *cobra.Command {
	cmd := numbers(a.command("set MAP X Y COLOUR", "Change the colour of a pixel",
		`Changes one pixel of a map that exists. COLOUR is rrggbb or rgb in hexadecimal, with
or without a # before it ('#ff8800' needs quotes in a shell), or r,g,b in decimal.
000000 is black, which is what nobody wrote.`,
		`  pxos-host map set world -5 -7 ff8800
  pxos-host map set world 0 0 255,136,0`))
	cmd.Args = argCount("a map, X, Y and a colour", 3, 4)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if len(args) == 3 {
			return usagef("write ff8800, or '#ff8800' in quotes: in a shell # begins a comment", "set needs a colour behind X and Y")
		}
		p, err := point(args[1], args[2])
		if err != nil {
			return err
		}
		c, err := colour(args[3])
		if err != nil {
			return err
		}
		m, err := a.writeMap(cmd, args[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		if err := m.Set(p.X, p.Y, c); err != nil {
			return mapError(err, m.ref)
		}
		if err := m.Flush(cmd.Context()); err != nil {
			return mapError(err, m.ref)
		}
		_, err = fmt.Fprintf(a.out, "%s: (%d,%d) is %s\n", m.ref.said(), p.X, p.Y, colourText(c))
		return err
	}
	return cmd
}

// colour reads rrggbb, rgb, both with or without #, or r,g,b.
func colour(s string) (infinitemap.RGB, error) {
	fail := usagef("write rrggbb in hexadecimal, such as ff8800, or r,g,b in decimal, such as 255,136,0", "%q is no colour", s)
	if strings.Contains(s, ",") {
		parts := strings.Split(s, ",")
		if len(parts) != 3 {
			return infinitemap.RGB{}, fail
		}
		var v [3]uint8
		for i, p := range parts {
			n, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
			if err != nil {
				return infinitemap.RGB{}, fail
			}
			v[i] = uint8(n)
		}
		return infinitemap.RGB{R: v[0], G: v[1], B: v[2]}, nil
	}
	hex := strings.TrimPrefix(s, "#")
	n, err := strconv.ParseUint(hex, 16, 24)
	switch {
	case err != nil:
	case len(hex) == 6:
		return infinitemap.RGB{R: uint8(n >> 16), G: uint8(n >> 8), B: uint8(n)}, nil
	case len(hex) == 3:
		return infinitemap.RGB{R: uint8(n>>8) * 17, G: uint8(n>>4&15) * 17, B: uint8(n&15) * 17}, nil
	}
	return infinitemap.RGB{}, fail
}
