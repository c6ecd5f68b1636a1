package engine

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestCheckMemo(t *testing.T) {
	file, digest, other := [32]byte{1, 2, 3}, [32]byte{4, 5, 6}, [32]byte{7}
	m := CheckMemo{Dir: filepath.Join(t.TempDir(), "cache"), Version: 3}
	if _, ok := m.Lookup(file); ok {
		t.Error("an empty memo knows a file")
	}
	if err := m.Store(file, digest); err != nil {
		t.Fatal(err)
	}
	if d, ok := m.Lookup(file); !ok || d != digest {
		t.Errorf("stored file gives %x, %v", d, ok)
	}
	if _, ok := m.Lookup(other); ok {
		t.Error("a file that was not stored is known")
	}
	if _, ok := (CheckMemo{Dir: m.Dir, Version: 4}).Lookup(file); ok {
		t.Error("an entry of another checker is used")
	}
	if _, ok := (CheckMemo{}).Lookup(file); ok {
		t.Error("a memo without a directory knows a file")
	}
	if err := (CheckMemo{}).Store(file, digest); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(m.path(file)); err != nil || st.Mode().Perm() != 0o600 || st.Size() != checkSize {
		t.Errorf("entry is %v, %v", st, err)
	}
	if st, err := os.Stat(m.Dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("directory is %v, %v", st, err)
	}
	// An entry under the name of another file is none of that file's.
	if err := os.Rename(m.path(file), m.path(other)); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Lookup(other); ok {
		t.Error("an entry that was moved to another file is used")
	}
}

// Every bit of an entry counts, and so does its length.
func TestCheckMemoDamage(t *testing.T) {
	file, digest := [32]byte{1, 2, 3}, [32]byte{4, 5, 6}
	m := CheckMemo{Dir: t.TempDir(), Version: 3}
	if err := m.Store(file, digest); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(m.path(file))
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte, at int) {
		t.Helper()
		if err := os.WriteFile(m.path(file), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if d, ok := m.Lookup(file); ok {
			t.Errorf("%s %d: entry is used and gives %x", what, at, d)
		}
		list, err := CacheList(m.Dir, true)
		if err != nil || len(list) != 1 || list[0].Kind != KindCheck || list[0].Fault == "" {
			t.Errorf("%s %d: listed as %+v, %v", what, at, list, err)
		}
	}
	for at := range 8 * len(good) {
		b := append([]byte(nil), good...)
		b[at/8] ^= 1 << (at % 8)
		try("bit", b, at)
	}
	for n := range good {
		try("cut to", good[:n], n)
	}
	try("longer", append(append([]byte(nil), good...), 0), len(good)+1)
	if err := m.Store(file, digest); err != nil {
		t.Fatal(err)
	}
	if d, ok := m.Lookup(file); !ok || d != digest {
		t.Error("storing again does not mend an entry")
	}
}

func TestCheckMemoConcurrent(t *testing.T) {
	m := CheckMemo{Dir: filepath.Join(t.TempDir(), "cache"), Version: 1}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				file := [32]byte{byte(i % 5)}
				if err := m.Store(file, [32]byte{byte(i % 5), 9}); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
				if d, ok := m.Lookup(file); !ok || d != [32]byte{byte(i % 5), 9} {
					t.Errorf("writer %d: entry %d gives %x, %v", w, i%5, d, ok)
				}
			}
		})
	}
	wg.Wait()
	if files, _ := filepath.Glob(filepath.Join(m.Dir, "*")); len(files) != 5 {
		t.Errorf("left %q", files)
	}
}

// The memo is listed, counted, pruned and bounded with the rest of the cache.
func TestCheckMemoBound(t *testing.T) {
	m := CheckMemo{Dir: t.TempDir(), Version: 1}
	for i := range 20 {
		file := [32]byte{byte(i)}
		if err := m.Store(file, [32]byte{1}); err != nil {
			t.Fatal(err)
		}
		used := time.Now().Add(time.Duration(i-30) * time.Minute)
		if err := os.Chtimes(m.path(file), used, used); err != nil {
			t.Fatal(err)
		}
	}
	list, err := CacheList(m.Dir, false)
	if err != nil || len(list) != 20 || list[0].Size != checkSize || list[0].Source[:2] != "01" || list[0].Fault != "" {
		t.Fatalf("listed as %+v, %v", list, err)
	}
	if err := m.forget(20); err != nil {
		t.Fatal(err)
	}
	if list, _ = CacheList(m.Dir, false); len(list) != 20 {
		t.Errorf("%d of 20 entries are left within the bound", len(list))
	}
	if err := m.forget(16); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, ok := m.Lookup([32]byte{byte(i)}); ok != (i >= 8) {
			t.Errorf("entry %d of 20 is there: %v", i, ok)
		}
	}
	if freed, err := CachePrune(m.Dir, 5*checkSize); err != nil || freed != 7*checkSize {
		t.Errorf("prune freed %d, %v", freed, err)
	}
	if _, err := CachePrune(m.Dir, 0); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(m.Dir); len(left) != 0 {
		t.Errorf("clearing leaves %v", left)
	}
}
