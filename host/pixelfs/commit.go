package pixelfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// change is one name that gets new content.
type change struct {
	name    string
	place   string
	st      *staged
	opt     PutOptions
	parents bool // make missing directories
	settled bool // nobody else edits the file
	nokeep  bool // what is replaced is no version of its own
	done    func(Info, error)

	self *node // the edit whose content this is; any other of the name ends

	old     *header // what the name held; nil where it was free
	renamed bool    // the new content has the name, durably or not
	version uint64  // of the old content, or of the new where there is none
	keep    string  // place of the version that the old content becomes
}

// commitQueue gathers changes that arrive together, so that they share lock and directory syncs.
type commitQueue struct {
	mu      sync.Mutex
	waiting []*change
	running bool
}

const maxBatch = 256

// submit hands a change to the queue; its done is called from another goroutine.
func (s *Store) submit(c *change) {
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, c)
	if !q.running {
		q.running = true
		go s.drain()
	}
}

func (s *Store) drain() {
	q := &s.queue
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		// Names differ within a batch, so that each change sees what the one before
		// it left.
		names := map[string]bool{}
		n := 0
		for n < len(q.waiting) && n < maxBatch && !names[q.waiting[n].name] {
			names[q.waiting[n].name] = true
			n++
			if s.caseless {
				break
			}
		}
		batch := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		q.mu.Unlock()
		s.commit(batch)
	}
}

// commit carries out changes of different names. Each succeeds or fails for itself.
func (s *Store) commit(batch []*change) {
	errs := make([]error, len(batch))
	infos := make([]Info, len(batch))
	err := s.locked(func() error {
		s.commitLocked(batch, infos, errs)
		return nil
	})
	for i, c := range batch {
		if err != nil {
			errs[i] = err
			c.st.drop(false)
		}
		c.done(infos[i], errs[i])
	}
}

// commitOne is commit for one change, within the lock.
func (s *Store) commitOne(c *change) (Info, error) {
	infos, errs := make([]Info, 1), make([]error, 1)
	s.commitLocked([]*change{c}, infos, errs)
	return infos[0], errs[0]
}

func (s *Store) commitLocked(batch []*change, infos []Info, errs []error) {
	dirs := dirSet{}
	var grow usage
	for i, c := range batch {
		if errs[i] = s.prepare(c, &grow); errs[i] == nil && c.keep != "" {
			dirs.add(path.Dir(c.keep))
		}
	}
	// The kept versions are durable before anything takes the place of their content.
	bad := s.syncDirs(dirs)
	for i, c := range batch {
		if errs[i] == nil && c.keep != "" {
			errs[i] = bad[path.Dir(c.keep)]
		}
	}
	counter, err := s.beginUsage()
	if err != nil {
		fill(errs, err)
	}
	dirs = dirSet{}
	var grown usage
	for i, c := range batch {
		if errs[i] != nil {
			continue
		}
		if errs[i] = s.fsys.Rename(c.st.temp, c.place); errs[i] == nil {
			c.renamed = true
			grown.add(c.growth())
			dirs.add(path.Dir(c.place))
			s.unlink(c.name, c.self)
		}
	}
	bad = s.syncDirs(dirs)
	for i, c := range batch {
		if c.renamed {
			errs[i] = bad[path.Dir(c.place)]
		}
		c.st.drop(c.renamed)
		if errs[i] == nil {
			infos[i] = c.info()
		}
	}
	s.endUsage(counter, grown)
}

func fill(errs []error, err error) {
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
}

// growth is what a change adds to the use of the store.
func (c *change) growth() usage {
	u := usage{bytes: c.st.stored, files: 1}
	if c.old != nil && c.keep == "" {
		u.bytes -= c.old.stored
		u.files--
	}
	return u
}

func (c *change) info() Info {
	h := c.st.header
	v := c.version
	if c.keep != "" {
		v++
	}
	return Info{
		Name: c.name, Size: int64(h.Size), Modified: c.st.time, Digest: h.Sum, Version: v,
		Width: h.Width, Height: h.Height, Compression: h.Compression, Stored: c.st.stored,
	}
}

// prepare checks a change and links the old content among the versions.
func (s *Store) prepare(c *change, grow *usage) error {
	mode := needDirs
	if c.parents {
		mode = makeDirs
	}
	if err := s.dirFor(parent(c.name), mode); err != nil {
		return err
	}
	if !c.settled {
		if err := s.settle(c.name, c.place); err != nil {
			return err
		}
	}
	if err := s.notDir(c.name); err != nil {
		return err
	}
	old, err := s.header(c.place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case c.opt.Exclusive:
		return fs.ErrExist
	default:
		c.old = old
		if err := s.notTwin(c.place); err != nil {
			return err
		}
	}
	kept, err := s.lastVersion(c.place)
	if err != nil {
		return err
	}
	c.version = kept + 1
	if c.opt.IfVersion != 0 && (c.old == nil || c.opt.IfVersion != c.version) {
		return ErrVersion
	}
	same := c.old != nil && c.old.valid && c.old.Sum == c.st.header.Sum && c.old.Size == c.st.header.Size
	if c.old != nil && !same && !c.nokeep && !s.scratch(c.name) {
		c.keep = versionPlace(c.place, c.version)
	}
	next := *grow
	next.add(c.growth())
	if err := s.admit(next, c.st.held); err != nil {
		return err
	}
	*grow = next
	if c.keep == "" {
		return nil
	}
	return s.keepAs(c.place, c.keep)
}

// keepAs gives the content at place a second name among the versions. The caller syncs
// the directory.
func (s *Store) keepAs(place, version string) error {
	if err := s.durable(path.Dir(version)); err != nil {
		return err
	}
	err := s.fsys.Link(place, version)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) || disk.IsFull(err) || errors.Is(err, fs.ErrInvalid) {
		return err
	}
	// A file system without links: the version is a copy.
	if e := s.copyFile(place, version); e != nil {
		return fmt.Errorf("keep the old version: %w", errors.Join(err, e))
	}
	return nil
}

// What dirFor does beside looking.
type dirWork int

const (
	lookDirs dirWork = iota
	needDirs         // make the names durable
	makeDirs         // and make what is missing
)

// dirFor checks that dir is a directory all the way from the root, none of it a link.
func (s *Store) dirFor(dir string, work dirWork) error {
	if dir == "." {
		return nil
	}
	enc, err := encode(dir)
	if err != nil {
		return err
	}
	for i := 0; i <= len(enc); i++ {
		if i < len(enc) && enc[i] != '/' {
			continue
		}
		d := enc[:i]
		info, err := s.fsys.Lstat(d)
		switch {
		case err == nil && !info.IsDir():
			return ErrForeign
		case err == nil:
			if s.caseless {
				if err := s.notTwin(d); err != nil {
					return err
				}
			}
			if work != lookDirs {
				if err := s.durableName(d, info); err != nil {
					return err
				}
			}
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if there, err := s.has(d + Suffix); err != nil {
			return err
		} else if there {
			return ErrNotDir
		}
		if work != makeDirs {
			return fs.ErrNotExist
		}
		if err := s.fsys.Mkdir(d); err != nil {
			return err
		}
		if info, err = s.fsys.Lstat(d); err != nil {
			return err
		}
		if err := s.durableName(d, info); err != nil {
			return err
		}
	}
	return nil
}

// notDir fails where a directory has the name.
func (s *Store) notDir(name string) error {
	enc, err := encode(name)
	if err != nil {
		return err
	}
	switch info, err := s.fsys.Lstat(enc); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return ErrIsDir
	}
	return ErrForeign
}

// notTwin fails where an existing place is found under another spelling. It looks only
// on disks that do not tell cases apart.
func (s *Store) notTwin(place string) error {
	if !s.caseless {
		return nil
	}
	list, err := s.fsys.ReadDir(path.Dir(place))
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == path.Base(place) {
			return nil
		}
	}
	return ErrTwin
}

type dirSet map[string]bool

func (d dirSet) add(dir string) { d[dir] = true }

// syncDirs syncs directories side by side and returns the errors by directory.
func (s *Store) syncDirs(dirs dirSet) map[string]error {
	var mu sync.Mutex
	bad := map[string]error{}
	sync1 := func(d string) {
		if err := s.fsys.SyncDir(d); err != nil {
			mu.Lock()
			bad[d] = err
			mu.Unlock()
		}
	}
	if len(dirs) < 3 {
		for d := range dirs {
			sync1(d)
		}
		return bad
	}
	var wg sync.WaitGroup
	room := make(chan struct{}, 8)
	for d := range dirs {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			sync1(d)
		})
	}
	wg.Wait()
	return bad
}

// syncAll syncs directories and gives the first error.
func (s *Store) syncAll(dirs ...string) error {
	set := dirSet{}
	for _, d := range dirs {
		set.add(d)
	}
	for _, err := range s.syncDirs(set) {
		return err
	}
	return nil
}

// header is what is known of a file before its data are read.
type header struct {
	pxi.Header
	stored int64
	info   fs.FileInfo
	kind   pxi.Kind
	valid  bool  // the header could be read
	err    error // why not
}
