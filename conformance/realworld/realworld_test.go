package realworld

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every program does under pxOS what it does without, in a process of its own and
// inside the host.
func TestPrograms(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			p, source := s.make(t)
			cartridge := pack(t, s.name, p.module)
			first := true
			for _, u := range s.uses {
				t.Run(u.name, func(t *testing.T) {
					stdin := u.input(t, source)
					want := u.expected(t, p, stdin)
					if want.code != u.code {
						t.Errorf("the native program exits with %d, not %d: the use does something else than it should\n%s", want.code, u.code, tail(want.stderr))
					}
					for _, isolation := range []string{"process", "inline"} {
						args := append([]string{"run", "--isolation", isolation}, u.grants(t)...)
						got := host(t, stdin, append(append(args, cartridge, "--"), u.args...)...)
						if first {
							t.Logf("%s, %s: first run %s", s.name, s.from, got.wall.Round(1e6))
							first = false
						}
						u.compare(t, isolation, got, want)
						t.Logf("%s: %s, native %s", isolation, got.wall.Round(1e6), want.wall.Round(1e6))
					}
				})
			}
		})
	}
}

// pack makes a cartridge of a module as a person would, and checks it.
func pack(t *testing.T, name, module string) string {
	t.Helper()
	out := filepath.Join(workshop.dir, name+".pxa")
	hostOK(t, "pack", module, "-o", out)
	hostOK(t, "verify", out)
	return out
}

// input returns what a use reads from standard input.
func (u *use) input(t *testing.T, source string) []byte {
	t.Helper()
	if u.feed != nil {
		return u.feed()
	}
	if u.stdin == "" {
		return nil
	}
	path := filepath.Join("testdata", filepath.FromSlash(u.stdin))
	if rest, ok := strings.CutPrefix(u.stdin, "src/"); ok {
		path = filepath.Join(source, filepath.FromSlash(rest))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// place is the directory in which a use runs, and the one below it that it reads.
func (u *use) place() (dir, read string) {
	for _, a := range u.args {
		if strings.HasPrefix(a, "bin/") {
			return workshop.dir, "bin"
		}
	}
	return "testdata", "in"
}

// grants are the flags that give the guest the directory it reads.
func (u *use) grants(t *testing.T) []string {
	t.Helper()
	dir, read := u.place()
	abs, err := filepath.Abs(filepath.Join(dir, read))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--dir", abs + ":/" + read + ":read"}
}

// expected runs the native program, or returns what is known about it.
func (u *use) expected(t *testing.T, p program, stdin []byte) outcome {
	t.Helper()
	if p.native == "" {
		return outcome{stdout: []byte(u.want), code: u.code}
	}
	os.Remove("/tmp/pxos-realworld.db") // a use may write there; a guest's /tmp is always new
	c := command(runLimit, []string{"LC_ALL=C.UTF-8", "HOME=" + workshop.dir}, p.native, u.args...)
	c.Dir, _ = u.place()
	c.Stdin = bytes.NewReader(stdin)
	o, err := c.run()
	if err != nil {
		t.Fatal(err)
	}
	if len(o.stdout) == 0 && o.code == 0 {
		t.Errorf("the native program says nothing: there is nothing to compare")
	}
	return o
}

func (u *use) compare(t *testing.T, isolation string, got, want outcome) {
	t.Helper()
	if got.code != want.code {
		t.Errorf("%s: exit code %d, native %d\n%s", isolation, got.code, want.code, tail(got.stderr))
	}
	if d := difference(got.stdout, want.stdout); d != "" {
		t.Errorf("%s: standard output differs: %s\n%s", isolation, d, tail(got.stderr))
	}
	if !u.stderr {
		return
	}
	if d := difference(got.stderr, want.stderr); d != "" {
		t.Errorf("%s: standard error differs: %s", isolation, d)
	}
}

// difference says where two outputs part, or returns "".
func difference(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	return fmt.Sprintf("%d bytes, want %d; at %d %q, want %q", len(got), len(want), i, got[i:min(len(got), i+80)], want[i:min(len(want), i+80)])
}

// A program that carries the files it works on needs no grant: its archive is its file
// system.
func TestCarriesItsFiles(t *testing.T) {
	p := goProgram(t, ".", "cmd/gofmt", "gofmt")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	wasm, err := os.ReadFile(p.module)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"gofmt.wasm": wasm, "cartridge.toml": []byte(`name = "gofmt"
version = "1.0.0"
created_at = 2026-01-01T00:00:00Z
notes = "a formatter with something to format"
genesis = "1.0"
licence = "BSD-3-Clause"
creator = { kind = "human", name = "the Go authors" }
[programs.gofmt]
module = "gofmt.wasm"
kind = "wasi"
`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cartridge := filepath.Join(workshop.dir, "carries.pxa")
	hostOK(t, "pack", dir, "-o", cartridge, "--xz")
	u := use{args: []string{"-d", "in/untidy.go.txt", "in/none.go"}}
	want := u.expected(t, p, nil)
	u.compare(t, "default", host(t, nil, append([]string{"run", cartridge, "--"}, u.args...)...), want)
	// What a program writes stays in its own /tmp or is refused.
	o := host(t, nil, "run", cartridge, "--", "-w", "in/untidy.go.txt")
	if o.code == 0 || len(o.stderr) == 0 {
		t.Errorf("writing into the archive: exit code %d, %q", o.code, o.stderr)
	}
}

// A module that was made for another host is refused before anything of it runs, with
// all that it lacks.
func TestOtherHostsModule(t *testing.T) {
	dir := npmPackage(t, "@ruby/3.4-wasm-wasi", "2.10.1", "sha512-qrzIJ/7TGSpsZpFyLJb9OXO6TYAq18XoLd11We17Sr78hWpb5IGGFgMQ9A2Y8Ww5n0k8uKA/I8/P8MJdzlJX0Q==")
	out := filepath.Join(workshop.dir, "ruby.pxa")
	hostOK(t, "pack", filepath.Join(dir, "dist", "ruby.wasm"), "-o", out)
	o := host(t, nil, "run", out, "--", "-e", "puts 1")
	if o.code != 125 {
		t.Errorf("exit code %d", o.code)
	}
	// It wants JavaScript objects: 24 functions, of which these are the first and
	// the last in order.
	text := string(o.stderr)
	for _, want := range []string{"canonical_abi.resource_drop_js-abi-value, canonical_abi.resource_get_rb-abi-value", "rb-js-abi-host.string-to-js-string: func(value: string)", "hint: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the error does not say %q: %s", want, tail(o.stderr))
		}
	}
	if n := strings.Count(text, "rb-js-abi-host."); n != 21 {
		t.Errorf("%d imports of rb-js-abi-host are named, the module has 21", n)
	}
}
