package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// onTerminal runs a command whose output and error go to a terminal, and returns
// what would be on its screen.
func onTerminal(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = slave, slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var screen bytes.Buffer
	io.Copy(&screen, master) // ends with EIO when the last holder of the slave is gone
	cmd.Wait()
	return strings.ReplaceAll(screen.String(), "\r\n", "\n")
}

// Whatever a guest or a manifest says, a terminal gets no control sequence of it.
func TestTerminalIsSafe(t *testing.T) {
	tool := filepath.Join(built, "tool.wasm")
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"output", []string{"run", tool, "--", "escape"}, "␛]0;title␇␛[2Jtext"},
		{"inline", []string{"run", "--isolation", "inline", tool, "--", "escape"}, "␛]0;title␇␛[2Jtext"},
		{"error", []string{"run", tool, "--", "\x1b[31m"}, `what is "\x1b[31m"?`},
		{"file name", []string{"run", "\x1b[31m.pxa"}, "there is no ␛[31m.pxa"},
		{"flag", []string{"run", "--\x1b[31m"}, "␛[31m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd, _ := hostCommand(t, tc.args...)
			screen := onTerminal(t, cmd)
			if strings.ContainsRune(screen, 0x1b) || !strings.Contains(screen, tc.want) {
				t.Errorf("the screen shows %q, want %q", screen, tc.want)
			}
		})
	}
}

// JSON is indented for a person.
func TestTerminalJSON(t *testing.T) {
	cmd, _ := hostCommand(t, "version", "--json")
	if screen := onTerminal(t, cmd); !strings.HasPrefix(screen, "{\n  \"version\": ") {
		t.Errorf("the screen shows %q", screen)
	}
}
