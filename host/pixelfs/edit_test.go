package pixelfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

func edit(t testing.TB, s Files, name string, flag int) *Edit {
	t.Helper()
	e, err := s.Edit(name, flag)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(t testing.TB, e *Edit) string {
	t.Helper()
	b := make([]byte, e.Size())
	if n, err := e.ReadAt(b, 0); n != len(b) {
		t.Fatal(n, err)
	}
	return string(b)
}

func write(t testing.TB, e *Edit, s string, off int64) {
	t.Helper()
	if n, err := e.WriteAt([]byte(s), off); n != len(s) || err != nil {
		t.Fatal(n, err)
	}
}

func TestEditAsPOSIX(t *testing.T) {
	t.Run("two handles share their state", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		a := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
		b := edit(t, s, "f", os.O_RDWR)
		r := edit(t, s, "f", os.O_RDONLY)
		write(t, a, "hello", 0)
		write(t, b, "HE", 0)
		if text(t, a) != "HEllo" || text(t, r) != "HEllo" {
			t.Errorf("%q %q", text(t, a), text(t, r))
		}
		must(t, a.Close())
		write(t, b, "!", 5)
		must(t, b.Close())
		if text(t, r) != "HEllo!" || get(t, s, "f") != "HEllo!" {
			t.Errorf("%q %q", text(t, r), get(t, s, "f"))
		}
		must(t, r.Close())
	})
	t.Run("append goes to the end", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		a := edit(t, s, "f", os.O_WRONLY|os.O_CREATE|os.O_APPEND)
		b := edit(t, s, "f", os.O_WRONLY|os.O_APPEND)
		for i := range 10 {
			e := a
			if i%2 == 1 {
				e = b
			}
			if _, err := e.Write([]byte{byte('0' + i)}); err != nil {
				t.Fatal(err)
			}
		}
		must(t, a.Close())
		must(t, b.Close())
		if get(t, s, "f") != "0123456789" {
			t.Errorf("%q", get(t, s, "f"))
		}
	})
	t.Run("removed while open", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		e := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
		write(t, e, "one", 0)
		must(t, s.Remove("f"))
		write(t, e, "two", 3)
		if text(t, e) != "onetwo" || e.Name() != "" {
			t.Errorf("%q %q", text(t, e), e.Name())
		}
		put(t, s, "f", "other")
		must(t, e.Sync())
		must(t, e.Close())
		if get(t, s, "f") != "other" {
			t.Errorf("%q", get(t, s, "f"))
		}
		list, err := s.Trash()
		if err != nil || len(list) != 1 || list[0].Size != 3 {
			t.Errorf("%+v %v", list, err)
		}
		clean(t, s)
	})
	t.Run("renamed while open", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		e := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
		write(t, e, "one", 0)
		put(t, s, "g", "old g")
		must(t, s.Rename("f", "g"))
		write(t, e, "two", 3)
		must(t, s.MkdirAll("d"))
		must(t, s.Rename("g", "d/h"))
		write(t, e, "three", 6)
		must(t, s.Rename("d", "e"))
		if e.Name() != "e/h" {
			t.Errorf("it is called %q", e.Name())
		}
		must(t, e.Close())
		if get(t, s, "e/h") != "onetwothree" {
			t.Errorf("%q", get(t, s, "e/h"))
		}
		vs, err := s.Versions("e/h")
		if err != nil || len(vs) == 0 || vs[0].Size != 5 {
			t.Errorf("%+v %v", vs, err)
		}
		clean(t, s)
	})
	t.Run("replaced while open", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		e := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
		write(t, e, "mine", 0)
		put(t, s, "g", "new")
		must(t, s.Rename("g", "f"))
		write(t, e, "!", 4)
		if text(t, e) != "mine!" {
			t.Errorf("%q", text(t, e))
		}
		must(t, e.Close())
		if get(t, s, "f") != "new" {
			t.Errorf("%q", get(t, s, "f"))
		}
		clean(t, s)
	})
	t.Run("both names open", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		f := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
		g := edit(t, s, "g", os.O_RDWR|os.O_CREATE)
		write(t, f, "from f", 0)
		write(t, g, "from g", 0)
		must(t, s.Rename("f", "g"))
		write(t, f, "F", 0)
		write(t, g, "G", 0)
		must(t, g.Close())
		must(t, f.Close())
		if get(t, s, "g") != "From f" {
			t.Errorf("%q", get(t, s, "g"))
		}
		if s.anyBelow(leaseDir) || s.anyBelow(editDir) {
			t.Error("something is left")
		}
		clean(t, s)
	})
	t.Run("flags", func(t *testing.T) {
		s, _ := openMem(t, Options{})
		put(t, s, "f", "text")
		must(t, s.Mkdir("d"))
		for _, c := range []struct {
			name string
			flag int
			want error
		}{
			{"f", os.O_RDWR | os.O_CREATE | os.O_EXCL, fs.ErrExist},
			{"f", os.O_RDONLY | os.O_CREATE | os.O_EXCL, fs.ErrExist},
			{"f", os.O_RDWR | os.O_EXCL, fs.ErrInvalid},
			{"f", os.O_RDONLY | os.O_TRUNC, fs.ErrInvalid},
			{"f", os.O_RDWR | os.O_WRONLY, fs.ErrInvalid},
			{"none", os.O_RDWR, fs.ErrNotExist},
			{"none", os.O_RDONLY, fs.ErrNotExist},
			{"none/f", os.O_RDWR | os.O_CREATE, fs.ErrNotExist},
			{"d", os.O_RDWR, ErrIsDir},
			{"d", os.O_RDONLY, ErrIsDir},
			{".", os.O_RDONLY, ErrIsDir},
			{"f/g", os.O_RDWR | os.O_CREATE, ErrNotDir},
		} {
			if _, err := s.Edit(c.name, c.flag); !errors.Is(err, c.want) {
				t.Errorf("%s, %#x: %v, want %v", c.name, c.flag, err, c.want)
			}
		}
		e := edit(t, s, "f", os.O_RDONLY)
		if _, err := e.WriteAt([]byte("x"), 0); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		must(t, e.Close())
		if err := e.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		e = edit(t, s, "f", os.O_RDWR|os.O_TRUNC)
		if e.Size() != 0 {
			t.Error(e.Size())
		}
		must(t, e.Close())
		if vs, err := s.Versions("f"); err != nil || len(vs) != 2 {
			t.Error(vs, err)
		}
	})
}

// TestEditTwoProcesses has two Stores on one directory, as two processes have.
func TestEditTwoProcesses(t *testing.T) {
	s, m := openMem(t, Options{})
	other := openOn(t, m, Options{})
	put(t, s, "db", strings.Repeat("0", 3<<20))
	e := edit(t, s, "db", os.O_RDWR)
	write(t, e, "first", 100)
	for what, err := range map[string]error{
		"edit":   second(other.Edit("db", os.O_RDWR)),
		"put":    second(other.Put(context.Background(), "db", strings.NewReader("x"), PutOptions{})),
		"append": second(other.Append(context.Background(), "db", strings.NewReader("x"))),
		"remove": other.Remove("db"),
		"rename": other.Rename("db", "x"),
	} {
		if !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := get(t, other, "db"); got[100] != '0' {
		t.Error("what was not synced is seen elsewhere")
	}
	must(t, e.Sync())
	old, err := other.Open("db")
	must(t, err)
	write(t, e, "second", 100)
	must(t, e.Sync())
	if got := get(t, other, "db"); got[100:106] != "second" {
		t.Errorf("%q", got[100:106])
	}
	if i, err := other.Stat("db"); err != nil || !i.Editing || i.Size != 3<<20 {
		t.Errorf("%+v %v", i, err)
	}
	b := make([]byte, 5)
	if _, err := old.ReadAt(b, 100); err != nil || string(b) != "first" {
		t.Errorf("a reader saw two states: %q %v", b, err)
	}
	must(t, old.Close())
	must(t, e.Close())
	e = edit(t, other, "db", os.O_RDWR)
	must(t, e.Close())
	if vs, err := s.Versions("db"); err != nil || len(vs) != 2 {
		t.Errorf("one session made these versions: %+v %v", vs, err)
	}
	clean(t, s)
}

func second[T any](_ T, err error) error { return err }

// TestEditAfterACrash leaves synced edits behind, as a process that was killed does.
func TestEditAfterACrash(t *testing.T) {
	m := disktest.NewMem()
	dead, err := Open(m, Options{})
	must(t, err)
	base := strings.Repeat("x", 2<<20)
	put(t, dead, "db", base)
	e := edit(t, dead, "db", os.O_RDWR)
	write(t, e, "synced", 5000)
	must(t, e.Sync())
	write(t, e, "lost", 0)
	after := m.PowerCut(rand.New(rand.NewPCG(1, 1)))
	want := base[:5000] + "synced" + base[5006:]

	ro, err := Open(after, Options{ReadOnly: true})
	must(t, err)
	if get(t, ro, "db") != want {
		t.Error("a reader does not see what was synced")
	}
	if err := ro.Remove("db"); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	s := openOn(t, after, Options{})
	if get(t, s, "db") != want || s.anyBelow(editDir) {
		t.Error("the edits were not committed")
	}
	if vs, err := s.Versions("db"); err != nil || len(vs) != 2 || vs[1].Editing {
		t.Errorf("%+v %v", vs, err)
	}
	clean(t, s)
}

// TestEditSyncFails: a sync that fails may lose what was written before; the next one that
// succeeds must not pretend.
func TestEditSyncFails(t *testing.T) {
	for fail := 1; fail <= 6; fail++ {
		m := disktest.NewMem()
		setup, err := Open(m, Options{})
		must(t, err)
		put(t, setup, "db", strings.Repeat("x", 2<<20))
		must(t, setup.Close())
		s, err := Open(disktest.Inject(m, disktest.Plan{At: fail, Err: syscall.EIO, Only: []string{"sync", "syncdir"}}), Options{})
		if err != nil {
			continue
		}
		e, err := s.Edit("db", os.O_RDWR)
		if err != nil {
			continue
		}
		want := []byte(strings.Repeat("x", 2<<20))
		for i := range 6 {
			write(t, e, strings.Repeat(string(rune('a'+i)), 100), int64(i)*50000)
			copy(want[i*50000:], strings.Repeat(string(rune('a'+i)), 100))
			if err := e.Sync(); err != nil {
				continue
			}
			for seed := range 5 {
				after := m.PowerCut(rand.New(rand.NewPCG(uint64(seed), 1)))
				s2, err := Open(after, Options{})
				must(t, err)
				if get(t, s2, "db") != string(want) {
					t.Fatalf("sync %d fails, write %d: what was synced is lost", fail, i)
				}
				s2.Close()
			}
		}
		e.Close()
		s.Close()
	}
}

func TestEditLarge(t *testing.T) {
	s, _ := openDisk(t, Options{})
	e := edit(t, s, "f", os.O_RDWR|os.O_CREATE)
	// Spills more than once, overwrites what was spilled, and cuts it.
	const size = 20 << 20
	if n, err := io.Copy(struct{ io.Writer }{e}, newNoise(size)); n != size || err != nil {
		t.Fatal(n, err)
	}
	must(t, e.Truncate(size-12345))
	write(t, e, "tail", size-2000)
	want, err := io.ReadAll(newNoise(size))
	must(t, err)
	clear(want[size-12345:])
	copy(want[size-2000:], "tail")
	want = want[:size-1996]
	if !bytes.Equal([]byte(text(t, e)), want) {
		t.Error("the handle sees something else")
	}
	must(t, e.Sync())
	if get(t, s, "f") != string(want) {
		t.Error("a reader sees something else after Sync")
	}
	must(t, e.Close())
	if get(t, s, "f") != string(want) {
		t.Error("a reader sees something else after Close")
	}
	clean(t, s)
}

func FuzzEditLog(f *testing.F) {
	m := disktest.NewMem()
	s, err := Open(m, Options{})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.Put(context.Background(), "f", strings.NewReader(strings.Repeat("x", 2<<20)), PutOptions{}); err != nil {
		f.Fatal(err)
	}
	e, err := s.Edit("f", os.O_RDWR)
	if err != nil {
		f.Fatal(err)
	}
	e.WriteAt([]byte("hello"), 5000)
	e.Sync()
	e.Truncate(9000)
	e.Sync()
	log, err := m.OpenFile(editDir+"/f.pxi", os.O_RDONLY)
	if err != nil {
		f.Fatal(err)
	}
	good, err := io.ReadAll(log)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-100])
	f.Add(good[:logHeader])
	f.Fuzz(func(t *testing.T, data []byte) {
		m := disktest.NewMem()
		w, err := m.OpenFile("log", os.O_RDWR|os.O_CREATE)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		l, err := readLog(w)
		if err != nil {
			return
		}
		// Whatever it says can be read, or is refused, without a panic.
		v := layers{base: strings.NewReader(strings.Repeat("x", 2<<20)), limit: l.limit, size: l.length, pages: l.pages, log: w}
		buf := make([]byte, 10000)
		for _, off := range []int64{0, l.length / 2, l.length - 1} {
			if off >= 0 {
				v.ReadAt(buf, off)
			}
		}
	})
}
