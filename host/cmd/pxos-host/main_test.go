package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
)

func TestGuestCode(t *testing.T) {
	for _, tc := range []struct {
		name string
		res  abi.RunResult
		want int
	}{
		{"success", abi.RunResult{Success: true}, 0},
		{"exit 1", abi.RunResult{ErrorType: abi.ErrExit, ExitCode: 1}, 1},
		{"exit 255", abi.RunResult{ErrorType: abi.ErrExit, ExitCode: 255}, 255},
		{"exit 256 is no success", abi.RunResult{ErrorType: abi.ErrExit, ExitCode: 256}, 255},
		{"exit -1", abi.RunResult{ErrorType: abi.ErrExit, ExitCode: 0xffffffff}, 255},
		{"the program's own error", abi.RunResult{ErrorType: "program.not_a_number"}, 1},
		{"trap", abi.RunResult{ErrorType: abi.ErrTrap}, 1},
		{"fuel", abi.RunResult{ErrorType: abi.ErrFuel}, 1},
		{"deadline", abi.RunResult{ErrorType: abi.ErrDeadline}, 1},
		{"memory", abi.RunResult{ErrorType: abi.ErrMemory}, 1},
		{"stack", abi.RunResult{ErrorType: abi.ErrStack}, 1},
		{"output", abi.RunResult{ErrorType: abi.ErrOutput}, 1},
		{"a type of a later version", abi.RunResult{ErrorType: "later"}, 1},
		{"cancelled", abi.RunResult{ErrorType: abi.ErrCancelled}, 130},
		{"denied", abi.RunResult{ErrorType: abi.ErrDenied}, 125},
		{"refused", abi.RunResult{ErrorType: abi.ErrRefused}, 125},
		{"invalid", abi.RunResult{ErrorType: abi.ErrInvalidModule}, 125},
		{"imports", abi.RunResult{ErrorType: abi.ErrMissingImports}, 125},
		{"crash", abi.RunResult{ErrorType: abi.ErrCrash}, 125},
		{"internal", abi.RunResult{ErrorType: abi.ErrInternal}, 125},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := guestCode(&tc.res); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestParseDir(t *testing.T) {
	one := &abi.Manifest{Capabilities: []abi.Capability{{Kind: abi.CapDir, Path: "/data", Mode: abi.ModeWrite}}}
	two := &abi.Manifest{Capabilities: append(one.Capabilities, abi.Capability{Kind: abi.CapDir, Path: "/more"})}
	for _, tc := range []struct {
		name, flag string
		m          *abi.Manifest
		host, cap  string // cap empty: refused
	}{
		{"all", "/home/ada/notes:/in:write", two, "/home/ada/notes", "dir:/in:write"},
		{"read is the default", "notes:/in", two, "notes", "dir:/in:read"},
		{"the place it asks for", "notes", one, "notes", "dir:/data:read"},
		{"the place it asks for, to write", "notes:write", one, "notes", "dir:/data:write"},
		{"its own name", "x/notes", two, "x/notes", "dir:/notes:read"},
		{"colon in the host path", "a:b:/in", two, "a:b", "dir:/in:read"},
		{"slashes behind colons", "/a:/b:/in:read", two, "/a:/b", "dir:/in:read"},
		{"a directory called read", "./read", two, "./read", "dir:/read:read"},
		{"nothing", "", two, "", ""},
		{"only a guest path", ":/in", two, "", ""},
		{"the guest's root", "x:/", two, "", ""},
		{"the guest's tmp", "x:/tmp/y", two, "", ""},
		{"climbing", "x:/a/../b", two, "", ""},
		{"a name that guests cannot have", "a b", two, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, err := parseDir(tc.flag, tc.m)
			if (err == nil) != (tc.cap != "") {
				t.Fatalf("error %v", err)
			}
			if err == nil && (g.HostPath != tc.host || g.Capability.String() != tc.cap) {
				t.Errorf("got %s for %s, want %s for %s", g.Capability, g.HostPath, tc.cap, tc.host)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	day := time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local)
	for s, want := range map[string]time.Time{
		"":                          {},
		"2026-01-31":                day,
		"2026-01-31 12:30":          day.Add(12*time.Hour + 30*time.Minute),
		"2026-01-31T12:00:00Z":      time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		"2026-01-31T12:00:00+02:00": time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := moment("--since", s); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v", s, got, err)
		}
	}
	if got, err := moment("--since", "2h"); err != nil || time.Since(got) < 2*time.Hour {
		t.Errorf("2h is %v, %v", got, err)
	}
	for _, s := range []string{"yesterday", "-2h", "12", "2026-13-01"} {
		if _, err := moment("--since", s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

// A cartridge that does not unpack whole leaves nothing.
func TestUnpackWhole(t *testing.T) {
	var b bytes.Buffer
	sources := []pxa.Source{pxa.BytesSource("a/b", []byte("b")), pxa.BytesSource("c", []byte("c"))}
	if _, err := pxa.Pack(context.Background(), &b, sources, nil); err != nil {
		t.Fatal(err)
	}
	r, err := pxa.Open(bytes.NewReader(b.Bytes()), int64(b.Len()), nil)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		dir  string
		want string // what the parent holds afterwards
	}{
		{"new", context.Background(), "new", "new void"},
		{"into an empty directory", context.Background(), "void", "void"},
		{"cancelled", cancelled, "new", "void"},
		{"cancelled, into an empty directory", cancelled, "void", "void"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parent := t.TempDir()
			if err := os.Mkdir(filepath.Join(parent, "void"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := unpackWhole(tc.ctx, r, filepath.Join(parent, tc.dir), nil)
			if errors.Is(err, context.Canceled) != (tc.ctx == cancelled) {
				t.Errorf("error %v", err)
			}
			list, _ := os.ReadDir(parent)
			var names []string
			for _, e := range list {
				names = append(names, e.Name())
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("left %q, want %q", got, tc.want)
			}
			inside, _ := os.ReadDir(filepath.Join(parent, tc.dir))
			if full := len(inside) == 2; full != (err == nil) {
				t.Errorf("%d files after %v", len(inside), err)
			}
		})
	}
}

// State is never kept at a relative or unknown place.
func TestHome(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the XDG directories are those of Linux")
	}
	for _, tc := range []struct{ name, pxos, xdg, home, want string }{
		{"PXOS_HOME", "/state", "/xdg", "/home/ada", "/state"},
		{"XDG", "", "/xdg", "/home/ada", "/xdg/pxos"},
		{"relative XDG is ignored", "", "xdg", "/home/ada", "/home/ada/.local/share/pxos"},
		{"home", "", "", "/home/ada", "/home/ada/.local/share/pxos"},
		{"none", "", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("PXOS_HOME", tc.pxos)
			t.Setenv("XDG_DATA_HOME", tc.xdg)
			t.Setenv("HOME", tc.home)
			got, err := newApp().home()
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}
