package engine

import (
	"encoding/binary"
	"maps"
	"slices"
)

// entryInfo is stored as its fields in this order: numbers as unsigned varints, texts
// and lists behind their length.
type entryInfo struct {
	Meta     moduleMeta
	Source   string // digest of the original module
	CodePath string // relative to the entry
	CodeSize int64
	// CodeFrom and CodeTo bound the part of the file whose checksum wazero compares
	// when it reads it; CodeCRC is the CRC-32C of everything else.
	CodeFrom int64
	CodeTo   int64
	CodeCRC  uint32
}

func (i *entryInfo) encode() []byte {
	var b []byte
	number := func(v uint64) { b = binary.AppendUvarint(b, v) }
	flag := func(v bool) {
		if v {
			number(1)
		} else {
			number(0)
		}
	}
	text := func(s string) { number(uint64(len(s))); b = append(b, s...) }
	list := func(l []string) {
		number(uint64(len(l)))
		for _, s := range l {
			text(s)
		}
	}
	number(i.Meta.Seal)
	flag(i.Meta.HasStart)
	number(i.Meta.MemMin)
	flag(i.Meta.HasMem)
	number(uint64(len(i.Meta.Imports)))
	for _, module := range slices.Sorted(maps.Keys(i.Meta.Imports)) {
		text(module)
		list(i.Meta.Imports[module])
	}
	list(i.Meta.Exports)
	text(i.Source)
	text(i.CodePath)
	for _, n := range []int64{i.CodeSize, i.CodeFrom, i.CodeTo, int64(i.CodeCRC)} {
		number(uint64(n))
	}
	return b
}

// decode is the reverse of encode. It reports false when b is not exactly that long.
func (i *entryInfo) decode(b []byte) bool {
	ok := true
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok, b = false, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			ok, b = false, nil
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	list := func() []string {
		n := number()
		if n > uint64(len(b)) { // a text takes a byte or more
			ok, b = false, nil
			return nil
		}
		l := make([]string, 0, n)
		for range n {
			l = append(l, text())
		}
		return l
	}
	i.Meta.Seal = number()
	i.Meta.HasStart = number() == 1
	i.Meta.MemMin = number()
	i.Meta.HasMem = number() == 1
	i.Meta.Imports = map[string][]string{}
	for n := number(); n > 0 && ok; n-- {
		module := text()
		i.Meta.Imports[module] = list()
	}
	i.Meta.Exports = list()
	i.Source, i.CodePath = text(), text()
	i.CodeSize, i.CodeFrom, i.CodeTo = int64(number()), int64(number()), int64(number())
	i.CodeCRC = uint32(number())
	return ok && len(b) == 0
}
