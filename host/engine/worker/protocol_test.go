package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// everything has something in each field that the protocol carries.
func everything() (Preload, Job, reply) {
	limits := abi.DefaultLimits()
	granted := []abi.Capability{{Kind: abi.CapDir, Path: "/data", Mode: abi.ModeRead, Reason: "because", Optional: true}, {}}
	cfg := Config{CacheDir: "/home/ada/päx", CacheBytes: 1 << 40, Interpreter: true}
	return Preload{Config: cfg, Digest: [32]byte{0: 1, 31: 2}, Table: 10_000},
		Job{
			Config: cfg, Path: "/tmp/x", Fingerprint: "5a", Program: "m:f", Module: "m.wasm", Export: "f",
			Argv: []string{"m", "", "\xff"}, Env: []string{"A=b"}, Args: json.RawMessage(`{"a":[1]}`), Granted: granted,
			Dirs: []Dir{{"/data", "/srv/\xfe", true}}, Limits: limits, Seed: []byte{}, Epoch: time.Unix(1e9, 5).UTC(),
			Storage: &storage.Config{Files: "/f", Maps: "/m", Overlay: "/o", About: &storage.Note{Path: "n", Data: json.RawMessage("{}")},
				AboutOverlay: &storage.Note{}, Granted: granted, Handles: 1, Policy: storage.Policy{QuotaBytes: -1, MaxAge: time.Hour, Compression: "lz4"}},
			TerminalStdin: true, CleanStdout: true, CleanStderr: true,
		},
		reply{
			Result: &abi.RunResult{
				Success: true, Result: json.RawMessage("null"), Error: "e", ErrorType: abi.ErrTrap, Hint: "h", ExitCode: 1<<32 - 1,
				ExecutionTime: 0.1, LoadTime: -0.5, Logs: []abi.LogLine{{Level: "info", Message: "ünï", Time: 1}}, Fuel: 1<<64 - 1, Memory: 1, Output: 2,
				HostCalls: map[string]int64{"pxos.log": 1, "wasi.fd_write": -1}, Program: "m", Cartridge: "c", Isolation: "process",
				Granted: granted, Run: 3, Trace: []string{"f"}, Limits: &limits, Cached: true, StartedAt: time.Unix(1e9, 7).UTC(),
			},
			Error: &failure{abi.ErrInternal, "m", "h"},
		}
}

func mustPack(t testing.TB, v any) []byte {
	t.Helper()
	b, err := pack(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPack(t *testing.T) {
	pre, job, rep := everything()
	for name, v := range map[string]any{
		"preload": pre, "empty preload": Preload{}, "job": job, "empty job": Job{}, "reply": rep, "empty reply": reply{},
		"nil in a reply": reply{Result: &abi.RunResult{}}, "empty lists": Job{Argv: []string{}, Granted: []abi.Capability{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustPack(t, v)
			got := reflect.New(reflect.TypeOf(v))
			if err := unpack(b, got.Interface(), false); err != nil || !reflect.DeepEqual(got.Elem().Interface(), v) {
				t.Errorf("read back as %+v, %v; want %+v", got.Elem(), err, v)
			}
			for n := range b {
				if unpack(b[:n], reflect.New(reflect.TypeOf(v)).Interface(), false) == nil {
					t.Errorf("cut to %d of %d bytes it is read", n, len(b))
				}
			}
			if unpack(append(b, 0), got.Interface(), false) == nil {
				t.Error("with a byte more it is read")
			}
		})
	}
	if _, err := pack(struct{ C chan int }{}); err == nil {
		t.Error("a channel is packed")
	}
}

// What comes from a worker is made fit to be shown and stored.
func TestUnpackStrict(t *testing.T) {
	unpacked := func(in abi.RunResult) (*abi.RunResult, error) {
		var rep reply
		err := unpack(mustPack(t, reply{Result: &in}), &rep, true)
		return rep.Result, err
	}
	if r, err := unpacked(abi.RunResult{Error: "a\xffb", Logs: []abi.LogLine{{Message: "\xc0"}}}); err != nil || r.Error != "a\ufffdb" || r.Logs[0].Message != "\ufffd" {
		t.Errorf("texts are %+v, %v", r, err)
	}
	for _, bad := range []abi.RunResult{
		{Result: json.RawMessage("{")}, {Result: json.RawMessage{}}, {Result: json.RawMessage("1 2")}, {LoadTime: math.NaN()}, {LoadTime: math.Inf(1)},
	} {
		if r, err := unpacked(bad); err == nil {
			t.Errorf("taken: %+v", r)
		}
	}
}

func TestReadJob(t *testing.T) {
	pre := message(kindPreload, mustPack(t, Preload{Table: 5}))
	job := message(kindJob, mustPack(t, Job{Program: "main"}))
	for name, c := range map[string]struct {
		in  []byte
		err string // part of it; empty: the job is read
	}{
		"job":            {job, ""},
		"preload first":  {append(pre, job...), ""},
		"nothing":        {nil, "EOF"},
		"only a preload": {pre, "EOF"},
		"cut":            {job[:len(job)-1], "unexpected EOF"},
		"too big":        {binary.LittleEndian.AppendUint32(nil, maxMessage+1), "too big"},
		"no kind":        {[]byte{0, 0, 0, 0}, "kind"},
		"other kind":     {message('X', nil), "kind"},
		"two preloads":   {append(append([]byte(nil), pre...), pre...), "kind"},
		"no preload":     {message(kindPreload, []byte{1}), "malformed"},
		"no job":         {message(kindJob, []byte{1}), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := receive(t.Context(), iotest.OneByteReader(bytes.NewReader(c.in)))
			switch {
			case c.err == "" && (err != nil || in.job.Program != "main" || (in.eng != nil) != strings.Contains(name, "preload")):
				t.Errorf("got %+v, %v", in, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want one with %q", err, c.err)
			}
			if in != nil && in.eng != nil {
				if err := in.eng.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A worker that was taken over can answer anything.
func TestReadReply(t *testing.T) {
	frame := func(data []byte) string {
		return string(append(binary.LittleEndian.AppendUint32([]byte{answer}, uint32(len(data))), data...))
	}
	good := frame(mustPack(t, reply{Result: &abi.RunResult{Program: "main"}}))
	for name, c := range map[string]struct {
		in    string
		err   string // part of it; empty: it is read
		begun bool
	}{
		"after the start":  {" " + good, "", true},
		"without a start":  {good, "", true},
		"more behind":      {good + "rest", "", true},
		"failure":          {frame(mustPack(t, reply{Error: &failure{Msg: "m"}})), "", true},
		"nothing":          {"", "EOF", false},
		"only the start":   {" ", "EOF", true},
		"two starts":       {"  " + good, "malformed", true},
		"no frame":         {"{}{}{}", "malformed", true},
		"cut in the head":  {good[:3], "EOF", true},
		"cut":              {good[:len(good)-1], "unexpected EOF", true},
		"too big":          {"\n\xff\xff\xff\xff", "malformed", true},
		"size is a lie":    {"\n\x00\x00\x00\x10{}", "unexpected EOF", true},
		"no reply":         {frame([]byte{2, 3}), "malformed", true},
		"neither":          {frame(mustPack(t, reply{})), "empty", true},
		"nothing in frame": {frame(nil), "malformed", true},
	} {
		t.Run(name, func(t *testing.T) {
			begun := false
			rep, err := readReply(iotest.OneByteReader(strings.NewReader(c.in)), func() { begun = true })
			switch {
			case c.err == "" && (err != nil || rep.Result == nil && rep.Error == nil):
				t.Errorf("got %+v, %v", rep, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want one with %q", err, c.err)
			}
			if begun != c.begun {
				t.Errorf("begun: %v", begun)
			}
		})
	}
}

func FuzzReply(f *testing.F) {
	_, _, rep := everything()
	f.Add(mustPack(f, rep))
	f.Add([]byte{2, 0, 1, 3, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		var rep, again reply
		if unpack(b, &rep, true) != nil {
			return
		}
		want, err := json.Marshal(rep)
		if err != nil {
			t.Fatalf("an answer that is no JSON: %v", err)
		}
		err = unpack(mustPack(t, rep), &again, true)
		if got, _ := json.Marshal(again); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is read back as %s, %v", want, got, err)
		}
	})
}

func TestSpawnFails(t *testing.T) {
	if !Supported {
		t.Skip("no worker processes on this platform")
	}
	var e *engine.Error
	if _, err := Spawn(Command{Argv: []string{"/nonexistent/pxos-host"}}, Streams{}); !errors.As(err, &e) || e.Type != abi.ErrInternal || e.Hint == "" {
		t.Errorf("error %v", err)
	}
}

// A worker that is no worker: what it leaves unsaid is a crash, with its status.
func TestWorkerThatDies(t *testing.T) {
	if !Supported {
		t.Skip("no worker processes on this platform")
	}
	for name, script := range map[string]string{
		"silent":    "exit 3",
		"malformed": "printf hello >&5; exit 3",
		"cut":       `printf '\n\377\000\000\000{' >&5; exit 3`,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			p, err := Spawn(Command{Argv: []string{"/bin/sh", "-c", script}}, Streams{Stdout: &out, Stderr: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			job := &Job{Program: "main", Limits: abi.DefaultLimits()}
			res, err := p.Run(t.Context(), job, []byte("cartridge"))
			if err != nil || res.ErrorType != abi.ErrCrash || res.Program != "main" || res.Limits == nil {
				t.Errorf("result %+v, %v", res, err)
			}
		})
	}
	t.Run("output before the answer", func(t *testing.T) {
		var out bytes.Buffer
		data := mustPack(t, reply{Result: &abi.RunResult{Fuel: 7}})
		script := "printf before; printf '\\n" + octal(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + octal(data) + "' >&5; printf after"
		p, err := Spawn(Command{Argv: []string{"/bin/sh", "-c", script}}, Streams{Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		res, err := p.Run(t.Context(), &Job{Limits: abi.DefaultLimits()}, nil)
		if err != nil || res.Fuel != 7 || !strings.HasPrefix(out.String(), "before") {
			t.Errorf("result %+v, %v, output %q", res, err, &out)
		}
	})
}

// octal writes bytes for printf.
func octal(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\%03o`, c)
	}
	return s.String()
}
