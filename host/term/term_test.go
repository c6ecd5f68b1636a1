package term

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFilter(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "hello\tworld\r\n", "hello\tworld\r\n"},
		{"utf-8", "héllo ␀ 世界 🎉", "héllo ␀ 世界 🎉"},
		{"colour", "\x1b[31mred", "␛[31mred"},
		{"title", "\x1b]0;pwned\x07", "␛]0;pwned␇"},
		{"C1 CSI", "\u009b31m", "<U+009B>31m"},
		{"raw C1 byte", "\x9b31m", "�31m"},
		{"DEL and backspace", "a\x7f\x08", "a␡␈"},
		{"bidi", "a\u202eb", "a<U+202E>b"},
		{"NUL", "\x00", "␀"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f Filter
			if got := string(f.Clean([]byte(tc.in))); got != tc.want {
				t.Errorf("whole: got %q want %q", got, tc.want)
			}
			// Byte by byte the outcome is the same.
			var g Filter
			var sb strings.Builder
			for i := range len(tc.in) {
				sb.Write(g.Clean([]byte{tc.in[i]}))
			}
			if sb.String() != tc.want {
				t.Errorf("split: got %q want %q", sb.String(), tc.want)
			}
		})
	}
}

func TestLine(t *testing.T) {
	if got := Line("a\nb\x1b[2J\r"); got != "a␊b␛[2J␍" {
		t.Errorf("got %q", got)
	}
	if got := Text("a\nb\x1bc"); got != "a\nb␛c" {
		t.Errorf("got %q", got)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte("\x1b[31m\xc2\x9b\xe2\x80\xae"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		if cut < 0 || cut > len(in) {
			return
		}
		var fl Filter
		out := string(fl.Clean(in[:cut])) + string(fl.Clean(in[cut:]))
		if !utf8.ValidString(out) {
			t.Errorf("%q gives invalid text %q", in, out)
		}
		for _, r := range out {
			if r != '\n' && r != '\r' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || bidi(r)) {
				t.Errorf("%q lets %U through", in, r)
			}
		}
	})
}
