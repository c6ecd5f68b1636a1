package storage

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/pixelfs"
)

func filesFamily() engine.Family {
	funcs := map[string]engine.Func{}
	for name, f := range map[string]func(s *Session, c *engine.Call) error{
		"open": fileOpen, "open_version": fileOpenVersion, "read": fileRead, "read_at": fileReadAt,
		"write": fileWrite, "write_at": fileWriteAt, "seek": fileSeek, "size": fileSize,
		"truncate": fileTruncate, "sync": fileSync, "close": fileClose,
		"stat": fileStat, "list": fileList, "mkdir": fileMkdir, "rename": fileRename, "trash": fileTrash,
		"verify": fileVerify, "versions": fileVersions, "restore": fileRestore,
	} {
		funcs[name] = body("pixelfs", f)
	}
	return engine.Family{Module: "pixelfs", Funcs: funcs}
}

// Flags of open.
const (
	flagRead = 1 << iota
	flagWrite
	flagCreate
	flagExclusive
	flagTruncate
	flagAppend
)

// content is what a handle reads from: an edited file, or an earlier version.
type content interface {
	io.ReaderAt
	Size() int64
}

// file is an open file of the family pixelfs.
type file struct {
	content
	edit   *opened // nil for an earlier version
	close  func() error
	read   bool
	write  bool
	append bool
	pos    int64
}

// piece is how much is moved before the next look at the deadline.
const piece = 1 << 20

// name takes a path parameter. What is too long is not copied.
func name(c *engine.Call, param int) (string, error) {
	if len(c.Bytes(param)) > pixelfs.MaxName+1 {
		return "", abi.CodeInvalid
	}
	return clean(c.Text(param))
}

func (s *Session) addFile(c *engine.Call, param int, f *file) error {
	c.SetU32(param, s.files.add(f))
	return nil
}

// file finds an open file that may be used as said.
func (s *Session) file(c *engine.Call, read, write bool) (*file, error) {
	f := s.files.list[c.U32(0)]
	if f == nil || read && !f.read || write && !f.write {
		return nil, abi.CodeBadHandle
	}
	return f, nil
}

func fileOpen(s *Session, c *engine.Call) error {
	flags := c.U32(1)
	switch {
	case flags >= 2*flagAppend, flags&(flagRead|flagWrite) == 0,
		flags&flagWrite == 0 && flags&(flagCreate|flagTruncate|flagAppend) != 0,
		flags&flagCreate == 0 && flags&flagExclusive != 0:
		return abi.CodeInvalid
	}
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	if !s.room() {
		return abi.CodeLimit
	}
	flag := os.O_RDONLY
	if flags&flagWrite != 0 {
		flag = os.O_RDWR
	}
	for _, f := range []struct {
		bit  uint32
		flag int
	}{{flagCreate, os.O_CREATE}, {flagExclusive, os.O_EXCL}, {flagTruncate, os.O_TRUNC}} {
		if flags&f.bit != 0 {
			flag |= f.flag
		}
	}
	e, err := s.tree.edit(path, flag)
	if err != nil {
		if errors.Is(err, pixelfs.ErrIsDir) && flags&flagExclusive != 0 {
			return abi.CodeExists
		}
		return err
	}
	return s.addFile(c, 2, &file{
		content: e, edit: e, close: func() error { return s.tree.release(e) },
		read: flags&flagRead != 0, write: flags&flagWrite != 0, append: flags&flagAppend != 0,
	})
}

func fileOpenVersion(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	if err := s.tree.mayRead(path); err != nil {
		return err
	}
	if !s.room() {
		return abi.CodeLimit
	}
	old, err := s.tree.version(path, c.U64(1))
	if err != nil {
		return err
	}
	return s.addFile(c, 2, &file{content: old, close: old.Close, read: true})
}

// readAt fills dst from off on and returns how much there was.
func (f *file) readAt(c *engine.Call, dst []byte, off uint64) (n int, err error) {
	if off > math.MaxInt64 {
		return 0, nil
	}
	for n < len(dst) {
		part := dst[n:min(len(dst), n+piece)]
		at := int64(off) + int64(n)
		if at < 0 {
			break // beyond what any file can have
		}
		k, err := f.ReadAt(part, at)
		n += k
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, err
		}
		c.Run.Charge(0)
	}
	return n, nil
}

func fileRead(s *Session, c *engine.Call) error {
	f, err := s.file(c, true, false)
	if err != nil {
		return err
	}
	n, err := f.readAt(c, c.Bytes(1), uint64(f.pos))
	if err != nil {
		return err
	}
	f.pos += int64(n)
	c.SetPart(1, n)
	return nil
}

func fileReadAt(s *Session, c *engine.Call) error {
	f, err := s.file(c, true, false)
	if err != nil {
		return err
	}
	n, err := f.readAt(c, c.Bytes(2), c.U64(1))
	if err != nil {
		return err
	}
	c.SetPart(2, n)
	return nil
}

// writeAt writes all of data.
func (f *file) writeAt(c *engine.Call, data []byte, off int64) error {
	if off < 0 || off > pixelfs.MaxSize-int64(len(data)) {
		return abi.CodeLimit
	}
	for len(data) > 0 {
		part := data[:min(len(data), piece)]
		if _, err := f.edit.WriteAt(part, off); err != nil {
			return err
		}
		off += int64(len(part))
		data = data[len(part):]
		c.Run.Charge(0)
	}
	return nil
}

func fileWrite(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, true)
	if err != nil {
		return err
	}
	data := c.Bytes(1)
	at := f.pos
	if f.append {
		at = f.Size()
	}
	if err := f.writeAt(c, data, at); err != nil {
		return err
	}
	f.pos = at + int64(len(data))
	c.SetU32(2, uint32(len(data)))
	return nil
}

func fileWriteAt(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, true)
	if err != nil {
		return err
	}
	if f.append {
		return abi.CodeInvalid
	}
	data := c.Bytes(2)
	if err := f.writeAt(c, data, int64(min(c.U64(1), math.MaxInt64))); err != nil {
		return err
	}
	c.SetU32(3, uint32(len(data)))
	return nil
}

func fileSeek(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, false)
	if err != nil {
		return err
	}
	pos, ok := seek(f.pos, f.Size, int64(c.U64(1)), c.U32(2))
	if !ok {
		return abi.CodeInvalid
	}
	f.pos = pos
	c.SetU64(3, uint64(pos))
	return nil
}

// seek gives a new position, if there is such a one.
func seek(pos int64, size func() int64, offset int64, whence uint32) (int64, bool) {
	base := int64(0)
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = pos
	case io.SeekEnd:
		base = size()
	default:
		return 0, false
	}
	if offset > 0 && base > math.MaxInt64-offset || base+offset < 0 {
		return 0, false
	}
	return base + offset, true
}

func fileSize(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, false)
	if err != nil {
		return err
	}
	c.SetU64(1, uint64(f.Size()))
	return nil
}

func fileTruncate(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, true)
	if err != nil {
		return err
	}
	size := c.U64(1)
	if size > pixelfs.MaxSize {
		return abi.CodeLimit
	}
	return f.edit.Truncate(int64(size))
}

func fileSync(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, false)
	if err != nil || !f.write {
		return err
	}
	return f.edit.Sync()
}

func fileClose(s *Session, c *engine.Call) error {
	f, err := s.file(c, false, false)
	if err != nil {
		return err
	}
	delete(s.files.list, c.U32(0))
	return f.close()
}

// What stat finds.
const (
	kindFile      = 0
	kindDirectory = 1
)

func fileStat(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	info, err := s.tree.stat(path)
	if err != nil {
		return err
	}
	kind := uint32(kindFile)
	switch {
	case info.Dir:
		kind = kindDirectory
		info = pixelfs.Info{Modified: info.Modified}
	case info.Editing:
		if info, err = s.tree.committed(c, path, info.Version); err != nil {
			return err
		}
	}
	modified := uint64(0)
	if !info.Modified.IsZero() {
		modified = uint64(max(info.Modified.UnixNano(), 0))
	}
	c.SetU32(1, kind)
	c.SetU64(2, uint64(info.Size))
	c.SetU64(3, modified)
	c.SetDigest(4, info.Digest)
	c.SetU64(5, info.Version)
	return nil
}

// committed describes the last committed content of a file that is being edited. It has
// no digest in the store yet.
func (t *tree) committed(c *engine.Call, path string, version uint64) (pixelfs.Info, error) {
	f, err := t.st.Open(path)
	if err != nil {
		return pixelfs.Info{}, err
	}
	defer f.Close()
	info := f.Info()
	c.Run.Charge(uint64(info.Size))
	sum := &watchedHash{c: c, Hash: sha256.New()}
	if _, err := f.WriteTo(sum); err != nil {
		return info, err
	}
	sum.Sum(info.Digest[:0])
	info.Version = version
	return info, nil
}

// watchedHash is a hash that gives up when the run is stopped. It is written to by
// goroutines of the reader, so that it must not end the guest itself.
type watchedHash struct {
	hash.Hash
	c *engine.Call
}

func (w *watchedHash) Write(p []byte) (int, error) {
	if err := w.c.Run.Stopping().Err(); err != nil {
		return 0, err
	}
	return w.Hash.Write(p)
}

func fileList(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	list, err := s.tree.entries(path)
	if err != nil {
		if info, e := s.tree.stat(path); e == nil && !info.Dir {
			return abi.CodeInvalid
		}
		return err
	}
	n := 0
	for _, e := range list {
		n += len(e.Name) + 1
		if e.Dir {
			n++
		}
	}
	return c.PutFunc(1, n, func(dst []byte) {
		for _, e := range list {
			dst = dst[copy(dst, e.Name):]
			if e.Dir {
				dst[0] = '/'
				dst = dst[1:]
			}
			dst[0] = 0
			dst = dst[1:]
		}
	}).Err()
}

func fileMkdir(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	return s.tree.mkdir(path)
}

func fileRename(s *Session, c *engine.Call) error {
	from, err := name(c, 0)
	if err != nil {
		return err
	}
	to, err := name(c, 1)
	if err != nil {
		return err
	}
	t := &s.tree
	if err := t.moves(from); err != nil {
		return err
	}
	if err := t.moves(to); err != nil {
		return err
	}
	info, err := t.stat(from)
	if err != nil {
		return err
	}
	if from != to {
		if within(from, to) {
			if info.Dir {
				return abi.CodeInvalid
			}
			return fs.ErrNotExist // a file has nothing below it
		}
		if old, err := t.stat(to); err == nil && (old.Dir || info.Dir) {
			return fs.ErrExist
		}
	}
	if t.beingWritten(from) || t.beingWritten(to) {
		return errBusy
	}
	st, err := t.change(to)
	if err != nil {
		return err
	}
	return st.Rename(from, to)
}

func fileTrash(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	t := &s.tree
	if err := t.moves(path); err != nil {
		return err
	}
	if t.beingWritten(path) {
		return errBusy
	}
	st, err := t.change(path)
	if err != nil {
		return err
	}
	return st.Remove(path)
}

func fileVerify(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	t := &s.tree
	if err := t.mayRead(path); err != nil {
		return err
	}
	info, err := t.stat(path)
	if err != nil {
		return err
	}
	if info.Dir {
		return abi.CodeInvalid
	}
	_, err = t.committed(c, path, info.Version)
	c.Run.Charge(0) // ends a guest whose time ran out on the way
	return err
}

// versionJSON is one element of what versions gives.
type versionJSON struct {
	Version  uint64 `json:"version"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`
	Digest   string `json:"digest"`
	Current  bool   `json:"current"`
}

func fileVersions(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	if err := s.tree.mayRead(path); err != nil {
		return err
	}
	list, err := s.tree.versions(path)
	if err != nil {
		return err
	}
	out := make([]versionJSON, 0, len(list))
	for _, v := range slices.Backward(list) {
		i := v.Info
		if v.current && i.Editing {
			if i, err = s.tree.committed(c, path, i.Version); err != nil {
				return err
			}
		}
		j := versionJSON{Version: i.Version, Size: i.Size, Digest: hexOf(i.Digest), Current: v.current}
		if !i.Modified.IsZero() {
			j.Modified = i.Modified.UnixNano()
		}
		out = append(out, j)
	}
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return c.Put(1, data).Err()
}

func fileRestore(s *Session, c *engine.Call) error {
	path, err := name(c, 0)
	if err != nil {
		return err
	}
	t := &s.tree
	if _, err := t.change(path); err != nil {
		return err
	}
	if path == "." {
		return abi.CodeInvalid
	}
	if v := c.U64(1); v != 0 {
		if t.beingWritten(path) {
			return errBusy
		}
		return t.restore(c.Run.Stopping(), path, v)
	}
	return t.restoreRemoved(c.Run.Stopping(), path)
}
