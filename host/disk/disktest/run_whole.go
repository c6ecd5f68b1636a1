package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pxos/pxos/host/disk"
)

func locks(k *kit) {
	for _, how := range []disk.LockMode{0, disk.Wait, disk.Shared | disk.Exclusive, 1 << 7, disk.Shared | 1<<7} {
		_, err := k.Lock("l", how)
		k.is(fmt.Sprintf("lock in mode %#x", how), err, fs.ErrInvalid)
	}
	for _, c := range []struct {
		first, second disk.LockMode
		ok            bool
	}{
		{disk.Shared, disk.Shared, true},
		{disk.Shared, disk.Exclusive, false},
		{disk.Exclusive, disk.Shared, false},
		{disk.Exclusive, disk.Exclusive, false},
		{disk.Exclusive | disk.Wait, disk.Exclusive, false},
		{disk.Shared | disk.Wait, disk.Shared | disk.Wait, true},
	} {
		first, err := k.Lock("l", c.first)
		k.ok(err)
		second, err := k.Lock("l", c.second)
		if c.ok {
			k.ok(err)
			k.ok(second.Close())
		} else {
			k.is(fmt.Sprintf("lock %#x after %#x", c.second, c.first), err, disk.ErrLocked)
		}
		k.ok(first.Close())
		if err := first.Close(); !errors.Is(err, fs.ErrClosed) {
			k.Errorf("unlock twice: %v", err)
		}
		third, err := k.Lock("l", disk.Exclusive)
		k.ok(err)
		other, err := k.Lock("m", disk.Exclusive) // another file, another lock
		k.ok(err)
		k.ok(other.Close())
		k.ok(third.Close())
	}
	k.listed(".", "l", "m")
	k.want("l", "")
}

// lockWaits has goroutines take turns; a lock that two hold at a time is seen as a
// count that is not one.
func lockWaits(k *kit) {
	var wg sync.WaitGroup
	var inside, turns atomic.Int32
	held, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	const workers, rounds = 4, 20
	errs := make(chan error, workers*rounds*2)
	for range workers {
		wg.Go(func() {
			for range rounds {
				l, err := k.Lock("l", disk.Exclusive|disk.Wait)
				if err != nil {
					errs <- err
					return
				}
				if n := inside.Add(1); n != 1 {
					errs <- fmt.Errorf("%d hold the lock", n)
				}
				turns.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				if err := l.Close(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	k.ok(held.Close())
	wg.Wait()
	close(errs)
	for err := range errs {
		k.Error(err)
	}
	if turns.Load() != workers*rounds {
		k.Errorf("%d turns, want %d", turns.Load(), workers*rounds)
	}
}

// lockRemoved: a lock on a file that was removed and made again is one on the new file.
func lockRemoved(k *kit) {
	old, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	if err := k.Remove("l"); err != nil {
		k.ok(old.Close())
		return // the system keeps lock files that are held, which is as good
	}
	l, err := k.Lock("l", disk.Exclusive)
	k.ok(err)
	_, err = k.Lock("l", disk.Exclusive)
	k.is("lock the new file twice", err, disk.ErrLocked)
	k.ok(l.Close())
	k.ok(old.Close())
}

func maps(k *kit) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	k.put("a", string(content))
	k.put("empty", "")
	f := k.open("a", os.O_RDONLY)
	m, err := k.Map(f)
	k.ok(err)
	again, err := k.Map(f)
	k.ok(err)
	k.ok(f.Close())
	k.ok(again.Close())
	var got []byte
	k.ok(disk.Guarded(func() { got = bytes.Clone(m.Bytes()) }))
	if !bytes.Equal(got, content) {
		k.Error("the mapping differs from the file")
	}
	// Cut short, the file gives what it held or an error, and never ends the
	// process. (Windows does not cut a mapped file.)
	f = k.open("a", os.O_RDWR)
	if err := f.Truncate(10); err == nil {
		var got []byte
		if err := disk.Guarded(func() { got = bytes.Clone(m.Bytes()) }); err == nil && !bytes.Equal(got, content) ||
			err != nil && !errors.Is(err, disk.ErrFault) {
			k.Errorf("after the file was cut short: error %v, same bytes: %v", err, bytes.Equal(got, content))
		}
	}
	k.ok(m.Close())
	k.ok(m.Close())
	if len(m.Bytes()) != 0 {
		k.Error("a closed mapping has bytes")
	}
	k.ok(f.Close())
	e := k.open("empty", os.O_RDWR)
	m, err = k.Map(e)
	k.ok(err)
	if len(m.Bytes()) != 0 {
		k.Error("the mapping of an empty file has bytes")
	}
	k.ok(m.Close())
	k.ok(e.Close())
	stranger, err := NewMem().OpenFile("a", os.O_RDWR|os.O_CREATE)
	k.ok(err)
	_, err = k.Map(stranger)
	k.is("map a file of another file system", err, fs.ErrInvalid)
}

func freeSpace(k *kit) {
	n, err := k.Free()
	if errors.Is(err, errors.ErrUnsupported) {
		k.Log(err)
		return
	}
	k.ok(err)
	if n < 0 {
		k.Errorf("%d bytes free", n)
	}
}

func writeFile(k *kit) {
	k.ok(k.Mkdir("d"))
	for _, content := range []string{"one", "", "three"} {
		k.ok(disk.WriteFile(k.FS, "d/a", func(f disk.File) error {
			_, err := io.WriteString(f, content)
			return err
		}))
		k.want("d/a", content)
		k.listed("d", "a")
	}
	bad := errors.New("bad")
	if err := disk.WriteFile(k.FS, "d/a", func(f disk.File) error {
		_, err := io.WriteString(f, "four")
		return errors.Join(err, bad)
	}); !errors.Is(err, bad) {
		k.Errorf("error %v", err)
	}
	k.is("write a file over a directory", disk.WriteFile(k.FS, "d", func(disk.File) error { return nil }), nil)
	k.is("write a file into none", disk.WriteFile(k.FS, "none/a", func(disk.File) error { return nil }), fs.ErrNotExist)
	k.want("d/a", "three")
	k.listed("d", "a")
	k.listed(".", "d/")
}

func makeDirs(k *kit) {
	k.ok(disk.MakeDirs(k.FS, "."))
	k.ok(disk.MakeDirs(k.FS, "a/b/c"))
	k.ok(disk.MakeDirs(k.FS, "a/b/c"))
	k.listed("a/b", "c/")
	k.is("make directories outside", disk.MakeDirs(k.FS, "../a"), fs.ErrInvalid)
}

func concurrent(k *kit) {
	var wg sync.WaitGroup
	shared := k.open("shared", os.O_RDWR|os.O_CREATE)
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("d%d/f", i%4)
			if err := k.MkdirAll(fmt.Sprintf("d%d", i%4)); err != nil {
				k.Error(err)
			}
			for j := range 20 {
				content := strings.Repeat(string(rune('a'+i)), 100+j)
				err := disk.WriteFile(k.FS, name, func(f disk.File) error {
					_, err := io.WriteString(f, content)
					return err
				})
				if err != nil {
					k.Error(err)
				}
				got, err := read(k.FS, name)
				if err != nil || len(got) < 100 || strings.Trim(got, got[:1]) != "" {
					k.Errorf("%s holds %q, %v", name, clip(got), err)
				}
				if _, err := shared.WriteAt([]byte{byte(i)}, int64(i*20+j)); err != nil {
					k.Error(err)
				}
				if _, err := k.ReadDir("."); err != nil {
					k.Error(err)
				}
			}
		})
	}
	wg.Wait()
	k.ok(shared.Close())
	got, err := read(k.FS, "shared")
	k.ok(err)
	for i := range got {
		if got[i] != byte(i/20) {
			k.Fatalf("byte %d is %d", i, got[i])
		}
	}
	if len(got) != 160 {
		k.Errorf("%d bytes", len(got))
	}
}
