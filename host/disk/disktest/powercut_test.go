package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

// ends returns every state that a power cut may leave, each once and sorted, by trying
// every answer to every question of Crash. A state is a line for each file and for each
// empty directory; runs of one letter are written a*512.
func ends(t *testing.T, m *Mem) []string {
	t.Helper()
	found := map[string]bool{}
	for answers, tries := []bool{}, 0; answers != nil; tries++ {
		if tries > 1<<16 {
			t.Fatal("too many states")
		}
		asked := 0
		left := m.Crash(func(Change) bool {
			if asked == len(answers) {
				answers = append(answers, false)
			}
			asked++
			return answers[asked-1]
		})
		found[state(t, left)] = true
		// The next answers, as one counts in binary; nil after the last.
		answers = answers[:asked]
		for len(answers) > 0 && answers[len(answers)-1] {
			answers = answers[:len(answers)-1]
		}
		if len(answers) == 0 {
			answers = nil
		} else {
			answers[len(answers)-1] = true
		}
	}
	all := make([]string, 0, len(found))
	for s := range found {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

func state(t *testing.T, fsys disk.FS) string {
	t.Helper()
	var parts []string
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 && dir != "." {
			parts = append(parts, dir+"/")
		}
		for _, e := range entries {
			name := strings.TrimPrefix(dir+"/"+e.Name(), "./")
			if e.IsDir() {
				walk(name)
				continue
			}
			content, err := read(fsys, name)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, name+"="+runs(content))
		}
	}
	walk(".")
	return strings.Join(parts, " ")
}

// runs writes "aaab" as "a*3b" and a zero byte as "0".
func runs(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && s[j] == s[i] {
			j++
		}
		letter := s[i : i+1]
		if s[i] == 0 {
			letter = "0"
		}
		b.WriteString(letter)
		if j-i > 1 {
			fmt.Fprintf(&b, "*%d", j-i)
		}
		i = j
	}
	return b.String()
}

// script does what a test says: "write a x*600 @512", "sync a", "syncdir .", "rename a
// b", "truncate a 3", "mkdir d" and so on. Files stay open under their first name.
type script struct {
	t     *testing.T
	fsys  disk.FS
	files map[string]disk.File
}

func (s *script) do(line string) error {
	f := strings.Fields(line)
	switch f[0] {
	case "write":
		file := s.files[f[1]]
		if file == nil {
			var err error
			if file, err = s.fsys.OpenFile(f[1], os.O_RDWR|os.O_CREATE); err != nil {
				return err
			}
			s.files[f[1]] = file
		}
		var off, n int
		if len(f) < 3 {
			return nil
		}
		letter, count, many := strings.Cut(f[2], "*")
		n = 1
		if many {
			fmt.Sscan(count, &n)
		}
		if len(f) > 3 {
			fmt.Sscan(f[3][1:], &off)
		}
		_, err := file.WriteAt(bytes.Repeat([]byte(letter), n), int64(off))
		return err
	case "truncate":
		var n int64
		fmt.Sscan(f[2], &n)
		return s.files[f[1]].Truncate(n)
	case "sync":
		return s.files[f[1]].Sync()
	case "syncdir":
		return s.fsys.SyncDir(f[1])
	case "mkdir":
		return s.fsys.Mkdir(f[1])
	case "rename":
		return s.fsys.Rename(f[1], f[2])
	case "link":
		return s.fsys.Link(f[1], f[2])
	case "remove":
		delete(s.files, f[1])
		return s.fsys.Remove(f[1])
	case "removeall":
		return s.fsys.RemoveAll(f[1])
	}
	s.t.Fatalf("script: %q", line)
	return nil
}

// Every state that may follow, and no other.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		want   []string
	}{
		{"nothing done", "", []string{""}},
		{"a file without a byte", "write a", []string{"", "a="}},
		{"a write without a sync", "write a x", []string{"", "a=", "a=0", "a=x"}},
		{"bytes without their name", "write a x; sync a", []string{"", "a=x"}},
		{"a name without its bytes", "write a x; syncdir .", []string{"a=", "a=0", "a=x"}},
		{"all synced", "write a x; sync a; syncdir .", []string{"a=x"}},
		{"written over", "write a x*2; sync a; syncdir .; write a y", []string{"a=x*2", "a=yx"}},
		{"written over twice", "write a x; sync a; syncdir .; write a y; write a z", []string{"a=x", "a=y", "a=z"}},
		{"torn between sectors", "write a x*1024; sync a; syncdir .; write a y*1024", []string{
			"a=x*1024", "a=x*512y*512", "a=y*1024", "a=y*512x*512"}},
		{"torn where the sectors of the file are", "write a x*600; sync a; syncdir .; write a y*4 @510", []string{
			"a=x*510y*2x*88", "a=x*510y*4x*86", "a=x*512y*2x*86", "a=x*600"}},
		{"grown", "write a x; sync a; syncdir .; write a y @1", []string{"a=x", "a=x0", "a=xy"}},
		{"grown over a hole", "write a x; sync a; syncdir .; write a y @3", []string{"a=x", "a=x0*2y", "a=x0*3"}},
		{"cut", "write a x*3; sync a; syncdir .; truncate a 1", []string{"a=x", "a=x*3"}},
		{"cut and written again", "write a x*3; sync a; syncdir .; truncate a 0; write a y", []string{"a=", "a=0", "a=x*3", "a=y"}},
		{"cut after a write", "write a x*3; sync a; syncdir .; write a y; truncate a 2", []string{"a=x*2", "a=x*3", "a=yx", "a=yx*2"}},
		{"extended", "write a x; sync a; syncdir .; truncate a 3", []string{"a=x", "a=x0*2"}},
		{"renamed", "write a x; sync a; syncdir .; rename a b", []string{"a=x", "b=x"}},
		{"renamed and synced", "write a x; sync a; syncdir .; rename a b; syncdir .", []string{"b=x"}},
		{"renamed over", "write a x; sync a; write b y; sync b; syncdir .; rename a b", []string{"a=x b=y", "b=x"}},
		{"replaced without a sync of the bytes", "write b y; sync b; syncdir .; write a x; rename a b; syncdir .", []string{"b=", "b=0", "b=x"}},
		{"a new file renamed", "write a x; sync a; rename a b", []string{"", "a=x", "b=x"}},
		{"renamed twice", "write a x; sync a; syncdir .; rename a b; rename b c", []string{"a=x", "b=x", "c=x"}},
		{"between directories, the new one synced", "mkdir d; write a x; sync a; syncdir .; rename a d/a; syncdir d", []string{"d/a=x"}},
		{"between directories, the old one synced", "mkdir d; write a x; sync a; syncdir .; rename a d/a; syncdir .", []string{"d/a=x"}},
		{"linked", "write a x; sync a; syncdir .; link a b", []string{"a=x", "a=x b=x"}},
		{"linked, then removed", "write a x; sync a; syncdir .; link a b; remove a", []string{"a=x", "a=x b=x", "b=x"}},
		{"the old version kept by a link", "write a x; sync a; syncdir .; write t y; sync t; link a v; rename t a", []string{
			"a=x", "a=x t=y", "a=x t=y v=x", "a=x v=x", "a=y v=x"}},
		{"the same, synced where the file is", "mkdir v; write a x; sync a; syncdir .; write t y; sync t; link a v/1; rename t a; syncdir .", []string{
			"a=y v/1=x"}},
		{"unrelated names", "write a x; sync a; write b y; sync b", []string{"", "a=x", "a=x b=y", "b=y"}},
		{"removed", "write a x; sync a; syncdir .; remove a", []string{"", "a=x"}},
		{"removed and made again", "write a x; sync a; syncdir .; remove a; write a", []string{"", "a=", "a=x"}},
		{"written without a name", "write a x; sync a; syncdir .; link a b; remove b; write a y", []string{"a=x", "a=x b=x", "a=y", "a=y b=y"}},
		{"removed and synced", "write a x; sync a; syncdir .; remove a; syncdir .", []string{""}},
		{"a directory", "mkdir d", []string{"", "d/"}},
		{"a file in a directory without a name", "mkdir d; write d/a x; sync d/a; syncdir d", []string{"", "d/a=x"}},
		{"a file in a directory with a name", "mkdir d; write d/a x; sync d/a; syncdir .", []string{"d/", "d/a=x"}},
		{"a directory renamed", "mkdir d; write d/a x; sync d/a; syncdir d; syncdir .; rename d e", []string{"d/a=x", "e/a=x"}},
		{"a directory renamed after a change elsewhere", "mkdir d; syncdir .; write a x; sync a; rename d e", []string{"a=x d/", "a=x e/", "d/"}},
		{"a directory renamed and synced after a change elsewhere", "mkdir d; mkdir o; syncdir .; write o/a x; sync o/a; rename d e; syncdir .", []string{"e/ o/a=x"}},
		{"everything removed", "mkdir d; write d/a x; sync d/a; syncdir d; syncdir .; removeall d", []string{"", "d/", "d/a=x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewMem()
			s := &script{t, m, map[string]disk.File{}}
			for line := range strings.SplitSeq(c.script, ";") {
				if line = strings.TrimSpace(line); line != "" {
					if err := s.do(line); err != nil {
						t.Fatalf("%s: %v", line, err)
					}
				}
			}
			before := state(t, m)
			got := ends(t, m)
			if !slices.Equal(got, c.want) {
				t.Errorf("after %q a power cut may leave\n\t%q, want\n\t%q", c.script, got, c.want)
			}
			if now := state(t, m); now != before {
				t.Errorf("Crash changed the file system from %q to %q", before, now)
			}
			// PowerCut gives ends, and in many tries all of them when they are few.
			seen := map[string]bool{}
			for seed := range uint64(400) {
				left := state(t, m.PowerCut(rand.New(rand.NewPCG(seed, 1))))
				if again := state(t, m.PowerCut(rand.New(rand.NewPCG(seed, 1)))); again != left {
					t.Fatalf("seed %d gives %q and %q", seed, left, again)
				}
				if !slices.Contains(got, left) {
					t.Fatalf("seed %d gives %q", seed, left)
				}
				seen[left] = true
			}
			if len(seen) != len(got) {
				t.Errorf("400 seeds give %d of %d ends", len(seen), len(got))
			}
			// What a power cut left is durable.
			for seed := range uint64(4) {
				left := m.PowerCut(rand.New(rand.NewPCG(seed, 2)))
				if again := ends(t, left); len(again) != 1 || again[0] != state(t, left) {
					t.Errorf("a second power cut turns %q into %q", state(t, left), again)
				}
			}
		})
	}
}

// A failed sync: before the next one all is open, after it what was lost stays lost.
func TestFailedSync(t *testing.T) {
	m := NewMem()
	s := &script{t, m, map[string]disk.File{}}
	for _, line := range []string{"write a x*2", "sync a", "syncdir ."} {
		if err := s.do(line); err != nil {
			t.Fatal(err)
		}
	}
	bad := errors.New("bad")
	hooked := Inject(m, Plan{At: 1, Only: []string{"sync"}, Err: bad})
	f, err := Hook(hooked, func(Op) Verdict { return Verdict{} }).OpenFile("a", os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	write := func(what string, off int64) {
		t.Helper()
		if _, err := f.WriteAt([]byte(what), off); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want ...string) {
		t.Helper()
		if got := ends(t, m); !slices.Equal(got, want) {
			t.Errorf("a power cut may leave %q, want %q", got, want)
		}
	}
	write("y", 0)
	if err := f.Sync(); !errors.Is(err, bad) {
		t.Fatalf("sync: %v", err)
	}
	want("a=x*2", "a=yx")
	write("z", 1)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	want("a=xz")
	if got := state(t, m); got != "a=yz" {
		t.Errorf("readers see %q", got)
	}
	write("y", 0)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	want("a=yz")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// replaceBadly are ways to replace a file that forget one thing each.
var replaceBadly = map[string]func(fsys disk.FS, name, content string) error{
	"in place": func(fsys disk.FS, name, content string) error {
		return direct(fsys, name, content, true)
	},
	"no sync of the file": func(fsys disk.FS, name, content string) error {
		if err := direct(fsys, name+".tmp", content, false); err != nil {
			return err
		}
		return errors.Join(fsys.Rename(name+".tmp", name), fsys.SyncDir("."))
	},
	"no sync of the directory": func(fsys disk.FS, name, content string) error {
		if err := direct(fsys, name+".tmp", content, true); err != nil {
			return err
		}
		return fsys.Rename(name+".tmp", name)
	},
	"removed before": func(fsys disk.FS, name, content string) error {
		if err := direct(fsys, name+".tmp", content, true); err != nil {
			return err
		}
		if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return errors.Join(fsys.Rename(name+".tmp", name), fsys.SyncDir("."))
	},
}

func direct(fsys disk.FS, name, content string, sync bool) error {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	if sync && err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// history replaces two files in turn, cuts the power at every operation and returns the
// first state that is neither what was acknowledged nor what was under way.
func history(t *testing.T, replace func(fsys disk.FS, name, content string) error) (fault string) {
	m := NewMem()
	acked, doing := map[string]string{}, map[string]string{}
	rng := rand.New(rand.NewPCG(7, 7))
	cut := func(at fmt.Stringer) {
		for range 8 {
			left := m.PowerCut(rng)
			for name, want := range acked {
				got, err := read(left, name)
				if errors.Is(err, fs.ErrNotExist) {
					got, err = "", nil
				}
				if err != nil {
					t.Fatal(err)
				}
				if got != want && got != doing[name] && fault == "" {
					fault = fmt.Sprintf("cut before %v: %s is %q, want %q or %q", at, name, clip(runs(got)), clip(runs(want)), clip(runs(doing[name])))
				}
			}
		}
	}
	fsys := Hook(m, func(op Op) Verdict {
		cut(op)
		return Verdict{}
	})
	for i := range 8 {
		name := []string{"a", "b"}[i%2]
		content := strings.Repeat(string(rune('a'+i)), rng.IntN(2000)+1)
		doing[name] = content
		if acked[name] == "" {
			acked[name] = ""
		}
		if err := replace(fsys, name, content); err != nil {
			t.Fatal(err)
		}
		acked[name] = content
		cut(Op{Name: "the end"})
	}
	return fault
}

func TestWriteFileSurvives(t *testing.T) {
	good := func(fsys disk.FS, name, content string) error {
		return disk.WriteFile(fsys, name, func(f disk.File) error {
			_, err := io.WriteString(f, content)
			return err
		})
	}
	if fault := history(t, good); fault != "" {
		t.Error(fault)
	}
	for name, bad := range replaceBadly {
		if fault := history(t, bad); fault == "" {
			t.Errorf("%s: no power cut finds the mistake", name)
		} else {
			t.Logf("%s: %s", name, fault)
		}
	}
}
