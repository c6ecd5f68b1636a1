package pixelfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// The names in the directory of one thing in the trash.
const (
	infoName    = "info.pxi"
	contentName = "content"
	oldName     = "versions"
)

// Trashed is a file or a directory in the trash, with its versions.
type Trashed struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // where it was
	Dir     bool      `json:"dir,omitempty"`
	Time    time.Time `json:"time"`             // when it was removed
	Size    int64     `json:"size,omitempty"`   // bytes of data of a file; 0 for a directory
	Digest  string    `json:"digest,omitempty"` // SHA-256 of a file, in hex
	Stored  int64     `json:"stored"`           // bytes on the disk, everything below and all versions
	Files   int64     `json:"files"`            // pixel files, versions included
	damaged error
}

// Err says that the record of what was trashed cannot be read; the content is there.
func (t Trashed) Err() error { return t.damaged }

// Remove moves a file, or a directory with everything in it, to the trash, durably and
// in one step. A directory is in the way of nothing afterwards, whatever was in it.
// Scratch files are removed for good.
func (s *Store) Remove(name string) error {
	return pathError("remove", name, s.remove(name))
}

func (s *Store) remove(name string) error {
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
		if err := s.makeWay(); err != nil {
			return err
		}
		if err := s.dirFor(parent(name), lookDirs); err != nil {
			return err
		}
		place := enc + Suffix
		info, err := s.fsys.Lstat(place)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return ErrForeign
		case err == nil && s.notTwin(place) != nil:
			return fs.ErrNotExist
		case err == nil && s.scratch(name):
			return s.removeScratch(name, place, info.Size())
		case err == nil:
			if err := s.settle(name, place); err != nil {
				return err
			}
			return s.toTrash(name, place, contentName+Suffix, []*node{s.node(name)})
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := s.isDir(name, enc); err != nil {
			return err
		}
		if err := s.settleBelow(name, enc); err != nil {
			return err
		}
		return s.toTrash(name, enc, contentName, s.nodesBelow(name))
	})
}

// removeScratch removes a file of which nothing is kept.
func (s *Store) removeScratch(name, place string, size int64) error {
	if n := s.node(name); n == nil || !n.leased() {
		if err := s.leaseFree(place); err != nil {
			return err
		}
	}
	c, err := s.beginUsage()
	if err != nil {
		return err
	}
	if err := s.fsys.Remove(place); err != nil {
		return err
	}
	s.endUsage(c, usage{-size, -1})
	logged := s.exists(editDir + "/" + place)
	s.unlink(name, nil)
	// First the file, then its log: a log without a file says nothing.
	if err := s.fsys.SyncDir(path.Dir(place)); err != nil || !logged {
		return err
	}
	return s.removeLog(place)
}

// toTrash moves what stands at a place, and its versions, to the trash.
func (s *Store) toTrash(name, place, content string, nodes []*node) error {
	id, err := s.newID()
	if err != nil {
		return err
	}
	dir := trashDir + "/" + id
	t := Trashed{ID: id, Name: name, Dir: content == contentName, Time: s.now().UTC()}
	if t.Dir {
		var u usage
		if err := s.countBelow(place, &u, 0); err != nil {
			return err
		}
		t.Stored, t.Files = u.bytes, u.files
	} else {
		h, err := s.header(place)
		if err != nil {
			return err
		}
		t.Size, t.Stored, t.Files = int64(h.Size), h.stored, 1
		if h.valid {
			t.Digest = fmt.Sprintf("%x", h.Sum)
		}
	}
	in := intent{Op: "remove"}
	old := versionDir + "/" + place
	there, err := s.has(old)
	if err != nil {
		return err
	}
	if there {
		var u usage
		if err := s.countBelow(old, &u, 0); err != nil {
			return err
		}
		t.Stored, t.Files = t.Stored+u.bytes, t.Files+u.files
		in.Steps = append(in.Steps, step{doMove, old, dir + "/" + oldName})
	}
	in.Steps = append(in.Steps, step{doMove, place, dir + "/" + content})
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := s.durable(dir); err != nil {
		return err
	}
	if err := s.writeSmall(dir+"/"+infoName, data); err != nil {
		return errors.Join(err, s.fsys.RemoveAll(dir))
	}
	if err := s.carry(in); err != nil {
		return err
	}
	for _, n := range nodes {
		if n != nil {
			s.unlink(n.nameNow(), nil)
		}
	}
	return nil
}

// Trash lists what is in the trash, newest first.
func (s *Store) Trash() ([]Trashed, error) {
	list, err := s.fsys.ReadDir(trashDir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, pathError("trash", ".", err)
	}
	var out []Trashed
	for _, e := range slices.Backward(list) {
		if !e.IsDir() {
			continue
		}
		if t, ok := s.trashed(e.Name()); ok {
			out = append(out, t)
		}
	}
	return out, nil
}

// trashed reads the record of one thing in the trash; ok is false where there is no content.
func (s *Store) trashed(id string) (t Trashed, ok bool) {
	if id == "" || strings.Contains(id, "/") || !fs.ValidPath(id) {
		return t, false
	}
	dir := trashDir + "/" + id
	content, isDir := dir+"/"+contentName+Suffix, false
	if !s.exists(content) {
		content, isDir = dir+"/"+contentName, true
		if !s.exists(content) {
			return t, false
		}
	}
	data, err := s.readSmall(dir + "/" + infoName)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err == nil && CheckName(t.Name) != nil {
		err = fmt.Errorf("its name is not valid")
	}
	if err != nil {
		t = Trashed{damaged: err}
	}
	t.ID, t.Dir = id, isDir
	return t, true
}

// Restore brings something back from the trash, with its versions, under the name it
// had or, when as is not "", under that one. The name must be free; versions that it
// has already stay before those that come back.
func (s *Store) Restore(id, as string) (Info, error) {
	name := as
	err := s.writable()
	if err == nil {
		err = s.locked(func() error {
			t, ok := s.trashed(id)
			if !ok {
				return fs.ErrNotExist
			}
			if name == "" {
				if t.damaged != nil {
					return fmt.Errorf("the record of what was trashed is damaged, give a name to restore it under: %w", t.damaged)
				}
				name = t.Name
			}
			return s.restore(t, name)
		})
	}
	if err != nil {
		if name == "" {
			name = id
		}
		return Info{}, pathError("restore", name, err)
	}
	return s.Stat(name)
}

func (s *Store) restore(t Trashed, name string) error {
	enc, err := encode(name)
	if err != nil {
		return err
	}
	if name == "." {
		return fs.ErrExist
	}
	if err := s.dirFor(parent(name), makeDirs); err != nil {
		return err
	}
	for _, p := range []string{enc, enc + Suffix} {
		if there, err := s.has(p); err != nil {
			return err
		} else if there {
			return fs.ErrExist
		}
	}
	dir := trashDir + "/" + t.ID
	in := intent{Op: "restore"}
	old := dir + "/" + oldName
	hasOld, err := s.has(old)
	if err != nil {
		return err
	}
	if t.Dir {
		if hasOld {
			moves, err := s.followDirFrom(old, enc)
			if err != nil {
				return err
			}
			in.Steps = append(in.Steps, moves...)
		}
		in.Steps = append(in.Steps, step{doMove, dir + "/" + contentName, enc})
	} else {
		place := enc + Suffix
		if err := s.settle(name, place); err != nil {
			return err
		}
		if hasOld {
			moves, err := s.followFrom(old, place)
			if err != nil {
				return err
			}
			in.Steps = append(in.Steps, moves...)
		}
		in.Steps = append(in.Steps, step{doMove, dir + "/" + contentName + Suffix, place})
	}
	in.Steps = append(in.Steps, step{doClear, dir, ""})
	return s.carry(in)
}

// followFrom moves a directory of versions to a file's, behind what is there.
func (s *Store) followFrom(old, place string) ([]step, error) {
	to := versionDir + "/" + place
	if there, err := s.has(to); err != nil {
		return nil, err
	} else if !there {
		return []step{{doMove, old, to}}, nil
	}
	kept, _, err := s.versionsIn(old)
	if err != nil {
		return nil, err
	}
	_, last, err := s.versionsIn(to)
	if err != nil {
		return nil, err
	}
	var out []step
	for _, v := range kept {
		out = append(out, step{doMove, fmt.Sprintf("%s/%010d%s", old, v, Suffix), versionPlace(place, last+v)})
	}
	return append(out, step{doClear, old, ""}), nil
}

// followDirFrom is followFrom for a tree of them.
func (s *Store) followDirFrom(old, enc string) ([]step, error) {
	if there, err := s.has(versionDir + "/" + enc); err != nil {
		return nil, err
	} else if !there {
		return []step{{doMove, old, versionDir + "/" + enc}}, nil
	}
	list, err := s.fsys.ReadDir(old)
	if err != nil {
		return nil, err
	}
	var out []step
	for _, e := range list {
		if !e.IsDir() {
			continue
		}
		from, to := path.Join(old, e.Name()), path.Join(enc, e.Name())
		var more []step
		if strings.HasSuffix(e.Name(), Suffix) {
			more, err = s.followFrom(from, to)
		} else {
			more, err = s.followDirFrom(from, to)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return append(out, step{doClear, old, ""}), nil
}

// Empty removes things from the trash for good, all when no id is given, and leaves a
// record of what it removed.
func (s *Store) Empty(ctx context.Context, ids ...string) (PruneReport, error) {
	var rep PruneReport
	err := s.writable()
	if err == nil {
		err = s.locked(func() error {
			if len(ids) == 0 {
				list, err := s.fsys.ReadDir(trashDir)
				if err != nil {
					return err
				}
				for _, e := range list {
					ids = append(ids, e.Name())
				}
			}
			var gone []Trashed
			for _, id := range ids {
				t, ok := s.trashed(id)
				if !ok {
					if len(ids) == 1 {
						return fmt.Errorf("%q: %w", id, fs.ErrNotExist)
					}
					continue
				}
				gone = append(gone, t)
			}
			rep, err = s.discard(ctx, "empty", nil, gone)
			return err
		})
	}
	return rep, pathError("empty", "trash", err)
}
