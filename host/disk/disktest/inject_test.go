package disktest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

func put(fsys disk.FS, name, content string) error {
	return disk.WriteFile(fsys, name, func(f disk.File) error {
		_, err := io.WriteString(f, content)
		return err
	})
}

func lines(ops []Op) []string {
	var all []string
	for _, op := range ops {
		line := op.String()
		if i := strings.Index(line, ".pxos-"); i >= 0 { // a name by chance
			j := strings.Index(line, ".tmp")
			line = line[:i] + "TEMP" + line[j+len(".tmp"):]
		}
		all = append(all, line)
	}
	return all
}

func TestCount(t *testing.T) {
	c := Count(NewMem())
	if err := errors.Join(c.MkdirAll("d/e"), c.MkdirAll("d/e"), put(c, "d/e/a", "abc"), c.Link("d/e/a", "b")); err != nil {
		t.Fatal(err)
	}
	f, err := c.OpenFile("b", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("xyz"), 7); err != nil {
		t.Fatal(err)
	}
	if _, err := read(c, "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadDir("."); err != nil {
		t.Fatal(err)
	}
	l, err := c.Lock("l", disk.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(2), f.Close(), l.Close(), c.RemoveAll("d")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1 mkdir d", "2 mkdir d/e", "3 create d/e/TEMP", "4 write d/e/TEMP 3", "5 sync d/e/TEMP", "6 rename d/e/TEMP to d/e/a", "7 syncdir d/e",
		"8 link d/e/a to b", "9 write b 3 at 7", "10 lock l", "11 truncate b to 2", "12 remove d/e/a", "13 remove d/e", "14 remove d",
	}
	if got := lines(c.Log()); !slices.Equal(got, want) {
		t.Errorf("operations\n%q, want\n%q", got, want)
	}
	if c.N() != len(want) {
		t.Errorf("%d operations", c.N())
	}
}

// Whatever fails in replacing a file, the old content stays until the new is whole, and
// no temporary file is left unless the failure is one that lasts.
func TestSweepWriteFile(t *testing.T) {
	for _, c := range []struct {
		name string
		plan Plan
		ops  int
	}{
		{"input or output", Plan{Err: syscall.EIO}, 5},
		{"full", Plan{Err: syscall.ENOSPC, Short: true}, 5},
		{"gone for good", Plan{Err: syscall.EIO, Sticky: true}, 5},
		{"reads too", Plan{Err: syscall.EIO, Reads: true}, 5},
		{"writes only", Plan{Err: syscall.ENOSPC, Only: []string{"write"}}, 1},
		{"no reason", Plan{}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := Sweep(t, c.plan, func(t *testing.T, inject func(disk.FS) disk.FS) {
				m := NewMem()
				if err := put(m, "a", "old"); err != nil {
					t.Fatal(err)
				}
				err := put(inject(m), "a", "new one")
				got, e := read(m, "a")
				if e != nil {
					t.Fatal(e)
				}
				entries, e := m.ReadDir(".")
				if e != nil {
					t.Fatal(e)
				}
				switch {
				case err == nil && got != "new one", got != "old" && got != "new one":
					t.Errorf("error %v, content %q", err, got)
				case err != nil && c.plan.Err != nil && !errors.Is(err, c.plan.Err):
					t.Errorf("error %v, want %v", err, c.plan.Err)
				case len(entries) != 1 && !c.plan.Sticky:
					t.Errorf("left behind: %v", entries)
				}
			})
			if n != c.ops {
				t.Errorf("%d operations, want %d", n, c.ops)
			}
		})
	}
}

func TestInjectShort(t *testing.T) {
	m := NewMem()
	var hit []Op
	fsys := Inject(m, Plan{At: 2, Err: syscall.ENOSPC, Short: true, Hit: func(op Op) { hit = append(hit, op) }})
	f, err := fsys.OpenFile("a", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.Write([]byte("12345"))
	if n != 2 || !errors.Is(err, syscall.ENOSPC) || !disk.IsFull(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	var p *fs.PathError
	if !errors.As(err, &p) || p.Op != "write" || p.Path != "a" {
		t.Errorf("error %#v", err)
	}
	if _, err := f.Write([]byte("xyz")); err != nil { // goes on where it stopped
		t.Error(err)
	}
	if got, err := read(m, "a"); got != "12xyz" || err != nil {
		t.Errorf("holds %q, %v", got, err)
	}
	if got := lines(hit); !slices.Equal(got, []string{"2 write a 5"}) {
		t.Errorf("hit %q", got)
	}
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(10)
	free := func(want int64) {
		t.Helper()
		if n, err := m.Free(); n != want || err != nil {
			t.Errorf("%d free, %v, want %d", n, err, want)
		}
	}
	f, err := m.OpenFile("a", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("12345678")); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := f.Write([]byte("abcd")); n != 2 || !disk.IsFull(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("abcd"), 100); n != 0 || !disk.IsFull(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err := f.WriteAt([]byte("x"), 1<<62); n != 0 || !disk.IsFull(err) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := f.Truncate(11); !disk.IsFull(err) {
		t.Errorf("extended: %v", err)
	}
	free(0)
	if n, err := f.WriteAt([]byte("0123456789"), 0); n != 10 || err != nil { // over what is there
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := m.Link("a", "b"); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove("a"); err != nil {
		t.Fatal(err)
	}
	free(0)
	if err := m.Remove("b"); err != nil {
		t.Fatal(err)
	}
	free(0) // still open
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	free(10)
	m.SetCapacity(1 << 62)
	g, err := m.OpenFile("huge", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Truncate(1 << 40); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("a file of 1 TiB: %v", err)
	}
	if _, err := g.WriteAt([]byte("x"), 1<<40); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("a byte at 1 TiB: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
}
