package pixelfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Rename gives a file or a directory another name, in one step and durably. Versions
// and open handles go with it. A file at the new name is replaced: its content stays as
// a version of that name, behind which the versions of the old name follow. A directory
// at the new name must be empty. Missing directories are not made.
func (s *Store) Rename(from, to string) error {
	err := s.rename(from, to)
	if err == nil {
		return nil
	}
	if pe := (*fs.PathError)(nil); errors.As(pathError("rename", from, err), &pe) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: pe.Err}
	}
	return err
}

func (s *Store) rename(from, to string) error {
	ef, err := encode(from)
	if err != nil {
		return err
	}
	et, err := encode(to)
	if err != nil {
		return err
	}
	if from == "." || to == "." || from != to && within(to, from) {
		return fs.ErrInvalid
	}
	if err := s.writable(); err != nil {
		return err
	}
	return s.locked(func() error {
		if err := s.dirFor(parent(from), needDirs); err != nil {
			return err
		}
		if err := s.dirFor(parent(to), needDirs); err != nil {
			return err
		}
		info, err := s.fsys.Lstat(ef + Suffix)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return ErrForeign
		case err == nil && s.notTwin(ef+Suffix) != nil:
			return fs.ErrNotExist
		case err == nil:
			return s.renameFile(from, to, ef+Suffix, et+Suffix)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := s.isDir(from, ef); err != nil {
			return err
		}
		return s.renameDir(from, to, ef, et)
	})
}

func (s *Store) renameFile(from, to, pf, pt string) error {
	if from == to {
		return nil
	}
	if err := s.settle(from, pf); err != nil {
		return err
	}
	if err := s.settle(to, pt); err != nil {
		return err
	}
	if err := s.notDir(to); err != nil {
		return err
	}
	in := intent{Op: "rename"}
	_, last, err := s.versionsIn(versionDir + "/" + pt)
	if err != nil {
		return err
	}
	var grown usage
	old, err := s.header(pt)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case s.caseless && strings.EqualFold(pf, pt) && s.notTwin(pt) != nil:
		// The same file under a spelling that this disk does not tell apart.
	case s.notTwin(pt) != nil:
		return ErrTwin
	case s.scratch(to):
		grown = usage{-old.stored, -1}
	default:
		last++
		in.Steps = append(in.Steps, step{doKeep, pt, versionPlace(pt, last)})
	}
	kept, _, err := s.versionsIn(versionDir + "/" + pf)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		moves, err := s.follow(pf, pt, kept, last)
		if err != nil {
			return err
		}
		in.Steps = append(in.Steps, moves...)
	}
	in.Steps = append(in.Steps, step{doMove, pf, pt})
	n := s.node(from)
	taken, err := s.takeOver(n, to, pt)
	if err != nil {
		return err
	}
	c, err := s.beginUsage()
	if err == nil {
		err = s.carry(in)
	}
	if err != nil {
		taken.undo()
		return err
	}
	s.endUsage(c, grown)
	s.unlink(to, n)
	taken.done()
	return nil
}

// follow moves the versions of one file behind those of another.
func (s *Store) follow(pf, pt string, kept []uint64, last uint64) ([]step, error) {
	there, err := s.has(versionDir + "/" + pt)
	if err != nil {
		return nil, err
	}
	if !there && last == 0 {
		return []step{{doMove, versionDir + "/" + pf, versionDir + "/" + pt}}, nil
	}
	var out []step
	for _, v := range kept {
		out = append(out, step{doMove, versionPlace(pf, v), versionPlace(pt, last+v)})
	}
	return append(out, step{doClear, versionDir + "/" + pf, ""}), nil
}

// takeover is the lease of an edited file on the way to its new name.
type takeover struct {
	s     *Store
	n     *node
	to    string
	place string
	l     interface{ Close() error }
	other *node // whose lease it was
}

// takeOver gets the lease of the new name for a node, which may be nil.
func (s *Store) takeOver(n *node, to, place string) (*takeover, error) {
	t := &takeover{s: s, n: n, to: to, place: place}
	if n == nil || !n.leased() {
		return t, nil
	}
	if o := s.node(to); o != nil && o != n && o.leased() {
		t.other = o
		return t, nil
	}
	l, err := s.lease(place)
	t.l = l
	return t, err
}

func (t *takeover) undo() {
	if t.l != nil {
		t.s.fsys.Remove(leaseDir + "/" + t.place)
		t.l.Close()
	}
}

// done gives the node its new name. The node of the new name has gone before.
func (t *takeover) done() {
	if t.n == nil {
		return
	}
	if t.other != nil {
		// It was released a moment ago, within the lock of the store.
		t.l, _ = t.s.lease(t.place)
	}
	t.n.mu.Lock()
	defer t.n.mu.Unlock()
	if t.l != nil {
		t.n.release()
		t.n.lease = t.l
	}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if t.s.nodes[t.n.name] == t.n {
		delete(t.s.nodes, t.n.name)
	}
	t.n.name = t.to
	t.s.nodes[t.to] = t.n
}

func (s *Store) renameDir(from, to, ef, et string) error {
	if from == to {
		return nil
	}
	in := intent{Op: "rename"}
	info, err := s.fsys.Lstat(et)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there, err := s.has(et + Suffix); err != nil {
			return err
		} else if there {
			return ErrNotDir
		}
	case err != nil:
		return err
	case !info.IsDir():
		return ErrForeign
	case s.caseless && strings.EqualFold(ef, et):
	case s.notTwin(et) != nil:
		return ErrTwin
	default:
		list, err := s.fsys.ReadDir(et)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			return ErrNotEmpty
		}
		in.Steps = append(in.Steps, step{doRmdir, et, ""})
	}
	if err := s.settleBelow(from, ef); err != nil {
		return err
	}
	if err := s.fitsBelow(from, to); err != nil {
		return err
	}
	there, err := s.has(versionDir + "/" + ef)
	if err != nil {
		return err
	}
	if there {
		moves, err := s.followDir(ef, et)
		if err != nil {
			return err
		}
		in.Steps = append(in.Steps, moves...)
	}
	in.Steps = append(in.Steps, step{doMove, ef, et})
	var taken []*takeover
	undo := func(err error) error {
		for _, t := range taken {
			t.undo()
		}
		return err
	}
	for _, n := range s.nodesBelow(from) {
		name := to + strings.TrimPrefix(n.nameNow(), from)
		place, err := filePlace(name)
		if err != nil {
			return undo(err)
		}
		t, err := s.takeOver(n, name, place)
		if err != nil {
			return undo(err)
		}
		taken = append(taken, t)
	}
	if err := s.carry(in); err != nil {
		return undo(err)
	}
	s.mu.Lock()
	clear(s.known)
	s.mu.Unlock()
	for _, t := range taken {
		t.done()
	}
	return nil
}

func (n *node) nameNow() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.name
}

// followDir moves the versions below one directory to another.
func (s *Store) followDir(ef, et string) ([]step, error) {
	if there, err := s.has(versionDir + "/" + et); err != nil {
		return nil, err
	} else if !there {
		return []step{{doMove, versionDir + "/" + ef, versionDir + "/" + et}}, nil
	}
	list, err := s.fsys.ReadDir(versionDir + "/" + ef)
	if err != nil {
		return nil, err
	}
	var out []step
	for _, e := range list {
		pf, pt := path.Join(ef, e.Name()), path.Join(et, e.Name())
		if !e.IsDir() {
			continue
		}
		if !strings.HasSuffix(e.Name(), Suffix) {
			more, err := s.followDir(pf, pt)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		kept, _, err := s.versionsIn(versionDir + "/" + pf)
		if err != nil {
			return nil, err
		}
		_, last, err := s.versionsIn(versionDir + "/" + pt)
		if err != nil {
			return nil, err
		}
		more, err := s.follow(pf, pt, kept, last)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return append(out, step{doClear, versionDir + "/" + ef, ""}), nil
}

// fitsBelow fails where a name below a directory would no longer be valid.
func (s *Store) fitsBelow(from, to string) error {
	list, _, err := s.entries(from)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(e Entry) bool { return CheckName(to+"/"+e.Name) != nil })
	if i >= 0 {
		return fmt.Errorf("what is below it: %w", CheckName(to+"/"+list[i].Name))
	}
	for _, e := range list {
		if e.Dir {
			if err := s.fitsBelow(from+"/"+e.Name, to+"/"+e.Name); err != nil {
				return err
			}
		}
	}
	return nil
}
