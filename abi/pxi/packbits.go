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
	for len(src) > 0 {
		// A run of two inside literals saves nothing.
		lit := 0
		for lit+2 < len(src) && (src[lit] != src[lit+1] || src[lit] != src[lit+2]) {
			lit++
		}
		run := 0
		if lit+2 >= len(src) {
			lit = len(src)
		} else {
			run = 3
			for lit+run < len(src) && src[lit+run] == src[lit] {
				run++
			}
		}
		if len(dst)-base+lit > limit {
			return dst[:base], false
		}
		for rest := src[:lit]; len(rest) > 0; {
			n := min(len(rest), 128)
			dst = append(dst, byte(n-1))
			dst = append(dst, rest[:n]...)
			rest = rest[n:]
		}
		src = src[lit:]
		for n := run; n > 0; n -= 128 {
			if n == 1 {
				dst = append(dst, 0, src[0])
			} else {
				dst = append(dst, byte(257-min(n, 128)), src[0])
			}
		}
		src = src[run:]
	}
	if len(dst)-base > limit {
		return dst[:base], false
	}
	return dst, true
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
