//go:build !wasip1

package pxos_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/pxostest"
)

func init() {
	pxos.RegisterRaw("probe:contract", func(ctx *pxos.Context, _ []byte) ([]byte, error) { return nil, runGuest(ctx) })
}

const contractManifest = `name = "contract"
version = "1.0.0"
created_at = 2026-01-31T12:00:00Z
notes = "asks a host for all that the contract fixes"
genesis = "1.0"
licence = "MIT"
creator = { kind = "human", name = "test" }

[programs."probe:contract"]
module = "contract.wasm"
kind = "sdk"
`

// One guest asks the same questions of the fake host and of the real one, as it is
// shipped. What a test against the fake shows then holds in the cartridge as well.
func TestFakeAnswersAsTheHost(t *testing.T) {
	guestModule = buildC(t, "-std=c99", "testdata/contract.c")
	fake := (&pxostest.Host{Archive: map[string]string{"data/a.txt": "abcdef", "data/b.txt": strings.Repeat("b", 5000), "contract.wasm": "x"}}).
		Run(t, "probe:contract", json.RawMessage(`{"n":1}`))
	if fake.Err != nil {
		t.Fatalf("fake: %+v", fake.Err)
	}

	temp := t.TempDir()
	dir, host := filepath.Join(temp, "contract"), filepath.Join(temp, "pxos-host")
	if runtime.GOOS == "windows" {
		host += ".exe"
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"cartridge.toml": []byte(contractManifest), "contract.wasm": guestModule,
		"data/a.txt": []byte("abcdef"), "data/b.txt": bytes.Repeat([]byte("b"), 5000),
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := exec.Command("go", "build", "-o", host, "../host/cmd/pxos-host").CombinedOutput(); err != nil {
		t.Fatalf("build the host: %v\n%s", err, text)
	}
	run := func(flags ...string) []byte {
		cmd := exec.Command(host, append([]string{"run", dir, "--args", `{"n":1}`}, flags...)...)
		cmd.Env = append(os.Environ(), "PXOS_HOME="+filepath.Join(temp, "home"), "XDG_CONFIG_HOME="+temp, "HOME="+temp)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("host: %v\n%s", err, stderr.Bytes())
		}
		return out
	}
	want := strings.Split(string(fake.Stdout), "\n")
	got := strings.Split(string(run()), "\n")
	for i, line := range want {
		if line != "" && (i >= len(got) || got[i] != line) {
			t.Errorf("line %d: the fake says\n%q, the host\n%q", i+1, line, got[min(i, len(got)-1)])
		}
	}

	var result struct {
		Result json.RawMessage
		Logs   []pxostest.Line
	}
	out := run("--json")
	if i := bytes.IndexByte(out, '{'); i < 0 || json.NewDecoder(bytes.NewReader(out[i:])).Decode(&result) != nil {
		t.Fatalf("no JSON in %s", out)
	}
	if strings.TrimSpace(string(fake.JSON)) != strings.TrimSpace(string(result.Result)) {
		t.Errorf("result %s from the fake, %s from the host", fake.JSON, result.Result)
	}
	if len(fake.Logs) != len(result.Logs) {
		t.Fatalf("%d log lines from the fake, %d from the host", len(fake.Logs), len(result.Logs))
	}
	for i, line := range fake.Logs {
		if line != result.Logs[i] {
			t.Errorf("log line %d: %.60q from the fake, %.60q from the host", i, line, result.Logs[i])
		}
	}
}
