package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A reader's file takes no output: every command that says something fails.
func TestLostOutput(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PXOS_HOME", filepath.Join(dir, "home"))
	t.Setenv("XDG_CONFIG_HOME", dir)
	cartridge := filepath.Join(dir, "tool.pxa")
	// Runs start the host again, which this process is not.
	for _, args := range [][]string{{"pack", filepath.Join(built, "tool.wasm"), "-o", cartridge}, {"run", cartridge, "--", "args"}} {
		if out, err := exec.Command(hostBinary(), args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for _, line := range []string{
		"help", "", "help run", "run --help", "--version", "completion bash", "version", "verify CARTRIDGE", "verify --json CARTRIDGE",
		"log", "log --json", "log --entries", "log head", "log verify", "log verify --json", "inspect CARTRIDGE", "inspect --json CARTRIDGE",
		"inspect-self", "config", "cache list", "cache prune", "cache verify", "log image -", "pack CARTRIDGE.wasm -o -",
	} {
		t.Run(line, func(t *testing.T) {
			closed, err := os.Open(cartridge) // for reading only
			if err != nil {
				t.Fatal(err)
			}
			defer closed.Close()
			line = strings.ReplaceAll(line, "CARTRIDGE.wasm", filepath.Join(built, "tool.wasm"))
			args := strings.Fields(strings.ReplaceAll(line, "CARTRIDGE", cartridge))
			a := newApp()
			said, err := os.CreateTemp(dir, "said")
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			a.out, a.err = closed, said
			if code := a.main(context.Background(), args); code != exitFailed {
				t.Errorf("ended with %d", code)
			}
			if text, err := os.ReadFile(said.Name()); err != nil || !strings.HasPrefix(string(text), "pxos-host: error: ") || !strings.Contains(string(text), "write ") {
				t.Errorf("said %q, %v", text, err)
			}
		})
	}
}
