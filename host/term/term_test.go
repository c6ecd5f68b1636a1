package term

import (
	"encoding/json"
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
		{"line separator", "a\u2028b\u2029", "a<U+2028>b<U+2029>"},
		{"joined emoji stays whole", "👩\u200d🚀", "👩\u200d🚀"},
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

// Line, Text and JSON agree on what may be shown, and JSON changes no document.
func TestLine(t *testing.T) {
	for _, tc := range []struct{ name, in, line, doc string }{
		{"plain", "plain text", "plain text", `"plain text"`},
		{"utf-8", "ünïcode 漢字 🙂", "ünïcode 漢字 🙂", `"ünïcode 漢字 🙂"`},
		{"line ends", "a\nb\r", "a␊b␍", `"a\nb\r"`},
		{"colour", "\x1b[2Jred\x07", "␛[2Jred␇", `"\u001b[2Jred\u0007"`},
		{"DEL and C1", "\x7f\u0085\u009b", "␡<U+0085><U+009B>", `"\u007f\u0085\u009b"`},
		{"bidi", "\u202egnp.exe\u2066", "<U+202E>gnp.exe<U+2066>", `"\u202egnp.exe\u2066"`},
		{"separators", "a\u2028b\u2029", "a<U+2028>b<U+2029>", `"a\u2028b\u2029"`},
		{"no glyph", "he\u200bllo\u2060\ufeff", "he<U+200B>llo<U+2060><U+FEFF>", `"he\u200bllo\u2060\ufeff"`},
		{"tags", "a\U000e0041", "a<U+E0041>", `"a\udb40\udc41"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Line(tc.in); got != tc.line {
				t.Errorf("line %q, want %q", got, tc.line)
			}
			if got, want := Text(tc.in+"\n"+tc.in), strings.Replace(tc.line, "␊", "\n", 1)+"\n"+strings.Replace(tc.line, "␊", "\n", 1); got != want {
				t.Errorf("text %q, want %q", got, want)
			}
			doc, err := json.Marshal(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(JSON(doc)); got != tc.doc {
				t.Errorf("document %s, want %s", got, tc.doc)
			}
		})
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b[31m\u009b\u202e\u200d\U000e0041\xff")
	f.Fuzz(func(t *testing.T, in string) {
		doc, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		safe := JSON(doc)
		var before, after string
		if json.Unmarshal(doc, &before) != nil || json.Unmarshal(safe, &after) != nil || before != after {
			t.Errorf("%s became another document: %s", doc, safe)
		}
		if got := Line(string(safe)); got != string(safe) {
			t.Errorf("Line shows the document %s as %s", safe, got)
		}
		for _, r := range Line(in) {
			if r != '\t' && (acts(r) || unseen(r)) {
				t.Errorf("%q lets %U through", in, r)
			}
		}
	})
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
			if r != '\n' && r != '\r' && r != '\t' && acts(r) {
				t.Errorf("%q lets %U through", in, r)
			}
		}
	})
}
