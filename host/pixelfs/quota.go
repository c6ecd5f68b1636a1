package pixelfs

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path"
	"strings"
)

// usage is what a store takes on the disk.
type usage struct{ bytes, files int64 }

func (u *usage) add(v usage) {
	u.bytes += v.bytes
	u.files += v.files
}

// The counter is one small file, changed in place under the lock: magic, busy flag,
// bytes, files, CRC-32C. A busy counter was left by a crash and is counted anew.
const usageSize = 32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *Store) limited() bool { return s.opt.Quota != Quota{} }

// reserve counts n bytes that are being written, and fails early when they cannot all stay.
func (s *Store) reserve(n, credit int64) error {
	return s.early(s.inflight.Add(n), credit)
}

// early fails when n bytes more than are in use cannot stay. It is a hint that costs
// little: the commit decides.
func (s *Store) early(n, credit int64) error {
	most := s.opt.Quota.Bytes
	switch {
	case most <= 0:
		return nil
	case n > most:
		return ErrQuota
	case !s.opt.Retention.zero():
		return nil // what is in the way may go when it comes to the commit
	}
	over := func() bool { return s.used.Load()+n-credit > most }
	if !s.seen.Load() || over() {
		// Others may have made room since this process looked.
		if err := s.glance(); err != nil {
			return err
		}
	}
	if over() {
		return ErrQuota
	}
	return nil
}

// glance reads the counter without the lock, also in the middle of a change.
func (s *Store) glance() error {
	u, _, err := s.loadUsage()
	if err != nil {
		if u, err = s.count(); err != nil {
			return err
		}
	}
	s.used.Store(u.bytes)
	s.seen.Store(true)
	return nil
}

// admit checks, within the lock, that the store may grow by what a commit adds.
func (s *Store) admit(grow usage, held int64) error {
	if !s.limited() {
		return nil
	}
	u, err := s.readUsage()
	if err != nil {
		if u, err = s.count(); err != nil {
			return err
		}
		if err := s.writeUsage(u, false); err != nil {
			return err
		}
	}
	over := func(u usage) bool {
		q := s.opt.Quota
		return q.Bytes > 0 && grow.bytes > 0 && u.bytes+grow.bytes > q.Bytes ||
			q.Files > 0 && grow.files > 0 && u.files+grow.files > q.Files
	}
	if over(u) && !s.opt.Retention.zero() {
		if _, err := s.prune(nil, s.opt.Retention, "quota"); err != nil {
			return err
		}
		if u, err = s.readUsage(); err != nil {
			return err
		}
	}
	s.used.Store(u.bytes)
	s.seen.Store(true)
	if over(u) {
		return ErrQuota
	}
	return nil
}

// counter is the state of the counter while names change; off where nobody counts.
type counter struct {
	usage
	on bool
}

// beginUsage marks the counter as being changed.
func (s *Store) beginUsage() (counter, error) {
	u, err := s.readUsage()
	if err != nil {
		if !s.limited() {
			// There is none, or one that those who need it will count anew.
			return counter{}, nil
		}
		if u, err = s.count(); err != nil {
			return counter{}, err
		}
	}
	return counter{u, true}, s.writeUsage(u, true)
}

// endUsage adds what was committed. When it fails the counter stays busy, and is
// counted anew by the next who needs it.
func (s *Store) endUsage(c counter, grown usage) {
	if !c.on {
		return
	}
	c.add(grown)
	if s.writeUsage(c.usage, false) == nil {
		s.used.Store(c.bytes)
	}
}

var errBusyCounter = errors.New("the counter of the quota was left in the middle of a change")

func (s *Store) readUsage() (usage, error) {
	u, busy, err := s.loadUsage()
	if err == nil && busy {
		err = errBusyCounter
	}
	return u, err
}

func (s *Store) loadUsage() (u usage, busy bool, err error) {
	f, err := s.fsys.OpenFile(usagePlace, os.O_RDONLY)
	if err != nil {
		return u, false, err
	}
	defer f.Close()
	var b [usageSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return u, false, err
	}
	if string(b[:4]) != "PXUS" || crc32.Checksum(b[:28], castagnoli) != binary.BigEndian.Uint32(b[28:]) {
		return u, false, errors.New("the counter of the quota is damaged")
	}
	u.bytes = int64(binary.BigEndian.Uint64(b[8:]))
	u.files = int64(binary.BigEndian.Uint64(b[16:]))
	return u, b[4] != 0, nil
}

func (s *Store) writeUsage(u usage, busy bool) error {
	f, err := s.fsys.OpenFile(usagePlace, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	b := make([]byte, 0, usageSize)
	b = append(b, "PXUS\x00\x00\x00\x00"...)
	if busy {
		b[4] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(max(u.bytes, 0)))
	b = binary.BigEndian.AppendUint64(b, uint64(max(u.files, 0)))
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

// count adds up the pixel files: current ones, versions and trash.
func (s *Store) count() (usage, error) {
	var u usage
	for _, root := range []string{".", versionDir, trashDir} {
		if err := s.countBelow(root, &u, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return u, err
		}
	}
	return u, nil
}

func (s *Store) countBelow(dir string, u *usage, depth int) error {
	list, err := s.fsys.ReadDir(dir)
	if err != nil || depth > 3*MaxDepth {
		return err
	}
	for _, e := range list {
		p := path.Join(dir, e.Name())
		switch {
		case p == meta:
		case e.IsDir():
			err = s.countBelow(p, u, depth+1)
		case path.Dir(path.Dir(p)) == trashDir && path.Base(p) == infoName:
		case e.Type().IsRegular() && strings.HasSuffix(p, Suffix):
			var info fs.FileInfo
			if info, err = s.fsys.Lstat(p); err == nil {
				u.bytes += info.Size()
				u.files++
			}
		}
		// Others may change the tree while it is counted without the lock.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
