package pixelfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// ChangeKind says how an overlay differs from the store below it.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Deleted ChangeKind = "removed"
	Renamed ChangeKind = "renamed" // its content may have changed as well
)

// Change is one difference between an overlay and the store below it.
type Change struct {
	Kind   ChangeKind
	Name   string
	From   string // the name before, of what was renamed
	Dir    bool
	Before Info // as the lower store had it when the overlay first touched it; zero for what was added
	After  Info // zero for what was removed

	// Conflict says why Keep leaves the change alone: the lower store has changed too.
	Conflict string
}

// Diff lists how the overlay differs from the lower store, by name; directories come
// before what is in them.
func (o *Overlay) Diff() ([]Change, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	list, err := o.diff()
	return list, pathError("diff", ".", err)
}

func (o *Overlay) diff() ([]Change, error) {
	var out []Change
	moved := map[string]bool{}
	err := o.upper.Walk(".", func(i Info) error {
		if i.Name == "." {
			return nil
		}
		if c, ok := o.change(i); ok {
			if moved[c.From] {
				c.Kind, c.From, c.Before = Added, "", Info{} // the name was given and taken again
			}
			if c.Kind == Renamed {
				moved[c.From] = true
			}
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range o.hiddenNames() {
		i, err := o.lower.stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := o.removed(i, moved, &out); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	out = slices.CompactFunc(out, func(a, b Change) bool { return a.Name == b.Name })
	for i := range out {
		out[i].Conflict = o.conflict(out[i])
	}
	return out, nil
}

// hiddenNames lists the names that are hidden and not below another such name.
func (o *Overlay) hiddenNames() []string {
	o.state.RLock()
	defer o.state.RUnlock()
	var out []string
	for name := range o.notes.hidden {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// change tells what became of a name that the upper store has.
func (o *Overlay) change(i Info) (Change, bool) {
	o.state.RLock()
	was, from := o.notes.origins[i.Name], o.notes.from[i.Name]
	src := o.notes.origins[from]
	o.state.RUnlock()
	c := Change{Name: i.Name, Dir: i.Dir, After: i, Kind: Added}
	lower, err := o.lower.stat(i.Name)
	if i.Dir {
		return c, err != nil || !lower.Dir
	}
	c.After.Version += was.version
	if was.exists && !was.dir {
		c.Kind, c.Before = Changed, was.info(i.Name)
		return c, was.digest != i.Digest || was.size != i.Size
	}
	if from != "" && src.exists && !src.dir && !o.seen(from) {
		c.Kind, c.From, c.Before = Renamed, from, src.info(from)
	}
	return c, true
}

func (w origin) info(name string) Info {
	return Info{Name: name, Dir: w.dir, Size: w.size, Digest: w.digest, Version: w.version}
}

// seen reports whether the overlay shows anything under a name.
func (o *Overlay) seen(name string) bool {
	_, err := o.stat(name)
	return err == nil
}

// removed lists what is hidden under a name and not there again.
func (o *Overlay) removed(i Info, moved map[string]bool, out *[]Change) error {
	if !o.seen(i.Name) && !moved[i.Name] {
		*out = append(*out, Change{Kind: Deleted, Name: i.Name, Dir: i.Dir, Before: i})
	}
	if !i.Dir {
		return nil
	}
	list, err := o.lower.list(i.Name)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := o.removed(c, moved, out); err != nil {
			return err
		}
	}
	return nil
}

// conflict compares what the lower store has now with what it had.
func (o *Overlay) conflict(c Change) string {
	check := func(name string) string {
		o.state.RLock()
		was, known := o.notes.origins[name]
		o.state.RUnlock()
		if !known {
			return "" // inside of a directory that was removed: there is only what is seen
		}
		now, err := o.lower.stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !was.exists:
			return ""
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Sprintf("%q was removed from the store meanwhile", name)
		case err != nil:
			return err.Error()
		case !was.exists && now.Dir && c.Dir:
			return ""
		case !was.exists:
			return fmt.Sprintf("%q was made in the store meanwhile", name)
		case was.dir != now.Dir, !was.dir && (was.digest != now.Digest || was.size != now.Size):
			return fmt.Sprintf("%q was changed in the store meanwhile", name)
		}
		return ""
	}
	if c.From != "" {
		if msg := check(c.From); msg != "" {
			return msg
		}
	}
	return check(c.Name)
}

// KeepReport tells what Keep did.
type KeepReport struct {
	Kept      []Change
	Conflicts []Change // left in the overlay, for a person to decide
}

// Keep carries the changes over to the lower store, each file in one step; what they
// replace there stays as versions or in the trash. A change whose file has changed in
// the lower store too is left alone and reported. What was kept is no difference any
// more; when nothing is left the overlay is empty. An error ends it, with the report
// of what was done until then.
func (o *Overlay) Keep(ctx context.Context) (KeepReport, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rep KeepReport
	list, err := o.diff()
	if err != nil {
		return rep, pathError("keep", ".", err)
	}
	// What is made first, in the order of names; then what is removed, from the inside.
	var gone []Change
	for _, c := range list {
		if c.Conflict != "" {
			rep.Conflicts = append(rep.Conflicts, c)
			continue
		}
		if c.Kind == Deleted {
			gone = append(gone, c)
			continue
		}
		if err := o.keepOne(ctx, c, &rep); err != nil {
			return rep, err
		}
	}
	slices.Reverse(gone)
	for _, c := range gone {
		if err := o.keepOne(ctx, c, &rep); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

func (o *Overlay) keepOne(ctx context.Context, c Change, rep *KeepReport) error {
	if err := canceled(ctx); err != nil {
		return err
	}
	err := o.carryOver(ctx, c)
	switch {
	case err == nil:
		rep.Kept = append(rep.Kept, c)
		return nil
	case errors.Is(err, ErrVersion), errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist),
		errors.Is(err, ErrBusy), errors.Is(err, ErrNotEmpty), errors.Is(err, ErrIsDir), errors.Is(err, ErrNotDir):
		c.Conflict = err.Error()
		rep.Conflicts = append(rep.Conflicts, c)
		return nil
	}
	return err
}

// carryOver does one change in the lower store, and notes that it is no difference now.
func (o *Overlay) carryOver(ctx context.Context, c Change) error {
	switch {
	case c.Kind == Deleted && c.Dir:
		if err := o.lower.Rmdir(c.Name); err != nil {
			return err
		}
		return o.write(note{Op: noteShow, Name: c.Name})
	case c.Kind == Deleted:
		if err := o.lower.Remove(c.Name); err != nil {
			return err
		}
		return o.write(note{Op: noteShow, Name: c.Name})
	case c.Dir:
		if err := o.lower.MkdirAll(c.Name); err != nil {
			return err
		}
		return o.settled(c.Name)
	}
	opt := PutOptions{Compression: c.After.Compression, Width: c.After.Width, Hint: c.After.Size, Modified: c.After.Modified}
	switch c.Kind {
	case Added:
		opt.Exclusive = true
	case Changed:
		now, err := o.lower.stat(c.Name)
		if err != nil {
			return err
		}
		opt.IfVersion = now.Version
	case Renamed:
		if err := o.lower.mkdir(parent(c.Name), true); err != nil {
			return err
		}
		if err := o.lower.Rename(c.From, c.Name); err != nil {
			return err
		}
		if err := o.write(note{Op: noteShow, Name: c.From}, note{Op: noteFrom, Name: c.Name}); err != nil {
			return err
		}
		if c.Before.Digest == c.After.Digest && c.Before.Size == c.After.Size {
			return o.settled(c.Name)
		}
		// The rename is done and noted; should what follows fail, the difference that is
		// left is a change of the content.
		if err := o.settled(c.Name); err != nil {
			return err
		}
	}
	f, err := o.upper.open(c.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := o.lower.Put(ctx, c.Name, f.whole(ctx), opt); err != nil {
		return err
	}
	return o.settled(c.Name)
}

// settled notes that the lower store has a name as it is now.
func (o *Overlay) settled(name string) error {
	i, err := o.lower.stat(name)
	if err != nil {
		return err
	}
	return o.write(originNote(name, i), note{Op: noteFrom, Name: name})
}

// Drop throws the overlay away: its files, versions and trash, for good. It cannot be
// used afterwards. A crash in the middle is completed when the overlay is next opened.
func (o *Overlay) Drop() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.RLock()
	dropped := o.notes.dropped
	o.state.RUnlock()
	if !dropped {
		if err := o.write(note{Op: noteDrop}); err != nil {
			return fmt.Errorf("drop the overlay: %w", err)
		}
	}
	errs := []error{o.upper.abandon()}
	list, err := o.fsys.ReadDir(".")
	errs = append(errs, err)
	for _, e := range list {
		if e.Name() != meta {
			errs = append(errs, o.fsys.RemoveAll(e.Name()))
		}
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, o.fsys.SyncDir("."), o.fsys.RemoveAll(meta), o.fsys.SyncDir("."))
	}
	errs = append(errs, o.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("drop the overlay: %w", err)
	}
	return nil
}

// abandon closes a store whose content is not wanted: nothing is committed.
func (s *Store) abandon() error {
	s.mu.Lock()
	var open []*node
	for _, n := range s.nodes {
		open = append(open, n)
	}
	s.mu.Unlock()
	for _, n := range open {
		s.unlink(n.nameNow(), nil)
		n.mu.Lock()
		n.finish()
		n.mu.Unlock()
	}
	return s.Close()
}
