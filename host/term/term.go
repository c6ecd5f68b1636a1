// Package term makes text from a stranger safe to show: it can look like text, but
// cannot move the cursor, recolour the screen, set the title or answer for the user.
//
// A stream that a guest writes goes through a [Filter]; a name or a message inside
// other text through [Line] or [Text]; a JSON document through [JSON]. All three
// agree on what is unsafe; the last three also show characters that nobody can see,
// which a stream keeps, because writing systems and emoji are joined with them.
package term

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Filter neutralises a stream of bytes on its way to a terminal. Line feeds, tabs
// and carriage returns pass, and so does UTF-8 text; every other control character,
// C0, and DEL becomes its visible picture (␛ for escape), C1 controls, line separators
// and the marks that reorder text are shown as their code, and bytes that are not UTF-8
// become �. A
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
// are made visible too, and so are characters that have no glyph. It is for names, messages and notes inside other text.
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

// JSON returns doc, a JSON document, with every character that [Line] would replace
// written as a JSON escape: the same document, safe to show and on one line. doc must
// be valid JSON without white space between its tokens.
func JSON(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	for _, r := range string(doc) {
		switch {
		case !acts(r) && !unseen(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff: // a surrogate pair
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func appendRune(out []byte, r rune, stream bool) []byte {
	switch {
	case r == '\t', stream && (r == '\n' || r == '\r'):
		return append(out, byte(r))
	case r < ' ':
		return utf8.AppendRune(out, 0x2400+r)
	case r == 0x7f:
		return utf8.AppendRune(out, 0x2421)
	case acts(r), !stream && unseen(r):
		out = append(out, "<U+"...)
		hex := strings.ToUpper(strconv.FormatInt(int64(r), 16))
		for i := len(hex); i < 4; i++ {
			out = append(out, '0')
		}
		return append(append(out, hex...), '>')
	}
	return utf8.AppendRune(out, r)
}

// acts reports the characters that act on a terminal or on the text around them:
// C0 and C1 controls and DEL, line and paragraph separators, and the marks that
// reorder text, which let a line read differently from what it says.
func acts(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x206f:
	default:
		return false
	}
	return true
}

// unseen reports characters without a glyph, which make two names look like one:
// zero-width spaces and joiners, the byte order mark, tag characters.
func unseen(r rune) bool {
	switch {
	case r == 0x180e, r == 0xfeff:
	case r >= 0x200b && r <= 0x200d, r >= 0x2060 && r <= 0x2065, r >= 0xe0000 && r <= 0xe007f:
	default:
		return false
	}
	return true
}
