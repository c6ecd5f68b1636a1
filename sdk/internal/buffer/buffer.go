// Package buffer asks host functions for data of unknown length.
package buffer

// Read calls a host function that stores such data, with a larger buffer each time
// it answers tooSmall, and returns the data or the function's code. Zero is the code
// of success; an answer that contradicts itself becomes internal.
func Read[C ~int32](read func([]byte) (uint32, C), tooSmall, internal C) ([]byte, C) {
	buf := make([]byte, 256)
	for {
		n, code := read(buf)
		switch {
		case code == 0 && uint64(n) <= uint64(len(buf)):
			return buf[:n], 0
		case code == tooSmall && uint64(n) > uint64(len(buf)):
			buf = make([]byte, n)
		case code == 0 || code == tooSmall:
			return nil, internal
		default:
			return nil, code
		}
	}
}
