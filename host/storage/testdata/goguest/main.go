// Command goguest uses the pixel files as package os knows files, and through the SDK,
// and the maps. It says what is wrong and fails, or says nothing. With the argument speed
// it sets and gets pixels for a while and prints how many a second.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"github.com/pxos/pxos/sdk/infinitemap"
	"github.com/pxos/pxos/sdk/pixelfs"
)

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func want[T comparable](what string, got, want T) {
	if got != want {
		fmt.Fprintf(os.Stderr, "%s: %v, want %v\n", what, got, want)
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "speed" {
		speed()
		return
	}
	asFiles()
	throughSDK()
	maps()
}

const dir = "/pixelfs"

func asFiles() {
	check("mkdir", os.MkdirAll(dir+"/notes/2026", 0o755))
	path := dir + "/notes/2026/a.txt"
	check("write", os.WriteFile(path, []byte("hello"), 0o644))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check("open", err)
	_, err = f.WriteAt([]byte("J"), 0)
	check("write at", err)
	end, err := f.Seek(3, io.SeekEnd)
	check("seek", err)
	want("end", end, 8)
	_, err = f.Write([]byte("!"))
	check("write behind the end", err)
	check("sync", f.Sync())
	check("truncate", f.Truncate(10))
	st, err := f.Stat()
	check("stat", err)
	want("size", st.Size(), 10)
	data := make([]byte, 20)
	n, err := f.ReadAt(data, 0)
	want("read to the end", err, io.EOF)
	want("content", string(data[:n]), "Jello\x00\x00\x00!\x00")
	check("close", f.Close())

	a, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	check("open to append", err)
	_, err = a.WriteString("more")
	check("append", err)
	check("close", a.Close())
	_, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	want("exclusive", errors.Is(err, fs.ErrExist), true)
	_, err = os.Open(dir + "/none")
	want("missing", errors.Is(err, fs.ErrNotExist), true)
	check("times", os.Chtimes(path, time.Time{}, time.Unix(1_000_000_000, 0)))
	st, err = os.Stat(path)
	check("stat", err)
	want("time", st.ModTime().Unix(), 1_000_000_000)

	check("rename", os.Rename(path, dir+"/notes/b.txt"))
	check("rename a directory", os.Rename(dir+"/notes", dir+"/papers"))
	check("write", os.WriteFile(dir+"/papers/c.txt", []byte("c"), 0o644))
	check("rename over", os.Rename(dir+"/papers/b.txt", dir+"/papers/c.txt"))
	content, err := os.ReadFile(dir + "/papers/c.txt")
	check("read", err)
	want("content", string(content), "Jello\x00\x00\x00!\x00more")
	want("link", os.Symlink("a", dir+"/l") != nil, true)

	var names []string
	check("walk", filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	want("names", strings.Join(names, " "), "/pixelfs /pixelfs/papers /pixelfs/papers/2026 /pixelfs/papers/c.txt")
	for i := range 40 {
		check("many", os.WriteFile(fmt.Sprintf("%s/papers/2026/%02d", dir, i), nil, 0o644))
	}
	list, err := os.ReadDir(dir + "/papers/2026")
	check("list many", err)
	want("many", len(list), 40)
	want("rmdir of a full one", os.Remove(dir+"/papers/2026") != nil, true)
	check("remove all", os.RemoveAll(dir+"/papers/2026"))
	check("remove", os.WriteFile(dir+"/gone", []byte("x"), 0o644))
	check("remove", os.Remove(dir+"/gone"))

	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	check("write a large file", os.WriteFile(dir+"/big", big, 0o644))
	got, err := os.ReadFile(dir + "/big")
	check("read a large file", err)
	want("large content", bytes.Equal(got, big), true)
}

func throughSDK() {
	data, err := pixelfs.ReadFile("papers/c.txt")
	check("read what was written to the directory", err)
	want("content", string(data), "Jello\x00\x00\x00!\x00more")
	check("write", pixelfs.WriteFile("papers/d.txt", []byte("through the SDK")))
	data, err = os.ReadFile(dir + "/papers/d.txt")
	check("read in the directory", err)
	want("content", string(data), "through the SDK")
	check("as a file system", fstest.TestFS(pixelfs.FS(), "papers/c.txt", "papers/d.txt", "big"))
	check("bring back", pixelfs.Untrash("gone"))
	data, err = os.ReadFile(dir + "/gone")
	check("read what was brought back", err)
	want("content", string(data), "x")
	vs, err := pixelfs.Versions("papers/d.txt")
	check("versions", err)
	want("versions", len(vs), 1)
	check("verify", pixelfs.Verify("big"))
}

func maps() {
	m, err := infinitemap.Create("world")
	check("create a map", err)
	check("set", m.Set(-5, 7, infinitemap.RGB{R: 1, G: 2, B: 3}))
	c, err := m.At(-5, 7)
	check("get", err)
	want("colour", c, infinitemap.RGB{R: 1, G: 2, B: 3})
	pix := make([]byte, 3*600*300)
	for i := range pix {
		pix[i] = byte(i % 251)
	}
	check("write a region", m.WriteRegion(pix, -300, -150, 600, 300))
	got := make([]byte, len(pix))
	check("read a region", m.ReadRegion(got, -300, -150, 600, 300))
	want("region", bytes.Equal(got, pix), true)
	check("flush", m.Flush())
	check("snapshot", m.Snapshot("first"))
	check("close", m.Close())
	names, err := infinitemap.Maps()
	check("maps", err)
	want("maps", strings.Join(names, " "), "world")
}

// speed measures batched access to pixels, near each other and far apart.
func speed() {
	m, err := infinitemap.Create("speed")
	check("create", err)
	const n = 1 << 16
	pixels, points, colours := make([]infinitemap.Pixel, n), make([]infinitemap.Point, n), make([]infinitemap.RGB, n)
	for i := range pixels {
		p := infinitemap.Point{X: int64(i % 256), Y: int64(i / 256)}
		pixels[i], points[i] = infinitemap.Pixel{Point: p, RGB: infinitemap.RGB{R: byte(i), G: byte(i >> 8), B: 1}}, p
	}
	run := func(what string, f func() error) {
		check(what, f())
		begin, rounds := time.Now(), 0
		for time.Since(begin) < 300*time.Millisecond {
			check(what, f())
			rounds++
		}
		fmt.Printf("%s %.0f\n", what, float64(rounds*n)/time.Since(begin).Seconds())
	}
	run("set_many", func() error { return m.SetMany(pixels) })
	run("get_many", func() error { return m.GetMany(colours, points) })
	for i := range pixels {
		x := uint32(i) * 2654435761
		p := infinitemap.Point{X: int64(x % 2048), Y: int64(x >> 16 % 2048)}
		pixels[i].Point, points[i] = p, p
	}
	run("set_many_scattered", func() error { return m.SetMany(pixels) })
	run("get_many_scattered", func() error { return m.GetMany(colours, points) })
	one := infinitemap.RGB{R: 9}
	run("set", func() error {
		for i := range int64(n) {
			if err := m.Set(i%256, i/256, one); err != nil {
				return err
			}
		}
		return nil
	})
	pix := make([]byte, 3*n)
	run("write_region", func() error { return m.WriteRegion(pix, 0, 0, 256, 256) })
	run("read_region", func() error { return m.ReadRegion(pix, 0, 0, 256, 256) })
}
