package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

// exit42 calls nothing and traps unless its code is its own.
var exit42 = command(0x41, 42, 0x41, 42, 0x47, 0x04, 0x40, 0x00, 0x0b)

func cachedFiles(t *testing.T, dir string) (entry, code string) {
	t.Helper()
	entries, _ := filepath.Glob(filepath.Join(dir, "*", entryFile))
	codes, _ := filepath.Glob(filepath.Join(dir, "*", "wazero-*", "*"))
	if len(entries) != 1 || len(codes) != 1 {
		t.Fatalf("cache holds %d entries with %d code files", len(entries), len(codes))
	}
	return entries[0], codes[0]
}

func skipWithoutCompiler(t *testing.T) {
	if !compilerSupported() {
		t.Skip("no compiler on this platform, so there is no cache")
	}
}

func TestCacheServesTheSecondLoad(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	for i, want := range []bool{false, true, true} {
		m := load(t, newEngine(t, Config{CacheDir: dir}), exit42)
		if m.Cached() != want {
			t.Errorf("load %d: cached %v, want %v", i, m.Cached(), want)
		}
		if res := runWith(t, m, nil); !res.Success {
			t.Errorf("load %d: %+v", i, res)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("cache directory has mode %v, %v", st.Mode(), err)
	}
}

// Any byte of an entry or of its code that changes makes the entry useless, and the
// module is compiled again; it never runs as something else.
func TestCacheDamage(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	load(t, newEngine(t, Config{CacheDir: dir}), exit42)
	entry, code := cachedFiles(t, dir)
	for _, path := range []string{entry, code} {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		step := max(len(good)/97, 1)
		for at := 0; at < len(good); at += step {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x10
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			m := load(t, newEngine(t, Config{CacheDir: dir}), exit42)
			if m.Cached() {
				t.Errorf("%s: byte %d of %d changed and the entry was used", filepath.Base(path), at, len(good))
			}
			if res := runWith(t, m, nil); !res.Success {
				t.Errorf("%s: byte %d: %+v", filepath.Base(path), at, res)
			}
			entry, code = cachedFiles(t, dir)
		}
		for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
			if err := os.WriteFile(path, good[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if load(t, newEngine(t, Config{CacheDir: dir}), exit42).Cached() {
				t.Errorf("%s: cut to %d bytes and the entry was used", filepath.Base(path), n)
			}
		}
	}
}

// Code of one module under another's entry has sound checksums, but the wrong seal.
func TestCacheSwap(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	e := newEngine(t, Config{CacheDir: dir})
	load(t, e, exit42)
	entry, _ := cachedFiles(t, dir)
	other := command(0x41, 42, 0x41, 42, 0x47, 0x04, 0x40, 0x00, 0x0b, 0x01) // one nop more: same types, other code
	otherDir := filepath.Join(t.TempDir(), "cache")
	load(t, newEngine(t, Config{CacheDir: otherDir}), other)
	otherEntry, otherCode := cachedFiles(t, otherDir)

	_, twin, err := readEntry(filepath.Dir(entry))
	if err != nil {
		t.Fatal(err)
	}
	info, _, err := readEntry(filepath.Dir(entry))
	if err != nil {
		t.Fatal(err)
	}
	codeBytes, err := os.ReadFile(otherCode)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(entry), info.CodePath)
	if err := os.WriteFile(path, codeBytes, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := measureCode(path, info); err != nil {
		t.Fatal(err)
	}
	if err := writeEntry(filepath.Dir(entry), info, twin); err != nil {
		t.Fatal(err)
	}
	_ = otherEntry
	m := load(t, newEngine(t, Config{CacheDir: dir}), exit42)
	if !m.Cached() {
		t.Fatal("the forged entry was not used, so the test shows nothing")
	}
	res := runWith(t, m, nil)
	if res.Success || res.ErrorType != abi.ErrInternal {
		t.Errorf("code of another module ran: %+v", res)
	}
	// The next load compiles again.
	if m := load(t, newEngine(t, Config{CacheDir: dir}), exit42); m.Cached() || !runWith(t, m, nil).Success {
		t.Error("the forged entry is still in use")
	}
}

// The twin on its own must not run: if its code is ever compiled instead of found, the
// load notices.
func TestCacheMissedByEngine(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	load(t, newEngine(t, Config{CacheDir: dir}), exit42)
	entry, code := cachedFiles(t, dir)
	info, twin, err := readEntry(filepath.Dir(entry))
	if err != nil {
		t.Fatal(err)
	}
	// Another processor would look for the code under another name.
	renamed := filepath.Join(filepath.Dir(code), "0000")
	if err := os.Rename(code, renamed); err != nil {
		t.Fatal(err)
	}
	info.CodePath, _ = filepath.Rel(filepath.Dir(entry), renamed)
	if err := writeEntry(filepath.Dir(entry), info, twin); err != nil {
		t.Fatal(err)
	}
	m := load(t, newEngine(t, Config{CacheDir: dir}), exit42)
	if m.Cached() || !runWith(t, m, nil).Success {
		t.Error("code that the engine did not find was taken for found")
	}
}

func TestCacheConcurrent(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e, err := New(Config{CacheDir: dir})
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close(context.Background())
			for j := range 4 {
				wasm := command(0x41, byte((i+j)%3), 0x1a)
				m, err := e.Load(context.Background(), source(wasm), abi.DefaultLimits())
				if err != nil {
					t.Error(err)
					continue
				}
				if res := runWith(t, m, nil); !res.Success {
					t.Errorf("%+v", res)
				}
			}
		})
	}
	wg.Wait()
	list, err := CacheList(dir, true)
	if err != nil || len(list) != 3 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	for _, ent := range list {
		if ent.Fault != "" {
			t.Errorf("%s: %s", ent.Key, ent.Fault)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, tmpPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCacheBound(t *testing.T) {
	skipWithoutCompiler(t)
	dir := filepath.Join(t.TempDir(), "cache")
	e := newEngine(t, Config{CacheDir: dir})
	for i := range 5 {
		load(t, e, command(0x41, byte(i), 0x1a))
		list, _ := CacheList(dir, false)
		for _, ent := range list {
			// Age what is there, so that the order of use is known.
			old := ent.Used.Add(-time.Hour)
			_ = os.Chtimes(filepath.Join(dir, ent.Key, entryFile), old, old)
		}
	}
	list, err := CacheList(dir, false)
	if err != nil || len(list) != 5 {
		t.Fatal(len(list), err)
	}
	limit := list[0].Size + list[1].Size
	if _, err := CachePrune(dir, limit); err != nil {
		t.Fatal(err)
	}
	kept, _ := CacheList(dir, false)
	if len(kept) != 2 || kept[0].Key != list[0].Key || kept[1].Key != list[1].Key {
		t.Errorf("kept %v of %v", kept, list)
	}
}

// A cache that cannot be written costs time, not the run.
func TestCacheUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := load(t, newEngine(t, Config{CacheDir: filepath.Join(file, "cache")}), exit42)
	if m.Cached() || !runWith(t, m, nil).Success {
		t.Error("no run without a cache")
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, warm := range []bool{false, true} {
		b.Run(fmt.Sprintf("warm=%v", warm), func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "cache")
			for i := 0; b.Loop(); i++ {
				wasm := exit42
				if !warm {
					wasm = command(0x41, byte(i&63), 0x41, byte(i>>6&63), 0x41, byte(i>>12&63), 0x1a, 0x1a, 0x1a)
				}
				load(b, newEngine(b, Config{CacheDir: dir}), wasm)
			}
		})
	}
}
