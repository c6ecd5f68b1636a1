package pxa

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"testing"
)

func TestLook(t *testing.T) {
	names := []string{"hello", "life", "wc", "markdown-render", "sqlite", "quickjs", "go fmt", "pixel-llm", "coach", "αβγ"}
	im := image.NewRGBA(image.Rect(0, 0, 2*264, 5*104))
	for i, n := range names {
		d := Digest(sha256.Sum256([]byte(n)))
		c := drawCover(d, title{n, fmt.Sprintf("1.%d.0", i)})
		for y := range c {
			for x, p := range c[y] {
				im.Set(i%2*264+x, i/2*104+y, color.RGBA{p[0], p[1], p[2], 255})
			}
		}
		for _, w := range widths {
			b, sum := c.encode(w)
			if w > 1024 {
				continue
			}
			t.Log(n, w, len(b))
			z, err := zlib.NewReader(io.MultiReader(bytes.NewReader(b), bytes.NewReader(append([]byte{1, 0, 0, 255, 255}, binary.BigEndian.AppendUint32(nil, sum.value())...))))
			if err != nil {
				t.Fatal(err)
			}
			k, err := io.Copy(io.Discard, z)
			if err != nil || k != coverRowsFor(w)*int64(1+3*w) {
				t.Fatal(w, k, err)
			}
		}
	}
	f, _ := os.Create("/tmp/look.png")
	png.Encode(f, im)
	f.Close()
}
