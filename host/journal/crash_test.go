package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errCrash = errors.New("the machine stopped")

// stopDisk is the disk up to a number of calls. The call that reaches the
// number is done by half when it is a write, and not at all otherwise; from then on
// nothing happens any more, as after kill -9.
type stopDisk struct {
	disk
	left   int                // calls until the stop; negative for never
	half   bool               // whether the last write is done by half
	writes bool               // count only calls that change something
	fail   func(string) error // errors to inject, by call name
	synced map[string]int64   // size of each file at its last sync
	kill   bool               // die for real
	middle func()             // called in the middle of each write
	waits  func()             // called when the lock is taken by another
}

func (d *stopDisk) step(call string, changes bool) error {
	if d.fail != nil {
		if err := d.fail(call); err != nil {
			return err
		}
	}
	if d.left < 0 || d.writes && !changes {
		return nil
	}
	if d.left == 0 {
		if d.kill {
			dieHard()
		}
		return errCrash
	}
	d.left--
	return nil
}

func (d *stopDisk) MkdirAll(dir string) error {
	if err := d.step("mkdir", true); err != nil {
		return err
	}
	return d.disk.MkdirAll(dir)
}

func (d *stopDisk) ReadDir(dir string) ([]string, error) {
	if err := d.step("readdir", false); err != nil {
		return nil, err
	}
	return d.disk.ReadDir(dir)
}

func (d *stopDisk) Stat(path string) (fs.FileInfo, error) {
	if err := d.step("stat", false); err != nil {
		return nil, err
	}
	return d.disk.Stat(path)
}

func (d *stopDisk) Open(path string, flag int) (file, error) {
	if err := d.step("open", flag&os.O_CREATE != 0); err != nil {
		return nil, err
	}
	f, err := d.disk.Open(path, flag)
	if err != nil {
		return nil, err
	}
	if flag&os.O_TRUNC != 0 {
		delete(d.synced, filepath.Base(path))
	}
	return &stopFile{f, d, filepath.Base(path)}, nil
}

func (d *stopDisk) Rename(from, to string) error {
	if err := d.step("rename", true); err != nil {
		return err
	}
	if d.synced != nil {
		d.synced[filepath.Base(to)] = d.synced[filepath.Base(from)]
		delete(d.synced, filepath.Base(from))
	}
	return d.disk.Rename(from, to)
}

func (d *stopDisk) SyncDir(dir string) error {
	if err := d.step("syncdir", true); err != nil {
		return err
	}
	return d.disk.SyncDir(dir)
}

type stopFile struct {
	file
	d    *stopDisk
	name string
}

func (f *stopFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.d.step("read", false); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *stopFile) WriteAt(b []byte, off int64) (int, error) {
	if f.d.left == 0 && f.d.half {
		f.d.half = false
		f.file.WriteAt(b[:len(b)/2], off)
	}
	if err := f.d.step("write", true); err != nil {
		if !errors.Is(err, errCrash) {
			n, _ := f.file.WriteAt(b[:len(b)/2], off)
			return n, err
		}
		return 0, err
	}
	if f.d.middle != nil {
		if _, err := f.file.WriteAt(b[:len(b)/2], off); err != nil {
			return 0, err
		}
		f.d.middle()
	}
	return f.file.WriteAt(b, off)
}

func (f *stopFile) Truncate(n int64) error {
	if err := f.d.step("truncate", true); err != nil {
		return err
	}
	return f.file.Truncate(n)
}

func (f *stopFile) Sync() error {
	if err := f.d.step("sync", true); err != nil {
		return err
	}
	if f.d.synced != nil {
		info, err := f.file.Stat()
		if err != nil {
			return err
		}
		f.d.synced[f.name] = info.Size()
	}
	return nil // the tests cut the power themselves; waiting for the disk adds nothing
}

func (f *stopFile) Stat() (fs.FileInfo, error) {
	if err := f.d.step("fstat", false); err != nil {
		return nil, err
	}
	return f.file.Stat()
}

func (f *stopFile) TryLock(x bool) (bool, error) {
	if err := f.d.step("lock", false); err != nil {
		return false, err
	}
	ok, err := f.file.TryLock(x)
	if !ok && f.d.waits != nil {
		f.d.waits()
	}
	return ok, err
}

// Unlock and Close always reach the file, as the kernel does both for the dead.
func (f *stopFile) Unlock() error { return f.file.Unlock() }
func (f *stopFile) Close() error  { return f.file.Close() }

// setAside returns all bytes in torn files, and checks that the log's
// recovered entries name every such file.
func setAside(t *testing.T, dir string) []byte {
	t.Helper()
	named := map[string]bool{}
	for _, e := range collect(t, view(t, dir).Read(ctx, Range{Types: []string{TypeRecovered}})) {
		var r Recovered
		if err := e.Decode(&r); err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Files {
			named[f] = true
		}
	}
	var all []byte
	names, _ := disk{}.ReadDir(dir)
	for _, n := range names {
		if strings.Contains(n, ".torn-") {
			if !named[n] {
				t.Errorf("no entry names %s", n)
			}
			b, err := os.ReadFile(filepath.Join(dir, n))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
	}
	return all
}

// The last record is cut at every byte.
func TestTornAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir, Options{Now: tick()})
	fill(t, j, 4, 20)
	j.Close()
	whole := segments(t, dir)[1]
	cut := bounds(whole)
	last := cut[len(cut)-2]
	for end := last + 1; end < len(whole); end++ {
		for _, junk := range []int{0, 4096} { // some file systems leave zeros behind what was written
			dir := restore(t, map[uint64][]byte{1: append(bytes.Clone(whole[:end]), make([]byte, junk)...)})
			v := view(t, dir)
			if got := collect(t, v.Read(ctx, Range{})); len(got) != 3 || v.Torn() != int64(end-last+junk) {
				t.Fatalf("cut at %d: a reader sees %d entries and %d torn bytes", end, len(got), v.Torn())
			}
			if _, err := v.Verify(ctx, nil); !errors.Is(err, ErrTorn) {
				t.Fatalf("cut at %d: %v", end, err)
			}
			j, err := Open(dir, Options{Now: tick(), files: &stopDisk{left: -1}})
			if err != nil {
				t.Fatalf("cut at %d: %v", end, err)
			}
			add(t, j, "after", struct{}{})
			j.Close()
			if _, err := audit(dir, nil); err != nil {
				t.Fatalf("cut at %d: after recovery: %v", end, err)
			}
			got := collect(t, view(t, dir).Read(ctx, Range{}))
			if len(got) != 5 || got[3].Type != TypeRecovered || got[4].Type != "after" {
				t.Fatalf("cut at %d: entries %v", end, got)
			}
			want := append(bytes.Clone(whole[last:end]), make([]byte, junk)...)
			if aside := setAside(t, dir); !bytes.Equal(aside, want) {
				t.Fatalf("cut at %d: %d bytes are set aside, %d were torn", end, len(aside), len(want))
			}
		}
	}
}

// script is what the crash tests do to a log: it crosses segments and recovers
// from a torn tail. It returns the sequence numbers of the appends that
// returned, and those that returned after a sync.
func script(dir string, d fileSystem) (done, synced []uint64, err error) {
	for round := range 3 {
		j, err := Open(dir, Options{Now: tick(), SegmentBytes: 700, files: d})
		if err != nil {
			return done, synced, err
		}
		for i := range 4 {
			e, err := j.Append(ctx, Draft{Type: "t", Body: map[string]any{"round": round, "i": i, "pad": strings.Repeat("x", 50)}, Sync: i%2 == 1})
			if err != nil {
				j.Close()
				return done, synced, err
			}
			if done = append(done, e.Seq); i%2 == 1 {
				synced = append([]uint64(nil), done...)
			}
		}
		j.Close()
		if round == 1 { // leave a torn tail for the next round
			v, err := openView(ctx, dir, disk{})
			if err != nil {
				return done, synced, err
			}
			path := filepath.Join(dir, segmentName(v.last))
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return done, synced, err
			}
			f.WriteString("torn torn torn torn")
			f.Close()
		}
	}
	return done, synced, nil
}

// checkCrash opens the log after a crash and checks that the entries in want
// are there and the log is whole.
func checkCrash(t *testing.T, dir string, want []uint64) {
	t.Helper()
	j, err := Open(dir, Options{Now: tick(), SegmentBytes: 700, files: &stopDisk{left: -1}})
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, "after", struct{}{})
	j.Close()
	if _, err := audit(dir, nil); err != nil {
		t.Fatal(err)
	}
	have := map[uint64]string{}
	for _, e := range collect(t, view(t, dir).Read(ctx, Range{})) {
		have[e.Seq] = e.Type
	}
	for _, seq := range want {
		if have[seq] != "t" {
			t.Fatalf("entry %d was completed and is %q now", seq, have[seq])
		}
	}
	setAside(t, dir)
}

// The world stops at every call to the file system in turn, also in the middle
// of a write, also during recovery, and during the recovery after that.
func TestCrashAtEveryCall(t *testing.T) {
	for _, half := range []bool{false, true} {
		stops := 0
		for n := 0; ; n++ {
			dir := filepath.Join(t.TempDir(), "log")
			done, _, err := script(dir, &stopDisk{left: n, half: half})
			if err == nil {
				break
			}
			if !errors.Is(err, errCrash) {
				t.Fatalf("stop at call %d: %v", n, err)
			}
			stops++
			// The first recovery is stopped too, at each change it makes.
			for m := 0; ; m++ {
				j, err := Open(dir, Options{Now: tick(), SegmentBytes: 700, files: &stopDisk{left: m, half: half, writes: true}})
				if err == nil {
					j.Close()
					break
				}
				if !errors.Is(err, errCrash) {
					t.Fatalf("stop at call %d, recovery at %d: %v", n, m, err)
				}
			}
			checkCrash(t, dir, done)
		}
		if stops < 100 {
			t.Fatalf("only %d calls were seen", stops)
		}
	}
}

// The power fails at every call: what no sync has covered is cut off.
func TestPowerLossAtEveryCall(t *testing.T) {
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "log")
		d := &stopDisk{left: n, writes: true, synced: map[string]int64{}}
		_, synced, err := script(dir, d)
		if err == nil {
			break
		}
		names, _ := disk{}.ReadDir(dir)
		for _, name := range names {
			size := d.synced[name]
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || segmentNumber(name) == 0 && !strings.Contains(name, ".torn-") || info.Size() < size {
				continue // no part of the log, or cut since
			}
			for _, keep := range []int64{size + (info.Size()-size)/2, size} {
				if err := os.Truncate(filepath.Join(dir, name), keep); err != nil {
					t.Fatal(err)
				}
				checkPower(t, n, dir, synced)
			}
		}
	}
}

func checkPower(t *testing.T, n int, dir string, want []uint64) {
	t.Helper()
	if _, err := audit(dir, nil); err != nil && !errors.Is(err, ErrTorn) && !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("power lost at call %d: %v", n, err)
	}
	if v, err := OpenView(ctx, dir); err == nil {
		for _, e := range collect(t, v.Read(ctx, Range{Types: []string{TypeRecovered}})) {
			var r Recovered
			if err := e.Decode(&r); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, tornPrefix(r.Segment, r.Offset)+r.SHA256.String()[:8]))
			if err != nil || sha256.Sum256(b) != r.SHA256 {
				t.Fatalf("power lost at call %d: the bytes that entry %d set aside are %q, %v", n, e.Seq, b, err)
			}
		}
	}
	if len(want) == 0 {
		return
	}
	have := map[uint64]bool{}
	for _, e := range collect(t, view(t, dir).Read(ctx, Range{Types: []string{"t"}})) {
		have[e.Seq] = true
	}
	for _, seq := range want {
		if !have[seq] {
			t.Fatalf("power lost at call %d: entry %d was synced and is gone", n, seq)
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, c := range []struct {
		call string
		sync bool
	}{{"write", false}, {"sync", true}} {
		for _, lostTruncate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, truncate fails %v", c.call, lostTruncate), func(t *testing.T) {
				dir := t.TempDir()
				d := &stopDisk{left: -1}
				j := open(t, dir, Options{Now: tick(), files: d})
				fill(t, j, 3, 10)
				before := segments(t, dir)[1]
				d.fail = func(call string) error {
					if call == c.call || lostTruncate && call == "truncate" {
						return &fs.PathError{Op: call, Path: "x", Err: errNoRoom}
					}
					return nil
				}
				draft := Draft{Type: "t", Body: map[string]string{"s": "does not fit"}, Sync: c.sync}
				if _, err := j.Append(ctx, draft); !errors.Is(err, ErrFull) {
					t.Fatalf("got %v", err)
				}
				if !lostTruncate {
					if after := segments(t, dir)[1]; !bytes.Equal(before, after) {
						t.Fatalf("%d bytes of the failed append are left", len(after)-len(before))
					}
				}
				if got := collect(t, view(t, dir).Read(ctx, Range{Before: 4})); len(got) != 3 {
					t.Fatalf("%d entries", len(got))
				}
				d.fail = nil
				if e := add(t, j, "t", struct{}{}); !lostTruncate && e.Seq != 4 {
					t.Fatalf("the next entry is %d", e.Seq)
				}
				if _, err := audit(dir, nil); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// A disk that is full when a segment is due leaves the old one in use.
func TestFullDiskAtRotation(t *testing.T) {
	for _, call := range []string{"open", "write", "sync", "rename", "syncdir"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			d := &stopDisk{left: -1}
			j := open(t, dir, Options{Now: tick(), SegmentBytes: 500, files: d})
			add(t, j, "t", map[string]string{"s": strings.Repeat("x", 200)})
			d.fail = func(c string) error {
				if c == call {
					return errNoRoom
				}
				return nil
			}
			big := Draft{Type: "t", Body: map[string]string{"s": strings.Repeat("y", 200)}}
			if _, err := j.Append(ctx, big); !errors.Is(err, ErrFull) {
				t.Fatalf("got %v", err)
			}
			d.fail = nil
			e, err := j.Append(ctx, big)
			if err != nil || e.Seq != 2 {
				t.Fatal(e, err)
			}
			if r, err := audit(dir, nil); err != nil || r.Segments != 2 {
				t.Fatal(r, err)
			}
		})
	}
}

// A reader that comes in the middle of an append waits for its end instead of
// seeing half an entry.
func TestReaderMeetsAppend(t *testing.T) {
	dir := t.TempDir()
	d := &stopDisk{left: -1}
	j := open(t, dir, Options{files: d})
	fill(t, j, 3, 10)
	type result struct {
		v   *View
		err error
	}
	got := make(chan result, 1)
	d.middle = func() {
		waits := make(chan struct{}, 1)
		reader := &stopDisk{left: -1, waits: func() {
			select {
			case waits <- struct{}{}:
			default:
			}
		}}
		done := make(chan struct{})
		go func() {
			v, err := openView(ctx, dir, reader)
			got <- result{v, err}
			close(done)
		}()
		select {
		case <-waits:
		case <-done:
		}
	}
	add(t, j, "t", struct{}{})
	if r := <-got; r.err != nil || r.v.Torn() != 0 || r.v.Head().Seq != 4 {
		t.Fatalf("the reader saw %+v, %v", r.v, r.err)
	}
}
