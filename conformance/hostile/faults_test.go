package hostile

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
)

// wanting packs hello with a manifest that asks for things, with further lines.
func wanting(t *testing.T, c cli, lines string) string {
	t.Helper()
	dir := filepath.Join(c.dir, "wanting")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.write(t, "wanting/hello.wasm", hello().bytes())
	c.write(t, "wanting/cartridge.toml", []byte(`name = "wanting"
version = "1.0.0"
created_at = 2026-01-01T00:00:00Z
notes = "asks for more than it gets"
genesis = "1.0"
licence = "MIT"
creator = { kind = "llm", name = "eve" }
[programs.hello]
module = "hello.wasm"
kind = "wasi"
`+lines))
	out := filepath.Join(c.dir, "wanting.pxa")
	os.Remove(out)
	o := c.run(t, "pack", dir, "-o", out)
	if o.code != 0 {
		t.Fatalf("pack: %s", o.stderr)
	}
	return out
}

// A cartridge gets what policy gives, whatever its manifest asks for.
func TestManifestAgainstPolicy(t *testing.T) {
	t.Run("directory that nobody granted", func(t *testing.T) {
		c := newCLI(t)
		x := wanting(t, c, "[[capabilities]]\nkind = \"dir\"\npath = \"/data\"\nmode = \"write\"\nreason = \"keeps your notes\"\n")
		c.run(t, "run", x).refused(t, 125)
		c.run(t, "run", x, "--yes").refused(t, 125) // a directory has to be chosen
	})
	t.Run("a pxos.toml that came along", func(t *testing.T) {
		c := newCLI(t)
		x := wanting(t, c, "[[capabilities]]\nkind = \"dir\"\npath = \"/data\"\nreason = \"x\"\n")
		c.write(t, "pxos.toml", []byte("[[grants]]\ncartridge = \"./wanting.pxa\"\nkind = \"dir\"\npath = \"/data\"\nhost = \".\"\nmode = \"read\"\n"))
		c.run(t, "run", x).refused(t, 125)
	})
	t.Run("memory above the policy", func(t *testing.T) {
		c := newCLI(t)
		x := wanting(t, c, "[limits]\nmemory = \"2GiB\"\ntime = \"10h\"\n")
		c.write(t, "policy.toml", []byte("[limits]\nmemory = \"1MiB\"\ntime = \"1s\"\n"))
		out := c.ok(t, "--config", "policy.toml", "run", "--json", x)
		if !bytes.Contains(out, []byte(`"memory": 1048576`)) && !bytes.Contains(out, []byte(`"memory":1048576`)) {
			t.Errorf("the limit in force is not the policy's: %s", out)
		}
	})
	t.Run("capability that does not exist", func(t *testing.T) {
		c := newCLI(t)
		dir := filepath.Join(c.dir, "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c.write(t, "d/hello.wasm", hello().bytes())
		c.write(t, "d/cartridge.toml", []byte("name = \"x\"\nversion = \"1.0.0\"\ncreated_at = 2026-01-01T00:00:00Z\nnotes = \"n\"\ngenesis = \"1.0\"\nlicence = \"MIT\"\ncreator = { kind = \"human\", name = \"x\" }\n[programs.hello]\nmodule = \"hello.wasm\"\nkind = \"wasi\"\n[[capabilities]]\nkind = \"network\"\nreason = \"calls home\"\n"))
		c.run(t, "pack", dir, "-o", "d.pxa").refused(t, 1)
		if _, err := os.Stat(filepath.Join(c.dir, "d.pxa")); err == nil {
			t.Error("a refused pack left a file")
		}
	})
	t.Run("names of imports cannot write on the terminal", func(t *testing.T) {
		c := newCLI(t)
		m := &module{}
		m.imp("\x1b[31mred", "\x1b]0;title\x07\r\n", m.typ(nil, nil))
		x := c.write(t, "bad.wasm", m.memory(1).export("_start", m.fn(0, nil, nil)).bytes())
		for _, args := range [][]string{{"run", x}, {"log"}, {"inspect", x}} {
			if o := c.run(t, args...); bytes.ContainsAny(append(o.stdout, o.stderr...), "\x1b\x07\r") {
				t.Errorf("%s passes control characters: %q %q", args[0], o.stdout, o.stderr)
			}
		}
	})
}

// The command says the same as the library: exit code, error and hint.
func TestCommandLine(t *testing.T) {
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			c := newCLI(t)
			code := map[abi.ErrorType]int{abi.ErrDeadline: 1, abi.ErrStack: 1, abi.ErrFuel: 1, abi.ErrOutput: 1, abi.ErrRefused: 125,
				abi.ErrInvalidModule: 125, abi.ErrMissingImports: 125, abi.ErrMemory: 125, abi.ErrNoProgram: 125}
			tried := map[abi.ErrorType]bool{}
			for _, a := range append(append(append([]attack{}, static...), exhausts...), attack{name: "hang", wasm: hangs[0].wasm, want: types(abi.ErrDeadline)}) {
				want, ok := code[a.want[0]]
				if !ok || len(a.want) > 1 || tried[a.want[0]] || a.limit != (abi.Limits{}) && a.limit.Fuel == 0 {
					continue
				}
				tried[a.want[0]] = true
				t.Run(a.name, func(t *testing.T) {
					x := c.write(t, "attack.wasm", a.wasm())
					args := []string{"run", "--isolation", level, "--timeout", "1s"}
					if a.limit.Fuel > 0 {
						args = append(args, "--fuel", fmt.Sprint(a.limit.Fuel))
					}
					c.run(t, append(args, x)...).refused(t, want)
				})
			}
			if len(tried) < len(code)-1 {
				t.Errorf("only %v were tried", tried)
			}
			x := c.write(t, "hello.wasm", hello().bytes())
			if out := c.ok(t, "run", "--isolation", level, x); string(out) != "hello\n" {
				t.Errorf("the good program writes %q", out)
			}
			c.ok(t, "log", "verify")
		})
	}
}

// A byte flipped anywhere in a cache entry is noticed, and the program runs all the
// same.
func TestFlippedCacheByte(t *testing.T) {
	// Starting a worker is slow, so fewer bytes are tried there.
	for level, samples := range map[string]int{host.IsolationInline: 150, host.IsolationProcess: 20} {
		t.Run(level, func(t *testing.T) {
			home := t.TempDir()
			run := func() (verdict, string) {
				b := newBench(t, host.Config{Home: home})
				defer b.Close()
				var out strings.Builder
				v := b.run(t, cartridge(t, hello().bytes()), host.RunRequest{Isolation: level, Stdout: &out})
				v.check(t, done)
				return v, out.String()
			}
			run()
			if v, _ := run(); v.res == nil || !v.res.Cached {
				t.Fatal("the second run does not come from the cache")
			}
			files := entryFiles(t, home)
			if len(files) != 2 {
				t.Fatalf("the cache holds %v", files)
			}
			for _, path := range files {
				whole, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(whole); i += max(1, len(whole)/samples) {
					bad := bytes.Clone(whole)
					bad[i] ^= 1 << (i % 8)
					if err := os.WriteFile(path, bad, 0o600); err != nil {
						t.Fatal(err)
					}
					v, out := run()
					if out != "hello\n" {
						t.Fatalf("with byte %d of %s flipped the program writes %q", i, filepath.Base(path), out)
					}
					if v.res == nil || v.res.Cached {
						t.Fatalf("code with byte %d of %s flipped was used", i, filepath.Base(path))
					}
				}
				if v, _ := run(); v.res == nil || !v.res.Cached {
					t.Error("the entry was not mended")
				}
			}
		})
	}
}

func entryFiles(t *testing.T, home string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(host.CacheDir(home), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saying is a command that writes a line, in a module padded to a size.
func saying(line string, pad int) []byte {
	m := hello()
	m.datas = nil
	m.data(0, le(16, uint32(len(line)))).data(16, []byte(line))
	if pad > 0 {
		m.customs = section(0, join("pad", make([]byte, pad)))
	}
	return m.bytes()
}

// A cartridge that is replaced or cut while it is opened and run gives one of its
// versions or an error, never a mixture and never a crash.
func TestReplacedWhileRead(t *testing.T) {
	for _, size := range []struct {
		name string
		pad  int
	}{{"in memory", 1 << 20}, {"mapped", 66 << 20}} {
		t.Run(size.name, func(t *testing.T) {
			c := newCLI(t)
			versions := map[string][]byte{}
			for _, line := range []string{"first version\n", "second version\n"} {
				x := c.write(t, "v.wasm", saying(line, size.pad))
				c.ok(t, "pack", x, "-o", "v.pxa")
				b, err := os.ReadFile(filepath.Join(c.dir, "v.pxa"))
				if err != nil {
					t.Fatal(err)
				}
				versions[line] = b
				os.Remove(filepath.Join(c.dir, "v.pxa"))
			}
			x := c.write(t, "x.pxa", versions["first version\n"])
			stop := make(chan struct{})
			var writer sync.WaitGroup
			writer.Add(1)
			go func() {
				defer writer.Done()
				for i := 0; ; i++ {
					for _, v := range versions {
						select {
						case <-stop:
							return
						default:
						}
						switch i % 3 {
						case 0: // as an editor does
							tmp := x + ".tmp"
							if os.WriteFile(tmp, v, 0o600) == nil {
								os.Rename(tmp, x)
							}
						case 1: // as cp does: cut to nothing, then filled
							os.WriteFile(x, v, 0o600)
						case 2:
							os.Truncate(x, int64(len(v)/2))
						}
						time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
					}
				}
			}()
			seen := map[string]int{}
			for i := range 60 {
				o := c.run(t, "run", "--isolation", levels[i%2], x)
				switch line := string(o.stdout); {
				case o.code == 0 && versions[line] != nil:
					seen[strings.TrimSpace(line)]++
				case o.code == 125 && line == "":
					o.refused(t, 125)
					seen["refused"]++
				default:
					t.Errorf("run %d: exit code %d, output %q\n%s", i, o.code, line, o.stderr)
				}
			}
			close(stop)
			writer.Wait()
			t.Log(seen)
		})
	}
}

// A mapped cartridge that loses its end after it was opened fails in a way that has
// a name.
func TestCutAfterOpening(t *testing.T) {
	c := newCLI(t)
	x := c.write(t, "v.wasm", saying("whole\n", 66<<20))
	c.ok(t, "pack", x, "-o", "v.pxa")
	path := filepath.Join(c.dir, "v.pxa")
	for _, level := range levels {
		t.Run(level, func(t *testing.T) {
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer os.WriteFile(path, whole, 0o600)
			b := newBench(t, host.Config{})
			open, err := host.OpenCartridge(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			if err := os.Truncate(path, 1<<20); err != nil {
				t.Fatal(err)
			}
			b.run(t, open, host.RunRequest{Isolation: level}).check(t, abi.ErrCartridge)
			b.healthy(t, level)
		})
	}
}

// Two hosts with one home run at the same time, cold: every run succeeds, every run is
// in the journal once, and journal and cache are sound.
func TestTwoHosts(t *testing.T) {
	c := newCLI(t)
	const hosts, runs = 4, 15
	var all sync.WaitGroup
	for h := range hosts {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range runs {
				// The same module everywhere in each round: all of them compile it.
				line := fmt.Sprintf("round %d\n", i)
				path := filepath.Join(c.dir, fmt.Sprintf("h%d-%d.wasm", h, i))
				if err := os.WriteFile(path, saying(line, 0), 0o600); err != nil {
					t.Error(err)
					return
				}
				cmd := c.command("run", "--isolation", levels[h%2], path)
				if out, err := cmd.Output(); err != nil || string(out) != line {
					t.Errorf("host %d, run %d: %q, %v", h, i, out, err)
				}
			}
		}()
	}
	all.Wait()
	c.ok(t, "log", "verify")
	c.ok(t, "cache", "verify")
	journal := c.journal(t)
	if len(journal) != hosts*runs {
		t.Errorf("the journal has %d runs, %d were made", len(journal), hosts*runs)
	}
	for _, run := range journal {
		if run["status"] != "ok" {
			t.Errorf("run is recorded as %v", run)
		}
	}
}

// The host is killed at random moments of runs that write journal and cache. What it
// had completed stays, what it had not is reported as interrupted, and nothing needs
// repair by hand.
func TestKilledHost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("processes are killed by signal here")
	}
	c := newCLI(t)
	const kills = 60
	completed, killed := 0, 0
	for i := range kills {
		x := c.write(t, "k.wasm", saying(fmt.Sprintf("number %d\n", i), 200_000))
		cmd := c.command("run", "--isolation", levels[i%2], x)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(35_000)) * time.Microsecond)
		cmd.Process.Kill()
		if cmd.Wait() == nil {
			completed++
		} else {
			killed++
		}
	}
	noProcess(t)
	if out := c.ok(t, "run", c.write(t, "after.wasm", hello().bytes())); string(out) != "hello\n" {
		t.Errorf("after the kills the program writes %q", out)
	}
	c.ok(t, "log", "verify")
	c.ok(t, "cache", "verify")
	status := map[string]int{}
	for _, run := range c.journal(t) {
		status[fmt.Sprint(run["status"])]++
	}
	if status["ok"] < completed+1 {
		t.Errorf("%d runs completed, the journal has %v", completed, status)
	}
	if status["running"] > 0 || status["error"] > 0 || status["interrupted"] > killed {
		t.Errorf("the journal has %v after %d kills", status, killed)
	}
	t.Logf("%d completed, %d killed; journal: %v", completed, killed, status)
}

// A guest that never ends does not outlive its host.
func TestNoOrphan(t *testing.T) {
	c := newCLI(t)
	for i, a := range hangs[:6] {
		x := c.write(t, "hang.wasm", a.wasm())
		cmd := c.command("run", "--isolation", host.IsolationProcess, x)
		cmd.Env = append(cmd.Env, fmt.Sprintf("PXOS_HOSTILE=%d", i))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	noProcess(t)
}

// Hostile runs through the command, several at once, beside good ones.
func TestCommandNeighbours(t *testing.T) {
	c := newCLI(t)
	good := c.write(t, "good.wasm", hello().bytes())
	all := append(append([]attack{}, exhausts...), hangs...)
	slots := make(chan struct{}, 4)
	var wait sync.WaitGroup
	for i := range 40 {
		a := all[i%len(all)]
		x := c.write(t, fmt.Sprintf("bad%d.wasm", i), a.wasm())
		wait.Add(1)
		go func() {
			defer wait.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			cmd := c.command("run", "--isolation", levels[i%2], "--timeout", "500ms", x)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 && code != 255 || bytes.Contains(stderr.Bytes(), []byte("goroutine ")) {
				t.Errorf("%s: exit code %d\n%s", a.name, code, stderr.Bytes())
			}
			if out, err := c.command("run", good).Output(); err != nil || string(out) != "hello\n" {
				t.Errorf("beside %s the good program writes %q, %v", a.name, out, err)
			}
		}()
	}
	wait.Wait()
	noProcess(t)
	c.ok(t, "log", "verify")
}
