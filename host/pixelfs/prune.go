package pixelfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Retention says what may go. The zero value keeps everything.
type Retention struct {
	// Keep is how many versions of each file stay beside its current content; 0 means all.
	Keep int
	// MaxAge is the age, counted from when the content was written, beyond which
	// versions go; 0 means never.
	MaxAge time.Duration
	// TrashAge is the time after which things in the trash go; 0 means never.
	TrashAge time.Duration
}

func (r Retention) zero() bool { return r == Retention{} }

// PruneReport is the record of what was removed for good.
type PruneReport struct {
	ID       string    `json:"id,omitempty"` // of the record; "" when nothing went
	Time     time.Time `json:"time"`
	Why      string    `json:"why"` // "prune", "quota" or "empty"
	Versions []Removed `json:"versions,omitempty"`
	Trash    []Trashed `json:"trash,omitempty"`
	Bytes    int64     `json:"bytes"` // freed on the disk
}

// Removed is a version that is gone.
type Removed struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	Size    int64  `json:"size"`
	Digest  string `json:"digest,omitempty"`
	Stored  int64  `json:"stored"`
	place   string
	highest bool
}

// maxRemoved bounds what one record names; the rest goes with the next one.
const maxRemoved = 20000

// Prune removes for good what r lets go, and leaves a record of it.
func (s *Store) Prune(ctx context.Context, r Retention) (PruneReport, error) {
	rep := PruneReport{Why: "prune", Time: s.now().UTC()}
	err := s.writable()
	if err == nil {
		err = s.locked(func() error {
			rep, err = s.prune(ctx, r, "prune")
			return err
		})
	}
	return rep, pathError("prune", ".", err)
}

// prune runs within the lock.
func (s *Store) prune(ctx context.Context, r Retention, why string) (PruneReport, error) {
	var list []Removed
	now := s.now()
	if r.Keep > 0 || r.MaxAge > 0 {
		if err := s.pruneBelow("", r, now, &list); err != nil {
			return PruneReport{}, err
		}
	}
	var gone []Trashed
	if r.TrashAge > 0 {
		ids, err := s.fsys.ReadDir(trashDir)
		if err != nil {
			return PruneReport{}, err
		}
		for _, e := range ids {
			if t, ok := s.trashed(e.Name()); ok && t.damaged == nil && now.Sub(t.Time) > r.TrashAge {
				gone = append(gone, t)
			}
		}
	}
	return s.discard(ctx, why, list, gone)
}

func (s *Store) pruneBelow(enc string, r Retention, now time.Time, out *[]Removed) error {
	dir := path.Join(versionDir, enc)
	list, err := s.fsys.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range list {
		p := path.Join(enc, e.Name())
		if !e.IsDir() || len(*out) >= maxRemoved {
			continue
		}
		base, file := strings.CutSuffix(p, Suffix)
		if !file {
			if err := s.pruneBelow(p, r, now, out); err != nil {
				return err
			}
			continue
		}
		name, err := Decode(base)
		if err != nil {
			continue // not ours; fsck names it
		}
		kept, last, err := s.versionsIn(versionDir + "/" + p)
		if err != nil {
			return err
		}
		for i, v := range kept {
			h, err := s.header(versionPlace(p, v))
			if err != nil {
				return err
			}
			if r.Keep > 0 && len(kept)-i > r.Keep || r.MaxAge > 0 && now.Sub(h.info.ModTime()) > r.MaxAge {
				*out = append(*out, Removed{
					Name: name, Version: v, Size: int64(h.Size), Digest: fmt.Sprintf("%x", h.Sum), Stored: h.stored,
					place: p, highest: v == last,
				})
			}
		}
	}
	return nil
}

// discard writes the record and removes what it names.
func (s *Store) discard(ctx context.Context, why string, list []Removed, gone []Trashed) (PruneReport, error) {
	rep := PruneReport{Time: s.now().UTC(), Why: why, Versions: list, Trash: gone}
	if len(list) == 0 && len(gone) == 0 {
		return rep, nil
	}
	if err := canceled(ctx); err != nil {
		return rep, err
	}
	if len(gone) > maxRemoved {
		gone = gone[:maxRemoved]
		rep.Trash = gone
	}
	for _, v := range list {
		rep.Bytes += v.Stored
	}
	for _, t := range gone {
		rep.Bytes += t.Stored
	}
	if err := s.makeWay(); err != nil {
		return rep, err
	}
	var err error
	if rep.ID, err = s.newID(); err != nil {
		return rep, err
	}
	data, err := json.Marshal(rep)
	if err != nil {
		return rep, err
	}
	c, err := s.beginUsage()
	if err != nil {
		return rep, err
	}
	// The record is on the disk before anything goes.
	if err := s.writeSmall(removedDir+"/"+rep.ID+Suffix, data); err != nil {
		return rep, err
	}
	var grown usage
	dirs := dirSet{}
	for _, v := range list {
		if v.highest {
			// Numbers are not given twice.
			if err := s.markGone(v); err != nil {
				return rep, err
			}
		}
		if err := s.fsys.Remove(versionPlace(v.place, v.Version)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return rep, err
		}
		grown.add(usage{-v.Stored, -1})
		dirs.add(path.Dir(versionPlace(v.place, v.Version)))
	}
	for _, t := range gone {
		var u usage
		if err := s.countBelow(trashDir+"/"+t.ID, &u, 0); err != nil {
			return rep, err
		}
		// Out of the trash in one step, then piece by piece.
		temp := s.temp()
		if err := s.fsys.Rename(trashDir+"/"+t.ID, temp); err != nil {
			return rep, err
		}
		dirs.add(trashDir)
		if err := s.fsys.RemoveAll(temp); err != nil {
			return rep, err
		}
		grown.add(usage{-u.bytes, -u.files})
	}
	s.endUsage(c, grown)
	for _, err := range s.syncDirs(dirs) {
		return rep, err
	}
	s.fillReserve()
	return rep, nil
}

func (s *Store) markGone(v Removed) error {
	dir := versionDir + "/" + v.place
	name := fmt.Sprintf("%s/%010d%s", dir, v.Version, goneSuffix)
	f, err := s.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return s.fsys.SyncDir(dir)
}

// Removals lists the records of what Prune and Empty removed for good, oldest first.
func (s *Store) Removals() ([]PruneReport, error) {
	list, err := s.fsys.ReadDir(removedDir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, pathError("read", removedDir, err)
	}
	var out []PruneReport
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), Suffix) {
			continue
		}
		data, err := s.readSmall(removedDir + "/" + e.Name())
		var rep PruneReport
		if err == nil {
			err = json.Unmarshal(data, &rep)
		}
		if err != nil {
			return out, pathError("read", removedDir+"/"+e.Name(), err)
		}
		out = append(out, rep)
	}
	return out, nil
}

// Usage is what a part of a store takes.
type Usage struct {
	Files, Dirs int64
	Size        int64 // bytes of data
	Stored      int64 // bytes on the disk
	Versions    int64 // earlier contents
	OldStored   int64 // their bytes on the disk
	Trash       int64 // pixel files in the trash that come from there, versions included
	TrashStored int64
	Damaged     int64 // files whose header cannot be read
}

// Usage adds up a file or a directory with all below it, the versions, and what the
// trash has of it.
func (s *Store) Usage(name string) (Usage, error) {
	u, err := s.usageOf(name)
	return u, pathError("usage", name, err)
}

func (s *Store) usageOf(name string) (Usage, error) {
	var u Usage
	enc, err := encode(name)
	if err != nil {
		return u, err
	}
	err = s.Walk(name, func(i Info) error {
		switch {
		case i.Dir:
			u.Dirs++
		case i.Err != nil:
			u.Files++
			u.Damaged++
			u.Stored += i.Stored
		default:
			u.Files++
			u.Size += i.Size
			u.Stored += i.Stored
		}
		return nil
	})
	if err != nil {
		return u, err
	}
	places := []string{path.Join(versionDir, enc)}
	if name != "." {
		places = append(places, versionDir+"/"+enc+Suffix)
	}
	for _, p := range places {
		var v usage
		if err := s.countBelow(p, &v, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return u, err
		}
		u.Versions += v.files
		u.OldStored += v.bytes
	}
	list, err := s.Trash()
	if err != nil {
		return u, err
	}
	for _, t := range list {
		if t.damaged == nil && within(t.Name, name) {
			u.Trash += t.Files
			u.TrashStored += t.Stored
		}
	}
	return u, nil
}
