package pixelfs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// MaxSize is the largest file, in bytes.
const MaxSize = 1 << 44

// Quota limits what a store may hold, everything counted: files, versions and trash. A zero is no limit.
type Quota struct {
	Bytes int64 // as stored on the disk
	Files int64 // pixel files, each version and each file in the trash counted
}

// Options of a store. The zero value is a writable store without quota that keeps everything.
type Options struct {
	Quota Quota
	// Compression of files that are written with PutOptions zero. The zero value is
	// none, which every reader of the format can read.
	Compression pxi.Compression
	// Retention, when not zero, is applied by itself, with a record as Prune leaves it,
	// at the moment when a write would go over the quota.
	Retention Retention
	// ReadOnly opens the directory without changing it in any way, also one that is
	// no store yet: any directory with .pxi files.
	ReadOnly bool
	// Scratch names files whose earlier content is not worth keeping, such as the
	// rollback journals of a database: what is removed or replaced there is gone.
	// It may be called by many goroutines.
	Scratch func(name string) bool
	// Now is the clock of the trash, of records and of handles; nil means time.Now.
	Now func() time.Time
}

// Store is a directory of pixel files. Its methods may be called by many goroutines at once.
type Store struct {
	fsys disk.FS
	opt  Options

	ns sync.Mutex // orders what changes names; before node.mu, before mu

	mu       sync.Mutex
	nodes    map[string]*node       // open edits by name
	known    map[string]fs.FileInfo // directories whose names are durable
	session  string
	alive    io.Closer // lock on the session's file
	temps    uint64
	caseless bool
	closed   bool

	queue    commitQueue
	inflight atomic.Int64 // bytes being written that no commit has counted
	used     atomic.Int64 // bytes in use as last seen
	seen     atomic.Bool  // used and files were read at least once
}

// Places below the directory.
const (
	lockPlace     = meta + "/lock"
	formatPlace   = meta + "/format.pxi"
	intentPlace   = meta + "/intent.pxi"
	usagePlace    = meta + "/usage"
	reservePlace  = meta + "/reserve"
	tempDir       = meta + "/tmp"
	versionDir    = meta + "/versions"
	trashDir      = meta + "/trash"
	leaseDir      = meta + "/leases"
	editDir       = meta + "/edits"
	removedDir    = meta + "/removed"
	asideDir      = meta + "/aside"
	formatVersion = 1
)

var metaDirs = []string{tempDir, versionDir, trashDir, leaseDir, editDir, removedDir, asideDir}

// Open opens the store in a directory; an empty directory becomes one. What a
// crash left is completed or cleared away as far as no living process owns it.
func Open(fsys disk.FS, opt Options) (*Store, error) {
	s := &Store{fsys: fsys, opt: opt, nodes: map[string]*node{}, known: map[string]fs.FileInfo{}}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	if err := s.checkFormat(); err != nil {
		return nil, fmt.Errorf("open the pixel store: %w", err)
	}
	if opt.ReadOnly {
		s.probeCase()
		return s, nil
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	s.session = hex.EncodeToString(id[:])
	alive, err := fsys.Lock(tempDir+"/"+s.session+".lock", disk.Exclusive)
	if err != nil {
		return nil, fmt.Errorf("open the pixel store: %w", err)
	}
	s.alive = alive
	s.probeCase()
	if err := s.clearUp(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the pixel store: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) probeCase() {
	_, err := s.fsys.Lstat(strings.ToUpper(meta))
	s.caseless = err == nil
}

// checkFormat refuses a store of a newer form, and makes a new one.
func (s *Store) checkFormat() error {
	data, err := s.readSmall(formatPlace)
	if err == nil {
		var f struct {
			PixelFS int `json:"pixelfs"`
		}
		if err := json.Unmarshal(data, &f); err != nil || f.PixelFS < 1 {
			return fmt.Errorf("%s is not valid", formatPlace)
		}
		if f.PixelFS > formatVersion {
			return &pxi.UnsupportedError{ID: "FS-01", Msg: fmt.Sprintf("the store has form %d; this version knows form %d", f.PixelFS, formatVersion)}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.opt.ReadOnly {
		return nil
	}
	for _, d := range metaDirs {
		if err := s.fsys.MkdirAll(d); err != nil {
			return err
		}
	}
	if err := s.fsys.SyncDir(meta); err != nil {
		return err
	}
	if err := s.fsys.SyncDir("."); err != nil {
		return err
	}
	if err := s.writeSmall(formatPlace, []byte(`{"pixelfs":1}`)); err != nil {
		return err
	}
	s.fillReserve()
	return nil
}

// Close ends the store's use of the directory. Edits that are still open are committed
// and can no longer be used.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	var open []*node
	for _, n := range s.nodes {
		open = append(open, n)
	}
	s.mu.Unlock()
	var errs []error
	for _, n := range open {
		errs = append(errs, n.shut())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.alive != nil {
		errs = append(errs, s.fsys.Remove(tempDir+"/"+s.session+".lock"), s.alive.Close())
		s.alive = nil
	}
	return errors.Join(errs...)
}

// writable is checked at the start of whatever changes the store.
func (s *Store) writable() error {
	if s.opt.ReadOnly {
		return ErrReadOnly
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fs.ErrClosed
	}
	return nil
}

// locked runs fn alone among all that change names, in any process.
func (s *Store) locked(fn func() error) error {
	s.ns.Lock()
	defer s.ns.Unlock()
	l, err := s.fsys.Lock(lockPlace, disk.Exclusive|disk.Wait)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := s.redo(); err != nil {
		return fmt.Errorf("complete what a crash interrupted: %w", err)
	}
	return fn()
}

// temp gives a name for a new file that a crash of this process makes removable.
func (s *Store) temp() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temps++
	return tempDir + "/" + s.session + "-" + strconv.FormatUint(s.temps, 10)
}

// clearUp removes temporary files of dead processes and commits their edits.
func (s *Store) clearUp() error {
	list, err := s.fsys.ReadDir(tempDir)
	if err != nil {
		return err
	}
	for _, e := range list {
		id, ok := strings.CutSuffix(e.Name(), ".lock")
		if !ok || id == s.session {
			continue
		}
		l, err := s.fsys.Lock(tempDir+"/"+e.Name(), disk.Exclusive)
		if err != nil {
			continue // alive, or not ours to judge
		}
		clean := true
		for _, t := range list {
			if strings.HasPrefix(t.Name(), id+"-") {
				clean = s.fsys.RemoveAll(tempDir+"/"+t.Name()) == nil && clean
			}
		}
		if clean {
			s.fsys.Remove(tempDir + "/" + e.Name())
		}
		l.Close()
	}
	// Only a hint that there is work to do: whether it can be done now (room on the
	// disk, a lease that somebody holds) decides nothing about opening.
	if s.anyBelow(editDir) || s.exists(intentPlace) {
		s.locked(func() error {
			s.recoverBelow(".")
			return nil
		})
	}
	return nil
}

// exists is for what is found out anew by the operation that follows.
func (s *Store) exists(place string) bool {
	_, err := s.fsys.Lstat(place)
	return err == nil
}

// has is for decisions: a disk that cannot tell is an error.
func (s *Store) has(place string) (bool, error) {
	_, err := s.fsys.Lstat(place)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// anyBelow reports whether a directory holds a file at any depth.
func (s *Store) anyBelow(dir string) bool {
	list, err := s.fsys.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range list {
		if !e.IsDir() || s.anyBelow(dir+"/"+e.Name()) {
			return true
		}
	}
	return false
}

// durable makes a directory of the store's own, with its names synced all the way up.
func (s *Store) durable(dir string) error {
	for d := dir; ; d = path.Dir(d) {
		if err := s.durableStep(d, dir); err != nil {
			return err
		}
		if d == "." || d == meta {
			return nil
		}
	}
}

func (s *Store) durableStep(d, whole string) error {
	info, err := s.fsys.Lstat(d)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.fsys.MkdirAll(whole); err != nil {
			return err
		}
		info, err = s.fsys.Lstat(d)
	}
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return ErrForeign
	case d == ".":
		return nil
	}
	return s.durableName(d, info)
}

// durableName syncs the directory that names d, unless this process has done so:
// whoever made d may have died before it came to that.
func (s *Store) durableName(d string, info fs.FileInfo) error {
	s.mu.Lock()
	known := s.known[d]
	s.mu.Unlock()
	if known != nil && os.SameFile(known, info) {
		return nil
	}
	if err := s.fsys.SyncDir(path.Dir(d)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= 4096 {
		clear(s.known)
	}
	s.known[d] = info
	return nil
}

// maxSmall bounds the store's own records.
const maxSmall = 16 << 20

// readSmall reads one of the store's own records.
func (s *Store) readSmall(place string) ([]byte, error) {
	f, err := s.fsys.OpenFile(place, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSmall {
		return nil, fmt.Errorf("%s is too large to be a record of the store", place)
	}
	r, err := pxi.NewReader(f, info.Size())
	if err != nil {
		return nil, err
	}
	if r.Size() > maxSmall {
		return nil, fmt.Errorf("%s is too large to be a record of the store", place)
	}
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// writeSmall stores one of the store's own records durably.
func (s *Store) writeSmall(place string, data []byte) error {
	enc, err := pxi.Encode(data, pxi.Options{Width: 64})
	if err != nil {
		return err
	}
	return disk.WriteFile(s.fsys, place, func(f disk.File) error {
		_, err := f.Write(enc)
		return err
	})
}

func (s *Store) now() time.Time { return s.opt.Now() }

func (s *Store) scratch(name string) bool { return s.opt.Scratch != nil && s.opt.Scratch(name) }

// canceled gives the error of a context that has ended; nil contexts never end.
func canceled(ctx context.Context) error {
	if ctx == nil {
		return nil
	}
	return context.Cause(ctx)
}
