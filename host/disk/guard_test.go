//go:build unix

package disk_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pxos/pxos/host/disk"
)

func mapping(t testing.TB, size int) (disk.File, disk.Mapping) {
	t.Helper()
	d := fresh(t)
	f, err := d.OpenFile("a", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte{7}, size)); err != nil {
		t.Fatal(err)
	}
	m, err := d.Map(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	})
	return f, m
}

// A file that another process cuts short while it is read through memory gives an
// error, wherever the reading happens: in Go, in assembly, in the runtime.
func TestGuardedFault(t *testing.T) {
	f, m := mapping(t, 1<<20)
	data := m.Bytes()
	sum := 0
	readers := map[string]func(){
		"one byte": func() { sum += int(data[len(data)-1]) },
		"a copy":   func() { sum += len(bytes.Clone(data)) },
		"a digest": func() { d := sha256.Sum256(data); sum += int(d[0]) },
		"compare":  func() { sum += bytes.Compare(data, data[1:]) },
		"search":   func() { sum += bytes.IndexByte(data, 9) },
	}
	for name, read := range readers {
		if err := disk.Guarded(read); err != nil {
			t.Errorf("%s of a whole file: %v", name, err)
		}
	}
	if err := f.Truncate(4096 * 2); err != nil {
		t.Fatal(err)
	}
	for name, read := range readers {
		deferred := false
		err := disk.Guarded(func() {
			defer func() { deferred = true }()
			read()
		})
		if !errors.Is(err, disk.ErrFault) || !deferred {
			t.Errorf("%s of a file cut short: %v; deferred calls: %v", name, err, deferred)
		}
	}
	if err := disk.Guarded(func() { sum += int(data[0]) }); err != nil { // still there
		t.Errorf("the first byte: %v", err)
	}
	// Growing it again brings the memory back.
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if err := disk.Guarded(func() { sum += int(data[len(data)-1]) }); err != nil {
		t.Errorf("the last byte, back again: %v", err)
	}
	if before := debug.SetPanicOnFault(false); before {
		t.Error("the guard is left on")
	}
	runtime.KeepAlive(sum)
}

// Every goroutine has its own guard.
func TestGuardedGoroutines(t *testing.T) {
	f, m := mapping(t, 1<<20)
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if err := disk.Guarded(func() { bytes.Clone(m.Bytes()) }); !errors.Is(err, disk.ErrFault) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// What is no fault of a mapping is not hidden.
func TestGuardedPassesOn(t *testing.T) {
	_, m := mapping(t, 4096)
	reserved, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(reserved)
	var none *struct{ x int }
	sum := 0
	for name, bad := range map[string]func(){
		"a panic":              func() { panic("mine") },
		"an index":             func() { sum += int(m.Bytes()[len(m.Bytes())]) },
		"a nil pointer":        func() { sum += none.x },
		"memory of others":     func() { sum += int(reserved[17]) },
		"a write to a mapping": func() { m.Bytes()[0] = 1 },
	} {
		var got any
		err := func() (err error) {
			defer func() { got = recover() }()
			return disk.Guarded(bad)
		}()
		// A write to a mapping faults inside it, and so is one of its errors.
		if fault := name == "a write to a mapping"; fault && !errors.Is(err, disk.ErrFault) || !fault && got == nil {
			t.Errorf("%s: error %v, panic %v", name, err, got)
		}
		if before := debug.SetPanicOnFault(false); before {
			t.Errorf("%s: the guard is left on", name)
		}
	}
	// Guards may stand in one another.
	if err := disk.Guarded(func() {
		if err := disk.Guarded(func() {}); err != nil {
			t.Error(err)
		}
		if before := debug.SetPanicOnFault(true); !before {
			t.Error("the inner guard took the outer one off")
		}
	}); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(sum)
}
