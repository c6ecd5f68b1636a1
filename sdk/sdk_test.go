//go:build !wasip1

package pxos_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	pxos "github.com/pxos/pxos/sdk"
	"github.com/pxos/pxos/sdk/pxostest"
)

type point struct {
	X    int      `json:"x"`
	Tags []string `json:"tags,omitempty"`
}

func init() {
	pxos.Register("echo", func(ctx *pxos.Context, in point) (point, error) {
		in.X++
		fmt.Fprintf(ctx.Stdout, "%s %q", ctx.Program, ctx.Argv)
		return in, nil
	})
	pxos.Register("echo:html", func(ctx *pxos.Context, in pxos.None) (string, error) { return "<&>", nil })
	pxos.Register("echo:none", func(ctx *pxos.Context, in pxos.None) (pxos.None, error) { return pxos.None{}, nil })
	pxos.Register("echo:chan", func(ctx *pxos.Context, in pxos.None) (any, error) { return make(chan int), nil })
	pxos.Register("fail:typed", func(ctx *pxos.Context, in pxos.None) (int, error) {
		return 0, fmt.Errorf("outer: %w", pxos.Errorf("not_a_number", "%q is no number", "x"))
	})
	pxos.Register("fail:plain", func(ctx *pxos.Context, in pxos.None) (int, error) { return 0, io.ErrUnexpectedEOF })
	pxos.Register("fail:code", func(ctx *pxos.Context, in pxos.None) (int, error) {
		_, err := fs.ReadFile(pxos.Archive(), "missing.txt")
		return 0, err
	})
	pxos.Register("fail:badtype", func(ctx *pxos.Context, in pxos.None) (int, error) {
		return 0, pxos.Errorf("Bad Type", "broken \xff text")
	})
	pxos.Register("fail:long", func(ctx *pxos.Context, in pxos.None) (int, error) {
		return 0, pxos.Errorf("long", "%s", strings.Repeat("ä", pxos.MaxErrorText))
	})
	pxos.Register("fail:panic", func(ctx *pxos.Context, in pxos.None) (int, error) {
		var p *point
		return p.X, nil
	})
	pxos.RegisterRaw("raw", func(ctx *pxos.Context, args []byte) ([]byte, error) { return args, nil })
	pxos.RegisterRaw("raw:broken", func(ctx *pxos.Context, args []byte) ([]byte, error) { return []byte("{"), nil })
	pxos.RegisterRaw("raw:large", func(ctx *pxos.Context, args []byte) ([]byte, error) {
		return []byte(`"` + strings.Repeat("x", pxos.MaxResult) + `"`), nil
	})
	pxos.Register("log", func(ctx *pxos.Context, in pxos.None) (pxos.None, error) {
		pxos.Debug("plain")
		pxos.Info("opened", "path", "a b.txt", "bytes", 12, "ok", true, "err", io.EOF)
		pxos.Warn("odd", "alone")
		pxos.Error("line one\nline two \x1b[31m")
		pxos.Info(strings.Repeat("é", pxos.MaxLogLine))
		return pxos.None{}, nil
	})
	pxos.Register("host", func(ctx *pxos.Context, in pxos.None) (map[string]any, error) {
		major, minor, err1 := pxos.HostABI()
		t1, err2 := pxos.Now()
		t2, err3 := pxos.Now()
		e, err4 := pxos.Elapsed()
		caps, err5 := pxos.Capabilities()
		buf := make([]byte, 8)
		err6 := pxos.Random(buf)
		in1, err7 := io.ReadAll(ctx.Stdin)
		return map[string]any{"abi": fmt.Sprint(major, ".", minor), "later": t2.After(t1), "year": t1.Year(), "elapsed": e > 0, "caps": caps, "random": buf, "stdin": string(in1)},
			errors.Join(err1, err2, err3, err4, err5, err6, err7)
	})
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name, program, args string
		want                string // JSON result
		typ, msg            string // expected failure; msg is a part
	}{
		{"typed", "echo:main", `{"x":1,"tags":["a"]}`, `{"x":2,"tags":["a"]}`, "", ""},
		{"short name", "echo", `{}`, `{"x":1}`, "", ""},
		{"null arguments", "echo", `null`, `{"x":1}`, "", ""},
		{"no html escapes", "echo:html", `{}`, `"<&>"`, "", ""},
		{"no result", "echo:none", `{}`, ``, "", ""},
		{"raw", "raw", `[1, 2]`, `[1, 2]`, "", ""},
		{"unknown key", "echo", `{"y":1}`, ``, "invalid_arguments", `unknown field "y"`},
		{"unexpected arguments", "echo:none", `{"y":1}`, ``, "invalid_arguments", `unknown field "y"`},
		{"wrong type", "echo", `{"x":"one"}`, ``, "invalid_arguments", `argument "x" must be an integer that fits int, not string`},
		{"wrong shape", "echo", `[]`, ``, "invalid_arguments", "the arguments must be an object, not array"},
		{"nested wrong type", "echo", `{"tags":[1]}`, ``, "invalid_arguments", `argument "tags" must be a string, not number`},
		{"result not JSON", "echo:chan", `{}`, ``, "invalid_result", "unsupported type"},
		{"raw result not JSON", "raw:broken", `{}`, ``, "invalid_result", "not one valid JSON value"},
		{"result too large", "raw:large", `{}`, ``, "result_too_large", "16777218 bytes"},
		{"wrapped typed error", "fail:typed", `{}`, ``, "not_a_number", `outer: "x" is no number`},
		{"untyped error", "fail:plain", `{}`, ``, "error", "unexpected EOF"},
		{"code", "fail:code", `{}`, ``, "not_found", "missing.txt"},
		{"type outside the rules", "fail:badtype", `{}`, ``, "error", "Bad Type: broken \uFFFD text"},
		{"message too long", "fail:long", `{}`, ``, "long", "äää"},
		{"panic", "fail:panic", `{}`, ``, "panic", "nil pointer"},
		{"unknown program", "nobody:home", `{}`, ``, "unknown_program", `no program "nobody:home" in this module: it has echo:chan, echo:html, echo:main, `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := pxostest.Run(t, tc.program, json.RawMessage(tc.args))
			if string(r.JSON) != tc.want {
				t.Errorf("result %s, want %s", r.JSON, tc.want)
			}
			if tc.typ == "" {
				if r.Err != nil || r.ExitCode != 0 {
					t.Fatalf("failed: exit %d, %+v", r.ExitCode, r.Err)
				}
				return
			}
			if r.Err == nil || r.ExitCode != 1 || r.Err.Type != tc.typ || !strings.Contains(r.Err.Message, tc.msg) {
				t.Errorf("exit %d, error %+v, want %s with %q", r.ExitCode, r.Err, tc.typ, tc.msg)
			}
		})
	}
}

func TestPanicShowsWhere(t *testing.T) {
	r := pxostest.Run(t, "fail:panic", nil)
	if s := string(r.Stderr); !strings.Contains(s, "nil pointer") || !strings.Contains(s, "sdk_test.go") {
		t.Errorf("stderr: %s", s)
	}
}

func TestContext(t *testing.T) {
	r := (&pxostest.Host{Argv: []string{"-v", "a b"}}).Run(t, "echo", nil)
	if got, want := string(r.Stdout), `echo:main ["-v" "a b"]`; got != want {
		t.Errorf("stdout %s, want %s", got, want)
	}
}

func TestLog(t *testing.T) {
	r := pxostest.Run(t, "log", nil)
	want := []pxostest.Line{
		{Level: "debug", Message: "plain"},
		{Level: "info", Message: `opened path="a b.txt" bytes=12 ok=true err=EOF`},
		{Level: "warn", Message: "odd !NOVALUE=alone"},
		{Level: "error", Message: "line one␊line two ␛[31m"},
		{Level: "info", Message: strings.Repeat("é", pxos.MaxLogLine/2)},
	}
	if len(r.Logs) != len(want) {
		t.Fatalf("got %d lines, want %d", len(r.Logs), len(want))
	}
	for i := range want {
		if r.Logs[i] != want[i] {
			t.Errorf("line %d: %q, want %q", i, r.Logs[i], want[i])
		}
	}
}

func TestHostFunctions(t *testing.T) {
	h := &pxostest.Host{Granted: []pxos.Capability{{Kind: "env", Name: "LANG"}}, Stdin: strings.NewReader("input"), Seed: 1}
	var first, second, other map[string]any
	h.Run(t, "host", nil).Decode(t, &first)
	if first["abi"] != "1.1" || first["later"] != true || first["year"] != 2026.0 || first["elapsed"] != true || first["stdin"] != "input" {
		t.Errorf("got %v", first)
	}
	if caps := fmt.Sprint(first["caps"]); caps != "[map[kind:env name:LANG]]" {
		t.Errorf("capabilities %s", caps)
	}
	h.Run(t, "host", nil).Decode(t, &second)
	(&pxostest.Host{Seed: 2}).Run(t, "host", nil).Decode(t, &other)
	if first["random"] != second["random"] || first["random"] == other["random"] {
		t.Errorf("random bytes %v, %v, and with another seed %v", first["random"], second["random"], other["random"])
	}
}

func TestRegisterPanics(t *testing.T) {
	program := func(*pxos.Context, pxos.None) (pxos.None, error) { return pxos.None{}, nil }
	for _, name := range []string{"", ":main", "echo:", "echo", "echo:main"} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("Register(%q) did not panic", name)
				}
			}()
			pxos.Register(name, program)
		})
	}
}

// Without a host, natively, every function says that it is unsupported instead of
// crashing.
func TestNoHost(t *testing.T) {
	if _, err := pxos.Now(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Now: %v", err)
	}
	if _, err := fs.ReadDir(pxos.Archive(), "."); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("ReadDir: %v", err)
	}
	pxos.Info("into the void")
}

var tree = map[string]string{
	"cartridge.toml": "name = 'x'\n",
	"a":              "",
	"data-1.txt":     "one",
	"data/b/c.txt":   strings.Repeat("0123456789", 1000),
	"data/b/d.txt":   "d",
	"data/z":         "z",
	"data.txt":       "two",
	"ünï/ç.txt":      "letters",
}

func TestArchiveFS(t *testing.T) {
	(&pxostest.Host{Archive: tree}).Install(t)
	var names []string
	for name := range tree {
		names = append(names, name)
	}
	if err := fstest.TestFS(pxos.Archive(), names...); err != nil {
		t.Error(err)
	}
}

func TestEmptyArchive(t *testing.T) {
	(&pxostest.Host{}).Install(t)
	if err := fstest.TestFS(pxos.Archive()); err != nil {
		t.Error(err)
	}
}

func TestArchiveErrors(t *testing.T) {
	(&pxostest.Host{Archive: tree}).Install(t)
	fsys := pxos.Archive()
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"stat missing", func() error { _, err := fs.Stat(fsys, "nope"); return err }, fs.ErrNotExist},
		{"open prefix of a name", func() error { _, err := fsys.Open("dat"); return err }, fs.ErrNotExist},
		{"absolute path", func() error { _, err := fsys.Open("/a"); return err }, fs.ErrInvalid},
		{"dot dot", func() error { _, err := fs.ReadFile(fsys, "data/../a"); return err }, fs.ErrInvalid},
		{"not UTF-8", func() error { _, err := fs.ReadFile(fsys, "\xff"); return err }, fs.ErrInvalid},
		{"digest missing", func() error { _, err := pxos.Digest("nope"); return err }, fs.ErrNotExist},
		{"closed", func() error {
			f, err := fsys.Open("a")
			if err != nil {
				return err
			}
			f.Close()
			_, err = f.Read(make([]byte, 1))
			return err
		}, fs.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.do()
			var pe *fs.PathError
			if !errors.Is(err, tc.want) || !errors.As(err, &pe) {
				t.Errorf("got %v, want a PathError of %v", err, tc.want)
			}
		})
	}
	for name, do := range map[string]func() error{
		"read a directory": func() error { _, err := fs.ReadFile(fsys, "data"); return err },
		"list a file":      func() error { _, err := fs.ReadDir(fsys, "a"); return err },
	} {
		if do() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCodeIs(t *testing.T) {
	for code, want := range map[pxos.Code]error{
		pxos.CodeInvalid: fs.ErrInvalid, pxos.CodeNotFound: fs.ErrNotExist, pxos.CodeDenied: fs.ErrPermission,
		pxos.CodeExists: fs.ErrExist, pxos.CodeBadHandle: fs.ErrClosed, pxos.CodeUnsupported: errors.ErrUnsupported,
	} {
		if !errors.Is(fmt.Errorf("x: %w", code), want) {
			t.Errorf("%v is not %v", code, want)
		}
	}
	if errors.Is(pxos.CodeBusy, fs.ErrExist) || pxos.CodeOK.Err() != nil || pxos.Code(99).String() != "code 99" {
		t.Error("a code claims what it is not")
	}
}
