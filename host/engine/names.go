package engine

import (
	"encoding/binary"

	"github.com/pxos/pxos/host/engine/wasmbin"
)

// functionNames reads the function names of a module's name section, as far as it
// can be read: a name section is a courtesy and often wrong, so faults end the
// reading and are not reported.
func functionNames(mod *wasmbin.Module) map[uint32]string {
	out := map[uint32]string{}
	for _, x := range mod.Exports() {
		if x.Kind == wasmbin.KindFunc {
			out[x.Index] = x.Name
		}
	}
	for _, c := range mod.Customs() {
		if c.Name == "name" {
			readNameSection(c.Data, out)
		}
	}
	return out
}

func readNameSection(data []byte, out map[uint32]string) {
	for len(data) > 0 {
		id := data[0]
		body, rest, ok := prefixed(data[1:])
		if !ok {
			return
		}
		data = rest
		if id != 1 { // 1 holds the function names
			continue
		}
		count, n := binary.Uvarint(body)
		if n <= 0 {
			return
		}
		body = body[n:]
		for ; count > 0; count-- {
			idx, n := binary.Uvarint(body)
			if n <= 0 || idx > 1<<32-1 {
				return
			}
			name, rest, ok := prefixed(body[n:])
			if !ok {
				return
			}
			out[uint32(idx)] = string(name)
			body = rest
		}
	}
}

// prefixed cuts a byte vector with its length in front.
func prefixed(data []byte) (vec, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	return data[n : n+int(size)], data[n+int(size):], true
}
