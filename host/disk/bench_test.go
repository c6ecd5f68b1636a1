package disk_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

// Each benchmark does one thing through this package and beside it through package os,
// in a directory and three directories down.
func BenchmarkDir(b *testing.B) {
	for _, at := range []struct{ name, dir string }{{"here", ""}, {"three down", "one/two/three/"}} {
		depth := at.dir
		dir := b.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, depth), 0o700); err != nil {
			b.Fatal(err)
		}
		d, err := disk.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		in := func(name string) string { return filepath.Join(dir, depth+name) }
		ok := func(err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		block := make([]byte, 4096)
		for i := range 100 {
			ok(os.WriteFile(in(fmt.Sprintf("f%02d", i)), block, 0o600))
		}
		for _, c := range []struct {
			name       string
			ours, peer func()
		}{
			{"open and close", func() {
				f, err := d.OpenFile(depth+"f00", os.O_RDONLY)
				ok(err)
				ok(f.Close())
			}, func() {
				f, err := os.OpenFile(in("f00"), os.O_RDONLY, 0)
				ok(err)
				ok(f.Close())
			}},
			{"lstat", func() {
				_, err := d.Lstat(depth + "f00")
				ok(err)
			}, func() {
				_, err := os.Lstat(in("f00"))
				ok(err)
			}},
			{"list 100", func() {
				_, err := d.ReadDir(path.Clean(depth))
				ok(err)
			}, func() {
				_, err := os.ReadDir(filepath.Join(dir, depth))
				ok(err)
			}},
			{"create, write 1 KiB, rename", func() {
				f, err := d.OpenFile(depth+"t", os.O_RDWR|os.O_CREATE|os.O_EXCL)
				ok(err)
				_, err = f.Write(block[:1024])
				ok(err)
				ok(f.Close())
				ok(d.Rename(depth+"t", depth+"u"))
			}, func() {
				f, err := os.OpenFile(in("t"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
				ok(err)
				_, err = f.Write(block[:1024])
				ok(err)
				ok(f.Close())
				ok(os.Rename(in("t"), in("u")))
			}},
			{"replace 1 KiB durably", func() {
				ok(disk.WriteFile(d, depth+"u", func(f disk.File) error {
					_, err := f.Write(block[:1024])
					return err
				}))
			}, func() {
				f, err := os.OpenFile(in("t"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
				ok(err)
				_, err = f.Write(block[:1024])
				ok(err)
				ok(f.Sync())
				ok(f.Close())
				ok(os.Rename(in("t"), in("u")))
				g, err := os.Open(filepath.Join(dir, depth))
				ok(err)
				ok(g.Sync())
				ok(g.Close())
			}},
		} {
			b.Run(at.name+"/"+c.name+"/disk", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.ours()
				}
			})
			b.Run(at.name+"/"+c.name+"/os", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.peer()
				}
			})
		}
	}
}

func BenchmarkFile(b *testing.B) {
	dir := b.TempDir()
	d, err := disk.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	f, err := d.OpenFile("a", os.O_RDWR|os.O_CREATE)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	o, err := os.OpenFile(filepath.Join(dir, "a"), os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	const size = 64 << 20
	block := make([]byte, 4096)
	for off := int64(0); off < size; off += int64(len(block)) {
		if _, err := f.WriteAt(block, off); err != nil {
			b.Fatal(err)
		}
	}
	m, err := d.Map(f)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for _, c := range []struct {
		name string
		do   func(off int64) error
	}{
		{"read 4 KiB/disk", func(off int64) error { _, err := f.ReadAt(block, off); return err }},
		{"read 4 KiB/os", func(off int64) error { _, err := o.ReadAt(block, off); return err }},
		{"read 4 KiB/mapped", func(off int64) error {
			return disk.Guarded(func() { copy(block, m.Bytes()[off:]) })
		}},
		{"write 4 KiB/disk", func(off int64) error { _, err := f.WriteAt(block, off); return err }},
		{"write 4 KiB/os", func(off int64) error { _, err := o.WriteAt(block, off); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			at := int64(0)
			for b.Loop() {
				at = (at + 40503*4096) % size
				if err := c.do(at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("guard of nothing", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if err := disk.Guarded(func() { n++ }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLock(b *testing.B) {
	d := fresh(b)
	for name, how := range map[string]disk.LockMode{"shared": disk.Shared, "exclusive": disk.Exclusive} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l, err := d.Lock("lock", how)
				if err != nil {
					b.Fatal(err)
				}
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
