// Package term makes text from a guest safe to show: what a guest writes can look
// like text, but cannot move the cursor, recolour the screen, set the title or
// answer for the user.
package term

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Filter neutralises a stream of bytes on its way to a terminal. Line feeds, tabs
// and carriage returns pass, and so does UTF-8 text; every other control character,
// C0 and C1, and DEL becomes its visible picture (␛ for escape), bidirectional
// overrides are shown as their code, and bytes that are not UTF-8 become �. A
// character that is split between two writes is put together again.
type Filter struct {
	tail []byte // an unfinished character, at most 3 bytes
	out  []byte
}

// Clean returns the safe form of p. The result is valid until the next call.
func (f *Filter) Clean(p []byte) []byte {
	f.out = f.out[:0]
	if len(f.tail) > 0 {
		p = append(f.tail, p...)
		f.tail = nil
	}
	for len(p) > 0 {
		if c := p[0]; c < utf8.RuneSelf {
			f.out = appendRune(f.out, rune(c), true)
			p = p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			f.tail = append([]byte(nil), p...)
			break
		}
		r, n := utf8.DecodeRune(p)
		f.out = appendRune(f.out, r, true)
		p = p[n:]
	}
	return f.out
}

// Line returns s as one safe line: like Filter, and line feeds and carriage returns
// are made visible too. It is for names, messages and notes inside other text.
func Line(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for _, r := range s {
		out = appendRune(out, r, false)
	}
	return string(out)
}

// Text returns s with its line feeds and tabs kept and everything else as in Line.
func Text(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Line(l)
	}
	return strings.Join(lines, "\n")
}

func appendRune(out []byte, r rune, stream bool) []byte {
	switch {
	case r == '\t', stream && (r == '\n' || r == '\r'):
		return append(out, byte(r))
	case r < ' ':
		return utf8.AppendRune(out, 0x2400+r)
	case r == 0x7f:
		return utf8.AppendRune(out, 0x2421)
	case r >= 0x80 && r < 0xa0, bidi(r):
		out = append(out, "<U+"...)
		hex := strings.ToUpper(strconv.FormatInt(int64(r), 16))
		for i := len(hex); i < 4; i++ {
			out = append(out, '0')
		}
		return append(append(out, hex...), '>')
	}
	return utf8.AppendRune(out, r)
}

// bidi reports the characters that reorder the text around them, which lets a line
// read differently from what it says.
func bidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}
