package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
)

// cartridgeOf packs a module with a manifest that asks for all of storage.
func cartridgeOf(t *testing.T, version, parent string, wasm []byte) *Cartridge {
	t.Helper()
	manifest := `name = "keeper"
version = "` + version + `"
parent = "` + parent + `"
created_at = 2026-01-02T03:04:05Z
licence = "MIT"
genesis = "1.0"
abi = "1.1"
notes = "a test"

[creator]
kind = "human"
name = "Ada"

[programs.main]
module = "m.wasm"
kind = "wasi"
description = "makes a directory"

[[capabilities]]
kind = "pixelfs"
path = "/"
mode = "write"
reason = "to keep files"
`
	var b strings.Builder
	src := []pxa.Source{pxa.BytesSource("cartridge.toml", []byte(manifest)), pxa.BytesSource("m.wasm", wasm)}
	if _, err := pxa.Pack(context.Background(), &b, src, nil); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCartridgeBytes(context.Background(), []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// probeMkdir makes the directory d in its pixel files.
func probeMkdir() []byte {
	return probeModule([]probeImport{{"pixelfs", "mkdir", 2}}, "d", []byte{0x41, 0, 0x41, 1, 0x10, 0, 0x1a})
}

var allFiles = []Grant{{Capability: abi.Capability{Kind: abi.CapPixelFS, Path: "/", Mode: abi.ModeWrite}}}

// runIn runs a cartridge and returns the namespaces that have pixel files afterwards.
func runIn(t *testing.T, h *Host, c *Cartridge, req RunRequest) error {
	t.Helper()
	req.Grants = allFiles
	res, err := h.Run(context.Background(), c, req)
	if err == nil && !res.Success {
		t.Fatalf("%s: %s", res.ErrorType, res.Error)
	}
	return err
}

func TestNamespaces(t *testing.T) {
	h := newHost(t, nil)
	has := func(ns string) bool {
		_, err := os.Stat(filepath.Join(FilesDir(h.cfg.Home, ns), "d"))
		return err == nil
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	denied := func(err error) {
		t.Helper()
		var he *Error
		if !errors.As(err, &he) || he.Type != abi.ErrDenied || he.Hint == "" {
			t.Fatalf("error %v, want denied with a hint", err)
		}
	}
	founder := cartridgeOf(t, "1.0.0", "", probeMkdir())
	ok(runIn(t, h, founder, RunRequest{}))
	if !has(founder.Digest()) {
		t.Error("a founding cartridge has no namespace of its digest")
	}

	child := cartridgeOf(t, "1.1.0", founder.Digest(), probeMkdir())
	denied(runIn(t, h, child, RunRequest{}))
	if has(child.Digest()) {
		t.Error("a refused run has left something")
	}
	ok(runIn(t, h, child, RunRequest{Lineage: LineageParent}))
	if has(child.Digest()) {
		t.Error("a child that joined its parent has a namespace of its own")
	}
	ok(runIn(t, h, child, RunRequest{})) // remembered
	grandchild := cartridgeOf(t, "1.2.0", child.Digest(), probeMkdir())
	denied(runIn(t, h, grandchild, RunRequest{}))
	ok(runIn(t, h, grandchild, RunRequest{Lineage: LineageParent}))
	if has(grandchild.Digest()) || has(child.Digest()) {
		t.Error("a grandchild does not have the founder's namespace")
	}
	stranger := cartridgeOf(t, "9.0.0", founder.Digest(), probeMkdir())
	ok(runIn(t, h, stranger, RunRequest{Lineage: LineageOwn}))
	if !has(stranger.Digest()) {
		t.Error("a child with files of its own has none")
	}
	ok(runIn(t, h, stranger, RunRequest{}))
	denied(runIn(t, h, founder, RunRequest{Lineage: LineageParent}))
	if err := runIn(t, h, founder, RunRequest{Lineage: "cousin"}); err == nil {
		t.Error("an unknown lineage was taken")
	}

	const origin = "/home/ada/keeper"
	first, second := cartridgeOf(t, "2.0.0", "", probeMkdir()), cartridgeOf(t, "2.0.1", founder.Digest(), probeMkdir())
	ok(runIn(t, h, first, RunRequest{Origin: origin}))
	ok(runIn(t, h, second, RunRequest{Origin: origin}))
	if !has(OriginNamespace(origin)) || has(first.Digest()) || has(second.Digest()) {
		t.Error("two builds of one directory do not share a namespace")
	}
	ok(runIn(t, h, first, RunRequest{})) // the same cartridge from elsewhere
	if has(first.Digest()) {
		t.Error("a build was given other files when it was moved")
	}

	ok(runIn(t, h, founder, RunRequest{Namespace: "mine"}))
	if !has("mine") {
		t.Error("the owner's choice was not taken")
	}
	for _, bad := range []string{"../x", ".x", "A", strings.Repeat("x", 129), "a/b"} {
		denied(runIn(t, h, founder, RunRequest{Namespace: bad}))
	}

	list, err := h.Namespaces()
	ok(err)
	byName := map[string]Namespace{}
	for _, ns := range list {
		byName[ns.Name] = ns
	}
	if len(list) != 4 {
		t.Errorf("namespaces %+v", list)
	}
	if ns := byName[founder.Digest()]; ns.Program != "keeper" || ns.Creator.Name != "Ada" || ns.Root != founder.Digest() || !ns.Files || ns.Created.IsZero() {
		t.Errorf("described as %+v", ns)
	}
	if ns := byName[OriginNamespace(origin)]; ns.Origin != origin {
		t.Errorf("described as %+v", ns)
	}
}

// A run that was granted nothing of storage needs no namespace and leaves nothing.
func TestNoNamespace(t *testing.T) {
	h := newHost(t, nil)
	c := cartridgeOf(t, "1.1.0", strings.Repeat("a", 64), probeResult())
	if res, err := h.Run(context.Background(), c, RunRequest{}); err == nil {
		t.Fatalf("ran without what it requires: %+v", res)
	}
	res, err := h.Run(context.Background(), openProbe(t, "probe-result", probeResult()), RunRequest{})
	if err != nil || !res.Success {
		t.Fatal(res, err)
	}
	for _, dir := range []string{"pixelfs", "maps", "namespaces", "lineages", "overlays"} {
		if _, err := os.Stat(filepath.Join(h.cfg.Home, dir)); err == nil {
			t.Errorf("there is %s", dir)
		}
	}
}

func TestOverlays(t *testing.T) {
	h := newHost(t, nil)
	c := cartridgeOf(t, "1.0.0", "", probeMkdir())
	for range 3 {
		if err := runIn(t, h, c, RunRequest{Sandbox: true}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.Overlays()
	if err != nil || len(list) != 3 {
		t.Fatalf("overlays %+v, %v", list, err)
	}
	o := list[0]
	if o.ID == "" || o.Run == 0 || o.Cartridge != c.Digest() || o.Name != "keeper" || o.Namespace != c.Digest() || o.Time.IsZero() || o.Program == "" {
		t.Errorf("described as %+v", o)
	}
	if _, err := os.Stat(filepath.Join(FilesDir(h.cfg.Home, c.Digest()), "d")); err == nil {
		t.Error("a sandboxed run changed the namespace")
	}
	ctx := context.Background()
	d, err := h.DiffOverlay(ctx, o.ID)
	if err != nil || len(d.Files) != 1 || d.Files[0].Name != "d" {
		t.Fatalf("diff %+v, %v", d, err)
	}
	if js, err := json.Marshal(d); err != nil || !strings.Contains(string(js), `"files":[`) {
		t.Errorf("as JSON %s, %v", js, err)
	}
	k, err := h.KeepOverlay(ctx, o.ID)
	if err != nil || len(k.Files) != 1 || len(k.Conflicts) > 0 {
		t.Fatalf("kept %+v, %v", k, err)
	}
	if _, err := os.Stat(filepath.Join(FilesDir(h.cfg.Home, c.Digest()), "d")); err != nil {
		t.Error(err)
	}
	if err := h.DropOverlay(list[1].ID); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(OverlaysDir(h.cfg.Home), list[2].ID, overlayAbout)); err != nil {
		t.Fatal(err)
	}
	if err := h.DropOverlay(list[2].ID); err != nil {
		t.Errorf("one without a description: %v", err)
	}
	if list, err := h.Overlays(); err != nil || len(list) != 0 {
		t.Errorf("left %+v, %v", list, err)
	}
	for _, id := range []string{"", "99", "../x", "1/2"} {
		if _, err := h.DiffOverlay(ctx, id); err == nil {
			t.Errorf("diff of %q", id)
		}
		if err := h.DropOverlay(id); err == nil {
			t.Errorf("drop of %q", id)
		}
	}
}
