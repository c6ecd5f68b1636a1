// Command pixels is a guest that keeps files and draws on a map through the SDK;
// contract_test.go builds it for wasip1 and runs it under the fake and the real host.
// Granted are pixelfs:/notes:write, pixelfs:/far/away:read and infinitemap:w:write.
package main

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
	"io/fs"
	"os"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/infinitemap"
	"github.com/pxos/pxos/sdk/pixelfs"
)

func init() {
	pxos.Register("probe:pixels", func(ctx *pxos.Context, _ pxos.None) (pxos.None, error) {
		return pxos.None{}, errors.Join(files(ctx.Stdout), plane(ctx.Stdout))
	})
}

// outcome is the code of an error, without the words around it.
func outcome(err error) string {
	var code pxos.Code
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &code):
		return code.String()
	}
	return err.Error()
}

func files(w io.Writer) error {
	walk := func() {
		err := fs.WalkDir(pixelfs.FS(), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				fmt.Fprintln(w, path, outcome(err))
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintln(w, path, info.IsDir(), info.Size())
			return nil
		})
		fmt.Fprintln(w, "walked", outcome(err))
	}
	walk()
	f, err := pixelfs.OpenFile("notes/log.txt", os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return err
	}
	for i := range 1000 {
		fmt.Fprintln(f, "line", i)
	}
	if err := f.Close(); err != nil {
		return err
	}
	data, err := pixelfs.ReadFile("notes/log.txt")
	fmt.Fprintln(w, "read", len(data), outcome(err))
	fmt.Fprintln(w, "make", outcome(pixelfs.MkdirAll("notes/deep/er")))
	fmt.Fprintln(w, "write", outcome(pixelfs.WriteFile("notes/deep/a.txt", data[:100])))
	fmt.Fprintln(w, "rename", outcome(pixelfs.Rename("notes/deep/a.txt", "notes/deep/er/b.txt")))
	list, err := pixelfs.Versions("notes/log.txt")
	fmt.Fprintln(w, "versions", len(list), outcome(err))
	walk()
	for _, name := range []string{"notes", "far/away", "far", "far/x", "elsewhere", "notes/../x", "/notes/log.txt", ""} {
		_, statErr := pixelfs.Stat(name)
		_, readErr := pixelfs.ReadFile(name)
		_, listErr := pixelfs.ReadDir(name)
		writeErr := pixelfs.WriteFile(name, []byte("x"))
		mkdirErr := pixelfs.Mkdir(name)
		renameErr := pixelfs.Rename("notes/log.txt", name)
		awayErr := pixelfs.Rename(name, "notes/away")
		trashErr := pixelfs.Trash(name)
		fmt.Fprintf(w, "%q: stat %s, read %s, list %s, write %s, mkdir %s, rename to %s, rename %s, trash %s\n", name, outcome(statErr), outcome(readErr), outcome(listErr), outcome(writeErr), outcome(mkdirErr), outcome(renameErr), outcome(awayErr), outcome(trashErr))
	}
	walk()
	return nil
}

func plane(w io.Writer) error {
	m, err := infinitemap.Create("w")
	if err != nil {
		return err
	}
	c, err := m.At(-3, 1<<62)
	fmt.Fprintln(w, "count", c, outcome(err))
	c.R++
	if err := m.Set(-3, 1<<62, c); err != nil {
		return err
	}
	v := m.View(image.Rect(-300, -300, 300, 300))
	draw.Draw(v, image.Rect(-200, -100, 200, 100), image.NewUniform(color.RGBA{20, 40, 60, 255}), image.Point{}, draw.Src)
	draw.Draw(v, image.Rect(0, 0, 50, 50), image.NewUniform(color.RGBA{100, 0, 0, 128}), image.Point{}, draw.Over)
	if err := v.Flush(); err != nil {
		return err
	}
	b := m.Batch()
	for i := range int64(5000) {
		b.Set(i*i, -i, infinitemap.RGB{R: 1, G: uint8(i), B: uint8(i >> 8)})
	}
	if err := b.Flush(); err != nil {
		return err
	}
	small := make([]byte, 3*10*10)
	err = m.ReadLevel(small, 6, -5, -5, 10, 10)
	fmt.Fprintf(w, "%x %s\n", small, outcome(err))
	first, last, ok, err := m.Bounds()
	fmt.Fprintln(w, first, last, ok, outcome(err))
	tiles, err := m.Tiles(infinitemap.Everywhere)
	fmt.Fprintln(w, len(tiles), outcome(err))
	fmt.Fprintln(w, v.At(10, 10), v.At(-10, -10), outcome(v.Flush()))
	_, err = infinitemap.Open("x")
	fmt.Fprintln(w, "another map", outcome(err))
	return m.Close()
}

func main() { pxos.Main() }
