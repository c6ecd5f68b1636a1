package strict

import (
	"fmt"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name, src string
		want      []string
	}{
		{"nothing wrong", "name = 'x'\nmode = 'read'\nflag = true\n[sub]\n[[list]]\nname = 'y'\n", nil},
		{"missing", "mode = 'read'", []string{"name: is missing"}},
		{"missing in an element", "name = 'x'\n\n[[list]]\n", []string{"line 3: list.0.name: is missing"}},
		{"unknown, close", "name = 'x'\nmod = 'y'", []string{`line 2: mod: unknown key; did you mean "mode"?`}},
		{"unknown, far", "name = 'x'\nzzzzzz = 1", []string{"line 2: zzzzzz: unknown key; known here: name, mode, flag, sub, list"}},
		{"choice", "name = 'x'\nmode = 'append'", []string{`line 2: mode: must be "read" or "write"`}},
		{"bool", "name = 'x'\nflag = 1", []string{"line 2: flag: must be true or false"}},
		{"table", "name = 'x'\nsub = 1", []string{"line 2: sub: must be a table"}},
		{"tables", "name = 'x'\nlist = [1]", []string{"line 2: list: must be written as [[list]] tables"}},
		{"empty list", "name = 'x'\nlist = []", nil},
		{"line order", "flag = 1\nname = 2\n", []string{"line 1: flag: must be true or false", "line 2: name: must be a string"}},
		{"key with an escape sequence", "name = 'x'\n\"\\u001b[2J\" = 1", []string{`"\x1b[2J": unknown key`}},
		{"key with a dot", "name = 'x'\n\"a.b\" = 1", []string{`line 2: "a.b": unknown key`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, fault := Parse([]byte(tc.src), 1000)
			if fault != nil {
				t.Fatal(fault)
			}
			root := doc.Root()
			root.Text("name", true)
			root.Choice("mode", false, "read", "write")
			root.Bool("flag")
			root.Table("sub", false)
			for _, e := range root.Tables("list") {
				e.Text("name", true)
				e.Done()
			}
			root.Done()
			faults := doc.Faults()
			if len(faults) != len(tc.want) {
				t.Fatalf("got %v, want %v", faults, tc.want)
			}
			for i, f := range faults {
				if !strings.HasPrefix(f.String(), tc.want[i]) {
					t.Errorf("got  %s\nwant %s", f, tc.want[i])
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const n = 200_000
	for _, tc := range []struct{ name, src, want string }{
		{"syntax", "a = 1\nb = ", "line 2: "},
		{"size", strings.Repeat("#", 1<<20+1), "is 1048577 bytes, at most 1048576 are allowed"},
		{"encoding", "a = '\xff'", "is not UTF-8 text"},
		{"deep arrays", "\na = " + strings.Repeat("[", n), "line 2: nests deeper than 32 levels"},
		{"deep inline tables", "a = " + strings.Repeat("{a=", n), "line 1: nests deeper"},
		{"deep mixture", "a = " + strings.Repeat("[{a=", n), "line 1: nests deeper"},
		{"long dotted key", strings.Repeat("a.", n) + "a = 1", "line 1: nests deeper"},
		{"long header", "[" + strings.Repeat("a.", n) + "a]", "line 1: nests deeper"},
		{"long list header", "[[" + strings.Repeat("a.", n) + "a]]", "line 1: nests deeper"},
		{"deep behind a multi-line string", "a = \"\"\"\n\\\"\"\"\"\nb = " + strings.Repeat("[", n), "line 3: nests deeper"},
		{"deep behind a comment in an array", "a = [ # ]\n1]\nb = " + strings.Repeat("[", n), "line 3: nests deeper"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc, fault := Parse([]byte(tc.src), 1<<20)
			if doc != nil || fault == nil || !strings.Contains(fault.String(), tc.want) {
				t.Errorf("got %v, want %s", fault, tc.want)
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	doc, fault := Parse([]byte(b.String()), 1<<20)
	if fault != nil {
		t.Fatal(fault)
	}
	doc.Root().Done()
	faults := doc.Faults()
	if len(faults) != maxFaults+1 || faults[maxFaults].Msg != "and 49900 more faults" {
		t.Errorf("%d faults, the last is %v", len(faults), faults[len(faults)-1])
	}
}

// The line scanner must find the keys of whatever the TOML library accepts, at a
// line that exists.
func FuzzParse(f *testing.F) {
	f.Add([]byte("a = [1, {b = '''x\n''''', c.d = 2}]\n[[x]]\n[[x.y]]\n"))
	f.Add([]byte("a = \"\"\"\\\n\"\"\"\"\"\n'b c' = {}"))
	f.Add([]byte("a = [[[[[1]]]]] # ]\r\n\"\\u0041\" = 2\n[a.b.c.d]"))
	f.Fuzz(func(t *testing.T, src []byte) {
		doc, fault := Parse(src, 1<<16)
		if fault != nil {
			return
		}
		lines := strings.Count(string(src), "\n") + 1
		for k, l := range doc.lines {
			if l < 1 || l > lines {
				t.Errorf("%q at line %d of %d", k, l, lines)
			}
		}
		var raw map[string]any
		if _, err := toml.Decode(string(src), &raw); err != nil {
			t.Fatal(err)
		}
		plain := !strings.ContainsAny(string(src), "\\\"'")
		for k := range raw {
			if _, ok := doc.lines[component(k)]; plain && !ok {
				t.Errorf("no line for %q in %v", k, doc.lines)
			}
		}
	})
}
