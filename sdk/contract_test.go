//go:build !wasip1

package pxos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/pxostest"
)

func init() {
	for _, name := range []string{"probe:contract", "probe:storage", "probe:pixels"} {
		pxos.RegisterRaw(name, func(ctx *pxos.Context, _ []byte) ([]byte, error) { return nil, runGuest(ctx) })
	}
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

// hostProgram builds the host as it is shipped, once for all tests.
var hostProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pxos-sdk-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pxos-host")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if text, err := exec.Command("go", "build", "-o", path, "../host/cmd/pxos-host").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the host: %w\n%s", err, text)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built {
		if path, err := hostProgram(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// built says whether a test asked for the host.
var built bool

// onHost returns a function that runs a directory with a cartridge in the real host and
// returns its standard output. All its runs share a home.
func onHost(t *testing.T, files map[string][]byte) func(flags ...string) []byte {
	t.Helper()
	built = true
	host, err := hostProgram()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	dir := filepath.Join(temp, "cartridge")
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return func(flags ...string) []byte {
		cmd := exec.Command(host, append([]string{"run", dir}, flags...)...)
		cmd.Env = append(os.Environ(), "PXOS_HOME="+filepath.Join(temp, "home"), "XDG_CONFIG_HOME="+temp, "HOME="+temp)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("host: %v\n%s", err, stderr.Bytes())
		}
		return out
	}
}

// sameLines compares what a guest printed under the fake and under the host.
func sameLines(t *testing.T, fake, host []byte) {
	t.Helper()
	want, got := strings.Split(string(fake), "\n"), strings.Split(string(host), "\n")
	for i, line := range want {
		if line != "" && (i >= len(got) || got[i] != line) {
			t.Errorf("line %d: the fake says\n%q, the host\n%q", i+1, line, got[min(i, len(got)-1)])
		}
	}
}

// One guest asks the same questions of the fake host and of the real one, as it is
// shipped. What a test against the fake shows then holds in the cartridge as well.
func TestFakeAnswersAsTheHost(t *testing.T) {
	guestModule = buildC(t, "-std=c99", "testdata/contract.c")
	fake := (&pxostest.Host{Archive: map[string]string{"data/a.txt": "abcdef", "data/b.txt": strings.Repeat("b", 5000), "contract.wasm": "x"}}).
		Run(t, "probe:contract", json.RawMessage(`{"n":1}`))
	if fake.Err != nil {
		t.Fatalf("fake: %+v", fake.Err)
	}

	run := onHost(t, map[string][]byte{
		"cartridge.toml": []byte(contractManifest), "contract.wasm": guestModule,
		"data/a.txt": []byte("abcdef"), "data/b.txt": bytes.Repeat([]byte("b"), 5000),
	})
	sameLines(t, fake.Stdout, run("--args", `{"n":1}`))

	var result struct {
		Result json.RawMessage
		Logs   []pxostest.Line
	}
	out := run("--args", `{"n":1}`, "--json")
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

const storageManifest = `name = "storage"
version = "1.0.0"
created_at = 2026-01-31T12:00:00Z
notes = "asks a host for all that the contract fixes of pixel storage"
genesis = "1.0"
licence = "MIT"
abi = "1.1"
creator = { kind = "human", name = "test" }

[programs."probe:storage"]
module = "storage.wasm"
kind = "sdk"

[[capabilities]]
kind = "pixelfs"
path = "/"
mode = "write"
reason = "test"

[[capabilities]]
kind = "infinitemap"
name = "w"
mode = "write"
reason = "test"

[[capabilities]]
kind = "infinitemap"
name = "part"
reason = "test"

[[capabilities]]
kind = "infinitemap"
name = "part"
mode = "write"
area = "0,0,10,10"
reason = "test"
`

var storageGrants = []pxos.Capability{
	{Kind: "pixelfs", Path: "/", Mode: "write"}, {Kind: "infinitemap", Name: "w", Mode: "write"},
	{Kind: "infinitemap", Name: "part", Mode: "read"}, {Kind: "infinitemap", Name: "part", Mode: "write", Area: "0,0,10,10"},
}

// The same for pixel files and maps.
func TestFakeStoresAsTheHost(t *testing.T) {
	guestModule = buildC(t, "-std=c99", "testdata/storage.c")
	fake := (&pxostest.Host{Granted: storageGrants}).Run(t, "probe:storage", nil)
	if fake.Err != nil {
		t.Fatalf("fake: %+v", fake.Err)
	}
	run := onHost(t, map[string][]byte{"cartridge.toml": []byte(storageManifest), "storage.wasm": guestModule})
	sameLines(t, fake.Stdout, run("-y"))
	if lines := bytes.Count(fake.Stdout, []byte("\n")); lines < 200 {
		t.Errorf("the guest said only %d lines", lines)
	}
}

const pixelsManifest = `name = "pixels"
version = "1.0.0"
created_at = 2026-01-31T12:00:00Z
notes = "keeps files and draws"
genesis = "1.0"
licence = "MIT"
abi = "1.1"
creator = { kind = "human", name = "test" }

[programs."probe:pixels"]
module = "pixels.wasm"
kind = "sdk"

[[capabilities]]
kind = "pixelfs"
path = "/notes"
mode = "write"
reason = "test"

[[capabilities]]
kind = "pixelfs"
path = "/far/away"
reason = "test"

[[capabilities]]
kind = "infinitemap"
name = "w"
mode = "write"
reason = "test"
`

// A guest in Go, twice, so that it finds what it left.
func TestSDKStoresAsTheHost(t *testing.T) {
	guestModule = buildGo(t, "./testdata/pixels")
	fake := &pxostest.Host{Storage: pxostest.NewStorage(), Granted: []pxos.Capability{
		{Kind: "pixelfs", Path: "/notes", Mode: "write"}, {Kind: "pixelfs", Path: "/far/away", Mode: "read"}, {Kind: "infinitemap", Name: "w", Mode: "write"},
	}}
	run := onHost(t, map[string][]byte{"cartridge.toml": []byte(pixelsManifest), "pixels.wasm": guestModule})
	for range 2 {
		r := fake.Run(t, "probe:pixels", nil)
		if r.Err != nil {
			t.Fatalf("fake: %+v\n%s", r.Err, r.Stdout)
		}
		sameLines(t, r.Stdout, run("-y"))
	}
}
