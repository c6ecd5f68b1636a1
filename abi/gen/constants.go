package main

import (
	"bytes"
	"fmt"
	"go/format"
	"strings"

	"github.com/pxos/pxos/abi"
)

// constant is a number that a parameter of a family takes or stores.
type constant struct {
	name  string // snake_case
	value int
	doc   string
}

// constants lists them by family, each group under a heading. Those of pxos have
// their own place in codes.go and in the header.
var constants = map[string][]constantGroup{
	"pixelfs": {
		{"Flags of open, added together.", []constant{
			{"read", abi.FileRead, ""}, {"write", abi.FileWrite, ""}, {"create", abi.FileCreate, "make the file when there is none"},
			{"exclusive", abi.FileExclusive, "with create: fail when there is one"}, {"truncate", abi.FileTruncate, "begin with an empty file"},
			{"append", abi.FileAppend, "write at the end, whatever the position"},
		}},
		{"What stat finds.", []constant{{"file", abi.EntryFile, ""}, {"directory", abi.EntryDirectory, ""}}},
		{"Where seek counts from.", []constant{{"seek_start", abi.SeekStart, ""}, {"seek_current", abi.SeekCurrent, ""}, {"seek_end", abi.SeekEnd, ""}}},
	},
	"infinitemap": {
		{"Flags of open, added together.", []constant{
			{"read", abi.MapRead, ""}, {"write", abi.MapWrite, "and read"}, {"create", abi.MapCreate, "make the map when there is none"},
		}},
		{"The highest level of read_region.", []constant{{"max_level", abi.MaxMapLevel, ""}}},
	},
}

type constantGroup struct {
	doc  string
	list []constant
}

// goConstants writes the constants of a family for its Go package, which gives them
// to its users in a form of its own.
func goConstants(fam abi.Family) ([]byte, error) {
	var b bytes.Buffer
	_, pkg := goPackage(fam)
	b.WriteString(goHeader + "package " + pkg + "\n")
	for _, g := range constants[fam.Module] {
		b.WriteString("\n" + comment("", g.doc) + "const (\n")
		for _, c := range g.list {
			fmt.Fprintf(&b, "raw%s = %d", camel(c.name), c.value)
			if c.doc != "" {
				b.WriteString(" // " + c.doc)
			}
			b.WriteByte('\n')
		}
		b.WriteString(")\n")
	}
	return format.Source(b.Bytes())
}

// cConstants writes the constants of a family for the header.
func cConstants(b *bytes.Buffer, fam abi.Family) {
	for _, g := range constants[fam.Module] {
		b.WriteString("\n/* " + g.doc + " */\n")
		for _, c := range g.list {
			fmt.Fprintf(b, "#define PXOS_%s_%s %du", strings.ToUpper(fam.Module), strings.ToUpper(c.name), c.value)
			if c.doc != "" {
				b.WriteString(" /* " + c.doc + " */")
			}
			b.WriteByte('\n')
		}
	}
}
