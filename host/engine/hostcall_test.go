package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pxos/pxos/abi"
	"github.com/tetratelabs/wazero/api"
)

// archive is an in-memory Archive.
type archive map[string]string

func (a archive) Paths() []string {
	var out []string
	for _, p := range []string{"a.txt", "dir/b.bin", "dir/c"} {
		if _, ok := a[p]; ok {
			out = append(out, p)
		}
	}
	return out
}

func (a archive) Stat(path string) (int64, [32]byte, bool) {
	s, ok := a[path]
	return int64(len(s)), sha256.Sum256([]byte(s)), ok
}

func (a archive) ReadAt(path string, dst []byte, off int64) (int, error) {
	s, ok := a[path]
	if !ok {
		return 0, errors.New("no such entry")
	}
	n := copy(dst, s[min(off, int64(len(s))):])
	if n < len(dst) {
		return n, io.EOF
	}
	return n, nil
}

// guest is an instance of a forwarder: its exports call the host functions.
type guest struct {
	t   testing.TB
	run *Run
	mod api.Module
}

func newGuest(t testing.TB, change func(*RunConfig)) *guest {
	t.Helper()
	return instance(t, load(t, newEngine(t, Config{}), forwarder("pxos", familyRows("pxos"))), change)
}

// instance makes an instance of a module that is armed, and has run nothing yet.
func instance(t testing.TB, m *Module, change func(*RunConfig)) *guest {
	t.Helper()
	e := m.eng
	cfg := &RunConfig{
		Program: "hello:greet", Limits: abi.DefaultLimits(), Seed: []byte("seed"), Epoch: time.Unix(1000, 0),
		Archive: archive{"a.txt": "hello", "dir/b.bin": "0123456789", "dir/c": ""},
		Granted: []abi.Capability{{Kind: abi.CapDir, Path: "/data", Mode: abi.ModeRead}},
	}
	if change != nil {
		change(cfg)
	}
	r := &Run{
		eng: e, cfg: cfg, limits: cfg.Limits, clock: clock{begin: time.Now(), virtual: true, base: cfg.Epoch.UnixNano()},
		random: newSeeded(cfg.Seed), stopped: make(chan struct{}), calls: make([]int64, len(e.names)),
	}
	r.call.Run = r
	mod, _, err := m.instantiate(r)
	if err != nil {
		t.Fatal(err)
	}
	mod.ExportedGlobal("pxos:meter").(api.MutableGlobal).Set(uint64(r.arm()))
	return &guest{t, r, mod}
}

func (g *guest) call(name string, args ...uint64) abi.Code {
	g.t.Helper()
	res, err := g.mod.ExportedFunction(name).Call(g.run, args...)
	if err != nil {
		g.t.Fatalf("%s%v: %v", name, args, err)
	}
	return abi.Code(int32(uint32(res[0])))
}

func (g *guest) mem(off, n uint32) []byte {
	b, ok := g.mod.Memory().Read(off, n)
	if !ok {
		g.t.Fatalf("no memory at %d+%d", off, n)
	}
	return b
}

func (g *guest) fill() {
	b := g.mem(0, g.mod.Memory().Size())
	for i := range b {
		b[i] = '?'
	}
}

// Each function writes what it says where it says (the virtual clock has been looked
// at once before, for the time of /tmp), and not one byte beside it.
func TestPxosFunctions(t *testing.T) {
	const at, out = 256, 128 // where buffers and out parameters lie
	le32 := func(n int) string { return string([]byte{byte(n), byte(n >> 8), 0, 0}) }
	le64 := func(n int64) string {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(n >> (8 * i))
		}
		return string(b)
	}
	sum := func(s string) string { d := sha256.Sum256([]byte(s)); return string(d[:]) }
	put := func(g *guest, off uint32, s string) (uint64, uint64) {
		copy(g.mem(off, uint32(len(s))), s)
		return uint64(off), uint64(len(s))
	}
	for _, tc := range []struct {
		name string
		call func(g *guest) abi.Code
		code abi.Code
		want map[uint32]string // offset to bytes written
	}{
		{"abi_version", func(g *guest) abi.Code { return g.call("abi_version", out) }, 0, map[uint32]string{out: string([]byte{abi.Minor, 0, abi.Major, 0})}},
		{"program_name", func(g *guest) abi.Code { return g.call("program_name", at, 11, out) }, 0, map[uint32]string{at: "hello:greet", out: le32(11)}},
		{"program_name too small", func(g *guest) abi.Code { return g.call("program_name", at, 10, out) }, abi.CodeTooSmall, map[uint32]string{out: le32(11)}},
		{"program_name larger buffer", func(g *guest) abi.Code { return g.call("program_name", at, 64, out) }, 0, map[uint32]string{at: "hello:greet", out: le32(11)}},
		{"arguments default", func(g *guest) abi.Code { return g.call("arguments", at, 64, out) }, 0, map[uint32]string{at: "{}", out: le32(2)}},
		{"random", func(g *guest) abi.Code { return g.call("random", at, 8) }, 0, map[uint32]string{at: random8()}},
		{"clock real", func(g *guest) abi.Code { return g.call("clock", 0, out, out+8) }, 0, map[uint32]string{out: le64(1000e9 + 2000), out + 8: le64(1000)}},
		{"clock monotonic", func(g *guest) abi.Code { return g.call("clock", 1, out, out+8) }, 0, map[uint32]string{out: le64(2000), out + 8: le64(1000)}},
		{"clock unknown", func(g *guest) abi.Code { return g.call("clock", 2, out, out+8) }, abi.CodeInvalid, nil},
		{"capabilities", func(g *guest) abi.Code { return g.call("capabilities", at, 100, out) }, 0,
			map[uint32]string{at: `[{"kind":"dir","path":"/data","mode":"read"}]`, out: le32(45)}},
		{"archive_list", func(g *guest) abi.Code { return g.call("archive_list", 0, 0, at, 100, out) }, 0,
			map[uint32]string{at: "a.txt\x00dir/b.bin\x00dir/c\x00", out: le32(22)}},
		{"archive_list prefix", func(g *guest) abi.Code {
			p, n := put(g, 0, "dir/")
			return g.call("archive_list", p, n, at, 100, out)
		}, 0, map[uint32]string{0: "dir/", at: "dir/b.bin\x00dir/c\x00", out: le32(16)}},
		{"archive_stat", func(g *guest) abi.Code {
			p, n := put(g, 0, "a.txt")
			return g.call("archive_stat", p, n, out, at)
		}, 0, map[uint32]string{0: "a.txt", out: le64(5), at: sum("hello")}},
		{"archive_stat missing", func(g *guest) abi.Code {
			p, n := put(g, 0, "../a")
			return g.call("archive_stat", p, n, out, at)
		}, abi.CodeNotFound, map[uint32]string{0: "../a"}},
		{"archive_read middle", func(g *guest) abi.Code {
			p, n := put(g, 0, "dir/b.bin")
			return g.call("archive_read", p, n, 3, at, 4, out)
		}, 0, map[uint32]string{0: "dir/b.bin", at: "3456", out: le32(4)}},
		{"archive_read end", func(g *guest) abi.Code {
			p, n := put(g, 0, "dir/b.bin")
			return g.call("archive_read", p, n, 8, at, 4, out)
		}, 0, map[uint32]string{0: "dir/b.bin", at: "89", out: le32(2)}},
		{"archive_read past the end", func(g *guest) abi.Code {
			p, n := put(g, 0, "dir/b.bin")
			return g.call("archive_read", p, n, 1<<63, at, 4, out)
		}, 0, map[uint32]string{0: "dir/b.bin", out: le32(0)}},
		{"result not JSON", func(g *guest) abi.Code { p, n := put(g, 0, "{"); return g.call("result", p, n) }, abi.CodeInvalid, map[uint32]string{0: "{"}},
		{"result not UTF-8", func(g *guest) abi.Code { p, n := put(g, 0, "\"\xff\""); return g.call("result", p, n) }, abi.CodeInvalid, map[uint32]string{0: "\"\xff\""}},
		{"fail", func(g *guest) abi.Code { p, n := put(g, 0, "not_found"); return g.call("fail", p, n, p, n) }, 0, map[uint32]string{0: "not_found"}},
		{"fail with a bad type", func(g *guest) abi.Code { p, n := put(g, 0, "Not Found"); return g.call("fail", p, n, p, n) }, abi.CodeInvalid, map[uint32]string{0: "Not Found"}},
		{"log level", func(g *guest) abi.Code { return g.call("log", 4, 0, 0) }, abi.CodeInvalid, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGuest(t, nil)
			g.fill()
			if code := tc.call(g); code != tc.code {
				t.Fatalf("code %v, want %v", code, tc.code)
			}
			got := bytes.Clone(g.mem(0, 1024))
			want := bytes.Repeat([]byte{'?'}, 1024)
			for off, s := range tc.want {
				copy(want[off:], s)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("memory\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func random8() string {
	b := make([]byte, 8)
	_, _ = newSeeded([]byte("seed")).Read(b)
	return string(b)
}

// Whatever numbers a guest passes as pointers and lengths, every function answers with
// a code; it never panics and never takes memory for a length it has not checked.
func TestHostCallsHostileNumbers(t *testing.T) {
	g := newGuest(t, nil)
	size := uint64(g.mod.Memory().Size())
	values := []uint64{0, size - 1, size, 1 << 31, 1<<32 - 1}
	for _, row := range familyRows("pxos") {
		types := row.Lower()
		args := make([]uint64, len(types))
		var try func(i int)
		try = func(i int) {
			if i == len(args) {
				if code := g.call(row.Name, args...); code < 0 || code.String() == fmt.Sprintf("code %d", code) {
					t.Errorf("%s%v: unknown code %d", row.Name, args, code)
				}
				return
			}
			for _, v := range values {
				args[i] = v
				try(i + 1)
			}
		}
		if len(types) <= 5 {
			try(0)
			continue
		}
		// Five to the sixth is too many: every pair of parameters, the others sane.
		for i := range args {
			for j := range i {
				for _, v := range values {
					for _, w := range values {
						clear(args)
						args[i], args[j] = v, w
						g.call(row.Name, args...)
					}
				}
			}
		}
	}
}

// A family whose rows and implementations differ does not start.
func TestRegistryMatchesTable(t *testing.T) {
	short := pxosFamily()
	delete(short.Funcs, "log")
	extra := pxosFamily()
	extra.Funcs["more"] = func(*Call) abi.Code { return 0 }
	for name, fams := range map[string][]Family{"missing": {short}, "extra": {extra}, "twice": {pxosFamily(), pxosFamily()}} {
		if _, err := newRegistry(fams); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A line that is too long is cut between characters.
func TestLogCut(t *testing.T) {
	g := newGuest(t, nil)
	line := strings.Repeat("€", abi.MaxLogLine) // three bytes each
	copy(g.mem(0, uint32(len(line))), line)
	if code := g.call("log", 1, 0, uint64(len(line))); code != 0 {
		t.Fatal(code)
	}
	if got := g.run.logs[0].Message; got != line[:abi.MaxLogLine/3*3] {
		t.Errorf("kept %d bytes, ending in %q", len(got), got[len(got)-4:])
	}
}

// A log beyond its limit is refused and what was logged before stays.
func TestLogLimit(t *testing.T) {
	g := newGuest(t, func(c *RunConfig) { c.Limits.Log = 100 })
	copy(g.mem(0, 80), bytes.Repeat([]byte("x"), 80))
	if code := g.call("log", 1, 0, 80); code != 0 {
		t.Fatal(code)
	}
	if code := g.call("log", 1, 0, 80); code != abi.CodeLimit {
		t.Errorf("got %v", code)
	}
	if len(g.run.logs) != 1 {
		t.Errorf("%d lines", len(g.run.logs))
	}
}

// Text is checked in pieces that may end inside a character, with the same verdict.
func TestValidText(t *testing.T) {
	r := &Run{}
	for _, s := range []string{"é", "€", "𝄞", "\xff", "\x80", "\x80\x80", "\x80\x80\x80\x80\x80", "\xe2\x82", "\xf0\x9d\x84", "\xed\xa0\x80", "\xc3x"} {
		for before := textPiece - 6; before < textPiece+2; before++ {
			b := []byte(strings.Repeat("x", before) + s + "xx" + s)
			if got, want := r.validText(b), utf8.Valid(b); got != want {
				t.Errorf("%q after %d bytes: %v, want %v", s, before, got, want)
			}
			if b = b[:before+len(s)]; r.validText(b) != utf8.Valid(b) {
				t.Errorf("%q at the end after %d bytes: want %v", s, before, utf8.Valid(b))
			}
		}
	}
	r.stop.Store(stopDeadline)
	defer func() {
		if e, ok := recover().(*abortError); !ok || e.kind != abi.ErrDeadline {
			t.Errorf("a stopped run ended with %v", e)
		}
	}()
	r.validText(make([]byte, 4*textPiece))
	t.Error("a stopped run went on")
}

// A result is checked beside the guest when it is long, with the same verdict.
func TestValidJSON(t *testing.T) {
	r := &Run{stopped: make(chan struct{})}
	for _, n := range []int{10, shortJSON, shortJSON + 1, 1 << 20} {
		good := []byte(`"` + strings.Repeat("x", n-2) + `"`)
		if !r.validJSON(good) {
			t.Errorf("%d bytes: refused", n)
		}
		if r.validJSON(append(good, '"')) {
			t.Errorf("%d bytes: accepted what is not JSON", n)
		}
	}
}

// A path of many bytes names nothing and is not even copied.
func TestLongPaths(t *testing.T) {
	g := newGuest(t, nil)
	g.fill()
	if code := g.call("archive_stat", 0, 60_000, 60_000, 60_100); code != abi.CodeNotFound {
		t.Errorf("archive_stat: %v", code)
	}
	if code := g.call("archive_read", 0, 60_000, 0, 60_000, 10, 60_100); code != abi.CodeNotFound {
		t.Errorf("archive_read: %v", code)
	}
	if code := g.call("archive_list", 0, 60_000, 60_000, 10, 60_100); code != abi.CodeOK || !bytes.Equal(g.mem(60_100, 4), make([]byte, 4)) {
		t.Errorf("archive_list: %v, %d", code, g.mem(60_100, 4))
	}
}
