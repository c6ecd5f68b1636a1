package pixelfs

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestQuota(t *testing.T) {
	ctx := context.Background()
	big := strings.Repeat("0123456789", 10000)
	t.Run("versions and trash count", func(t *testing.T) {
		s, m := openMem(t, Options{Quota: Quota{Bytes: 320000}})
		put(t, s, "f", big+"1")
		put(t, s, "f", big+"2")
		must(t, s.Remove("f"))
		put(t, s, "g", big+"3")
		if _, err := s.Put(ctx, "h", strings.NewReader(big), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Fatalf("%v", err)
		}
		if _, err := s.Append(ctx, "g", strings.NewReader(big)); !errors.Is(err, ErrQuota) {
			t.Fatalf("%v", err)
		}
		e := edit(t, s, "e", os.O_RDWR|os.O_CREATE)
		if _, err := e.WriteAt([]byte(big), 0); !errors.Is(err, ErrQuota) {
			t.Errorf("%v", err)
		}
		if err := e.Truncate(1 << 40); !errors.Is(err, ErrQuota) {
			t.Errorf("%v", err)
		}
		must(t, e.Close())
		// Another process sees the same.
		other := openOn(t, m, Options{Quota: Quota{Bytes: 320000}})
		if _, err := other.Put(ctx, "h", strings.NewReader(big), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Fatalf("%v", err)
		}
		rep, err := other.Empty(ctx)
		if err != nil || rep.Bytes < 200000 || len(rep.Trash) != 1 {
			t.Fatalf("%+v %v", rep, err)
		}
		put(t, s, "h", big)
		put(t, s, "i", big+"i")
		if list, err := s.Removals(); err != nil || len(list) != 1 || list[0].Why != "empty" {
			t.Errorf("%+v %v", list, err)
		}
		clean(t, s)
	})
	t.Run("an endless stream ends", func(t *testing.T) {
		s, _ := openMem(t, Options{Quota: Quota{Bytes: 1 << 20}})
		if _, err := s.Put(ctx, "f", newNoise(1<<40), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Error(err)
		}
		if list, err := s.fsys.ReadDir(tempDir); err != nil || len(list) != 1 {
			t.Errorf("%v %v", list, err)
		}
	})
	t.Run("files", func(t *testing.T) {
		s, _ := openMem(t, Options{Quota: Quota{Files: 3}})
		for _, n := range []string{"a", "b", "c"} {
			put(t, s, n, n)
		}
		if _, err := s.Put(ctx, "d", strings.NewReader("d"), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Error(err)
		}
		if _, err := s.Put(ctx, "a", strings.NewReader("new"), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Error("a version is a file too:", err)
		}
		put(t, s, "a", "a") // the same content is no version
		if _, err := s.Edit("d", os.O_RDWR|os.O_CREATE); !errors.Is(err, ErrQuota) {
			t.Error(err)
		}
	})
	t.Run("retention makes room and says so", func(t *testing.T) {
		s, _ := openMem(t, Options{Quota: Quota{Bytes: 350000}, Retention: Retention{Keep: 1}})
		for i := range 10 {
			put(t, s, "f", big+string(rune('a'+i)))
		}
		list, err := s.Removals()
		if err != nil || len(list) == 0 || list[0].Why != "quota" || list[0].Versions[0].Name != "f" {
			t.Errorf("%+v %v", list, err)
		}
		i, err := s.Stat("f")
		if err != nil || i.Version != 10 {
			t.Errorf("%+v %v", i, err)
		}
		clean(t, s)
	})
	t.Run("scratch", func(t *testing.T) {
		s, _ := openMem(t, Options{Quota: Quota{Bytes: 150000}, Scratch: func(n string) bool { return strings.HasSuffix(n, "-journal") }})
		for i := range 20 {
			e := edit(t, s, "db-journal", os.O_RDWR|os.O_CREATE)
			write(t, e, big, int64(i))
			must(t, e.Sync())
			must(t, e.Close())
			must(t, s.Remove("db-journal"))
		}
		if list, err := s.Trash(); err != nil || len(list) != 0 {
			t.Error(list, err)
		}
		clean(t, s)
	})
	t.Run("a process without a quota is counted too", func(t *testing.T) {
		s, m := openMem(t, Options{Quota: Quota{Bytes: 250000}})
		put(t, s, "a", big)
		free := openOn(t, m, Options{})
		put(t, free, "b", big)
		if _, err := s.Put(ctx, "c", strings.NewReader(big), PutOptions{}); !errors.Is(err, ErrQuota) {
			t.Error(err)
		}
		clean(t, s)
	})
}

func TestPrune(t *testing.T) {
	now := time.Now()
	s, _ := openMem(t, Options{Now: func() time.Time { return now }})
	ctx := context.Background()
	for _, c := range []string{"1", "2", "3", "4", "5"} {
		put(t, s, "d/f", c)
	}
	put(t, s, "g", "x")
	put(t, s, "g", "y")
	put(t, s, "t", "trash")
	must(t, s.Remove("t"))
	if rep, err := s.Prune(ctx, Retention{}); err != nil || len(rep.Versions) != 0 || rep.ID != "" {
		t.Errorf("%+v %v", rep, err)
	}
	rep, err := s.Prune(ctx, Retention{Keep: 2})
	if err != nil || len(rep.Versions) != 2 || rep.Versions[0].Version != 1 || rep.Versions[1].Version != 2 {
		t.Errorf("%+v %v", rep, err)
	}
	// All versions of all files, by age: numbers are not given twice.
	now = now.Add(1000 * time.Hour)
	rep, err = s.Prune(ctx, Retention{MaxAge: time.Hour, TrashAge: time.Hour})
	if err != nil || len(rep.Versions) != 3 || len(rep.Trash) != 1 {
		t.Errorf("%+v %v", rep, err)
	}
	if i, err := s.Stat("d/f"); err != nil || i.Version != 5 {
		t.Errorf("%+v %v", i, err)
	}
	if i := put(t, s, "d/f", "6"); i.Version != 6 {
		t.Errorf("%+v", i)
	}
	if u, err := s.Usage("d"); err != nil || u.Files != 1 || u.Versions != 1 || u.Size != 1 {
		t.Errorf("%+v %v", u, err)
	}
	list, err := s.Removals()
	if err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	clean(t, s)
}

func TestPutConditions(t *testing.T) {
	s, _ := openMem(t, Options{})
	ctx := context.Background()
	i := put(t, s, "f", "1")
	if _, err := s.Put(ctx, "f", strings.NewReader("x"), PutOptions{Exclusive: true}); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	if _, err := s.Put(ctx, "g", strings.NewReader("x"), PutOptions{IfVersion: 1}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, err := s.Put(ctx, "f", strings.NewReader("2"), PutOptions{IfVersion: i.Version}); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(ctx, "f", strings.NewReader("3"), PutOptions{IfVersion: i.Version}); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, err := s.Put(ctx, "f/g", strings.NewReader("3"), PutOptions{}); !errors.Is(err, ErrNotDir) {
		t.Error(err)
	}
	must(t, s.Mkdir("d"))
	if _, err := s.Put(ctx, "d", strings.NewReader("3"), PutOptions{}); !errors.Is(err, ErrIsDir) {
		t.Error(err)
	}
	boom := errors.New("boom")
	if _, err := s.Append(ctx, "f", io.MultiReader(strings.NewReader("half"), errReader{boom})); !errors.Is(err, boom) {
		t.Error(err)
	}
	if get(t, s, "f") != "2" {
		t.Errorf("%q", get(t, s, "f"))
	}
	dead, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Put(dead, "f", strings.NewReader("x"), PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	clean(t, s)
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
