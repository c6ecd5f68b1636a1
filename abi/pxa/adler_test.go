package pxa

import (
	"bytes"
	"hash/adler32"
	"math/rand/v2"
	"testing"
)

func TestAdler(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, fill := range []int{-1, 0, 1, 255} {
		for _, n := range []int{0, 1, 7, 127, 128, 129, 769, 5552, 65535, 100_003} {
			p := bytes.Repeat([]byte{byte(fill)}, n)
			if fill < 0 {
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
			}
			cut := 0
			if n > 0 {
				cut = rng.IntN(n)
			}
			var whole, left, right adler
			whole.update(p)
			left.update(p[:cut])
			right.update(p[cut:])
			left.join(right)
			want := adler32.Checksum(p)
			if whole.value() != want || left.value() != want {
				t.Errorf("%d bytes of %d: %#x, joined at %d: %#x, want %#x", n, fill, whole.value(), cut, left.value(), want)
			}
		}
	}
}

func BenchmarkAdler(b *testing.B) {
	p := make([]byte, 1<<20)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	b.Run("own", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for b.Loop() {
			var s adler
			s.update(p)
		}
	})
	b.Run("peer=hash-adler32", func(b *testing.B) {
		b.SetBytes(1 << 20)
		for b.Loop() {
			adler32.Checksum(p)
		}
	})
}
