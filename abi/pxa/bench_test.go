package pxa

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// zeros is a source of n bytes that takes no memory.
func zeros(path string, n int64) Source {
	return Source{Path: path, Size: n, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeroReader{}, n)), nil
	}}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

var gigabyte = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pxa-bench")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "gigabyte.pxa")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = Pack(context.Background(), f, []Source{zeros("big.bin", 1<<30), BytesSource("small.txt", noise(1, 1024)), BytesSource(ManifestName, []byte(manifest))}, nil)
	return name, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if name := benchFile; name != "" {
		os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(code)
}

var benchFile string

func openBench(b *testing.B) (*os.File, int64) {
	name, err := gigabyte()
	if err != nil {
		b.Fatal(err)
	}
	benchFile = name
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return f, info.Size()
}

// BenchmarkOpenSmall opens a 1 GiB cartridge and reads one entry of 1 KiB.
func BenchmarkOpenSmall(b *testing.B) {
	f, size := openBench(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(f, size, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.ReadFile("small.txt"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify compares checking with SHA-256 alone over the same bytes.
func BenchmarkVerify(b *testing.B) {
	f, size := openBench(b)
	b.Run("peer=sha256", func(b *testing.B) {
		b.SetBytes(size)
		buf := make([]byte, 1<<20)
		for b.Loop() {
			h := sha256.New()
			if _, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, 0, size), buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, full := range []bool{false, true} {
		b.Run(map[bool]string{false: "check", true: "verify"}[full], func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				r, err := Open(f, size, nil)
				if err != nil {
					b.Fatal(err)
				}
				if full {
					_, err = r.Verify(b.Context(), nil)
				} else {
					_, err = r.Check(b.Context(), nil)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWarm checks cartridges of the size of small programs in memory.
func BenchmarkWarm(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10, 2_500_000, 25_000_000} {
		data, _ := mustPack(b, nil, BytesSource(ManifestName, []byte(manifest)), BytesSource("main.wasm", noise(1, n)))
		b.Run(fmt.Sprintf("size=%d/peer=sha256", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				sha256.Sum256(data)
			}
		})
		b.Run(fmt.Sprintf("size=%d/check", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := OpenVerified(b.Context(), inMemory(data), int64(len(data)), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPack packs stored data; the peer copies the same bytes to a file.
func BenchmarkPack(b *testing.B) {
	const n = 512 << 20
	src := []Source{zeros("a", n/2), zeros("b", n/2)}
	dir := b.TempDir()
	b.Run("peer=copy", func(b *testing.B) {
		b.SetBytes(n)
		for b.Loop() {
			f, err := os.Create(filepath.Join(dir, "copy"))
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(struct{ io.Writer }{f}, io.LimitReader(zeroReader{}, n))
			f.Close()
		}
	})
	b.Run("pack", func(b *testing.B) {
		b.SetBytes(n)
		for b.Loop() {
			f, err := os.Create(filepath.Join(dir, "pack"))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := Pack(b.Context(), f, src, nil); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	runtime.GC()
}
