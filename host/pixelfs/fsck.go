package pixelfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// Verify reads a file to the last byte and reports every fault in it: which bytes, and
// which pixel rows. The error is for what kept it from looking. Edits that are not
// committed are not looked at. progress, when not nil, is called with bytes of data.
func (s *Store) Verify(ctx context.Context, name string, progress func(done, total int64)) (*pxi.Report, error) {
	place, err := filePlace(name)
	if err == nil {
		err = s.dirFor(parent(name), lookDirs)
	}
	var rep *pxi.Report
	if err == nil {
		rep, err = s.check(ctx, place, progress)
	}
	return rep, pathError("verify", name, err)
}

func (s *Store) check(ctx context.Context, place string, progress func(done, total int64)) (*pxi.Report, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	f, err := s.fsys.OpenFile(place, 0)
	if err != nil {
		if errors.Is(err, disk.ErrIrregular) {
			err = ErrForeign
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return pxi.Check(ctx, f, info.Size(), progress)
}

// Kinds of what Fsck finds.
const (
	BadContent  = "damaged"  // a pixel file that is not whole
	BadRecord   = "record"   // a record of the store that is not valid
	Foreign     = "foreign"  // something that the store did not make; it is not followed or used
	Twin        = "twin"     // a file and a directory of one name
	Leftover    = "leftover" // what a crash left; no harm
	Unfinished  = "unfinished"
	LostEdits   = "edits" // edits of a file that is gone or another one now
	Miscounted  = "count" // the counter of the quota
	Unreachable = "unreachable"
)

// Problem is one thing that Fsck found.
type Problem struct {
	Kind     string
	Place    string // below the directory of the store
	Name     string // of the file, where it is one
	Version  uint64 // of a kept version; 0 otherwise
	Detail   string
	Err      error // a *pxi.CorruptError with all faults, for damaged content
	Repaired bool
}

// Harmless reports that nothing of the user's is concerned.
func (p Problem) Harmless() bool {
	return p.Repaired || p.Kind == Leftover || p.Kind == Unfinished || p.Kind == Miscounted
}

func (p Problem) String() string {
	where := p.Place
	if p.Name != "" {
		where = fmt.Sprintf("%q", p.Name)
		if p.Version != 0 {
			where += fmt.Sprintf(" version %d", p.Version)
		}
	}
	s := fmt.Sprintf("%s: %s: %s", p.Kind, where, p.Detail)
	if p.Repaired {
		s += " (repaired)"
	}
	return s
}

// Report is what Fsck found.
type Report struct {
	Files    int64 // current files
	Versions int64
	Trash    int64 // pixel files in the trash
	Bytes    int64 // read and checked
	Problems []Problem
}

// OK reports that nothing that was stored is damaged, lost or in doubt.
func (r *Report) OK() bool {
	for _, p := range r.Problems {
		if !p.Harmless() {
			return false
		}
	}
	return true
}

// fsck is one run.
type fsck struct {
	s        *Store
	ctx      context.Context
	rep      *Report
	total    int64
	progress func(done, total int64, name string)
	repair   bool
}

// Fsck looks at everything in the store's directory: each file, version and thing in the
// trash is read to the last byte, and what does not belong there is named. With repair
// it completes or clears away what crashes left and counts the quota anew; it never
// removes content. progress, when not nil, gets bytes of files.
func (s *Store) Fsck(ctx context.Context, progress func(done, total int64, name string), repair bool) (*Report, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	c := &fsck{s: s, ctx: ctx, rep: &Report{}, progress: progress, repair: repair}
	err := error(nil)
	if repair {
		err = s.writable()
	}
	if err == nil {
		err = c.run()
	}
	return c.rep, pathError("fsck", ".", err)
}

func (c *fsck) run() error {
	if c.repair {
		c.finishIntent()
		if err := c.s.clearUp(); err != nil {
			return err
		}
	} else if c.s.exists(intentPlace) {
		c.add(Problem{Kind: Unfinished, Place: intentPlace, Detail: "a change of several steps was interrupted; the next change of the store completes it"})
	}
	u, err := c.s.count()
	if err != nil {
		return err
	}
	c.total = u.bytes
	if err := c.tree(".", ".", 0); err != nil {
		return err
	}
	if err := c.versions(versionDir, ""); err != nil {
		return err
	}
	if err := c.trash(); err != nil {
		return err
	}
	if err := c.own(); err != nil {
		return err
	}
	return c.counter()
}

func (c *fsck) add(p Problem) { c.rep.Problems = append(c.rep.Problems, p) }

// finishIntent completes an interrupted change, or sets its record aside where that
// cannot be done, so that the store can be used again.
func (c *fsck) finishIntent() {
	if !c.s.exists(intentPlace) {
		return
	}
	p := Problem{Kind: Unfinished, Place: intentPlace, Detail: "a change of several steps was interrupted"}
	if err := c.s.locked(func() error { return nil }); err == nil {
		p.Repaired = true
	} else {
		p.Kind, p.Err, p.Detail = BadRecord, err, "an interrupted change cannot be completed: "+err.Error()
		if id, e := c.s.newID(); e == nil && c.s.fsys.Rename(intentPlace, asideDir+"/"+id+".intent") == nil {
			p.Detail += "; its record was set aside"
			c.s.syncAll(asideDir, meta)
		}
	}
	c.add(p)
}

// tree checks the files and directories below root.
func (c *fsck) tree(root, dir string, depth int) error {
	list, err := c.s.fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, e := range list {
		if e.IsDir() {
			dirs[e.Name()] = true
		}
	}
	for _, e := range list {
		if err := canceled(c.ctx); err != nil {
			return err
		}
		p := path.Join(dir, e.Name())
		if p == meta {
			continue
		}
		part, file, ok := decodeEntry(e.Name())
		switch {
		case disk.IsTemp(e.Name()):
			c.add(Problem{Kind: Leftover, Place: p, Detail: "a temporary file"})
		case e.Type()&fs.ModeSymlink != 0:
			c.add(Problem{Kind: Foreign, Place: p, Detail: "a symbolic link; the store never follows one"})
		case !e.IsDir() && !e.Type().IsRegular():
			c.add(Problem{Kind: Foreign, Place: p, Detail: "neither a file nor a directory"})
		case e.IsDir() && file, !e.IsDir() && !file, !ok:
			c.add(Problem{Kind: Foreign, Place: p, Detail: foreignDetail(e, file)})
		case depth >= MaxDepth:
			c.add(Problem{Kind: Unreachable, Place: p, Detail: fmt.Sprintf("it is more than %d directories deep", MaxDepth)})
		case e.IsDir():
			if err := c.tree(root, p, depth+1); err != nil {
				return err
			}
		default:
			if dirs[strings.TrimSuffix(e.Name(), Suffix)] {
				c.add(Problem{Kind: Twin, Place: p, Detail: fmt.Sprintf("a directory called %q stands beside it; only the file is seen", part)})
			}
			c.rep.Files++
			rel := p
			if root != "." {
				rel = strings.TrimPrefix(p, root+"/")
			}
			name, err := Decode(strings.TrimSuffix(rel, Suffix))
			if err != nil {
				c.add(Problem{Kind: Unreachable, Place: p, Detail: err.Error()})
			}
			if err := c.file(p, name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func foreignDetail(e fs.DirEntry, file bool) string {
	switch {
	case e.IsDir() && file:
		return "a directory whose name is that of a file"
	case !e.IsDir() && !file:
		return "a file without the suffix .pxi"
	}
	_, err := decodePart(strings.TrimSuffix(e.Name(), Suffix))
	return fmt.Sprintf("the store gives no such name: %v", err)
}

// file reads one pixel file.
func (c *fsck) file(place, name string, version uint64) error {
	before := c.rep.Bytes
	var length int64
	if info, err := c.s.fsys.Lstat(place); err == nil {
		length = info.Size()
	}
	rep, err := c.s.check(c.ctx, place, func(done, total int64) {
		if c.progress != nil && total > 0 {
			c.progress(before+int64(float64(length)*float64(done)/float64(total)), c.total, name)
		}
	})
	c.rep.Bytes = before + length
	if c.progress != nil {
		c.progress(c.rep.Bytes, max(c.total, c.rep.Bytes), name)
	}
	if e := canceled(c.ctx); e != nil {
		return e
	}
	if err == nil {
		err = rep.Err()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went while the check went on
	}
	if err != nil {
		c.add(Problem{Kind: BadContent, Place: place, Name: name, Version: version, Detail: err.Error(), Err: err})
	}
	return nil
}

// versions checks the kept versions below a directory; root is where their tree starts.
func (c *fsck) versions(root, enc string) error {
	list, err := c.s.fsys.ReadDir(path.Join(root, enc))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := canceled(c.ctx); err != nil {
			return err
		}
		p := path.Join(enc, e.Name())
		place := path.Join(root, p)
		switch {
		case e.IsDir():
			err = c.versions(root, p)
		case !e.Type().IsRegular():
			c.add(Problem{Kind: Foreign, Place: place, Detail: "not a regular file"})
		default:
			v, gone, ok := parseVersion(e.Name())
			if !ok || !strings.HasSuffix(enc, Suffix) && enc != "" {
				c.add(Problem{Kind: Foreign, Place: place, Detail: "no version of a file"})
				continue
			}
			if gone {
				continue
			}
			c.rep.Versions++
			name, err := Decode(strings.TrimSuffix(enc, Suffix))
			if err != nil {
				name = ""
			}
			if err := c.file(place, name, v); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *fsck) trash() error {
	list, err := c.s.fsys.ReadDir(trashDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		p := trashDir + "/" + e.Name()
		if !e.IsDir() {
			c.add(Problem{Kind: Foreign, Place: p, Detail: "the store did not make it"})
			continue
		}
		t, ok := c.s.trashed(e.Name())
		if !ok {
			pr := Problem{Kind: Leftover, Place: p, Detail: "a removal that did not come about"}
			if c.repair && !c.s.anyPixels(p) {
				pr.Repaired = c.s.locked(func() error {
					if _, ok := c.s.trashed(e.Name()); ok {
						return ErrBusy
					}
					return c.s.fsys.RemoveAll(p)
				}) == nil
			}
			c.add(pr)
			continue
		}
		if t.damaged != nil {
			c.add(Problem{Kind: BadRecord, Place: p + "/" + infoName, Detail: "the record of what was trashed: " + t.damaged.Error(), Err: t.damaged})
		}
		before := c.rep.Files + c.rep.Versions
		if t.Dir {
			err = c.tree(p+"/"+contentName, p+"/"+contentName, 0)
		} else {
			c.rep.Files++
			err = c.file(p+"/"+contentName+Suffix, t.Name, 0)
		}
		if err == nil {
			err = c.versions(p+"/"+oldName, "")
		}
		if err != nil {
			return err
		}
		n := c.rep.Files + c.rep.Versions - before
		c.rep.Trash += n
	}
	return nil
}

// anyPixels reports whether a directory holds content beside a record.
func (s *Store) anyPixels(dir string) bool {
	var u usage
	return s.countBelow(dir, &u, 0) != nil || u.files > 0
}

// own checks what is the store's own beside versions and trash.
func (c *fsck) own() error {
	s := c.s
	list, err := s.fsys.ReadDir(meta)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known := map[string]bool{lockPlace: true, formatPlace: true, intentPlace: true, usagePlace: true, reservePlace: true, overlayPlace: true, overlayLock: true}
	for _, d := range metaDirs {
		known[d] = true
	}
	for _, e := range list {
		p := meta + "/" + e.Name()
		switch {
		case disk.IsTemp(p):
			c.add(Problem{Kind: Leftover, Place: p, Detail: "a temporary file", Repaired: c.repair && s.fsys.Remove(p) == nil})
		case !known[p] || e.Type()&fs.ModeSymlink != 0:
			c.add(Problem{Kind: Foreign, Place: p, Detail: "the store did not make it"})
		}
	}
	if _, err := s.readSmall(formatPlace); err != nil {
		c.add(Problem{Kind: BadRecord, Place: formatPlace, Detail: err.Error(), Err: err})
	}
	records, err := s.fsys.ReadDir(removedDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range records {
		p := removedDir + "/" + e.Name()
		data, err := s.readSmall(p)
		if err == nil && !json.Valid(data) {
			err = errors.New("it is no JSON")
		}
		if err != nil {
			c.add(Problem{Kind: BadRecord, Place: p, Detail: err.Error(), Err: err})
		}
	}
	aside, err := s.fsys.ReadDir(asideDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range aside {
		c.add(Problem{Kind: LostEdits, Place: asideDir + "/" + e.Name(), Detail: "set aside: it belongs to content that is gone or was changed from outside"})
	}
	return s.visitFiles(editDir, func(p string) error {
		place := strings.TrimPrefix(p, editDir+"/")
		name, err := Decode(strings.TrimSuffix(place, Suffix))
		if err != nil {
			c.add(Problem{Kind: Foreign, Place: p, Detail: err.Error()})
			return nil
		}
		if s.exists(leaseDir + "/" + place) {
			return nil // somebody may be at it
		}
		c.add(Problem{Kind: Unfinished, Place: p, Name: name, Detail: "synced edits that are not committed; the next writer commits them"})
		return nil
	})
}

// counter compares the counter of the quota with what is there.
func (c *fsck) counter() error {
	s := c.s
	if !s.exists(usagePlace) {
		return nil
	}
	look := func() error {
		have, err := s.readUsage()
		real, e := s.count()
		if e != nil {
			return e
		}
		if err == nil && have == real {
			return nil
		}
		p := Problem{Kind: Miscounted, Place: usagePlace, Detail: fmt.Sprintf("the counter says %d bytes in %d files, there are %d bytes in %d", have.bytes, have.files, real.bytes, real.files)}
		if c.repair {
			p.Repaired = s.writeUsage(real, false) == nil
		}
		c.add(p)
		return nil
	}
	if c.repair {
		return s.locked(look)
	}
	return look()
}
