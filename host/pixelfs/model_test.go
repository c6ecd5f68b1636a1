package pixelfs

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

// model is what a store should hold: files by name, and directories with a slash behind.
type model map[string]string

func (m model) clone() model { return maps.Clone(m) }

func (m model) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		if len(v) > 12 {
			v = fmt.Sprintf("%s…%d", v[:12], len(v))
		}
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

// parents adds the directories above a name.
func (m model) parents(name string) {
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		m[d+"/"] = ""
	}
}

func (m model) move(from, to string) {
	for k, v := range m.clone() {
		if strings.HasPrefix(k, from+"/") {
			delete(m, k)
			m[to+strings.TrimPrefix(k, from)] = v
		}
	}
}

func (m model) files() []string {
	var out []string
	for k := range m {
		if !strings.HasSuffix(k, "/") {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func (m model) dirs() []string {
	var out []string
	for k := range m {
		if d, ok := strings.CutSuffix(k, "/"); ok {
			out = append(out, d)
		}
	}
	sort.Strings(out)
	return out
}

// snapshot reads all that a store shows.
func snapshot(s *Store) (model, error) {
	m := model{}
	err := s.Walk(".", func(i Info) error {
		if i.Dir {
			if i.Name != "." {
				m[i.Name+"/"] = ""
			}
			return nil
		}
		f, err := s.Open(i.Name)
		if err != nil {
			return err
		}
		defer f.Close()
		b, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		if int64(len(b)) != i.Size {
			return fmt.Errorf("%s has %d bytes, stat says %d", i.Name, len(b), i.Size)
		}
		m[i.Name] = string(b)
		return nil
	})
	return m, err
}

// everything gathers all contents that a store still has: current, versions, trash.
func everything(s *Store) (map[string]bool, error) {
	out := map[string]bool{}
	var visit func(dir string) error
	visit = func(dir string) error {
		list, err := s.fsys.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range list {
			p := path.Join(dir, e.Name())
			if e.IsDir() {
				switch p {
				case tempDir, editDir, leaseDir, removedDir:
					continue
				}
				if err := visit(p); err != nil {
					return err
				}
				continue
			}
			if !strings.HasSuffix(p, Suffix) || e.Name() == infoName {
				continue
			}
			f, err := s.openFile(p, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			out[string(b)] = true
		}
		return nil
	}
	return out, visit(".")
}

// world drives a store and a model through the same history.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	s     *Store
	now   model // acknowledged
	next  model // what the operation under way leads to
	ever  map[string]bool
	drop  map[string]bool // contents of an edit that are between two versions
	n     int
	edit  *Edit
	name  string // of the file being edited
	work  []byte // what the handle sees
	mixed bool   // several operations may be half done: nothing is compared
}

func newWorld(t testing.TB, s *Store, seed uint64) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), s: s, now: model{}, next: model{}, ever: map[string]bool{}}
}

// content makes bytes that no other call makes.
func (w *world) content() string {
	w.n++
	head := fmt.Sprintf("<%d>", w.n)
	size := w.rng.IntN(6000)
	if w.rng.IntN(4) == 0 {
		size = 0
	}
	return head + strings.Repeat(string(rune('a'+w.n%26)), size)
}

var wildNames = []string{"a", "b", "d/x", "d/y", "d/e/z", "f/con", "f/100%.pxi"}

func (w *world) pick(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[w.rng.IntN(len(list))]
}

// taken reports whether a name, or one above it, is of the other kind.
func (w *world) blocked(name string) bool {
	if _, ok := w.now[name+"/"]; ok {
		return true
	}
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		if _, ok := w.now[d]; ok {
			return true
		}
	}
	return false
}

// step does one operation; desc names it. The model moves on when it was acknowledged.
func (w *world) step() (desc string, err error) {
	w.next = w.now.clone()
	ctx := context.Background()
	keep := func(c string) { w.ever[c] = true }
	name := w.pick(wildNames)
	switch op := w.rng.IntN(16); {
	case w.edit != nil && op < 8:
		return w.editStep()
	case w.edit == nil && op == 0 && !w.blocked(name):
		return w.openEdit(name)
	case op <= 5:
		if w.blocked(name) || w.edit != nil && name == w.name {
			return "", nil
		}
		c := w.content()
		w.next[name] = c
		w.next.parents(name)
		desc = "put " + name
		if _, err = w.s.Put(ctx, name, strings.NewReader(c), PutOptions{}); err == nil {
			keep(c)
		}
	case op == 6:
		if w.blocked(name) || w.edit != nil && name == w.name {
			return "", nil
		}
		c := w.content()
		w.next[name] += c
		w.next.parents(name)
		desc = "append " + name
		if _, err = w.s.Append(ctx, name, strings.NewReader(c)); err == nil {
			keep(w.next[name])
		}
	case op <= 8:
		from := w.pick(w.now.files())
		if from == "" || w.blocked(name) || from == w.name || name == w.name {
			return "", nil
		}
		if d := path.Dir(name); d != "." {
			if _, ok := w.now[d+"/"]; !ok {
				return "", nil
			}
		}
		c := w.next[from]
		delete(w.next, from)
		w.next[name] = c
		desc = "rename " + from + " to " + name
		err = w.s.Rename(from, name)
	case op == 9:
		from, to := w.pick(w.now.dirs()), w.pick([]string{"g", "h", "d", "d/e"})
		_, there := w.now[to+"/"]
		if from == "" || there || within(to, from) || w.name != "" && within(w.name, from) || w.blocked(to) {
			return "", nil
		}
		if _, ok := w.now[to]; ok {
			return "", nil
		}
		if d := path.Dir(to); d != "." {
			if _, ok := w.now[d+"/"]; !ok {
				return "", nil
			}
		}
		w.next.move(from, to)
		desc = "rename dir " + from + " to " + to
		err = w.s.Rename(from, to)
	case op <= 11:
		name = w.pick(w.now.files())
		if name == "" || name == w.name {
			return "", nil
		}
		delete(w.next, name)
		desc = "remove " + name
		err = w.s.Remove(name)
	case op == 12:
		dir := w.pick(w.now.dirs())
		if dir == "" || w.name != "" && within(w.name, dir) {
			return "", nil
		}
		for k := range w.next.clone() {
			if strings.HasPrefix(k, dir+"/") {
				delete(w.next, k)
			}
		}
		desc = "remove dir " + dir
		err = w.s.Remove(dir)
	case op == 13:
		return w.restore()
	case op == 14:
		name = w.pick(w.now.files())
		if name == "" || name == w.name {
			return "", nil
		}
		vs, e := w.s.Versions(name)
		if e != nil {
			return "versions " + name, e
		}
		v := vs[w.rng.IntN(len(vs))].Version
		f, e := w.s.OpenVersion(name, v)
		if e != nil {
			return "open version of " + name, e
		}
		b, e := io.ReadAll(f)
		f.Close()
		if e != nil {
			return "read version of " + name, e
		}
		w.next[name] = string(b)
		desc = fmt.Sprintf("restore version %d of %s", v, name)
		_, err = w.s.RestoreVersion(ctx, name, v)
	default:
		dir := w.pick([]string{"g", "d", "d/e"})
		if _, ok := w.now[dir+"/"]; ok || w.blocked(dir) {
			return "", nil
		}
		if _, ok := w.now[dir]; ok {
			return "", nil
		}
		w.next[dir+"/"] = ""
		w.next.parents(dir)
		desc = "mkdir " + dir
		err = w.s.MkdirAll(dir)
	}
	if err == nil {
		w.now = w.next.clone()
	}
	return desc, err
}

func (w *world) restore() (string, error) {
	list, err := w.s.Trash()
	if err != nil {
		return "list the trash", err
	}
	if len(list) == 0 {
		return "", nil
	}
	t := list[w.rng.IntN(len(list))]
	if t.Err() != nil {
		return "", nil
	}
	if _, ok := w.now[t.Name]; ok || w.blocked(t.Name) {
		return "", nil
	}
	// What comes back is read from the trash itself: the model does not follow it there.
	dir := trashDir + "/" + t.ID
	if t.Dir {
		w.next[t.Name+"/"] = ""
		err = w.readTree(dir+"/"+contentName, t.Name)
	} else {
		w.next[t.Name], err = readPlace(w.s, dir+"/"+contentName+Suffix)
	}
	if err != nil {
		return "read the trash", err
	}
	w.next.parents(t.Name)
	if _, err = w.s.Restore(t.ID, ""); err == nil {
		w.now = w.next.clone()
	}
	return "restore " + t.Name, err
}

func readPlace(s *Store, place string) (string, error) {
	f, err := s.openFile(place, place)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func (w *world) readTree(place, name string) error {
	list, err := w.s.fsys.ReadDir(place)
	if err != nil {
		return err
	}
	for _, e := range list {
		p := path.Join(place, e.Name())
		part, _, _ := decodeEntry(e.Name())
		if e.IsDir() {
			w.next[name+"/"+part+"/"] = ""
			err = w.readTree(p, name+"/"+part)
		} else {
			w.next[name+"/"+part], err = readPlace(w.s, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) openEdit(name string) (string, error) {
	flag := os.O_RDWR
	old, there := w.now[name]
	if !there {
		if d := path.Dir(name); d != "." {
			if _, ok := w.now[d+"/"]; !ok {
				return "", nil
			}
		}
		flag |= os.O_CREATE
		w.next[name] = ""
	}
	e, err := w.s.Edit(name, flag)
	if err != nil {
		return "edit " + name, err
	}
	w.edit, w.name, w.work = e, name, []byte(old)
	w.now = w.next.clone()
	return "edit " + name, nil
}

func (w *world) editStep() (desc string, err error) {
	switch w.rng.IntN(6) {
	case 0:
		n := w.rng.IntN(20000)
		desc = fmt.Sprintf("truncate %s to %d", w.name, n)
		if err = w.edit.Truncate(int64(n)); err == nil {
			if n <= len(w.work) {
				w.work = w.work[:n]
			} else {
				w.work = append(w.work, make([]byte, n-len(w.work))...)
			}
		}
	case 1, 2:
		desc = "sync " + w.name
		w.next[w.name] = string(w.work)
		if err = w.edit.Sync(); err == nil {
			w.now = w.next.clone()
		}
	case 3:
		desc = "close " + w.name
		w.next[w.name] = string(w.work)
		err = w.edit.Close()
		w.edit = nil
		if err == nil {
			w.now = w.next.clone()
			w.ever[w.now[w.name]] = true
		}
		w.name = ""
	default:
		c, off := w.content(), w.rng.IntN(15000)
		desc = fmt.Sprintf("write %d bytes to %s at %d", len(c), w.name, off)
		if _, err = w.edit.WriteAt([]byte(c), int64(off)); err == nil {
			if off+len(c) > len(w.work) {
				w.work = append(w.work, make([]byte, off+len(c)-len(w.work))...)
			}
			copy(w.work[off:], c)
		}
	}
	return desc, err
}

// inspect opens what a crash left and compares it.
func (w *world) inspect(fsys disk.FS, what string, allowed ...model) bool {
	w.t.Helper()
	s, err := Open(fsys, Options{})
	if err != nil {
		w.t.Errorf("%s: open: %v", what, err)
		return false
	}
	defer s.Close()
	got, err := snapshot(s)
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
		return false
	}
	ok := false
	for _, m := range allowed {
		ok = ok || matches(got, m, allowed...)
	}
	if !ok {
		w.t.Errorf("%s: the store has\n%v\nand should have", what, got)
		for _, m := range allowed {
			w.t.Errorf("%v", m)
		}
		return false
	}
	have, err := everything(s)
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
		return false
	}
	for c := range w.ever {
		if !have[c] {
			w.t.Errorf("%s: the content %.12q, once acknowledged, is lost", what, c)
			return false
		}
	}
	// It can be written to as well, which completes what was interrupted.
	if _, err := s.Put(context.Background(), "probe", strings.NewReader("p"), PutOptions{}); err != nil {
		w.t.Errorf("%s: put: %v", what, err)
		return false
	}
	after, err := snapshot(s)
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
		return false
	}
	delete(after, "probe")
	for _, m := range allowed {
		if matches(after, m, allowed...) {
			rep, err := s.Fsck(context.Background(), nil, true)
			if err != nil || !rep.OK() {
				w.t.Errorf("%s: fsck: %v %v", what, err, rep.Problems)
				return false
			}
			return true
		}
	}
	w.t.Errorf("%s: after the next write the store has\n%v", what, after)
	return false
}

func equal(a, b model) bool { return maps.Equal(a, b) }

// matches is equality but for directories that an operation under way has made already.
func matches(got, want model, allowed ...model) bool {
	got = got.clone()
	for k := range got {
		if _, ok := want[k]; ok || !strings.HasSuffix(k, "/") {
			continue
		}
		for _, m := range allowed {
			if _, ok := m[k]; ok {
				delete(got, k)
			}
		}
	}
	return maps.Equal(got, want)
}

// m2redo completes an interrupted change, as the next process does.
func m2redo(fsys disk.FS) error {
	s := &Store{fsys: fsys, opt: Options{Now: nowForTests}, nodes: map[string]*node{}, known: map[string]fs.FileInfo{}}
	return s.locked(func() error { return nil })
}

// inspectLive looks at a store whose process has ended.
func (w *world) inspectLive(fsys disk.FS, what string) bool {
	w.t.Helper()
	s, err := Open(fsys, Options{})
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
		return false
	}
	defer s.Close()
	have, err := everything(s)
	if err != nil {
		w.t.Errorf("%s: %v", what, err)
		return false
	}
	for c := range w.ever {
		if !have[c] {
			w.t.Errorf("%s: the content %.12q, once acknowledged, is lost", what, c)
			return false
		}
	}
	rep, err := s.Fsck(context.Background(), nil, true)
	if err != nil || !rep.OK() {
		w.t.Errorf("%s: fsck: %v %v", what, err, rep.Problems)
		return false
	}
	return true
}
