package main

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// province is a part of a file with a name of its own.
type province struct {
	name  string
	first int // byte
	size  int
}

// maxProvinces bounds what is told apart: the number of a province fits a byte.
const maxProvinces = 200

// provincesOf divides a WebAssembly module into its sections; anything else, also a
// module with broken sections, is one province.
func provincesOf(name string, data []byte) []province {
	whole := []province{{name, 0, len(data)}}
	if len(data) < 8 || string(data[:4]) != "\x00asm" || binary.LittleEndian.Uint32(data[4:]) != 1 {
		return whole
	}
	out := []province{}
	first := 0 // the mark of the module belongs to its first section
	for at := 8; at < len(data); {
		id := data[at]
		size, n := binary.Uvarint(data[at+1:])
		body := at + 1 + n
		if n <= 0 || n > 5 || size > uint64(len(data)-body) || len(out) == maxProvinces {
			return whole
		}
		end := body + int(size)
		title := "section " + itoa(int(id))
		if int(id) < len(sections) {
			title = sections[id]
		}
		if id == 0 {
			if l, n := binary.Uvarint(data[body:end]); n > 0 && l > 0 && l <= 40 && l <= uint64(end-body-n) {
				title = string(data[body+n : body+n+int(l)])
			}
		}
		out = append(out, province{title, first, end - first})
		first, at = end, end
	}
	if len(out) == 0 {
		return whole
	}
	return out
}

var sections = [...]string{"custom", "types", "imports", "functions", "tables", "memory", "globals", "exports", "start", "elements", "code", "data", "data count", "tags"}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// A soil is a kind of byte.
type soil struct {
	name string
	c    rgb
}

var soils = [...]soil{
	{"zeros", hex(0xe9dcae)},
	{"text", hex(0x7fae58)},
	{"spaces and line ends", hex(0xa9c476)},
	{"1 to 31", hex(0xc8935a)},
	{"128 to 254", hex(0x8c7f92)},
	{"255", hex(0xf4f5f8)},
}

func soilOf(b byte) int {
	switch {
	case b == 0:
		return 0
	case b == ' ' || b == '\n' || b == '\t' || b == '\r':
		return 2
	case b < 0x20 || b == 0x7f:
		return 3
	case b < 0x80:
		return 1
	case b == 0xff:
		return 5
	}
	return 4
}

// entropyBlock is how many bytes are looked at together to tell order from disorder.
const entropyBlock = 256

// entropies returns the entropy of each block of data, 0 where all bytes are alike to
// 255 where they look random.
func entropies(data []byte) []uint8 {
	out := make([]uint8, 0, len(data)/entropyBlock+1)
	for len(data) > 0 {
		block := data[:min(len(data), entropyBlock)]
		data = data[len(block):]
		var count [256]int
		for _, b := range block {
			count[b]++
		}
		h := 0.0
		for _, c := range count {
			if c > 0 {
				p := float64(c) / float64(len(block))
				h -= p * math.Log2(p)
			}
		}
		// The most that a block of that length can have.
		most := float64(min(8, bits.Len(uint(len(block)))-1))
		out = append(out, uint8(255*min(h/max(most, 1), 1)))
	}
	return out
}
