package realworld

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// workshop is what all tests of a run share: the host, its state directory with the
// code cache, and where downloads and built programs are kept.
var workshop struct {
	dir  string // gone after the tests
	host string // the command, as shipped
	home string // PXOS_HOME
	keep string // stays between runs of the tests
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if err := openWorkshop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(workshop.dir)
		return m.Run()
	}())
}

func openWorkshop() error {
	dir, err := os.MkdirTemp("", "pxos-realworld-")
	if err != nil {
		return err
	}
	w := &workshop
	w.dir, w.home, w.host = dir, filepath.Join(dir, "home"), filepath.Join(dir, "bin", "pxos-host.exe")
	if w.keep = os.Getenv("PXOS_TEST_CACHE"); w.keep == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = dir
		}
		w.keep = filepath.Join(base, "pxos-test")
	}
	if err := os.MkdirAll(w.keep, 0o755); err != nil {
		return err
	}
	_, err = command(toolLimit, nil, "go", "build", "-o", w.host, "github.com/pxos/pxos/host/cmd/pxos-host").stdout()
	return err
}

const (
	toolLimit = 20 * time.Minute // compilers and downloads on a busy machine
	runLimit  = 5 * time.Minute  // one run of a program
)

// skip ends a test that lacks something. Where everything is expected to be there,
// that is a failure.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// needTool ends a test when a tool is not installed.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		skip(t, "%s is not installed", name)
	}
}

// needDownloads ends a test that would download and build what others wrote, unless
// that was asked for.
func needDownloads(t *testing.T) {
	t.Helper()
	if os.Getenv("PXOS_TEST_REALWORLD") != "1" {
		skip(t, "set PXOS_TEST_REALWORLD=1: downloads and builds other people's programs")
	}
}

// cmd is a command line under a time limit, with what it reads.
type cmd struct {
	*exec.Cmd
	timer time.Duration
}

func command(limit time.Duration, env []string, name string, args ...string) *cmd {
	c := &cmd{exec.Command(name, args...), limit}
	c.Env = append(os.Environ(), env...)
	c.WaitDelay = 10 * time.Second
	return c
}

// outcome is what a program did that a person would see.
type outcome struct {
	stdout, stderr []byte
	code           int
	wall           time.Duration
}

// run runs the command to its end. The error is set only when it could not be run.
func (c *cmd) run() (outcome, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := c.Start(); err != nil {
		return outcome{}, err
	}
	stop := time.AfterFunc(c.timer, func() { c.Process.Kill() })
	err := c.Wait()
	if !stop.Stop() {
		return outcome{}, fmt.Errorf("%s did not end within %s", c.Args[0], c.timer)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	return outcome{stdout.Bytes(), stderr.Bytes(), c.ProcessState.ExitCode(), time.Since(begin)}, nil
}

// stdout runs a command that must succeed.
func (c *cmd) stdout() ([]byte, error) {
	o, err := c.run()
	if err != nil {
		return nil, err
	}
	if o.code != 0 {
		return nil, fmt.Errorf("%s: exit code %d\n%s", strings.Join(c.Args, " "), o.code, tail(o.stderr))
	}
	return o.stdout, nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-4000):] }

// host runs pxos-host with a state directory of the tests' own and no policy of the
// person who runs them.
func host(t *testing.T, stdin []byte, args ...string) outcome {
	t.Helper()
	c := command(runLimit, []string{"PXOS_HOME=" + workshop.home, "XDG_CONFIG_HOME=" + workshop.dir, "HOME=" + workshop.dir}, workshop.host, args...)
	c.Dir = workshop.dir
	c.Stdin = bytes.NewReader(stdin)
	o, err := c.run()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// hostOK is host for a command that must succeed.
func hostOK(t *testing.T, args ...string) []byte {
	t.Helper()
	o := host(t, nil, args...)
	if o.code != 0 {
		t.Fatalf("pxos-host %s: exit code %d\n%s", strings.Join(args, " "), o.code, tail(o.stderr))
	}
	return o.stdout
}
