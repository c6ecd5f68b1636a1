//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// hostCommand returns a command that runs the built host with state of its own, and that
// state's directory.
func hostCommand(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	home := t.TempDir()
	if err := os.Symlink(filepath.Join(built, "cache"), filepath.Join(home, "cache")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(hostBinary(), args...)
	cmd.Env = append(os.Environ(), "PXOS_HOME="+home, "XDG_CONFIG_HOME="+home)
	cmd.Dir = home
	return cmd, home
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

// lastRun returns the newest run in the log.
func lastRun(t *testing.T, home string) loggedRun {
	t.Helper()
	cmd := exec.Command(hostBinary(), "log", "--json", "--newest", "--limit", "1")
	cmd.Env = append(os.Environ(), "PXOS_HOME="+home)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r loggedRun
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return r
}

// A signal ends the guest, the end is in the log, and no worker is left.
func TestSignal(t *testing.T) {
	tool := filepath.Join(built, "tool.wasm")
	for _, tc := range []struct {
		name      string
		signal    syscall.Signal
		isolation string
		want      int
	}{
		{"interrupt, worker process", syscall.SIGINT, "process", 130},
		{"interrupt, inline", syscall.SIGINT, "inline", 130},
		{"terminate", syscall.SIGTERM, "process", 143},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd, home := hostCommand(t, "run", "--isolation", tc.isolation, tool, "--", "loop")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "looping\n" {
				t.Fatalf("the guest said %q, %v", line, err)
			}
			if err := cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			// Reading ends when every holder of the pipe is gone, the worker too.
			if _, err := io.Copy(io.Discard, out); err != nil {
				t.Error(err)
			}
			if got := exitCode(t, cmd.Wait()); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
			if r := lastRun(t, home); r.Status != "error" || r.ErrorType != "cancelled" {
				t.Errorf("logged as %s, %s", r.Status, r.ErrorType)
			}
		})
	}
}

// A reader that goes away is no reason to leave the log without an end.
func TestBrokenPipe(t *testing.T) {
	cmd, home := hostCommand(t, "run", filepath.Join(built, "tool.wasm"), "--", "cat")
	cmd.Stdin = strings.NewReader(strings.Repeat("0123456789abcde\n", 1<<16))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	r.Close()
	if code := exitCode(t, cmd.Wait()); code == 0 {
		t.Error("the run was a success")
	}
	if run := lastRun(t, home); run.Result == nil {
		t.Errorf("logged as %s, without an end", run.Status)
	}
}
