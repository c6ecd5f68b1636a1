package pxi

import "errors"

var errPackBits = errors.New("the run-length stream is not valid")

// packBits appends src in PackBits form to dst and gives up, with ok false, as
// soon as more than limit bytes would be needed.
//
// A control byte n below 128 is followed by n+1 literal bytes, one above 128
// by a byte that is repeated 257−n times.
func packBits(dst, src []byte, limit int) (out []byte, ok bool) {
	base := len(dst)
	lit := 0 // start of the literal bytes not yet written
	for i := 0; i < len(src); {
		run := runLength(src[i:])
		// A run of two inside literals saves nothing.
		if run < 3 {
			i += run
			if i < len(src) {
				continue
			}
			run = 0
		}
		for lit < i {
			n := min(i-lit, 128)
			dst = append(dst, byte(n-1))
			dst = append(dst, src[lit:lit+n]...)
			lit += n
		}
		for run > 0 {
			n := min(run, 128)
			if n == 1 {
				dst = append(dst, 0, src[i])
			} else {
				dst = append(dst, byte(257-n), src[i])
			}
			i += n
			run -= n
		}
		lit = i
		if len(dst)-base > limit {
			return dst[:base], false
		}
	}
	return dst, len(dst)-base <= limit
}

func runLength(b []byte) int {
	n := 1
	for n < len(b) && b[n] == b[0] {
		n++
	}
	return n
}

// unpackBits fills dst from src; both must come out even.
func unpackBits(dst, src []byte) error {
	d := 0
	for s := 0; s < len(src); {
		c := int(src[s])
		s++
		switch {
		case c < 128:
			n := c + 1
			if n > len(src)-s || n > len(dst)-d {
				return errPackBits
			}
			copy(dst[d:d+n], src[s:s+n])
			s += n
			d += n
		case c > 128:
			n := 257 - c
			if s == len(src) || n > len(dst)-d {
				return errPackBits
			}
			v, run := src[s], dst[d:d+n]
			for i := range run {
				run[i] = v
			}
			s++
			d += n
		}
	}
	if d != len(dst) {
		return errPackBits
	}
	return nil
}
