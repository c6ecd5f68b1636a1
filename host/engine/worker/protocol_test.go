package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
)

func TestPreload(t *testing.T) {
	for name, want := range map[string]Preload{
		"empty": {},
		"full":  {Config: Config{CacheDir: "/home/ada/päx", CacheBytes: 1 << 40, Interpreter: true}, Digest: [32]byte{0: 1, 31: 2}, Table: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			b := want.encode()
			if got, err := decodePreload(b); err != nil || *got != want {
				t.Errorf("read back as %+v, %v; want %+v", got, err, want)
			}
			if _, err := decodePreload(b[:preloadSize-1]); err == nil {
				t.Error("a preload that is cut short is read")
			}
		})
	}
}

func TestReadJob(t *testing.T) {
	pre := message(kindPreload, (&Preload{Table: 5}).encode())
	job := message(kindJob, []byte(`{"program":"main"}`))
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
		"short preload":  {message(kindPreload, []byte{1}), "cut short"},
		"no JSON":        {message(kindJob, []byte(`{`)), "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := readJob(t.Context(), iotest.OneByteReader(bytes.NewReader(c.in)))
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
	frame := func(js string) string {
		return string(append(binary.LittleEndian.AppendUint32([]byte{answer}, uint32(len(js))), js...))
	}
	good := frame(`{"result":{"program":"main","success":true}}`)
	for name, c := range map[string]struct {
		in    string
		err   string // part of it; empty: it is read
		begun bool
	}{
		"after the start":  {" " + good, "", true},
		"without a start":  {good, "", true},
		"more behind":      {good + "rest", "", true},
		"failure":          {frame(`{"error":{"type":"internal","msg":"m"}}`), "", true},
		"nothing":          {"", "EOF", false},
		"only the start":   {" ", "EOF", true},
		"two starts":       {"  " + good, "malformed", true},
		"no frame":         {`{"result":{}}`, "malformed", true},
		"cut in the head":  {good[:3], "EOF", true},
		"cut":              {good[:len(good)-1], "unexpected EOF", true},
		"too big":          {"\n\xff\xff\xff\xff", "malformed", true},
		"size is a lie":    {"\n\x00\x00\x00\x10{}", "unexpected EOF", true},
		"no JSON":          {frame("}"), "invalid character", true},
		"neither":          {frame("{}"), "empty", true},
		"wrong type":       {frame(`{"result":{"fuel":"much"}}`), "fuel", true},
		"nothing in frame": {frame(""), "JSON", true},
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

func FuzzReadReply(f *testing.F) {
	f.Add([]byte(" \n\x02\x00\x00\x00{}"))
	f.Add([]byte("\n\x0d\x00\x00\x00{\"result\":{}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rep, err := readReply(bytes.NewReader(b), func() {})
		if err == nil && rep.Result == nil && rep.Error == nil {
			t.Error("an answer with neither result nor error")
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
		script := `printf before; printf '\n\025\000\000\000{"result":{"fuel":7}}' >&5; printf after`
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
