package pxa

import (
	"encoding/binary"
	"math/bits"
)

// The cover is compressed by a small encoder of our own, because its bytes are
// part of the file and must never change, which no library promises: one
// deflate block with the fixed Huffman code, greedy matching.

const (
	matchMin  = 3
	matchMax  = 258
	window    = 32768
	hashBits  = 12
	chainLong = 48 // candidates looked at for one position
)

// bitWriter collects bits, least significant first.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint
}

func (w *bitWriter) bits(v uint64, n uint) {
	w.acc |= v << w.n
	for w.n += n; w.n >= 32; w.n -= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
	}
}

// flush pads to a whole byte with an empty stored block, so that what follows
// starts at one.
func (w *bitWriter) flush() {
	w.bits(0, 3)
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
	w.acc = 0
	w.out = append(w.out, 0, 0, 0xff, 0xff)
}

// code is a Huffman code with its bits reversed, as deflate sends them, and
// any extra bits above.
type code struct {
	v uint32
	n uint8
}

var (
	literalCodes [257]code // byte values and end of block
	lengthCodes  [matchMax + 1]code
)

func init() {
	for s := range literalCodes {
		literalCodes[s] = fixedCode(uint32(s))
	}
	for l := matchMin; l <= matchMax; l++ {
		sym, extra, n := lengthSymbol(uint32(l))
		c := fixedCode(sym)
		lengthCodes[l] = code{c.v | extra<<c.n, c.n + n}
	}
}

// fixedCode is the code of a literal or length symbol in RFC 1951, 3.2.6.
func fixedCode(s uint32) code {
	var v uint32
	var n uint8
	switch {
	case s < 144:
		v, n = 0x30+s, 8
	case s < 256:
		v, n = 0x190+s-144, 9
	case s < 280:
		v, n = s-256, 7
	default:
		v, n = 0xc0+s-280, 8
	}
	return code{bits.Reverse32(v) >> (32 - n), n}
}

// lengthSymbol gives symbol, extra bits and their number: four symbols for
// each power of two, except that 258 has one of its own.
func lengthSymbol(l uint32) (sym, extra uint32, n uint8) {
	if l == matchMax {
		return 285, 0, 0
	}
	l -= matchMin
	if l < 8 {
		return 257 + l, 0, 0
	}
	n = uint8(bits.Len32(l)) - 3
	return 257 + 4*uint32(n) + l>>n, l & (1<<n - 1), n
}

// distanceCode is for distances from 1 to 32768: two symbols of five bits for
// each power of two.
func distanceCode(d uint32) (v uint32, n uint) {
	d--
	sym, extra, e := d, uint32(0), uint(0)
	if d >= 4 {
		e = uint(bits.Len32(d)) - 2
		sym = 2*uint32(e) + d>>e
		extra = d & (1<<e - 1)
	}
	return bits.Reverse32(sym)>>27 | extra<<5, 5 + e
}

func (w *bitWriter) literal(b byte) {
	c := literalCodes[b]
	w.bits(uint64(c.v), uint(c.n))
}

func (w *bitWriter) match(length int, distance uint32) {
	c := lengthCodes[length]
	d, n := distanceCode(distance)
	w.bits(uint64(c.v)|uint64(d)<<c.n, uint(c.n)+n)
}

// run repeats what lies distance bytes back for n bytes, which need not fit
// one match.
func (w *bitWriter) run(n int, distance uint32, p []byte) {
	for n >= matchMin {
		l := min(n, matchMax)
		if n-l == 1 || n-l == 2 {
			l = n - matchMin // leave enough for one more match
		}
		w.match(l, distance)
		n -= l
		p = p[l:]
	}
	for _, b := range p[:n] {
		w.literal(b)
	}
}

// runs encodes p as literals and repetitions of the last three bytes.
func (w *bitWriter) runs(p []byte) {
	for i := 0; i < len(p); {
		n := 0
		if i >= 3 {
			n = matchLength(p, i-3, i, len(p)-i)
		}
		if n < matchMin {
			w.literal(p[i])
			i++
			continue
		}
		w.run(n, 3, p[i:])
		i += n
	}
}

// compress encodes p with matches anywhere in it.
func (w *bitWriter) compress(p []byte) {
	var head [1 << hashBits]int32 // position + 1 of the latest 4 bytes with a hash
	chain := make([]int32, len(p))
	insert := func(i int) {
		if i+4 <= len(p) {
			h := hash4(p[i:])
			chain[i], head[h] = head[h], int32(i+1)
		}
	}
	for i := 0; i < len(p); {
		best, at := 0, 0
		if i+4 <= len(p) {
			limit := min(len(p)-i, matchMax)
			next := head[hash4(p[i:])]
			for range chainLong {
				j := int(next) - 1
				if j < 0 || i-j > window {
					break
				}
				if n := matchLength(p, j, i, limit); n > best {
					best, at = n, j
				}
				if best == limit {
					break
				}
				next = chain[j]
			}
		}
		if best < 4 {
			w.literal(p[i])
			insert(i)
			i++
			continue
		}
		w.match(best, uint32(i-at))
		for range best {
			insert(i)
			i++
		}
	}
}

func hash4(p []byte) uint32 {
	return binary.LittleEndian.Uint32(p) * 0x9e3779b1 >> (32 - hashBits)
}

// matchLength counts the equal bytes from a and b on, up to limit.
func matchLength(p []byte, a, b, limit int) int {
	n := 0
	for n+8 <= limit {
		if x := binary.LittleEndian.Uint64(p[a+n:]) ^ binary.LittleEndian.Uint64(p[b+n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < limit && p[a+n] == p[b+n] {
		n++
	}
	return n
}
