package journal

import (
	"hash/fnv"
	"strings"
)

// The colours that entries have in pictures of the log. They are stored in the
// entry, so a later palette leaves old entries as they were.
var (
	tintBegin     = [3]byte{0x3D, 0x8B, 0xFF} // a run begins: blue
	tintOK        = [3]byte{0x2E, 0xC4, 0x6B} // it ended well: green
	tintExit      = [3]byte{0xFF, 0xB0, 0x20} // it ended with an exit code: amber
	tintError     = [3]byte{0xF0, 0x3E, 0x4D} // it failed: red
	tintRecovered = [3]byte{0xFF, 0x5F, 0xD2} // the journal recovered: magenta
	tintRegistry  = [3]byte{0x9B, 0x6B, 0xFF} // evolution: violet
	tintNetwork   = [3]byte{0x1F, 0xD6, 0xE0} // a network request: cyan
)

// tintOf gives the colour of a type. Types that have none of their own get one
// from their name, never dark and never one of the above's exact values.
func tintOf(typ string) [3]byte {
	switch owner, _, _ := strings.Cut(typ, "."); {
	case typ == TypeBegin:
		return tintBegin
	case typ == TypeEnd:
		return tintOK
	case typ == TypeRecovered:
		return tintRecovered
	case owner == "registry":
		return tintRegistry
	case owner == "net":
		return tintNetwork
	}
	h := fnv.New32a()
	h.Write([]byte(typ))
	v := h.Sum32()
	return [3]byte{0x70 | byte(v)&0x7E, 0x70 | byte(v>>8)&0x7E, 0x70 | byte(v>>16)&0x7E}
}
