package cartridges_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The transcripts are replayed with the host as it is shipped.
func TestTranscripts(t *testing.T) {
	bin, home := t.TempDir(), t.TempDir()
	host := filepath.Join(bin, "pxos-host")
	if runtime.GOOS == "windows" {
		host += ".exe"
	}
	if text, err := exec.Command("go", "build", "-o", host, "../host/cmd/pxos-host").CombinedOutput(); err != nil {
		t.Fatalf("build the host: %v\n%s", err, text)
	}
	goEnv, err := exec.Command("go", "env", "GOCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := strings.Split(strings.TrimSpace(string(goEnv)), "\n")
	for _, name := range []string{"hello", "life", "wc"} {
		t.Run(name, func(t *testing.T) {
			if name == "wc" {
				requireClang(t)
			}
			dir, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
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
