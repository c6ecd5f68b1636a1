package cartridges_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// hostBinary returns the host as it is shipped, built once for all tests.
func hostBinary(t *testing.T) string {
	t.Helper()
	host.once.Do(func() {
		if host.dir, host.err = os.MkdirTemp("", "pxos-cartridges-"); host.err != nil {
			return
		}
		name := "pxos-host"
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		host.path = filepath.Join(host.dir, name)
		cmd := exec.Command("go", "build", "-o", host.path, "../host/cmd/pxos-host")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			host.err = fmt.Errorf("build the host: %w\n%s", err, text)
		}
	})
	if host.err != nil {
		t.Fatal(host.err)
	}
	return host.path
}

var host struct {
	once      sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if host.dir != "" {
		os.RemoveAll(host.dir)
	}
	os.Exit(code)
}

// The transcripts are replayed with the host as it is shipped.
func TestTranscripts(t *testing.T) {
	bin, home := filepath.Dir(hostBinary(t)), t.TempDir()
	goEnv, err := exec.Command("go", "env", "GOCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.Split(strings.TrimSpace(string(goEnv)), "\n")
	for _, name := range []string{"atlas", "hello", "ledger", "life", "wc"} {
		t.Run(name, func(t *testing.T) {
			if name == "wc" {
				requireClang(t)
			}
			dir, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "ledger" {
				dir = ledgerDir(t) // compiled before, once for all commands
			}
			testscript.Run(t, testscript.Params{
				Files:               []string{filepath.Join(name, "transcript.txt")},
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("CARTRIDGE", dir)
					e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
					e.Setenv("PXOS_HOME", home) // compiled code serves all commands of a transcript
					e.Setenv("HOME", e.WorkDir)
					e.Setenv("XDG_CONFIG_HOME", e.WorkDir)
					e.Setenv("GOCACHE", paths[0])
					e.Setenv("GOPATH", paths[1])
					e.Setenv("GOTOOLCHAIN", "local")
					return nil
				},
			})
		})
	}
}
