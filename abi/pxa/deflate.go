package pxa

import (
	"encoding/binary"
	"math/bits"
)

// The cover is compressed by a small encoder of our own, because its bytes
// are part of the file and must never change, which no library promises: one
// deflate block with a Huffman code made for it, greedy matching.

const (
	matchMin  = 3
	matchMax  = 258
	window    = 32768
	hashBits  = 12
	chainLong = 12 // candidates looked at for one position
	matchGood = 64 // a match of this length ends the search
)

// deflater collects the tokens of one block.
type deflater struct{ tokens []token }

// token is a byte, or a match when distance is not 0, count times over.
type token struct {
	value    uint16 // the byte or the length
	distance uint16 // 32768 is written as 0x8000
	count    uint32
}

func (w *deflater) add(value, distance, count int) {
	w.tokens = append(w.tokens, token{uint16(value), uint16(distance), uint32(count)})
}

func (w *deflater) literal(b byte) { w.add(int(b), 0, 1) }

// run repeats what lies distance bytes back for the length of p, whose bytes
// that is.
func (w *deflater) run(p []byte, distance int) {
	n := len(p)
	if n >= matchMax {
		w.add(matchMax, distance, n/matchMax)
	}
	rest := p[n-n%matchMax:]
	if len(rest) >= matchMin {
		w.add(len(rest), distance, 1)
		return
	}
	for _, b := range rest {
		w.literal(b)
	}
}

// compress encodes p with matches anywhere in it.
func (w *deflater) compress(p []byte) {
	var head [1 << hashBits]int32 // position + 1 of the latest 4 bytes with a hash
	// chain links a position to the one before it with the same hash, for as far
	// back as a match can reach. A slot that was used again links forward, or to
	// another hash; the first ends the search below, the second finds no match.
	var chain [window]int32
	insert := func(i int) {
		h := hash4(p[i:])
		chain[i%window], head[h] = head[h], int32(i+1)
	}
	for i := 0; i < len(p); {
		best, at := 0, 0
		if i+4 <= len(p) {
			limit := min(len(p)-i, matchMax)
			next, last := head[hash4(p[i:])], i
			for range chainLong {
				j := int(next) - 1
				if j < 0 || i-j > window || j >= last {
					break
				}
				last = j
				if n := matchLength(p, j, i, limit); n > best {
					best, at = n, j
				}
				if best >= min(limit, matchGood) {
					break
				}
				next = chain[j%window]
			}
		}
		if best < 4 {
			w.literal(p[i])
			if i+4 <= len(p) {
				insert(i)
			}
			i++
			continue
		}
		w.add(best, i-at, 1)
		// Of a long match, which is mostly a run, its ends are enough.
		end := i + best
		for k := 0; i < end; k++ {
			if k == 16 && end-i > 8 {
				i = end - 8
			}
			if i+4 <= len(p) {
				insert(i)
			}
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

// lengthSymbol gives the symbol of a match length, and its extra bits: four
// symbols for each power of two, except that 258 has one of its own.
func lengthSymbol(l uint32) (symbol, extra uint32, n uint) {
	if l == matchMax {
		return 285, 0, 0
	}
	l -= matchMin
	if l < 8 {
		return 257 + l, 0, 0
	}
	n = uint(bits.Len32(l)) - 3
	return 257 + 4*uint32(n) + l>>n, l & (1<<n - 1), n
}

// distanceSymbol is the same for distances: two symbols for each power of two.
func distanceSymbol(d uint32) (symbol, extra uint32, n uint) {
	d--
	if d < 4 {
		return d, 0, 0
	}
	n = uint(bits.Len32(d)) - 2
	return 2*uint32(n) + d>>n, d & (1<<n - 1), n
}

// bitWriter collects bits, least significant first.
type bitWriter struct {
	out []byte
	acc uint64
	n   uint
}

// bits appends up to 32 bits.
func (w *bitWriter) bits(v uint32, n uint) {
	w.acc |= uint64(v) << w.n
	if w.n += n; w.n >= 32 {
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(w.acc))
		w.acc >>= 32
		w.n -= 32
	}
}

func (w *bitWriter) code(c code) { w.bits(c.v, uint(c.n)) }

// block writes the tokens as a block that is not the last one, and an empty
// stored block, which ends at a whole byte.
func (w *bitWriter) block(tokens []token) {
	literals, distances := make([]int, 286), make([]int, 30)
	literals[256] = 1
	for _, t := range tokens {
		if t.distance == 0 {
			literals[t.value] += int(t.count)
			continue
		}
		l, _, _ := lengthSymbol(uint32(t.value))
		d, _, _ := distanceSymbol(uint32(t.distance))
		literals[l] += int(t.count)
		distances[d] += int(t.count)
	}
	litCodes, distCodes := w.codes(literals, distances)
	for _, t := range tokens {
		if t.distance == 0 {
			for range t.count {
				w.code(litCodes[t.value])
			}
			continue
		}
		l, lx, ln := lengthSymbol(uint32(t.value))
		d, dx, dn := distanceSymbol(uint32(t.distance))
		for range t.count {
			w.code(litCodes[l])
			w.bits(lx, ln)
			w.code(distCodes[d])
			w.bits(dx, dn)
		}
	}
	w.code(litCodes[256])
	w.bits(0, 3)
	for w.n > 0 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
		w.n -= min(w.n, 8)
	}
	w.acc = 0
	w.out = append(w.out, 0, 0, 0xff, 0xff)
}

// codes chooses both Huffman codes and writes the head of the block.
func (w *bitWriter) codes(literals, distances []int) (lit, dist []code) {
	litLengths := codeLengths(literals, maxCodeBits)
	distLengths := codeLengths(distances, maxCodeBits)
	for len(litLengths) > 257 && litLengths[len(litLengths)-1] == 0 {
		litLengths = litLengths[:len(litLengths)-1]
	}
	for len(distLengths) > 1 && distLengths[len(distLengths)-1] == 0 {
		distLengths = distLengths[:len(distLengths)-1]
	}
	runs := lengthRuns(append(append([]uint8(nil), litLengths...), distLengths...))
	counts := make([]int, 19)
	for _, r := range runs {
		counts[r.symbol]++
	}
	lengths := codeLengths(counts, 7)
	sent := len(lengthOrder)
	for lengths[lengthOrder[sent-1]] == 0 {
		sent--
	}
	w.bits(0b100, 3)
	w.bits(uint32(len(litLengths)-257), 5)
	w.bits(uint32(len(distLengths)-1), 5)
	w.bits(uint32(sent-4), 4)
	for _, s := range lengthOrder[:sent] {
		w.bits(uint32(lengths[s]), 3)
	}
	codes := canonical(lengths)
	for _, r := range runs {
		w.code(codes[r.symbol])
		w.bits(uint32(r.extra), r.n)
	}
	return canonical(litLengths), canonical(distLengths)
}
