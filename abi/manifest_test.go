package abi

import (
	"errors"
	"strings"
	"testing"
)

const goodManifest = `name = "hello"
version = "1.2.3-rc.1"
created_at = 2026-01-31T12:00:00Z
notes = "first"
genesis = "1.0"
licence = "MIT"

[creator]
kind = "human"
name = "Ada"

[programs.hello]
module = "hello.wasm"
kind = "sdk"

[programs."hello:shout"]
module = "hello.wasm"
kind = "sdk"
export = "shout"

[[capabilities]]
kind = "dir"
path = "/data"
reason = "reads your text"

[[capabilities]]
kind = "env"
name = "LANG"
optional = true
reason = "greets in your language"

[limits]
memory = "64MiB"
time = 10
fuel = "5G"
`

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest([]byte(goodManifest))
	if err != nil {
		t.Fatal(err)
	}
	if m.Default != "hello:main" || len(m.Programs) != 2 || m.Programs[0].Export != "_start" || m.ABI != "1.0" {
		t.Errorf("got %+v", m)
	}
	if m.Limits.Memory != 64<<20 || m.Limits.Time.Seconds() != 10 || m.Limits.Fuel != 5e9 {
		t.Errorf("limits %+v", m.Limits)
	}
	if m.Capabilities[0].Optional || !m.Capabilities[1].Optional {
		t.Errorf("optional: %+v", m.Capabilities)
	}
	if got := m.Capabilities[0].String() + " " + m.Capabilities[1].String(); got != "dir:/data:read env:LANG" {
		t.Errorf("capabilities %s", got)
	}
	for _, name := range []string{"", "hello", "hello:main", "hello:shout"} {
		if _, err := m.Program(name); err != nil {
			t.Errorf("program %q: %v", name, err)
		}
	}
	if _, err := m.Program("other"); err == nil || !strings.Contains(err.Error(), "hello, hello:shout") {
		t.Errorf("unknown program: %v", err)
	}
}

// Each case changes one thing of a good manifest and must yield exactly that fault,
// at that line.
func TestManifestFaults(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown key", "notes =", "note = 1\nnotes =", "line 4: note: unknown key; did you mean \"notes\"?"},
		{"missing notes", "notes = \"first\"\n", "", "notes: is missing"},
		{"empty name", `name = "hello"`, `name = " "`, "line 1: name: must not be empty"},
		{"upper case name", `name = "hello"`, `name = "Hello"`, "line 1: name: must be 1 to 64"},
		{"semver", "1.2.3-rc.1", "1.2", "line 2: version: must be a semantic version"},
		{"semver with v", "1.2.3-rc.1", "v1.2.3", "line 2: version: must be a semantic version"},
		{"local time", "12:00:00Z", "12:00:00", "line 3: created_at: must be a time with its offset"},
		{"creator kind", `kind = "human"`, `kind = "robot"`, "line 9: creator.kind: must be"},
		{"creator missing name", "name = \"Ada\"\n", "", "line 8: creator.name: is missing"},
		{"parent", "notes =", "parent = \"abc\"\nnotes =", "line 4: parent: must be the parent's digest"},
		{"program kind", `module = "hello.wasm"
kind = "sdk"

`, `module = "hello.wasm"
kind = "js"

`, "line 14: programs.hello.kind: must be \"wasi\" or \"sdk\""},
		{"module path", `module = "hello.wasm"
kind = "sdk"
export`, `module = "../hello.wasm"
kind = "sdk"
export`, `line 17: programs.hello:shout.module: must be a relative path`},
		{"reserved export", `export = "shout"`, `export = "pxos:start"`, "reserved"},
		{"duplicate program", `[programs."hello:shout"]`, `[programs."hello:main"]`, "same program"},
		{"capability kind", `kind = "dir"`, `kind = "net"`, "unknown kind \"net\""},
		{"capability escape", `path = "/data"`, `path = "/data/../etc"`, "line 21: capabilities.0: path must be an absolute guest path"},
		{"capability without reason", "reason = \"reads your text\"\n", "", "line 21: capabilities.0.reason: is missing"},
		{"limit unit", `"64MiB"`, `"64 monkeys"`, "line 33: limits.memory: invalid size"},
		{"limit zero", "time = 10", "time = 0", "line 34: limits.time: must be greater than 0"},
		{"limit type", "time = 10", "time = true", "line 34: limits.time: must be a number"},
		{"unknown limit", "fuel =", "fule =", "line 35: limits.fule: unknown key; did you mean \"fuel\"?"},
		{"wrong type", `notes = "first"`, `notes = 7`, "line 4: notes: must be a string"},
		{"control character", `notes = "first"`, `notes = "a\u001b[31m"`, "line 4: notes: contains a control character"},
		{"not toml", `notes = "first"`, `notes = "first`, "line 4: "},
		{"default", "notes =", "default = \"x\"\nnotes =", "line 4: default: no program is called \"x\""},
		{"abi", "notes =", "abi = \"one\"\nnotes =", "line 4: abi: must be MAJOR.MINOR"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := strings.Replace(goodManifest, tc.old, tc.new, 1)
			if src == goodManifest {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseManifest([]byte(src))
			var me *ManifestError
			if !errors.As(err, &me) || len(me.Faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if got := me.Faults[0].String(); !strings.Contains(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestManifestReportsAllFaults(t *testing.T) {
	_, err := ParseManifest([]byte("name = 3\nversion = \"x\"\n[creator]\nkind = \"cat\"\n[oops]\n"))
	var me *ManifestError
	if !errors.As(err, &me) {
		t.Fatal(err)
	}
	want := []string{"name", "version", "created_at", "creator.kind", "creator.name", "notes", "genesis", "licence", "programs", "oops"}
	got := map[string]bool{}
	for _, f := range me.Faults {
		got[f.Key] = true
	}
	for _, k := range want {
		if !got[k] {
			t.Errorf("no fault for %s in %v", k, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(goodManifest))
	f.Add([]byte("a = [1, {b = '''x\n''''', c.d = 2}]\n[[x]]\n[[x.y]]\n"))
	f.Add([]byte("a = \"\"\"\\\n\"\"\"\"\"\n'b c' = {}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := ParseManifest(src)
		if err == nil && (len(m.Programs) == 0 || m.Name == "") {
			t.Errorf("accepted %q as %+v", src, m)
		}
		var me *ManifestError
		if err != nil && (!errors.As(err, &me) || len(me.Faults) == 0) {
			t.Errorf("error without faults: %v", err)
		}
		lines := strings.Count(string(src), "\n") + 1
		if me != nil {
			for _, fault := range me.Faults {
				if fault.Line > lines {
					t.Errorf("fault beyond the end: %v", fault)
				}
			}
		}
	})
}
