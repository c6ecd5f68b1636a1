package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/storage"
)

// sandboxed is the storage of a sandboxed run.
func sandboxed(t *testing.T, dir string, grants ...string) storage.Config {
	cfg := config(t, dir, grants...)
	cfg.Overlay = dir + "/overlay"
	return cfg
}

func places(dir string) storage.Places {
	return storage.Places{Files: dir + "/pixelfs", Maps: dir + "/maps", Overlay: dir + "/overlay"}
}

// tree reads the whole of a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func sameTree(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for path, data := range after {
		if old, ok := before[path]; (!ok || old != data) && filepath.Ext(path) != "" {
			t.Errorf("%s: %s was changed", what, path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			t.Errorf("%s: %s is gone", what, path)
		}
	}
}

// change does one of everything in a run.
func change(t *testing.T, g *guest) {
	g.write("new", "made")
	g.write("changed", "after")
	for _, path := range []string{"removed"} {
		if code := g.path("pixelfs.trash", path); code != 0 {
			t.Fatal(path, code)
		}
	}
	name, args := two(g, "pixelfs.rename", "from", "to")
	g.ok(name, args...)
	h := g.openMap("world", 2)
	g.ok("infinitemap.set", h, 1, 1, 0xff)
	g.ok("infinitemap.close", h)
	g.ok("infinitemap.set", g.openMap("fresh", 2|4), 1, 1, 0xee)
}

func prepared(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	fill(t, dir, "same", "changed", "removed", "from")
	g := begin(t, config(t, dir, everything...), nil)
	g.ok("infinitemap.set", g.openMap("world", 2|4), 1, 1, 1)
	g.end()
	return dir
}

func TestSandbox(t *testing.T) {
	dir := prepared(t)
	before := tree(t, dir)
	g := begin(t, sandboxed(t, dir, everything...), nil)
	if got := g.read("changed"); got != "content of changed" {
		t.Fatalf("read %q", got)
	}
	reader := g.openFile("changed", 1)
	change(t, g)
	g.ok("pixelfs.read", reader, dataAt, 100, outAt)
	if got := string(g.mem(dataAt, g.u32(outAt))); got != "after" {
		t.Errorf("an earlier handle reads %q", got)
	}
	if got := g.list(""); got != "changed new same to" {
		t.Errorf("list %q", got)
	}
	for path, want := range map[string]string{"same": "content of same", "changed": "after", "new": "made", "to": "content of from"} {
		if got := g.read(path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if code := g.path("pixelfs.restore", "removed", 0); code != 0 {
		t.Errorf("restore: %v", code)
	}
	if got := g.read("removed"); got != "content of removed" {
		t.Errorf("restored %q", got)
	}
	if code := g.path("pixelfs.trash", "removed"); code != 0 {
		t.Errorf("trash again: %v", code)
	}
	g.ok("infinitemap.get", g.openMap("world", 1), 1, 1, outAt)
	if got := g.u32(outAt); got != 0xff {
		t.Errorf("pixel %x", got)
	}
	g.ok("infinitemap.list", dataAt, 100, outAt)
	if got := string(g.mem(dataAt, g.u32(outAt))); got != "fresh\x00world\x00" {
		t.Errorf("maps %q", got)
	}
	g.end()
	after := tree(t, dir)
	for path := range after {
		if strings.HasPrefix(path, dir+"/overlay/") {
			delete(after, path)
		}
	}
	sameTree(t, "sandboxed run", before, after)

	// A later sandboxed run goes on where it ended.
	g = begin(t, sandboxed(t, dir, everything...), nil)
	if got := g.list(""); got != "changed new same to" {
		t.Errorf("list later %q", got)
	}
	g.end()

	d, err := places(dir).Diff(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range d.Files {
		names = append(names, string(c.Kind)+" "+c.Name)
	}
	slices.Sort(names)
	if want := []string{"added new", "changed changed", "removed removed", "renamed to"}; !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
	if len(d.Maps) != 2 || d.Maps[0].Name != "fresh" || !d.Maps[0].New || d.Maps[1].Name != "world" || d.Maps[1].Count != 1 {
		t.Errorf("maps %+v", d.Maps)
	}

	k, err := places(dir).Keep(context.Background())
	if err != nil || len(k.Conflicts) > 0 || len(k.Files) != 4 || len(k.Maps) != 2 {
		t.Fatalf("kept %+v, %v", k, err)
	}
	for path, want := range map[string]string{"same": "content of same", "changed": "after", "new": "made", "to": "content of from", "removed": "not_found", "from": "not_found"} {
		if got := content(t, dir, path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got := [2]uint32{colour(t, dir, "world"), colour(t, dir, "fresh")}; got != [2]uint32{0xff, 0xee} {
		t.Errorf("pixels %x", got)
	}
	if d, err := places(dir).Diff(context.Background()); err != nil || !d.Empty() {
		t.Errorf("after keeping there is a difference: %+v, %v", d, err)
	}
	if err := places(dir).Drop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/overlay"); !os.IsNotExist(err) {
		t.Errorf("the overlay is there: %v", err)
	}
}

// A sandboxed run that only reads leaves no overlay.
func TestSandboxReading(t *testing.T) {
	dir := prepared(t)
	g := begin(t, sandboxed(t, dir, everything...), nil)
	g.read("same")
	g.list("")
	g.ok("infinitemap.get", g.openMap("world", 1), 1, 1, outAt)
	if code := g.path("pixelfs.open", "none", 1, outAt); code != abi.CodeNotFound {
		t.Error(code)
	}
	g.end()
	if _, err := os.Stat(dir + "/overlay"); !os.IsNotExist(err) {
		t.Errorf("there is an overlay: %v", err)
	}
}

// What the namespace has changed meanwhile is not overwritten, and nothing else is kept
// either.
func TestSandboxConflicts(t *testing.T) {
	t.Run("files", func(t *testing.T) {
		dir := prepared(t)
		g := begin(t, sandboxed(t, dir, everything...), nil)
		change(t, g)
		g.end()
		g = begin(t, config(t, dir, everything...), nil)
		g.write("changed", "by somebody else")
		g.end()
		before := tree(t, dir)
		k, err := places(dir).Keep(context.Background())
		if err != nil || len(k.Conflicts) != 1 || len(k.Files)+len(k.Maps) > 0 {
			t.Fatalf("kept %+v, %v", k, err)
		}
		sameTree(t, "refused keep", before, tree(t, dir))
		if got := content(t, dir, "changed"); got != "by somebody else" {
			t.Errorf("read %q", got)
		}
	})
	t.Run("map", func(t *testing.T) {
		dir := prepared(t)
		g := begin(t, sandboxed(t, dir, "infinitemap:*:write"), nil)
		g.ok("infinitemap.set", g.openMap("world", 2), 1, 1, 0xff)
		g.end()
		g = begin(t, config(t, dir, everything...), nil)
		g.ok("infinitemap.set", g.openMap("world", 2), 2, 1, 0xdd)
		g.end()
		k, err := places(dir).Keep(context.Background())
		if err != nil || len(k.Conflicts) != 1 || len(k.Maps) > 0 {
			t.Fatalf("kept %+v, %v", k, err)
		}
		if got := colour(t, dir, "world"); got != 1 {
			t.Errorf("pixel %x", got)
		}
	})
	t.Run("new map", func(t *testing.T) {
		dir := t.TempDir()
		for _, cfg := range []storage.Config{sandboxed(t, dir, everything...), config(t, dir, everything...)} {
			g := begin(t, cfg, nil)
			g.ok("infinitemap.set", g.openMap("world", 2|4), 1, 1, 0xff)
			g.end()
		}
		k, err := places(dir).Keep(context.Background())
		if err != nil || len(k.Conflicts) != 1 || len(k.Maps) > 0 {
			t.Fatalf("kept %+v, %v", k, err)
		}
	})
}

// An overlay that a run uses is not taken away from it.
func TestSandboxInUse(t *testing.T) {
	for _, kind := range []string{"files", "map"} {
		dir := prepared(t)
		g := begin(t, sandboxed(t, dir, everything...), nil)
		if kind == "files" {
			g.write("new", "x")
		} else {
			g.openMap("world", 2)
		}
		if err := places(dir).Drop(); !errors.Is(err, storage.ErrInUse) {
			t.Errorf("%s: drop: %v", kind, err)
		}
		if _, err := places(dir).Keep(context.Background()); !errors.Is(err, storage.ErrInUse) {
			t.Errorf("%s: keep: %v", kind, err)
		}
		g.end()
		if err := places(dir).Drop(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
