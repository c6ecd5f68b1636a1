//go:build !wasip1

// Package pxostest runs the programs of a cartridge natively, in an ordinary Go
// test, against a host that exists only in memory:
//
//	func TestGreet(t *testing.T) {
//		r := pxostest.Run(t, "hello:greet", Args{Name: "Ada"})
//		if r.Err != nil || string(r.JSON) != `{"text":"Hello, Ada!"}` {
//			t.Errorf("got %s, %v", r.JSON, r.Err)
//		}
//	}
//
// The host answers as the contract says, with the same codes, and is deterministic:
// its clocks advance by one resolution a reading and its random bytes follow Seed.
// It bounds neither time nor memory. Pixel files and maps are in a [Storage].
package pxostest

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/internal/hostapi"
)

// Host is what surrounds a program in a test. The zero Host has an empty archive,
// grants nothing, and has an empty standard input.
type Host struct {
	Archive map[string]string // path to content
	Granted []pxos.Capability
	Argv    []string  // words after "--"
	Stdin   io.Reader // nil reads as empty
	Seed    uint64    // of the random bytes
	Start   time.Time // real time at which a run begins; zero is 2026-01-01 UTC
	Storage *Storage  // pixel files and maps; nil begins each run with none
}

// Result is the outcome of one run.
type Result struct {
	JSON     json.RawMessage // what the program returned, nil for none
	Err      *pxos.Failure   // what it failed with, nil when it succeeded
	Logs     []Line
	Stdout   []byte
	Stderr   []byte
	ExitCode int
	Storage  *Storage // what the run left: that of the Host, where it has one
}

// Line is one line of the run's log.
type Line struct {
	Level   string // debug, info, warn or error
	Message string
}

// Run runs a program in the zero [Host].
func Run(t testing.TB, program string, args any) *Result {
	t.Helper()
	return (&Host{}).Run(t, program, args)
}

// installed serialises runs: natively a process has one host at a time.
var installed sync.Mutex

// Run runs the registered program called "module:function" or "module". args is
// encoded as JSON, except that nil means no arguments and json.RawMessage is passed
// on as it is; arguments that cannot be encoded fail the test. Runs of parallel
// tests wait for each other.
func (h *Host) Run(t testing.TB, program string, args any) *Result {
	t.Helper()
	text := []byte("{}")
	if raw, ok := args.(json.RawMessage); ok {
		text = raw
	} else if args != nil {
		var err error
		if text, err = json.Marshal(args); err != nil {
			t.Fatalf("pxostest: the arguments cannot be written as JSON: %v", err)
		}
	}
	if !json.Valid(text) {
		t.Fatalf("pxostest: the arguments are not valid JSON: %s", text)
	}
	if !strings.Contains(program, ":") {
		program += ":main"
	}
	f := newFake(h, program, text)
	var stdout, stderr bytes.Buffer
	stdin := h.Stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	r := &Result{}
	defer install(f)()
	r.ExitCode = hostapi.Run(hostapi.Stdio{Argv: h.Argv, In: stdin, Out: &stdout, Err: &stderr})
	f.end()
	r.JSON, r.Err, r.Logs, r.Storage = f.result, f.failure, f.logs, f.storage
	r.Stdout, r.Stderr = stdout.Bytes(), stderr.Bytes()
	return r
}

// Install makes h the host of direct calls, such as pxos.Archive or
// pixelfs.ReadFile, until the test ends. It must not be combined with Run in the same test.
func (h *Host) Install(t testing.TB) {
	t.Helper()
	t.Cleanup(install(newFake(h, "test:main", []byte("{}"))))
}

func install(f *fake) (remove func()) {
	installed.Lock()
	var p hostapi.PxosHost = f
	hostapi.Pxos.Store(&p)
	var files hostapi.PixelfsHost = pixelfs{f}
	hostapi.Pixelfs.Store(&files)
	var planes hostapi.InfinitemapHost = infinitemap{f}
	hostapi.Infinitemap.Store(&planes)
	return func() {
		f.end()
		hostapi.Infinitemap.Store(nil)
		hostapi.Pixelfs.Store(nil)
		hostapi.Pxos.Store(nil)
		installed.Unlock()
	}
}

// end closes what a run left open.
func (f *fake) end() {
	pixelfs{f}.end()
	infinitemap{f}.end()
}

// Decode decodes the program's result into v and fails the test when the program
// failed or the result does not fit.
func (r *Result) Decode(t testing.TB, v any) {
	t.Helper()
	if r.Err != nil {
		t.Fatalf("the program failed: %s: %s", r.Err.Type, r.Err.Message)
	}
	if err := json.Unmarshal(r.JSON, v); err != nil {
		t.Fatalf("result %s: %v", r.JSON, err)
	}
}
