package pixelfs

import (
	"cmp"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// Info describes a file, one of its versions, or a directory.
type Info struct {
	Name     string // whole, from the root of the store
	Dir      bool   // nothing below Modified is set for a directory
	Modified time.Time

	Size        int64    // bytes of data
	Digest      [32]byte // SHA-256 of the data; zero for plain PNG pictures, and while an edit is not committed
	Version     uint64   // 1 for the first content under this name
	Width       uint32   // pixels
	Height      uint32
	Compression pxi.Compression
	Stored      int64 // bytes on the disk
	Editing     bool  // changed by an edit that is not committed as a file yet

	// Err says, in listings, why the header cannot be read. Name and Modified are right.
	Err error
}

// Entry is one name in a directory.
type Entry struct {
	Name string // the last part alone
	Dir  bool
}

// header reads what stands at the start of a file. Content that is no valid pixel file is no
// error here: it is noted in the header.
func (s *Store) header(place string) (*header, error) {
	f, err := s.fsys.OpenFile(place, os.O_RDONLY)
	if err != nil {
		if errors.Is(err, disk.ErrIrregular) {
			err = ErrForeign
		}
		return nil, err
	}
	defer f.Close()
	return readHeader(f)
}

func readHeader(f disk.File) (*header, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h := &header{stored: info.Size(), info: info}
	buf := make([]byte, min(pxi.HeaderSize, max(info.Size(), 0)))
	if n, err := f.ReadAt(buf, 0); n < len(buf) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	h.kind = pxi.Sniff(buf)
	if h.kind == pxi.PNG {
		c, err := png.DecodeConfig(io.NewSectionReader(f, 0, info.Size()))
		h.err = err
		if err == nil {
			h.Width, h.Height = uint32(c.Width), uint32(c.Height)
			h.Size = uint64(c.Width) * uint64(c.Height) * 3
		}
		return h, nil
	}
	h.Header, h.err = pxi.ParseHeader(buf, info.Size())
	h.valid = h.err == nil
	return h, nil
}

func (h *header) fileInfo(name string) Info {
	return Info{
		Name: name, Size: int64(h.Size), Modified: h.info.ModTime(), Digest: h.Sum,
		Width: h.Width, Height: h.Height, Compression: h.Compression, Stored: h.stored, Err: h.err,
	}
}

// Stat describes a file or directory; "." is the root. Edits that this process has
// open, and edits that other processes have synced, are counted in.
func (s *Store) Stat(name string) (Info, error) {
	i, err := s.stat(name)
	return i, pathError("stat", name, err)
}

func (s *Store) stat(name string) (Info, error) {
	enc, err := encode(name)
	if err != nil {
		return Info{}, err
	}
	if name != "." {
		if err := s.dirFor(parent(name), lookDirs); err != nil {
			return Info{}, err
		}
		i, err := s.statFile(name, enc+Suffix)
		if err == nil && i.Err != nil {
			return Info{}, i.Err
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return i, err
		}
	}
	info, err := s.fsys.Lstat(enc)
	if err != nil {
		return Info{}, err
	}
	if !info.IsDir() {
		return Info{}, ErrForeign
	}
	if name != "." {
		if err := s.notTwin(enc); err != nil {
			return Info{}, fs.ErrNotExist
		}
	}
	return Info{Name: name, Dir: true, Modified: info.ModTime()}, nil
}

// statFile describes the file at a place whose directory was checked.
func (s *Store) statFile(name, place string) (Info, error) {
	h, err := s.header(place)
	if err != nil {
		return Info{}, err
	}
	if err := s.notTwin(place); err != nil {
		return Info{}, fs.ErrNotExist
	}
	i := h.fileInfo(name)
	kept, err := s.lastVersion(place)
	if err != nil {
		return Info{}, err
	}
	i.Version = kept + 1
	s.addEdits(&i, place)
	return i, nil
}

// addEdits corrects a description by what an edit has changed.
func (s *Store) addEdits(i *Info, place string) {
	s.mu.Lock()
	n := s.nodes[i.Name]
	s.mu.Unlock()
	if n != nil && n.describe(i) {
		return
	}
	if !s.exists(editDir + "/" + place) {
		return
	}
	f, err := s.openAt(i.Name, place)
	if err != nil {
		return
	}
	if f.edits != nil {
		i.Size, i.Modified, i.Digest, i.Editing = f.info.Size, f.info.Modified, [32]byte{}, true
	}
	f.Close()
}

// Entries lists the names in a directory, sorted, without opening files. What the store did not make is left out.
func (s *Store) Entries(dir string) ([]Entry, error) {
	list, _, err := s.entries(dir)
	return list, pathError("list", dir, err)
}

func (s *Store) entries(dir string) ([]Entry, string, error) {
	enc, err := encode(dir)
	if err != nil {
		return nil, "", err
	}
	if err := s.dirFor(dir, lookDirs); err != nil {
		if dir != "." && errors.Is(err, fs.ErrNotExist) && s.dirFor(parent(dir), lookDirs) == nil && s.exists(enc+Suffix) {
			err = ErrNotDir
		}
		return nil, "", err
	}
	list, err := s.fsys.ReadDir(enc)
	if err != nil {
		return nil, "", err
	}
	out := make([]Entry, 0, len(list))
	for _, e := range list {
		name, file, ok := decodeEntry(e.Name())
		switch {
		case !ok, file && !e.Type().IsRegular(), !file && !e.IsDir():
			continue
		}
		if _, err := encode(join(dir, name)); err != nil {
			continue // too deep
		}
		out = append(out, Entry{Name: name, Dir: !file})
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if c := cmp.Compare(a.Name, b.Name); c != 0 || a.Dir == b.Dir {
			return c
		}
		if a.Dir {
			return 1
		}
		return -1
	})
	// A directory beside a file of its name was made by somebody else.
	out = slices.CompactFunc(out, func(a, b Entry) bool { return a.Name == b.Name })
	return out, enc, nil
}

// List describes what is in a directory, sorted by name; "." is the root. A file
// whose header cannot be read is listed with Info.Err.
func (s *Store) List(dir string) ([]Info, error) {
	list, err := s.list(dir)
	return list, pathError("list", dir, err)
}

func (s *Store) list(dir string) ([]Info, error) {
	entries, enc, err := s.entries(dir)
	if err != nil {
		return nil, err
	}
	versions, err := s.has(path.Join(versionDir, enc))
	if err != nil {
		return nil, err
	}
	out := make([]Info, 0, len(entries))
	for _, e := range entries {
		name := join(dir, e.Name)
		i := Info{Name: name, Dir: e.Dir, Version: 1}
		place := path.Join(enc, encodePart(e.Name))
		if e.Dir {
			info, err := s.fsys.Lstat(place)
			if err != nil {
				continue // removed meanwhile
			}
			i = Info{Name: name, Dir: true, Modified: info.ModTime()}
		} else {
			place += Suffix
			h, err := s.header(place)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				i.Err = err
			} else {
				i = h.fileInfo(name)
				i.Version = 1
				if versions {
					kept, err := s.lastVersion(place)
					if err != nil {
						return nil, err
					}
					i.Version = kept + 1
				}
				s.addEdits(&i, place)
			}
		}
		out = append(out, i)
	}
	sortInfos(out)
	return out, nil
}

// Walk calls fn for root and everything below it, directories before what is in them,
// each directory in the order of List. An error of fn ends the walk and is returned;
// fs.SkipDir skips the directory, or the rest of the one a file is in, and fs.SkipAll
// ends the walk without an error.
func (s *Store) Walk(root string, fn func(Info) error) error {
	i, err := s.Stat(root)
	if err != nil {
		return err
	}
	err = s.walk(i, fn)
	if err == fs.SkipAll || err == fs.SkipDir {
		err = nil
	}
	return err
}

func (s *Store) walk(i Info, fn func(Info) error) error {
	if err := fn(i); err != nil || !i.Dir {
		if err == fs.SkipDir && i.Dir {
			err = nil
		}
		return err
	}
	list, err := s.List(i.Name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, c := range list {
		err := s.walk(c, fn)
		if err == fs.SkipDir {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Mkdir makes a directory, durably. Its parent must exist.
func (s *Store) Mkdir(name string) error {
	return pathError("mkdir", name, s.mkdir(name, false))
}

// MkdirAll makes a directory and those above it that are missing, durably.
func (s *Store) MkdirAll(name string) error {
	return pathError("mkdir", name, s.mkdir(name, true))
}

func (s *Store) mkdir(name string, all bool) error {
	enc, err := encode(name)
	if err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return err
	}
	return s.locked(func() error {
		if !all {
			if name == "." {
				return fs.ErrExist
			}
			if err := s.dirFor(parent(name), lookDirs); err != nil {
				return err
			}
			for _, p := range []string{enc, enc + Suffix} {
				if there, err := s.has(p); err != nil {
					return err
				} else if there {
					return fs.ErrExist
				}
			}
		}
		return s.dirFor(name, makeDirs)
	})
}

// Rmdir removes an empty directory, durably.
func (s *Store) Rmdir(name string) error {
	return pathError("rmdir", name, s.rmdir(name))
}

func (s *Store) rmdir(name string) error {
	enc, err := encode(name)
	if err != nil {
		return err
	}
	if name == "." {
		return fs.ErrInvalid
	}
	if err := s.writable(); err != nil {
		return err
	}
	return s.locked(func() error {
		if err := s.isDir(name, enc); err != nil {
			return err
		}
		if list, err := s.fsys.ReadDir(enc); err != nil {
			return err
		} else if len(list) > 0 {
			return ErrNotEmpty
		}
		if err := s.fsys.Remove(enc); err != nil {
			return err
		}
		return s.fsys.SyncDir(path.Dir(enc))
	})
}

// isDir fails where name is no directory.
func (s *Store) isDir(name, enc string) error {
	if err := s.dirFor(parent(name), lookDirs); err != nil {
		return err
	}
	info, err := s.fsys.Lstat(enc)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.exists(enc+Suffix):
		return ErrNotDir
	case err != nil:
		return err
	case !info.IsDir():
		return ErrForeign
	}
	if s.notTwin(enc) != nil {
		return fs.ErrNotExist
	}
	return nil
}

// Chtimes notes another time for the content of a file.
func (s *Store) Chtimes(name string, mtime time.Time) error {
	place, err := filePlace(name)
	if err == nil {
		err = s.writable()
	}
	if err == nil {
		err = s.locked(func() error {
			if err := s.dirFor(parent(name), lookDirs); err != nil {
				return err
			}
			s.mu.Lock()
			n := s.nodes[name]
			s.mu.Unlock()
			if n != nil {
				n.setTime(mtime)
			}
			return s.fsys.Chtimes(place, mtime)
		})
	}
	return pathError("chtimes", name, err)
}
