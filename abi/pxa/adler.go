package pxa

import "encoding/binary"

// Adler-32 runs over every pixel, and the standard library's takes longer
// than CRC-32 and half as long as SHA-256. This one sums eight bytes a step
// inside one 64-bit word.

const adlerMod = 65521

// An adler is a running Adler-32; the zero value is the sum of no bytes less
// the initial one, which value adds.
type adler struct {
	a, b uint64 // both below adlerMod, for a start value of zero
	n    uint64 // bytes modulo adlerMod
}

// adlerSpan bytes are summed in 16-bit lanes: a lane takes 16 bytes, and its
// second-order sum is at most 255 × (0 + 1 + … + 15), below 2^15.
const adlerSpan = 8 * 16

func (s *adler) update(p []byte) {
	const lanes = 0x00ff00ff00ff00ff
	s.n = (s.n + uint64(len(p))) % adlerMod
	for len(p) >= adlerSpan {
		// Up to 2^12 spans may pass before b, which grows by a×128 and less
		// than 2^21 a span, could overflow; reduce far earlier.
		blocks := min(len(p)/adlerSpan, 64)
		for range blocks {
			q := p[:adlerSpan:adlerSpan]
			p = p[adlerSpan:]
			// even and odd hold the running sums of the bytes in even and odd
			// positions of each 8-byte word; evenB and oddB sum those running
			// sums before each word is added, so that byte j of word k counts
			// 8×(words after k) + (8−j) times in b.
			var even, odd, evenB, oddB uint64
			for i := 0; i+32 <= len(q); i += 32 {
				r := (*[32]byte)(q[i:])
				w := binary.LittleEndian.Uint64(r[0:])
				evenB += even
				oddB += odd
				even += w & lanes
				odd += w >> 8 & lanes
				w = binary.LittleEndian.Uint64(r[8:])
				evenB += even
				oddB += odd
				even += w & lanes
				odd += w >> 8 & lanes
				w = binary.LittleEndian.Uint64(r[16:])
				evenB += even
				oddB += odd
				even += w & lanes
				odd += w >> 8 & lanes
				w = binary.LittleEndian.Uint64(r[24:])
				evenB += even
				oddB += odd
				even += w & lanes
				odd += w >> 8 & lanes
			}
			// The lanes of all four stay below 2^15, so two of them add up
			// without a carry. Lane i of both holds bytes of weight 8−2i and
			// 7−2i.
			both := even + odd
			s.b += adlerSpan*s.a + 8*laneSum(evenB+oddB) - laneSum(odd) +
				8*(both&0xffff) + 6*(both>>16&0xffff) + 4*(both>>32&0xffff) + 2*(both>>48)
			s.a += laneSum(both)
		}
		s.a %= adlerMod
		s.b %= adlerMod
	}
	for _, c := range p {
		s.a += uint64(c)
		s.b += s.a
	}
	s.a %= adlerMod
	s.b %= adlerMod
}

// laneSum adds the four 16-bit lanes of v.
func laneSum(v uint64) uint64 {
	const lanes = 0x0000ffff0000ffff
	v = v&lanes + v>>16&lanes
	return v&0xffffffff + v>>32
}

// join appends the bytes that t has summed.
func (s *adler) join(t adler) {
	s.b = (s.b + s.a*t.n + t.b) % adlerMod
	s.a = (s.a + t.a) % adlerMod
	s.n = (s.n + t.n) % adlerMod
}

// value is the Adler-32 of all bytes.
func (s *adler) value() uint32 {
	return uint32((s.b+s.n)%adlerMod)<<16 | uint32((s.a+1)%adlerMod)
}
