package pixelfs

import (
	"errors"
	"io/fs"
	"path"
)

// Stat describes a file or directory.
func (o *Overlay) Stat(name string) (Info, error) {
	i, err := o.stat(name)
	return i, pathError("stat", name, err)
}

func (o *Overlay) stat(name string) (Info, error) {
	i, err := o.upper.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.below(name)
	}
	if err == nil && !i.Dir {
		i.Version += o.before(name)
	}
	return i, err
}

// before is the number of the version that the overlay began with.
func (o *Overlay) before(name string) uint64 {
	o.state.RLock()
	defer o.state.RUnlock()
	return o.notes.origins[name].version
}

// Entries lists the names in a directory, sorted.
func (o *Overlay) Entries(dir string) ([]Entry, error) {
	list, err := o.list(dir)
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	out := make([]Entry, len(list))
	for i, e := range list {
		out[i] = Entry{Name: path.Base(e.Name), Dir: e.Dir}
	}
	return out, nil
}

// List describes what is in a directory, sorted by name.
func (o *Overlay) List(dir string) ([]Info, error) {
	list, err := o.list(dir)
	return list, pathError("list", dir, err)
}

func (o *Overlay) list(dir string) ([]Info, error) {
	i, err := o.stat(dir)
	if err != nil {
		return nil, err
	}
	if !i.Dir {
		return nil, ErrNotDir
	}
	upper, err := o.upper.list(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	seen := map[string]bool{}
	for k := range upper {
		seen[upper[k].Name] = true
		if !upper[k].Dir {
			upper[k].Version += o.before(upper[k].Name)
		}
	}
	if l, err := o.below(dir); err == nil && l.Dir {
		lower, err := o.lower.list(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range lower {
			if !seen[e.Name] && o.shown(e.Name) {
				upper = append(upper, e)
			}
		}
	}
	sortInfos(upper)
	return upper, nil
}

// Open opens the current content of a file.
func (o *Overlay) Open(name string) (*File, error) {
	f, err := o.upper.open(name)
	if err == nil {
		f.info.Version += o.before(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, err = o.below(name); err == nil {
			f, err = o.lower.open(name)
		}
	}
	return f, pathError("open", name, err)
}

// Versions lists the contents that a file has had, those of the lower store first.
func (o *Overlay) Versions(name string) ([]Info, error) {
	var out []Info
	before := o.before(name)
	if _, err := o.below(name); err == nil {
		list, err := o.lower.versions(name)
		if err != nil {
			return nil, pathError("versions", name, err)
		}
		for _, i := range list {
			if before == 0 || i.Version <= before {
				out = append(out, i)
			}
		}
	}
	upper, err := o.upper.versions(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && len(out) > 0 {
			err = nil
		}
		return out, pathError("versions", name, err)
	}
	for _, i := range upper {
		i.Version += before
		out = append(out, i)
	}
	return out, nil
}

// OpenVersion opens a content that a file has had, or has.
func (o *Overlay) OpenVersion(name string, v uint64) (*File, error) {
	before := o.before(name)
	var f *File
	var err error
	if before == 0 || v <= before {
		if _, err = o.below(name); err == nil {
			f, err = o.lower.openVersion(name, v)
		}
		if err == nil || before != 0 {
			return f, pathError("open", name, err)
		}
	}
	if f, err = o.upper.openVersion(name, v-before); err == nil {
		f.info.Version = v
	}
	return f, pathError("open", name, err)
}

// FS gives the files for reading as an [fs.FS].
func (o *Overlay) FS() fs.FS { return ioFS{o} }
