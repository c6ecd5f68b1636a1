package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine/worker"
)

// pxosHost is pxos-host as shipped. It is the worker of the hosts in this process too.
var pxosHost string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pxos-hostile-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		pxosHost = filepath.Join(dir, "pxos-host.exe")
		if out, err := exec.Command("go", "build", "-o", pxosHost, "github.com/pxos/pxos/host/cmd/pxos-host").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build pxos-host: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// levels are the isolation levels that every attack is tried at.
var levels = []string{host.IsolationProcess, host.IsolationInline}

// bench is a host in this process with the processes that it started.
type bench struct {
	*host.Host
	mu   sync.Mutex
	pids []int
}

func newBench(t *testing.T, cfg host.Config) *bench {
	t.Helper()
	b := &bench{}
	if cfg.Home == "" {
		cfg.Home = t.TempDir()
	}
	cfg.Worker = worker.Command{Argv: []string{pxosHost, "worker"}, Started: func(pid int) {
		b.mu.Lock()
		b.pids = append(b.pids, pid)
		b.mu.Unlock()
	}}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Host = h
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		b.noOrphans(t)
	})
	return b
}

// noOrphans checks that no worker process is left.
func (b *bench) noOrphans(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, pid := range b.pids {
		if alive(pid) {
			t.Errorf("worker process %d is left behind", pid)
		}
	}
	b.pids = nil
}

// cartridge packs a module as "run FILE.wasm" does.
func cartridge(t *testing.T, wasm []byte) *host.Cartridge {
	t.Helper()
	c, err := open(t, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, wasm []byte) (*host.Cartridge, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guest.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := host.OpenCartridge(context.Background(), path)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// verdict is how a run ended, whether it began or not.
type verdict struct {
	kind      abi.ErrorType // "" for success
	msg, hint string
	res       *abi.RunResult // nil when the host could not run it
	took      time.Duration
}

func (b *bench) run(t *testing.T, c *host.Cartridge, req host.RunRequest) verdict {
	t.Helper()
	if req.Stdout == nil {
		req.Stdout = io.Discard
	}
	if req.Stderr == nil {
		req.Stderr = io.Discard
	}
	begin := time.Now()
	res, err := b.Run(context.Background(), c, req)
	v := verdict{res: res, took: time.Since(begin)}
	var he *host.Error
	switch {
	case err == nil:
		v.kind, v.msg, v.hint = res.ErrorType, res.Error, res.Hint
	case errors.As(err, &he):
		v.kind, v.msg, v.hint = he.Type, he.Msg, he.Hint
	default:
		t.Errorf("error without a type: %v", err)
	}
	return v
}

// check asserts what every failed attack owes its victim: the expected type, a message
// with no trace of a Go panic, and a hint.
func (v verdict) check(t *testing.T, want ...abi.ErrorType) {
	t.Helper()
	ok := false
	for _, w := range want {
		ok = ok || v.kind == w
	}
	if !ok {
		t.Errorf("ended with type %q (%s), want one of %q", v.kind, v.msg, want)
	}
	if v.kind == "" {
		return
	}
	if v.msg == "" {
		t.Error("error has no message")
	}
	if v.hint == "" && v.kind != abi.ErrTrap && v.kind != abi.ErrExit {
		t.Errorf("error has no hint: %s", v.msg)
	}
	for _, bad := range []string{"panic", "goroutine ", "nil pointer", ".go:"} {
		if strings.Contains(v.msg, bad) {
			t.Errorf("message shows the host's inside: %q", v.msg)
		}
	}
}

// cli runs the command as a person would, with its state in home.
type cli struct {
	home, dir string
	env       []string
}

type outcome struct {
	stdout, stderr []byte
	code           int
}

// cliLimit is when a command counts as hung. Everything that is tested here ends far
// sooner.
const cliLimit = 3 * time.Minute

func (c cli) command(args ...string) *exec.Cmd {
	cmd := exec.Command(pxosHost, args...)
	cmd.Dir = c.dir
	cmd.Env = append(append(os.Environ(), "PXOS_HOME="+c.home, "XDG_CONFIG_HOME="+c.home, "HOME="+c.home), c.env...)
	return cmd
}

func (c cli) run(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := c.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(cliLimit, func() { cmd.Process.Kill() })
	_ = cmd.Wait()
	if !hung.Stop() {
		t.Fatalf("pxos-host %s did not end within %s\n%s", strings.Join(args, " "), cliLimit, stderr.Bytes())
	}
	o := outcome{stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()}
	if bytes.Contains(o.stderr, []byte("goroutine ")) || bytes.Contains(o.stderr, []byte("panic:")) {
		t.Errorf("pxos-host %s panicked:\n%s", strings.Join(args, " "), o.stderr)
	}
	return o
}

// ok is run for a command that must succeed.
func (c cli) ok(t *testing.T, args ...string) []byte {
	t.Helper()
	o := c.run(t, args...)
	if o.code != 0 {
		t.Fatalf("pxos-host %s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o.stdout
}

// refused checks an outcome in which the host itself gave up: an error and a hint on
// standard error, and the exit code for it.
func (o outcome) refused(t *testing.T, code int) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d\n%s", o.code, code, o.stderr)
	}
	for _, want := range []string{"pxos-host: error: ", "hint: "} {
		if !bytes.Contains(o.stderr, []byte(want)) {
			t.Errorf("standard error has no %q:\n%s", want, o.stderr)
		}
	}
}

// newCLI returns a command line with a fresh home and a fresh working directory.
func newCLI(t *testing.T) cli {
	t.Helper()
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	work := filepath.Join(dir, "work")
	for _, d := range []string{home, work} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return cli{home: home, dir: work}
}

// write puts a file into the working directory and returns its path.
func (c cli) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// journal returns the runs that the journal knows.
func (c cli) journal(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(c.ok(t, "log", "--json")), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var run map[string]any
		if err := json.Unmarshal(line, &run); err != nil {
			t.Fatalf("log --json: %v in %q", err, line)
		}
		out = append(out, run)
	}
	return out
}

// typed is the verdict on something that could not even be opened.
func typed(t *testing.T, err error) verdict {
	t.Helper()
	var he *host.Error
	if !errors.As(err, &he) {
		t.Errorf("error without a type: %v", err)
		return verdict{kind: abi.ErrInternal, msg: err.Error()}
	}
	return verdict{kind: he.Type, msg: he.Msg, hint: he.Hint}
}
