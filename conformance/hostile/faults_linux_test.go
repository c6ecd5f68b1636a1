package hostile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pxos/pxos/host"
)

// noProcess checks that no process of the command is left. A worker notices the end
// of its host in its own time, so a few seconds are given.
func noProcess(t *testing.T) {
	t.Helper()
	var left []string
	for range 100 {
		left = nil
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			if exe, err := os.Readlink(l); err == nil && exe == pxosHost {
				left = append(left, filepath.Dir(l))
			}
		}
		if left == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("processes are left behind: %v", left)
}

// smallDisk mounts a disk of so many bytes, which needs root.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" && os.Getuid() == 0 {
			t.Fatal("mount a small disk: ", err)
		}
		t.Skip("a small disk cannot be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error("unmount: ", err)
		}
	})
	return dir
}

// fill takes all the space but so many bytes and returns the file that took it.
func fill(t *testing.T, dir string, leave uint64) string {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	free := st.Bavail * uint64(st.Bsize)
	path := filepath.Join(dir, "ballast")
	if free <= leave {
		return path
	}
	if err := os.WriteFile(path, make([]byte, free-leave), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever meets a full disk says so, leaves nothing half made, and works again when
// there is room.
func TestFullDisk(t *testing.T) {
	t.Run("pack", func(t *testing.T) {
		c := newCLI(t)
		disk := smallDisk(t, 512<<10)
		x := c.write(t, "big.wasm", saying("big\n", 2<<20))
		out := filepath.Join(disk, "big.pxa")
		c.run(t, "pack", x, "-o", out).refused(t, 1)
		if left, _ := os.ReadDir(disk); len(left) > 0 {
			t.Errorf("pack left %v", left)
		}
	})
	t.Run("pack over an older file", func(t *testing.T) {
		c := newCLI(t)
		disk := smallDisk(t, 512<<10)
		out := filepath.Join(disk, "x.pxa")
		c.ok(t, "pack", c.write(t, "small.wasm", hello().bytes()), "-o", out)
		before, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		c.run(t, "pack", c.write(t, "big.wasm", saying("big\n", 2<<20)), "-o", out).refused(t, 1)
		if after, err := os.ReadFile(out); err != nil || !bytes.Equal(after, before) {
			t.Errorf("the older file is gone: %v", err)
		}
	})
	t.Run("unpack", func(t *testing.T) {
		c := newCLI(t)
		disk := smallDisk(t, 512<<10)
		c.ok(t, "pack", c.write(t, "big.wasm", saying("big\n", 2<<20)), "-o", "big.pxa")
		c.run(t, "unpack", "big.pxa", "-o", filepath.Join(disk, "out")).refused(t, 1)
	})
	for _, level := range levels {
		t.Run("log "+level, func(t *testing.T) {
			c := newCLI(t)
			c.home = smallDisk(t, 4<<20)
			x := c.write(t, "hello.wasm", hello().bytes())
			c.ok(t, "run", "--isolation", level, x)
			for _, leave := range []uint64{0, 4 << 10, 12 << 10} {
				ballast := fill(t, c.home, leave)
				var o outcome
				for range 200 { // a little room lets some runs through
					if o = c.run(t, "run", "--isolation", level, x); o.code != 0 {
						break
					}
				}
				if leave > 0 && o.code == 0 {
					t.Logf("200 runs fit into %d bytes", leave)
				} else {
					o.refused(t, 125)
				}
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
				c.ok(t, "run", "--isolation", level, x)
				c.ok(t, "log", "verify")
			}
			for _, run := range c.journal(t) {
				if s := run["status"]; s != "ok" && s != "interrupted" {
					t.Errorf("run is recorded as %v", run)
				}
			}
		})
		t.Run("cache "+level, func(t *testing.T) {
			c := newCLI(t)
			c.home = smallDisk(t, 2<<20)
			c.ok(t, "run", "--isolation", level, c.write(t, "hello.wasm", hello().bytes()))
			ballast := fill(t, c.home, 64<<10)
			// Compiled, this takes more than is left: it runs without being kept.
			m := hello()
			for range 3000 {
				m.fn(1, nil, repeat(50, opI32Const, 1, opDrop))
			}
			x := c.write(t, "wide.wasm", m.bytes())
			for range 2 {
				if out := c.ok(t, "run", "--isolation", level, x); string(out) != "hello\n" {
					t.Errorf("without room for the cache the program writes %q", out)
				}
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			c.ok(t, "run", "--isolation", level, x)
			c.ok(t, "cache", "verify")
			if left, _ := filepath.Glob(filepath.Join(host.CacheDir(c.home), "tmp-*")); len(left) > 0 {
				t.Errorf("half-made cache entries stay: %v", left)
			}
		})
	}
}

// What is not a file is refused at once: a pipe that nobody writes to must not make
// the host wait, and a device has no end.
func TestNotAFile(t *testing.T) {
	c := newCLI(t)
	pipe := filepath.Join(c.dir, "pipe.pxa")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []string{pipe, "/dev/zero", filepath.Join(c.dir, "none.pxa")} {
		for _, command := range []string{"run", "inspect", "verify"} {
			t.Run(command+" "+filepath.Base(x), func(t *testing.T) {
				cmd := c.command(command, x)
				var errout strings.Builder
				cmd.Stderr = &errout
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				hung := time.AfterFunc(overdue, func() { cmd.Process.Kill() })
				_ = cmd.Wait()
				if !hung.Stop() {
					t.Fatalf("did not end within %v", overdue)
				}
				if code := cmd.ProcessState.ExitCode(); code == 0 || !strings.Contains(errout.String(), "pxos-host: error: ") {
					t.Errorf("exit code %d: %s", code, errout.String())
				}
			})
		}
	}
}

// bombs are guests that take all the memory they can get and touch it.
var bombs = []attack{
	{name: "linear memory", wasm: func() []byte {
		return command(nil, join(
			opBlock, void, opLoop, void, konst(16), opMemoryGrow, 0, konst(-1), 0x46, opBrIf, 1, opBr, 0, opEnd, opEnd,
			konst(0), konst(7), 0x3f, 0, konst(16), 0x74, misc(11, 0))).bytes()
	}},
	{name: "table", wasm: func() []byte {
		m := command(nil, join(opBlock, void, opLoop, void, opRefNull, funcref, konst(10_000), misc(15, 0), konst(-1), 0x46, opBrIf, 1, opBr, 0, opEnd, opEnd))
		return m.table(1).bytes()
	}},
	{name: "stack", wasm: func() []byte { return recursion(false, nil, nil) }},
	{name: "output", wasm: func() []byte {
		return withCall(wasiP1, "fd_write", []byte{i32, i32, i32, i32}, join(konst(1), konst(0), konst(1), konst(64)), le(128, 1_000_000))
	}},
	{name: "log", wasm: func() []byte {
		return withCall("pxos", "log", []byte{i32, i32, i32}, join(konst(1), konst(0), konst(8000)), nil)
	}},
	{name: "private files", wasm: func() []byte {
		// Opens a file in /tmp, descriptor 4, and writes to it for ever.
		m := &module{}
		open := m.imp(wasiP1, "path_open", m.typ([]byte{i32, i32, i32, i32, i32, i64, i64, i32, i32}, []byte{i32}))
		write := m.imp(wasiP1, "fd_write", m.typ([]byte{i32, i32, i32, i32}, []byte{i32}))
		v := m.typ(nil, nil)
		m.memory(32).data(0, le(128, 1_000_000)).data(100, []byte("f"))
		return m.export("_start", m.fn(v, nil, join(
			konst(4), konst(0), konst(100), konst(1), konst(1), konst64(-1), konst64(-1), konst(0), konst(64), call(open), opIf, void, opUnreachable, opEnd,
			loop(konst(64), 0x28, 2, 0, konst(0), konst(1), konst(72), call(write), opIf, void, opUnreachable, opEnd)))).bytes()
	}},
}

// memoryCap is the linear memory that a bomb may have. The process needs its own,
// compiled code and the private files besides.
const (
	memoryCap = 256 << 20
	beside    = 160 << 20
)

// The memory of the process stays near the cap that the guest has.
func TestMemoryBombs(t *testing.T) {
	for _, level := range levels {
		for _, a := range bombs {
			t.Run(level+" "+a.name, func(t *testing.T) {
				c := newCLI(t)
				x := c.write(t, "bomb.wasm", a.wasm())
				cmd := c.command("run", "--isolation", level, "--timeout", "5s", "--limit", fmt.Sprintf("memory=%d", memoryCap), "--json", x)
				var out, errout strings.Builder
				cmd.Stdout = &out
				cmd.Stderr = &limited{&errout}
				_ = cmd.Run()
				usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
				if !ok {
					t.Fatal("no resource usage")
				}
				// What wait4 reports covers the worker, which the command has waited
				// for.
				resident := usage.Maxrss << 10
				t.Logf("at most %d MiB resident; %s", resident>>20, brief(out.String()))
				if resident > memoryCap+beside {
					t.Errorf("%d MiB resident with a cap of %d MiB", resident>>20, memoryCap>>20)
				}
				if strings.Contains(out.String(), `"error_type":"internal"`) || strings.Contains(out.String(), `"error_type":"crashed"`) || out.Len() == 0 {
					t.Errorf("ended badly: %s %s", brief(out.String()), errout.String())
				}
			})
		}
	}
}

// limited keeps the first kilobyte of a flood.
type limited struct{ b *strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.b.Len() < 1024 {
		l.b.Write(p[:min(len(p), 1024)])
	}
	return len(p), nil
}

func brief(s string) string { return s[:min(len(s), 160)] }
