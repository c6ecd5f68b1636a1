package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/engine"
)

// The memo of checked files is what Open of a host asks, and nobody else: an entry
// that was planted for the test shows who believes it.
func TestCheckMemoUse(t *testing.T) {
	ctx := context.Background()
	data, err := probeCartridge(ctx, "probe-result", probeResult())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.pxa")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(data)
	h := newHost(t, nil)
	entries := func() []string {
		found, _ := filepath.Glob(filepath.Join(h.cacheDir(), "checked-*"))
		return found
	}
	open := func(path string) string {
		t.Helper()
		c, err := h.Open(ctx, path, RunRequest{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Digest()
	}
	whole := func() string {
		t.Helper()
		c, err := OpenCartridge(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Digest()
	}

	digest := whole()
	if len(entries()) != 0 {
		t.Fatalf("OpenCartridge remembers: %q", entries())
	}
	for range 2 {
		if d := open(path); d != digest || len(entries()) != 1 {
			t.Fatalf("digest %s, want %s; entries %q", d, digest, entries())
		}
	}
	planted := pxa.Digest{1, 2, 3}
	memo := engine.CheckMemo{Dir: h.cacheDir(), Version: pxa.CheckVersion}
	file := sha256.Sum256(data)
	if err := memo.Store(file, planted); err != nil {
		t.Fatal(err)
	}
	if d := open(path); d != planted.String() {
		t.Errorf("the second check of a file was made again: %s", d)
	}
	if d := whole(); d != digest {
		t.Errorf("OpenCartridge believes the memo: %s", d)
	}
	if c, err := OpenCartridgeBytes(ctx, data); err != nil || c.Digest() != digest {
		t.Errorf("OpenCartridgeBytes believes the memo: %v", err)
	}
	// Any doubt, and the whole check takes place; it mends the entry.
	entry, err := os.ReadFile(entries()[0])
	if err != nil {
		t.Fatal(err)
	}
	entry[50] ^= 1
	if err := os.WriteFile(entries()[0], entry, 0o600); err != nil {
		t.Fatal(err)
	}
	if d := open(path); d != digest {
		t.Errorf("with a damaged entry the digest is %s", d)
	}
	if d, ok := memo.Lookup(file); !ok || pxa.Digest(d).String() != digest {
		t.Errorf("the damaged entry was not replaced: %x", d)
	}
	// Every bit of the file is under the memo's SHA-256.
	for _, at := range []int{60, 400, len(data) / 2, len(data) - 40, len(data) - 13, len(data) - 1} {
		bad := bytes.Clone(data)
		bad[at] ^= 4
		write(bad)
		if c, err := h.Open(ctx, path, RunRequest{}); err == nil {
			t.Errorf("byte %d changed: opened as %s", at, c.Digest())
			c.Close()
		}
	}
	if len(entries()) != 1 {
		t.Errorf("refused files are remembered: %q", entries())
	}
	// Another encoding of the same pixels is checked every time.
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := png.Encode(&again, img); err != nil {
		t.Fatal(err)
	}
	write(again.Bytes())
	if d := open(path); d != digest || len(entries()) != 1 {
		t.Errorf("re-encoded: digest %s, entries %q", d, entries())
	}

	none := newHost(t, func(c *Config) { c.NoCache = true })
	write(data)
	c, err := none.Open(ctx, path, RunRequest{})
	if err != nil || c.Digest() != digest {
		t.Fatal(err)
	}
	c.Close()
	if left, _ := os.ReadDir(none.cfg.Home); len(left) != 0 {
		t.Errorf("a host without a cache wrote %v", left)
	}
}
