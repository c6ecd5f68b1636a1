package main

import (
	"image"
	"image/color"
	"strings"
)

// glyphs is a font of capital letters, five rows high, as a person would draw it on
// squared paper. Rows of a glyph are separated by a slash.
var glyphs = map[rune]string{
	'A': ".##./#..#/####/#..#/#..#", 'B': "###./#..#/###./#..#/###.", 'C': ".###/#.../#.../#.../.###",
	'D': "###./#..#/#..#/#..#/###.", 'E': "####/#.../###./#.../####", 'F': "####/#.../###./#.../#...",
	'G': ".###/#.../#.##/#..#/.###", 'H': "#..#/#..#/####/#..#/#..#", 'I': "#/#/#/#/#",
	'J': "..##/...#/...#/#..#/.##.", 'K': "#..#/#.#./##../#.#./#..#", 'L': "#.../#.../#.../#.../####",
	'M': "#...#/##.##/#.#.#/#...#/#...#", 'N': "#..#/##.#/#.##/#..#/#..#", 'O': ".##./#..#/#..#/#..#/.##.",
	'P': "###./#..#/###./#.../#...", 'Q': ".##./#..#/#..#/#.#./.#.#", 'R': "###./#..#/###./#.#./#..#",
	'S': ".###/#.../.##./...#/###.", 'T': "###/.#./.#./.#./.#.", 'U': "#..#/#..#/#..#/#..#/.##.",
	'V': "#...#/#...#/.#.#./.#.#./..#..", 'W': "#...#/#...#/#.#.#/##.##/#...#", 'X': "#.#/#.#/.#./#.#/#.#",
	'Y': "#.#/#.#/.#./.#./.#.", 'Z': "####/..#./.#../#.../####",
	'0': ".##./#..#/#..#/#..#/.##.", '1': ".#/##/.#/.#/.#", '2': "###./...#/.##./#.../####",
	'3': "###./...#/.##./...#/###.", '4': "#..#/#..#/####/...#/...#", '5': "####/#.../###./...#/###.",
	'6': ".##./#.../###./#..#/.##.", '7': "####/...#/..#./.#../.#..", '8': ".##./#..#/.##./#..#/.##.",
	'9': ".##./#..#/.###/...#/.##.", ' ': "../../../../..", '-': ".../.../###/.../...",
	'.': "././././#", ',': "../../../.#/#.", '\'': "#/#/./././",
}

// text draws s with its upper left corner at x, y; characters without a glyph are
// left out. scale is the size of a dot.
func text(img *image.RGBA, x, y, scale int, c color.RGBA, s string) {
	for _, r := range strings.ToUpper(s) {
		rows := strings.Split(glyphs[r], "/")
		for j, row := range rows {
			for i := range row {
				if row[i] == '#' {
					fill(img, image.Rect(x+i*scale, y+j*scale, x+(i+1)*scale, y+(j+1)*scale), c)
				}
			}
		}
		if w := len(rows[0]); w > 0 {
			x += (w + 1) * scale
		}
	}
}

// textWidth is how many pixels wide text draws s.
func textWidth(s string, scale int) int {
	w := 0
	for _, r := range strings.ToUpper(s) {
		if row, _, _ := strings.Cut(glyphs[r], "/"); row != "" {
			w += (len(row) + 1) * scale
		}
	}
	return max(w-scale, 0)
}
