package storage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// A guest that does as it is told: it reads commands from its standard input, calls the
// host function each of them names, and writes the outcome to its standard output.

func uleb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func vec(items ...[]byte) []byte { return append(uleb(uint64(len(items))), cat(items...)...) }

func str(s string) []byte { return append(uleb(uint64(len(s))), s...) }

func sec(id byte, body []byte) []byte { return cat([]byte{id}, uleb(uint64(len(body))), body) }

func konst(n int32) []byte {
	out := []byte{0x41}
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// The last page of the guest's memory is its own: a command of an i64 for what to do and
// ten for the arguments, an iovec, a count, a result.
const (
	pages      = 40
	memorySize = pages << 16
	command    = memorySize - 1024
	vector     = command + 256
	count      = vector + 8
	outcome    = count + 8
	poke       = -1
	peek       = -2
)

// functions are the rows that the guest can call, by "module.name".
var functions = sync.OnceValue(func() map[string]int {
	out := map[string]int{}
	for _, m := range []string{"pixelfs", "infinitemap"} {
		for _, r := range rowsOf(m) {
			out[m+"."+r.Name] = len(out)
		}
	}
	return out
})

func rowsOf(module string) []abi.Function {
	for _, f := range abi.Families() {
		if f.Module == module {
			return f.Rows
		}
	}
	return nil
}

// obedient assembles the guest.
var obedient = sync.OnceValue(func() []byte {
	var types, imports, calls [][]byte
	add := func(module, name string, params []byte) {
		n := uint64(len(types))
		types = append(types, cat([]byte{0x60}, uleb(uint64(len(params))), params, []byte{1, 0x7f}))
		imports = append(imports, cat(str(module), str(name), []byte{0}, uleb(n)))
	}
	const i32, load32, load64, store32 = 0x7f, 0x28, 0x29, 0x36
	add("wasi_snapshot_preview1", "fd_read", []byte{i32, i32, i32, i32})
	add("wasi_snapshot_preview1", "fd_write", []byte{i32, i32, i32, i32})
	at := func(op byte, addr int32) []byte { return cat(konst(addr), []byte{op, 0, 0}) }
	n := 0
	for _, m := range []string{"pixelfs", "infinitemap"} {
		for _, r := range rowsOf(m) {
			var params, push []byte
			for i, p := range r.Lower() {
				params = append(params, byte(p))
				op := byte(load32)
				if byte(p) != i32 {
					op = load64
				}
				push = append(push, at(op, command+8+8*int32(i))...)
			}
			add(m, r.Name, params)
			// if what == n { outcome = call(…); move(fd_write, outcome, 4) }
			calls = append(calls, cat(at(load32, command), konst(int32(n)), []byte{0x46, 0x04, 0x40},
				konst(outcome), push, []byte{0x10}, uleb(uint64(2+n)), []byte{store32, 0, 0},
				konst(1), konst(outcome), konst(4), []byte{0x10}, uleb(0), []byte{0x0b}))
			n++
		}
	}
	total := uint64(2 + n)
	for i, c := range calls { // the index of move is known only now
		calls[i] = bytes.Replace(c, cat(konst(4), []byte{0x10}, uleb(0), []byte{0x0b}), cat(konst(4), []byte{0x10}, uleb(total), []byte{0x0b}), 1)
	}
	moveType, startType := uint64(len(types)), uint64(len(types)+1)
	types = append(types, []byte{0x60, 3, i32, i32, i32, 0}, []byte{0x60, 0, 0})
	// move(way, ptr, len): fd_read(0) or fd_write(1) until all is moved; the end of input
	// ends the program.
	move := cat([]byte{0}, []byte{0x02, 0x40, 0x03, 0x40},
		[]byte{0x20, 2, 0x45, 0x0d, 1}, // len == 0: done
		konst(vector), []byte{0x20, 1, store32, 0, 0}, konst(vector+4), []byte{0x20, 2, store32, 0, 0},
		[]byte{0x20, 0, 0x04, i32},
		konst(1), konst(vector), konst(1), konst(count), []byte{0x10, 1, 0x05},
		konst(0), konst(vector), konst(1), konst(count), []byte{0x10, 0, 0x0b},
		[]byte{0x04, 0x40, 0x00, 0x0b}, // an error: unreachable
		at(load32, count), []byte{0x45, 0x04, 0x40}, konst(0), konst(0), []byte{store32, 0, 0}, konst(command), konst(-3), []byte{store32, 0, 0}, []byte{0x0f, 0x0b},
		[]byte{0x20, 1}, at(load32, count), []byte{0x6a, 0x21, 1},
		[]byte{0x20, 2}, at(load32, count), []byte{0x6b, 0x21, 2},
		[]byte{0x0c, 0, 0x0b, 0x0b, 0x0b})
	moveCall := cat([]byte{0x10}, uleb(total))
	start := cat([]byte{0}, []byte{0x02, 0x40, 0x03, 0x40},
		konst(0), konst(command), konst(88), moveCall,
		at(load32, command), konst(-3), []byte{0x46, 0x0d, 1},
		at(load32, command), konst(-4), []byte{0x46, 0x04, 0x40, 0x00, 0x0b}, // trap
		at(load32, command), konst(-5), []byte{0x46, 0x04, 0x40, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b}, // for ever
		at(load32, command), konst(poke), []byte{0x46, 0x04, 0x40}, konst(0), at(load32, command+8), at(load32, command+16), moveCall, []byte{0x0b},
		at(load32, command), konst(peek), []byte{0x46, 0x04, 0x40}, konst(1), at(load32, command+8), at(load32, command+16), moveCall, []byte{0x0b},
		cat(calls...), []byte{0x0c, 0, 0x0b, 0x0b, 0x0b})
	body := func(b []byte) []byte { return cat(uleb(uint64(len(b))), b) }
	return cat([]byte("\x00asm\x01\x00\x00\x00"), sec(1, vec(types...)), sec(2, vec(imports...)), sec(3, vec(uleb(moveType), uleb(startType))),
		sec(5, vec([]byte{0, pages})), sec(7, vec(cat(str("_start"), []byte{0}, uleb(total+1)), cat(str("memory"), []byte{2, 0}))),
		sec(10, vec(body(move), body(start))))
})

// guest is a run of the guest that waits for commands.
type guest struct {
	t    testing.TB
	in   *io.PipeWriter
	out  *io.PipeReader
	sess *storage.Session
	done chan *abi.RunResult
}

var testEngine = sync.OnceValues(func() (*engine.Engine, error) {
	return engine.New(engine.Config{Families: storage.Families()})
})

func module(t testing.TB, wasm []byte) *engine.Module {
	t.Helper()
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Load(context.Background(), engine.Source{Digest: sha256.Sum256(wasm), Read: func() ([]byte, error) { return wasm, nil }}, abi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// config is storage in a directory with what is granted in short form.
func config(t testing.TB, dir string, grants ...string) storage.Config {
	t.Helper()
	cfg := storage.Config{Files: dir + "/pixelfs", Maps: dir + "/maps", Handles: 8}
	for _, g := range grants {
		c, err := abi.ParseCapability(g)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Granted = append(cfg.Granted, c)
	}
	return cfg
}

// everything is what most tests are granted.
var everything = []string{"pixelfs:/:write", "infinitemap:*:write"}

func begin(t testing.TB, cfg storage.Config, change func(*engine.RunConfig)) *guest {
	t.Helper()
	s, err := cfg.Open()
	if err != nil {
		t.Fatal(err)
	}
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	rc := &engine.RunConfig{
		Program: "test:main", Export: "_start", Argv: []string{"test"}, Limits: abi.DefaultLimits(), Granted: cfg.Granted,
		Stdin: inR, Stdout: outW, Services: s.Services(), Mounts: s.Mounts(), Ending: s.End,
	}
	rc.Limits.Output = 1 << 40
	rc.Limits.Fuel = 1 << 40
	if change != nil {
		change(rc)
	}
	g := &guest{t: t, in: inW, out: outR, sess: s, done: make(chan *abi.RunResult, 1)}
	m := module(t, obedient())
	go func() {
		res, err := m.Run(context.Background(), rc)
		if err != nil {
			t.Error(err)
		}
		outW.Close()
		g.done <- res
	}()
	t.Cleanup(func() { g.end() })
	return g
}

// end lets the guest return, and closes its storage.
func (g *guest) end() *abi.RunResult {
	g.in.Close()
	if g.done == nil {
		return nil
	}
	res := <-g.done
	g.done = nil
	if err := g.sess.Close(); err != nil {
		g.t.Errorf("close the session: %v", err)
	}
	return res
}

func (g *guest) send(what int64, args ...uint64) {
	b := make([]byte, 88)
	binary.LittleEndian.PutUint64(b, uint64(what))
	for i, a := range args {
		binary.LittleEndian.PutUint64(b[8+8*i:], a)
	}
	if _, err := g.in.Write(b); err != nil {
		g.t.Fatalf("the guest has ended: %v", err)
	}
}

// call calls "module.name" and returns its code.
func (g *guest) call(name string, args ...uint64) abi.Code {
	g.t.Helper()
	i, ok := functions()[name]
	if !ok {
		g.t.Fatalf("no function %s", name)
	}
	g.send(int64(i), args...)
	var b [4]byte
	if _, err := io.ReadFull(g.out, b[:]); err != nil {
		res := <-g.done
		g.done = nil
		g.t.Fatalf("%s%v: the guest ended: %s %s %v", name, args, res.ErrorType, res.Error, res.Trace)
	}
	return abi.Code(int32(binary.LittleEndian.Uint32(b[:])))
}

// ok is call for what has to succeed.
func (g *guest) ok(name string, args ...uint64) {
	g.t.Helper()
	if code := g.call(name, args...); code != abi.CodeOK {
		g.t.Fatalf("%s%v: %v", name, args, code)
	}
}

func (g *guest) put(off uint32, data []byte) {
	g.send(poke, uint64(off), uint64(len(data)))
	if _, err := g.in.Write(data); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) mem(off, n uint32) []byte {
	g.send(peek, uint64(off), uint64(n))
	b := make([]byte, n)
	if _, err := io.ReadFull(g.out, b); err != nil {
		g.t.Fatal(err)
	}
	return b
}

func (g *guest) u32(off uint32) uint32 { return binary.LittleEndian.Uint32(g.mem(off, 4)) }
func (g *guest) u64(off uint32) uint64 { return binary.LittleEndian.Uint64(g.mem(off, 8)) }

// Where tests put things.
const (
	pathAt  = 0x100
	otherAt = 0x600
	outAt   = 0xf00
	dataAt  = 0x1000
)

// text puts a text and returns it as a parameter.
func (g *guest) text(off uint32, s string) (ptr, n uint64) {
	g.put(off, []byte(s))
	return uint64(off), uint64(len(s))
}

// openFile opens a file and returns the handle.
func (g *guest) openFile(path string, flags uint64) uint64 {
	g.t.Helper()
	p, n := g.text(pathAt, path)
	g.ok("pixelfs.open", p, n, flags, outAt)
	return uint64(g.u32(outAt))
}

// write replaces the content of a file.
func (g *guest) write(path, content string) {
	g.t.Helper()
	h := g.openFile(path, 1|2|4|16)
	p, n := g.text(dataAt, content)
	g.ok("pixelfs.write", h, p, n, outAt)
	g.ok("pixelfs.close", h)
}

// read returns the content of a file.
func (g *guest) read(path string) string {
	g.t.Helper()
	h := g.openFile(path, 1)
	g.ok("pixelfs.read", h, dataAt, 1<<20, outAt)
	s := string(g.mem(dataAt, g.u32(outAt)))
	g.ok("pixelfs.close", h)
	return s
}

// path calls a function of one path.
func (g *guest) path(name, path string, more ...uint64) abi.Code {
	g.t.Helper()
	p, n := g.text(pathAt, path)
	return g.call(name, append([]uint64{p, n}, more...)...)
}

// list returns what is in a directory, separated by spaces.
func (g *guest) list(path string) string {
	g.t.Helper()
	if code := g.path("pixelfs.list", path, dataAt, 1<<20, outAt); code != 0 {
		return code.String()
	}
	return string(bytes.ReplaceAll(bytes.TrimSuffix(g.mem(dataAt, g.u32(outAt)), []byte{0}), []byte{0}, []byte{' '}))
}

// openMap opens a map and returns the handle.
func (g *guest) openMap(name string, flags uint64) uint64 {
	g.t.Helper()
	p, n := g.text(pathAt, name)
	g.ok("infinitemap.open", p, n, flags, outAt)
	return uint64(g.u32(outAt))
}
