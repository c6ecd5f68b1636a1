package pxi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func addVectors(f *testing.F, pattern string) {
	names, err := filepath.Glob(filepath.Join(vectorDir, pattern))
	if err != nil || len(names) == 0 {
		f.Fatal("no vectors", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(0), uint16(100))
		f.Add(b, uint16(500), uint16(700))
	}
}

// FuzzReader opens anything. The sum of the trailer is put right first, so that
// what lies behind it is reached; every way to read must agree with the slow one.
func FuzzReader(f *testing.F) {
	addVectors(f, "*.pxi")
	f.Fuzz(func(t *testing.T, b []byte, off, n uint16) {
		if Sniff(b) == PNG {
			return
		}
		b = bytes.Clone(b)
		if len(b) >= HeaderSize+trailerSum && b[55] == extTrailer {
			at, end := binary.BigEndian.Uint64(b[56:]), uint64(len(b)-trailerSum)
			if at >= HeaderSize && at <= end {
				sum := sha256.Sum256(append(bytes.Clone(b[:HeaderSize]), b[at:end]...))
				copy(b[end:], sum[:])
			}
		}
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		m, err2 := NewBytesReader(b)
		if classOf(err) != classOf(err2) {
			t.Fatalf("file: %v; memory: %v", err, err2)
		}
		slow, ok := slowDecode(b)
		if err != nil {
			if ok {
				t.Fatalf("the slow path reads what the fast one refuses: %v", err)
			}
			if c := classOf(err); c != "format" && c != "unsupported" {
				t.Fatalf("an error without class: %v", err)
			}
			return
		}
		known := b[5] == 0
		// Compressed blocks may stand for 255 times as much each.
		if r.Size() > 16<<20 {
			return
		}
		rep, err := r.Verify(context.Background(), nil)
		if err != nil || known && (rep.Err() == nil) != ok {
			t.Fatalf("Verify: %v, %v; the slow path: %v", err, rep.Err(), ok)
		}
		var out, out2 bytes.Buffer
		_, err = r.WriteTo(&out)
		_, err2 = m.WriteTo(&out2)
		if classOf(err) != classOf(err2) || (err == nil) != (rep.Err() == nil) || !bytes.Equal(out.Bytes(), out2.Bytes()) {
			t.Fatalf("file: %v; memory: %v; verify: %v", err, err2, rep.Err())
		}
		if known && err == nil && !bytes.Equal(out.Bytes(), slow) {
			t.Fatal("other data than the slow path")
		}
		p, p2 := make([]byte, n), make([]byte, n)
		k, err := r.ReadAt(p, int64(off))
		k2, err2 := m.ReadAt(p2, int64(off))
		if k != k2 || classOf(err) != classOf(err2) || !bytes.Equal(p[:k], p2[:k]) {
			t.Fatalf("file: %d, %v; memory: %d, %v", k, err, k2, err2)
		}
		if rep.Err() == nil {
			data := out.Bytes()
			want := data[min(int(off), len(data)):min(int(off)+int(n), len(data))]
			if err != nil && err != io.EOF || !bytes.Equal(p[:k], want) {
				t.Fatalf("partial read: %d bytes, %v", k, err)
			}
		}
	})
}

// FuzzWriter writes anything in any form and any pieces; the slow path must
// read it, and what it gives must not depend on the pieces.
func FuzzWriter(f *testing.F) {
	f.Add(text(3000), uint32(8), uint8(1), uint16(512), uint16(7))
	f.Add(noise(2000), uint32(0), uint8(255), uint16(0), uint16(1000))
	f.Add([]byte{}, uint32(1), uint8(2), uint16(600), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, width uint32, comp uint8, block, piece uint16) {
		opt := Options{Width: width % 5000, Compression: Compression(comp), BlockSize: int(block)}
		file, err := Encode(data, opt)
		if (err == nil) != (opt.check() == nil) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		got, ok := slowDecode(file)
		if !ok || !bytes.Equal(got, data) {
			t.Fatal("the slow path does not read it")
		}
		if got, err := Decode(file); err != nil || !bytes.Equal(got, data) {
			t.Fatal(err)
		}
		if c := mustOpen(t, file).Compressed(); c == None {
			w := opt.Width
			if w == 0 {
				w = DefaultWidth
			}
			opt := Options{BlockSize: int(block)}
			if want := craft(data, int(w), opt.block(None), None, nil).bytes(); !bytes.Equal(file, want) {
				t.Fatal("another file than PXI.md says")
			}
		}
		m := &memory{}
		w, err := NewWriter(m, opt)
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.b, file) {
			t.Fatal("pieces give another file")
		}
	})
}

// FuzzPackBits compares the decoder with the slow one, on anything, and packs
// and unpacks the same bytes as data.
func FuzzPackBits(f *testing.F) {
	f.Add([]byte{0x81, 9, 2, 1, 2, 3, 0x80, 0xFF, 4}, uint16(133))
	f.Add(bytes.Repeat([]byte{1, 1, 1, 2, 3, 3}, 50), uint16(300))
	f.Add(bytes.Repeat([]byte{7}, 300), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		dst := make([]byte, n)
		err := unpackBits(dst, b)
		slow, ok := slowUnpackBits(b, int(n))
		if ok != (err == nil) || ok && !bytes.Equal(slow, dst) {
			t.Fatalf("slow %v, fast %v", ok, err)
		}
		packed, ok := packBits([]byte("x"), b, 2*len(b)+2)
		if !ok || packed[0] != 'x' || len(packed)-1 > len(b)+(len(b)+127)/128 {
			t.Fatalf("%d bytes became %d, %v", len(b), len(packed)-1, ok)
		}
		got := make([]byte, len(b))
		if err := unpackBits(got, packed[1:]); err != nil || !bytes.Equal(got, b) {
			t.Fatal(err)
		}
		if out, ok := packBits(nil, b, len(packed)-2); ok {
			t.Fatalf("a limit of %d gave %d bytes", len(packed)-2, len(out))
		}
	})
}

// FuzzLZ4 holds the library to what is asked of it here: nothing outside of the
// block is written whatever comes in, and what is packed depends on the block
// alone.
func FuzzLZ4(f *testing.F) {
	f.Add([]byte{0x1F, 9, 1, 0, 255, 232, 0x50, 9, 9, 9, 9, 9}, uint16(512))
	f.Add(text(700), uint16(1000))
	var used packer
	used.lz4(text(100_000))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		const guard = 64
		buf := bytes.Repeat([]byte{0xA5}, guard+int(n)+guard)
		err := unpack(buf[guard:guard+int(n)], b, LZ4)
		edge := bytes.Repeat([]byte{0xA5}, guard)
		if !bytes.Equal(buf[:guard], edge) || !bytes.Equal(buf[guard+int(n):], edge) {
			t.Fatal("bytes outside of the block were written")
		}
		if err == nil && len(b) != int(n) {
			again := make([]byte, n)
			if unpack(again, b, LZ4) != nil || !bytes.Equal(again, buf[guard:guard+int(n)]) {
				t.Fatal("not the same twice")
			}
		}
		fresh := new(packer)
		want := fresh.pack(nil, b, LZ4)
		if got := used.pack(nil, b, LZ4); !bytes.Equal(got, want) {
			t.Fatal("a used packer packs otherwise")
		}
		got := make([]byte, len(b))
		if len(want) > len(b) || unpack(got, want, LZ4) != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes became %d and others", len(b), len(want))
		}
	})
}

// FuzzPNG decodes any picture. Those that are taken must come back through
// WritePNG.
func FuzzPNG(f *testing.F) {
	addVectors(f, "png-*.pxi")
	f.Fuzz(func(t *testing.T, b []byte, _, _ uint16) {
		if cfg, err := png.DecodeConfig(bytes.NewReader(b)); err == nil && cfg.Width*cfg.Height > 1<<20 {
			return
		}
		data, w, h, err := DecodePNG(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if c := classOf(err); c != "format" && c != "unsupported" {
				t.Fatalf("an error without class: %v", err)
			}
			return
		}
		if len(data) != 3*w*h {
			t.Fatalf("%d bytes for %d × %d pixels", len(data), w, h)
		}
		var out bytes.Buffer
		if err := WritePNG(&out, bytes.NewReader(data), int64(len(data)), w); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(out.Bytes())
		if err != nil || !bytes.Equal(got, data) {
			t.Fatal(err)
		}
	})
}
