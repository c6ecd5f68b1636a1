package pxi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// The benchmarks come in pairs: what a .pxi file costs, and the plain file of
// the same size that a program would use instead, in the same run. Run them
// with TMPDIR on the disk that is asked about.

const benchSize = 256 << 20

func benchData(b *testing.B, n int) []byte {
	b.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	b.SetBytes(int64(n))
	return data
}

func createFile(b *testing.B, name string) *os.File {
	b.Helper()
	os.Remove(name)
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func finish(b *testing.B, f *os.File) {
	b.Helper()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	name := filepath.Join(b.TempDir(), "file")
	const piece = 1 << 20
	b.Run("plain+sha256+fsync", func(b *testing.B) {
		data := benchData(b, benchSize)
		for b.Loop() {
			f := createFile(b, name)
			h := sha256.New()
			for rest := data; len(rest) > 0; rest = rest[piece:] {
				h.Write(rest[:piece])
				if _, err := f.Write(rest[:piece]); err != nil {
					b.Fatal(err)
				}
			}
			h.Sum(nil)
			finish(b, f)
		}
	})
	pxi := func(opt Options, feed func(w *Writer, data []byte) error) func(b *testing.B) {
		return func(b *testing.B) {
			data := benchData(b, benchSize)
			for b.Loop() {
				f := createFile(b, name)
				w, err := NewWriter(f, opt)
				if err != nil {
					b.Fatal(err)
				}
				if err := feed(w, data); err != nil {
					b.Fatal(err)
				}
				if _, err := w.Close(); err != nil {
					b.Fatal(err)
				}
				finish(b, f)
			}
		}
	}
	pieces := func(n int) func(w *Writer, data []byte) error {
		return func(w *Writer, data []byte) error {
			for ; len(data) > 0; data = data[n:] {
				if _, err := w.Write(data[:n]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	b.Run("pxi+fsync/1MiB", pxi(Options{}, pieces(piece)))
	b.Run("pxi+fsync/64KiB", pxi(Options{}, pieces(64<<10)))
	b.Run("pxi+fsync/ReadFrom", pxi(Options{}, func(w *Writer, data []byte) error {
		_, err := w.ReadFrom(bytes.NewReader(data))
		return err
	}))
	b.Run("pxi+fsync/auto", pxi(Options{Compression: Auto}, pieces(piece)))
}

// benchFile makes a .pxi and a plain file of n bytes.
func benchFile(b *testing.B, n int, opt Options) (pxi, plain *os.File) {
	b.Helper()
	dir := b.TempDir()
	pxi, plain = createFile(b, filepath.Join(dir, "file.pxi")), createFile(b, filepath.Join(dir, "file"))
	b.Cleanup(func() { pxi.Close(); plain.Close() })
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
	pxi.Sync()
	plain.Sync()
	return pxi, plain
}

func openFile(b *testing.B, f *os.File) *Reader {
	b.Helper()
	st, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	r, err := NewReader(f, st.Size())
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkReadWhole(b *testing.B) {
	pxi, plain := benchFile(b, benchSize, Options{})
	buf := make([]byte, 1<<20)
	b.Run("plain+sha256", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			h := sha256.New()
			for off := int64(0); off < benchSize; off += int64(len(buf)) {
				if _, err := plain.ReadAt(buf, off); err != nil {
					b.Fatal(err)
				}
				h.Write(buf)
			}
			h.Sum(nil)
		}
	})
	b.Run("pxi", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			if _, err := openFile(b, pxi).WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	pxi, _ := benchFile(b, benchSize, Options{})
	b.Run("sha256 of memory", func(b *testing.B) {
		data := benchData(b, benchSize)
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
	b.Run("pxi", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			rep, err := openFile(b, pxi).Verify(context.Background(), nil)
			if err != nil || rep.Err() != nil {
				b.Fatal(err, rep.Err())
			}
		}
	})
}

func BenchmarkReadAt4K(b *testing.B) {
	const size = 1 << 30
	pxi, plain := benchFile(b, size, Options{})
	file, err := os.ReadFile(pxi.Name())
	if err != nil {
		b.Fatal(err)
	}
	mem, err := NewBytesReader(file)
	if err != nil {
		b.Fatal(err)
	}
	sources := []struct {
		name string
		r    io.ReaderAt
	}{{"plain", plain}, {"pxi", openFile(b, pxi)}, {"pxi in memory", mem}}
	for _, align := range []struct {
		name string
		mask int64
	}{{"aligned", ^int64(4095)}, {"anywhere", ^int64(0)}} {
		for _, s := range sources {
			b.Run(align.name+"/"+s.name, func(b *testing.B) {
				b.SetBytes(4096)
				b.ReportAllocs()
				rng := rand.New(rand.NewPCG(3, 4))
				buf := make([]byte, 4096)
				for b.Loop() {
					if _, err := s.r.ReadAt(buf, rng.Int64N(size-4096)&align.mask); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
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
