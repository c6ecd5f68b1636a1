//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
)

// newMap makes a map with one pixel and returns its directory.
func newMap(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "world")
	d, err := disk.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := infinitemap.Open(d, infinitemap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Set(-5, -7, infinitemap.RGB{R: 255, G: 136}); err != nil {
		t.Fatal(err)
	}
	if err := m.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fetch gets a page of a server.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// serveMap starts the host and returns the address that it prints first.
func serveMap(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader, string) {
	t.Helper()
	cmd, _ := hostCommand(t, append([]string{"map", "serve"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("it said %q, %v", line, err)
	}
	return cmd, r, strings.TrimSuffix(line, "\n")
}

// The first line is the address; the page follows what is written; an interrupt ends it
// as it should end.
func TestMapServe(t *testing.T) {
	dir := newMap(t)
	for _, tc := range []struct{ name, addr, want string }{
		{"default", "", "http://127.0.0.1:"},
		{"any port", "127.0.0.1:0", "http://127.0.0.1:"},
		{"by name", "localhost:0", "http://"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := []string{dir}
			if tc.addr != "" {
				args = append(args, "--addr", tc.addr)
			}
			cmd, out, url := serveMap(t, args...)
			if !strings.HasPrefix(url, tc.want) || !strings.HasSuffix(url, "/") {
				t.Fatalf("the address is %q", url)
			}
			if code, page := fetch(t, url); code != 200 || !strings.Contains(page, "<html") {
				t.Errorf("the page is %d, %.100q", code, page)
			}
			var pixel struct{ Hex string }
			code, body := fetch(t, url+"api/pixel?x=-5&y=-7")
			if err := json.Unmarshal([]byte(body), &pixel); err != nil || code != 200 || pixel.Hex != "#ff8800" {
				t.Errorf("the pixel is %d, %q, %v", code, body, err)
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
				t.Errorf("it also said %q, %v", rest, err)
			}
			if code := exitCode(t, cmd.Wait()); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestMapServeFollows(t *testing.T) {
	dir := newMap(t)
	_, _, url := serveMap(t, dir)
	_, before := fetch(t, url+"api/state")
	set, _ := hostCommand(t, "map", "set", dir, "1000", "-1000", "00f")
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var state struct {
		Generation string
		Bounds     map[string]string
	}
	for state.Bounds["max_x"] != "1023" { // until the test's own deadline: it looks a few times a second
		_, body := fetch(t, url+"api/state")
		if err := json.Unmarshal([]byte(body), &state); err != nil {
			t.Fatalf("%v in %s, after %s", err, body, before)
		}
	}
	if code, body := fetch(t, url+"api/pixel?x=1000&y=-1000"); code != 200 || !strings.Contains(body, "#0000ff") {
		t.Errorf("the pixel is %d, %s", code, body)
	}
}
