package wasmbin

import (
	"fmt"
	"unicode/utf8"
)

// reader walks a byte slice that is part of a module. Every method either
// consumes what it returns or sets err once and returns zero values, so that
// callers may check err after a group of reads. It never reads past end.
type reader struct {
	b   []byte
	pos int
	end int
	fn  int
	err error
}

func (r *reader) fail(pos int, format string, args ...any) {
	if r.err == nil {
		r.err = &FormatError{Offset: int64(pos), Func: r.fn, Msg: fmt.Sprintf(format, args...)}
	}
	r.pos = r.end
}

func (r *reader) refuse(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = r.end
}

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.fail(r.pos, "unexpected end")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > r.end-r.pos {
		r.fail(r.pos, "length %d runs past the end", n)
		return nil
	}
	s := r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return s
}

// u32 reads an unsigned LEB128 number of at most 32 bits and 5 bytes.
func (r *reader) u32() uint32 {
	if r.pos < r.end {
		if c := r.b[r.pos]; c < 0x80 {
			r.pos++
			return uint32(c)
		}
	}
	start := r.pos
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		if r.pos >= r.end {
			r.fail(start, "unexpected end in a number")
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if shift == 28 && c > 0x0f {
			break
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.fail(start, "number does not fit in 32 bits")
	return 0
}

// sleb reads a signed LEB128 number of at most bits bits.
func (r *reader) sleb(bits uint) int64 {
	start := r.pos
	var v int64
	for shift := uint(0); ; shift += 7 {
		if r.pos >= r.end {
			r.fail(start, "unexpected end in a number")
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		v |= int64(c&0x7f) << shift
		if left := bits - shift; left <= 7 {
			// The last byte: no continuation, and the unused bits repeat the sign.
			sign := int8(c<<1) >> 1 // bit 6 extended
			rest := sign >> (left - 1)
			if c >= 0x80 || (rest != 0 && rest != -1) {
				r.fail(start, "number does not fit in %d bits", bits)
				return 0
			}
			return signExtend(v, shift)
		}
		if c < 0x80 {
			return signExtend(v, shift)
		}
	}
}

// signExtend extends the sign of a number whose last seven bits begin at shift.
func signExtend(v int64, shift uint) int64 {
	if shift+7 >= 64 {
		return v
	}
	n := 64 - (shift + 7)
	return v << n >> n
}

func (r *reader) name() string {
	n := r.u32()
	at := r.pos
	if uint64(n) > uint64(r.end-r.pos) {
		r.fail(at, "name of %d bytes runs past the end", n)
		return ""
	}
	s := r.bytes(int(n))
	if !utf8.Valid(s) {
		r.fail(at, "name is not UTF-8")
		return ""
	}
	return string(s)
}

// count reads a vector length and refuses one that cannot fit in the rest of
// the section when each element takes at least min bytes, so that nothing is
// allocated from a number the input cannot back.
func (r *reader) count(what string, minSize int) int {
	at := r.pos
	n := r.u32()
	if r.err == nil && uint64(n)*uint64(minSize) > uint64(r.end-r.pos) {
		r.fail(at, "%d %s do not fit in the section", n, what)
		return 0
	}
	return int(n)
}

// appendU32 and appendS64 write LEB128 in the shortest form.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte {
	b = appendU32(b, uint32(len(s)))
	return append(b, s...)
}
