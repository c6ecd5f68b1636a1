package pxi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a .pxi file costs is measured beside the plain file of the same size
// that a program would use instead. Both take turns in one loop, and the best
// time of each counts, so that other work on the machine disturbs neither more
// than the other. Run with TMPDIR on the disk that is asked about.

const benchSize = 256 << 20

type contender struct {
	name string
	run  func() error
}

// compare reports MB/s for each contender and, for all but the first, which is
// the peer, the share of its speed in per cent.
func compare(b *testing.B, bytes int64, list ...contender) {
	b.Helper()
	best := make([]time.Duration, len(list))
	for b.Loop() {
		for i, c := range list {
			start := time.Now()
			if err := c.run(); err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
			if d := time.Since(start); best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	for i, c := range list {
		b.ReportMetric(float64(bytes)/1e6/best[i].Seconds(), c.name+"-MB/s")
		if i > 0 {
			b.ReportMetric(100*best[0].Seconds()/best[i].Seconds(), c.name+"-%")
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	name := filepath.Join(b.TempDir(), "file")
	data := noise(benchSize)
	const piece = 1 << 20
	onDisk := func(write func(f *os.File) error) func() error {
		return func() error {
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			defer os.Remove(name)
			defer f.Close()
			if err := write(f); err != nil {
				return err
			}
			return f.Sync()
		}
	}
	pxi := func(opt Options, feed func(w *Writer) error) func() error {
		return onDisk(func(f *os.File) error {
			w, err := NewWriter(f, opt)
			if err != nil {
				return err
			}
			if err := feed(w); err != nil {
				return err
			}
			_, err = w.Close()
			return err
		})
	}
	pieces := func(n int) func(w *Writer) error {
		return func(w *Writer) error {
			for rest := data; len(rest) > 0; rest = rest[n:] {
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	compare(b, benchSize,
		contender{"plain+sha256", onDisk(func(f *os.File) error {
			h := sha256.New()
			for rest := data; len(rest) > 0; rest = rest[piece:] {
				h.Write(rest[:piece])
				if _, err := f.Write(rest[:piece]); err != nil {
					return err
				}
			}
			h.Sum(nil)
			return nil
		})},
		contender{"1MiB", pxi(Options{}, pieces(piece))},
		contender{"64KiB", pxi(Options{}, pieces(64<<10))},
		contender{"ReadFrom", pxi(Options{}, func(w *Writer) error {
			_, err := w.ReadFrom(bytes.NewReader(data))
			return err
		})},
		contender{"auto", pxi(Options{Compression: Auto}, pieces(piece))},
	)
}

// benchFile makes a .pxi and a plain file of n bytes.
func benchFile(b *testing.B, n int, opt Options) (pxi, plain *os.File) {
	b.Helper()
	dir := b.TempDir()
	create := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	pxi, plain = create("file.pxi"), create("file")
	w, err := NewWriter(pxi, opt)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 1<<20)
	for ; n > 0; n -= len(buf) {
		r.Read(buf)
		if _, err := w.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := plain.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		b.Fatal(err)
	}
	// Write-back in the background would disturb what follows.
	if err := errors.Join(pxi.Sync(), plain.Sync()); err != nil {
		b.Fatal(err)
	}
	return pxi, plain
}

func openFile(f *os.File) (*Reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return NewReader(f, st.Size())
}

func BenchmarkReadWhole(b *testing.B) {
	pxi, plain := benchFile(b, benchSize, Options{})
	buf := make([]byte, 1<<20)
	compare(b, benchSize,
		contender{"plain+sha256", func() error {
			h := sha256.New()
			for off := int64(0); off < benchSize; off += int64(len(buf)) {
				if _, err := plain.ReadAt(buf, off); err != nil {
					return err
				}
				h.Write(buf)
			}
			h.Sum(nil)
			return nil
		}},
		contender{"pxi", func() error {
			r, err := openFile(pxi)
			if err != nil {
				return err
			}
			_, err = r.WriteTo(io.Discard)
			return err
		}},
	)
}

func BenchmarkVerify(b *testing.B) {
	pxi, _ := benchFile(b, benchSize, Options{})
	data := noise(benchSize)
	compare(b, benchSize,
		contender{"sha256-of-memory", func() error { sha256.Sum256(data); return nil }},
		contender{"pxi", func() error {
			r, err := openFile(pxi)
			if err != nil {
				return err
			}
			rep, err := r.Verify(context.Background(), nil)
			return errors.Join(err, rep.Err())
		}},
	)
}

func BenchmarkReadAt4K(b *testing.B) {
	const (
		size = 1 << 30
		ops  = 5000
	)
	pxi, plain := benchFile(b, size, Options{})
	file, err := os.ReadFile(pxi.Name())
	if err != nil {
		b.Fatal(err)
	}
	mem, err := NewBytesReader(file)
	if err != nil {
		b.Fatal(err)
	}
	r, err := openFile(pxi)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 4096)
	at := func(r io.ReaderAt, mask int64) func() error {
		return func() error {
			rng := rand.New(rand.NewPCG(3, 4))
			for range ops {
				if _, err := r.ReadAt(buf, rng.Int64N(size-4096)&mask); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, mask := range map[string]int64{"aligned": ^int64(4095), "anywhere": ^int64(0)} {
		b.Run(name, func(b *testing.B) {
			compare(b, ops*4096, contender{"plain", at(plain, mask)}, contender{"pxi", at(r, mask)}, contender{"pxi-in-memory", at(mem, mask)})
		})
	}
}

func BenchmarkBlocks(b *testing.B) {
	data := text(DefaultCompressedBlock)
	for _, c := range []Compression{RLE, LZ4} {
		var p packer
		packed := p.pack(nil, data, c)
		b.Run("pack/"+c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var out []byte
			for b.Loop() {
				out = p.pack(out[:0], data, c)
			}
		})
		b.Run("unpack/"+c.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			out := make([]byte, len(data))
			for b.Loop() {
				if err := unpack(out, packed, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSmall(b *testing.B) {
	data := noise(1024)
	file, err := Encode(data, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Encode 1 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode(data, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decode 1 KiB", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(file); err != nil {
				b.Fatal(err)
			}
		}
	})
}
