package pxi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// text is data that both compressions like, noise what neither does.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n+64)
	for len(b) < n {
		if r.IntN(4) == 0 {
			b = append(b, bytes.Repeat([]byte{byte(r.IntN(3))}, r.IntN(60))...)
		} else {
			b = fmt.Appendf(b, "line %d of a page, ", r.IntN(50))
		}
	}
	return b[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func TestRoundTrip(t *testing.T) {
	sizes := []int{0, 1, 2, 3, 4, 511, 512, 513, 3071, 3072, 3073, 4095, 4096, 4097, 65535, 65536, 65537,
		chunkSize - 1, chunkSize, chunkSize + 1, 1_000_000, directMin + 777}
	opts := map[string]Options{
		"default":        {},
		"width 1":        {Width: 1},
		"odd block":      {Width: 7, BlockSize: 769},
		"tile block":     {Width: 256, BlockSize: 256 * 256 * 3},
		"large block":    {BlockSize: 2 << 20},
		"hint":           {Hint: 1 << 40},
		"rle":            {Compression: RLE},
		"rle odd block":  {Compression: RLE, BlockSize: 1000, Width: 33},
		"lz4":            {Compression: LZ4},
		"lz4 tile":       {Compression: LZ4, BlockSize: 256 * 256 * 3, Width: 256},
		"auto":           {Compression: Auto},
		"auto big block": {Compression: Auto, BlockSize: 1 << 20},
	}
	for name, opt := range opts {
		t.Run(name, func(t *testing.T) {
			for _, size := range sizes {
				for kind, data := range map[string][]byte{"text": text(size), "noise": noise(size)} {
					file, err := Encode(data, opt)
					if err != nil {
						t.Fatal(err)
					}
					got, err := Decode(file)
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("%d bytes of %s: %v", size, kind, err)
					}
					r, err := NewReader(bytes.NewReader(file), int64(len(file)))
					if err != nil {
						t.Fatal(err)
					}
					if rep, err := r.Verify(context.Background(), nil); err != nil || rep.Err() != nil || !rep.DigestOK {
						t.Fatalf("%d bytes of %s: %v %v", size, kind, err, rep.Err())
					}
					if size > 5000 {
						continue
					}
					if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), data); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// Every way of handing data over must give the same file.
func TestWriterPieces(t *testing.T) {
	data := append(text(700_000), noise(directMin)...)
	for _, opt := range []Options{{}, {Compression: Auto}, {Compression: LZ4}, {Compression: RLE, BlockSize: 10_007}, {BlockSize: 10_007}} {
		want, err := Encode(data, opt)
		if err != nil {
			t.Fatal(err)
		}
		ways := map[string]func(w *Writer) error{
			"7919 bytes a write": func(w *Writer) error {
				for rest := data; len(rest) > 0; {
					n := min(7919, len(rest))
					if _, err := w.Write(rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			},
			"ReadFrom": func(w *Writer) error {
				_, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(data)))
				return err
			},
			"Write, then ReadFrom, then Write": func(w *Writer) error {
				w.Write(data[:5])
				w.ReadFrom(bytes.NewReader(data[5:300_000]))
				_, err := w.Write(data[300_000:])
				return err
			},
		}
		for name, way := range ways {
			m := &memory{}
			w, err := NewWriter(m, opt)
			if err != nil {
				t.Fatal(err)
			}
			if err := way(w); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.b, want) {
				t.Errorf("%s, %+v: another file than from Encode", name, opt)
			}
		}
	}
}

func TestCorruptIsNamed(t *testing.T) {
	data := noise(100_000)
	file, err := Encode(data, Options{Width: 100})
	if err != nil {
		t.Fatal(err)
	}
	file[HeaderSize+3*4096+17] ^= 1
	_, err = Decode(file)
	var c *CorruptError
	if !errors.As(err, &c) {
		t.Fatalf("got %v", err)
	}
	f := c.Faults[0]
	if f.Block != 3 || f.Offset != 3*4096 || f.Length != 4096 || f.FirstRow != 3*4096/300 || f.LastRow != (4*4096-1)/300 {
		t.Errorf("got %+v", f)
	}
}
