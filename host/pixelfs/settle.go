package pixelfs

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pxos/pxos/host/disk"
)

// settle makes sure that no edit is between a name and its end or change: edits of this
// process become a file, those of dead processes too, and those of living ones are ErrBusy.
// It runs within the lock.
func (s *Store) settle(name, place string) error {
	if n := s.node(name); n != nil && n.leased() {
		return n.settle()
	}
	if err := s.leaseFree(place); err != nil {
		return err
	}
	return s.recoverLog(name, place)
}

// settleBelow is settle for everything in a directory.
func (s *Store) settleBelow(dir, enc string) error {
	for _, n := range s.nodesBelow(dir) {
		if n.leased() {
			if err := n.settle(); err != nil {
				return err
			}
		}
	}
	err := s.visitFiles(leaseDir+"/"+enc, func(p string) error {
		place := strings.TrimPrefix(p, leaseDir+"/")
		if n := s.nodeAt(place); n != nil && n.leased() {
			return nil
		}
		return s.leaseFree(place)
	})
	if err != nil {
		return err
	}
	return s.visitFiles(editDir+"/"+enc, func(p string) error {
		place := strings.TrimPrefix(p, editDir+"/")
		name, err := Decode(strings.TrimSuffix(place, Suffix))
		if err != nil {
			return nil
		}
		if n := s.node(name); n != nil && n.leased() {
			return nil
		}
		return s.recoverLog(name, place)
	})
}

// visitFiles calls fn for each file below a directory of the store's own.
func (s *Store) visitFiles(dir string, fn func(place string) error) error {
	list, err := s.fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		p := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			err = s.visitFiles(p, fn)
		case e.Type().IsRegular():
			err = fn(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) node(name string) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[name]
}

func (s *Store) nodeAt(place string) *node {
	name, err := Decode(strings.TrimSuffix(place, Suffix))
	if err != nil {
		return nil
	}
	return s.node(name)
}

func (s *Store) nodesBelow(dir string) []*node {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*node
	for name, n := range s.nodes {
		if within(name, dir) {
			out = append(out, n)
		}
	}
	return out
}

func (n *node) leased() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.lease != nil
}

// unlink takes a name from the node that stands for it, unless that is self.
func (s *Store) unlink(name string, self *node) {
	s.mu.Lock()
	n := s.nodes[name]
	if n == nil || n == self {
		s.mu.Unlock()
		return
	}
	delete(s.nodes, name)
	s.mu.Unlock()
	n.detach()
}

// leaseFree fails with ErrBusy where another process edits the file.
func (s *Store) leaseFree(place string) error {
	p := leaseDir + "/" + place
	if there, err := s.has(p); err != nil || !there {
		return err
	}
	l, err := s.fsys.Lock(p, disk.Exclusive)
	if errors.Is(err, disk.ErrLocked) {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	s.fsys.Remove(p)
	return l.Close()
}

// recoverLog makes a file of what a dead process had synced. It runs within the lock,
// and nobody holds the lease.
func (s *Store) recoverLog(name, place string) error {
	p := editDir + "/" + place
	if there, err := s.has(p); err != nil || !there {
		return err
	}
	log, err := s.openLog(place)
	if err != nil {
		return err
	}
	if log == nil {
		return s.removeLog(place)
	}
	f, err := s.openFile(name, place)
	if err != nil {
		log.close()
		if errors.Is(err, fs.ErrNotExist) {
			return s.setAside(name, p)
		}
		return err
	}
	defer f.Close()
	if !log.fits(f) {
		log.close()
		if log.folded && log.into == f.info.Digest {
			return s.removeLog(place)
		}
		return s.setAside(name, p)
	}
	if err := f.layer(log); err != nil {
		log.close()
		return err
	}
	opt := PutOptions{Compression: f.r.Header().Compression, Width: f.info.Width, Hint: f.info.Size, Modified: f.info.Modified}
	st, err := s.stage(nil, f.whole(nil), opt, 0)
	if err != nil {
		return err
	}
	kept := log.kept || s.scratch(name)
	if _, err := s.commitOne(&change{name: name, place: place, st: st, settled: true, nokeep: kept}); err != nil {
		return err
	}
	return s.removeLog(place)
}

// removeLog removes the log of edits of a file, durably: were it to come back after a
// power loss, it might fit a later content of the file by chance, such as none.
func (s *Store) removeLog(place string) error {
	p := editDir + "/" + place
	if err := s.fsys.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.fsys.SyncDir(path.Dir(p))
}

// setAside puts away a log whose file is gone or is another one now. It is not needed
// after a crash between two steps, and may be all there is left after a change from outside.
func (s *Store) setAside(name, p string) error {
	if s.scratch(name) {
		return s.removeLog(strings.TrimPrefix(p, editDir+"/"))
	}
	id, err := s.newID()
	if err != nil {
		return err
	}
	if err := s.fsys.Rename(p, asideDir+"/"+id+".edits"); err != nil {
		return err
	}
	return s.syncAll(asideDir, path.Dir(p))
}

// recoverBelow recovers what it can of a directory. It runs within the lock.
func (s *Store) recoverBelow(dir string) {
	root := editDir
	if dir != "." {
		enc, err := encode(dir)
		if err != nil {
			return
		}
		root += "/" + enc
	}
	s.visitFiles(root, func(p string) error {
		place := strings.TrimPrefix(p, editDir+"/")
		name, err := Decode(strings.TrimSuffix(place, Suffix))
		if err == nil && s.leaseFree(place) == nil {
			s.recoverLog(name, place)
		}
		return nil
	})
}
