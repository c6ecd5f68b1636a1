//go:build !wasip1

package pxostest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pxos/pxos/sdk/internal/hostapi"
)

// pixelfs implements the family pixelfs.
type pixelfs struct{ *fake }

var _ hostapi.PixelfsHost = pixelfs{}

// Flags of open, as the contract has them.
const (
	flagRead = 1 << iota
	flagWrite
	flagCreate
	flagExclusive
	flagTruncate
	flagAppend
)

// fileHandle is an open file, or an open version, which has no file.
type fileHandle struct {
	node                *node
	file                *pixelFile
	read, write, append bool
	pos                 int64
}

func (p pixelfs) handle(h uint32, read, write bool) (*fileHandle, int32) {
	f := p.handles[h]
	switch {
	case !holds(p.caps, "pixelfs"):
		return nil, denied
	case f == nil || read && !f.read || write && !f.write:
		return nil, badHandle
	}
	return f, ok
}

func (p pixelfs) add(f *fileHandle) (uint32, int32) {
	p.nextHandle++
	p.handles[p.nextHandle] = f
	return p.nextHandle, ok
}

// step is the time of a commit.
func (p pixelfs) step() int64 {
	p.storage.steps++
	return p.storage.steps
}

// modified is a step as nanoseconds.
func (p pixelfs) modified(step int64) int64 { return int64(p.start) + step*resolution }

func (p pixelfs) Open(path string, flags uint32) (uint32, int32) {
	if !holds(p.caps, "pixelfs") {
		return 0, denied
	}
	if flags >= 2*flagAppend || flags&(flagRead|flagWrite) == 0 || flags&flagWrite == 0 && flags&(flagCreate|flagTruncate|flagAppend) != 0 ||
		flags&flagCreate == 0 && flags&flagExclusive != 0 {
		return 0, invalid
	}
	s := &p.storage.files
	name, code := p.may(path, above)
	if code != ok {
		return 0, code
	}
	need := access(readable)
	if flags&flagWrite != 0 {
		need = writable
	}
	if a := p.access(name); a < need && !(a == above && s.dirs[name] && flags&flagWrite == 0) {
		return 0, denied
	}
	f := s.list[name]
	switch {
	case s.dirs[name] && flags&flagExclusive != 0, f != nil && flags&flagExclusive != 0:
		return 0, exists
	case s.dirs[name]:
		return 0, invalid
	case f == nil && (flags&flagCreate == 0 || !s.dirs[parent(name)]):
		return 0, notFound
	case f == nil:
		f = &pixelFile{contents: []content{{step: p.step()}}}
		s.list[name] = f
	}
	if f.open == nil {
		f.open = &node{data: slices.Clone(f.current().data)}
	}
	f.open.handles++
	if flags&flagWrite != 0 {
		f.open.writers++
	}
	if flags&flagTruncate != 0 && len(f.open.data) > 0 {
		f.open.data, f.open.dirty = nil, true
	}
	return p.add(&fileHandle{node: f.open, file: f, read: flags&flagRead != 0, write: flags&flagWrite != 0, append: flags&flagAppend != 0})
}

func (p pixelfs) OpenVersion(path string, version uint64) (uint32, int32) {
	f, code := p.past(path, readable)
	if code != ok {
		return 0, code
	}
	c := f.find(version)
	if c == nil {
		return 0, notFound
	}
	return p.add(&fileHandle{node: &node{data: c.data}, read: true})
}

// past finds a file, or the one that lay there last.
func (p pixelfs) past(path string, need access) (*pixelFile, int32) {
	name, code := p.may(path, need)
	if code != ok {
		return nil, code
	}
	s := &p.storage.files
	f := s.list[name]
	if f == nil && s.dirs[name] {
		return nil, invalid
	}
	if f == nil {
		f = s.trashed(name)
	}
	if f == nil {
		return nil, notFound
	}
	return f, ok
}

func part(dst, data []byte, off uint64) uint32 {
	if off >= uint64(len(data)) {
		return 0
	}
	return uint32(copy(dst, data[off:]))
}

func (p pixelfs) Read(h uint32, dst []byte) (uint32, int32) {
	f, code := p.handle(h, true, false)
	if code != ok {
		return 0, code
	}
	n := part(dst, f.node.data, uint64(f.pos))
	f.pos += int64(n)
	return n, ok
}

func (p pixelfs) ReadAt(h uint32, offset uint64, dst []byte) (uint32, int32) {
	f, code := p.handle(h, true, false)
	if code != ok {
		return 0, code
	}
	return part(dst, f.node.data, offset), ok
}

// resize makes a content n bytes long.
func (n *node) resize(size int64) {
	n.dirty = true
	if size <= int64(len(n.data)) {
		n.data = n.data[:size]
		return
	}
	n.data = append(n.data, make([]byte, size-int64(len(n.data)))...)
}

func (f *fileHandle) writeAt(data []byte, off uint64) int32 {
	switch {
	case off > maxFile || off+uint64(len(data)) > maxFile:
		return limit
	case len(data) == 0:
		return ok
	}
	if end := int64(off) + int64(len(data)); end > int64(len(f.node.data)) {
		f.node.resize(end)
	}
	copy(f.node.data[off:], data)
	f.node.dirty = true
	return ok
}

func (p pixelfs) Write(h uint32, data []byte) (uint32, int32) {
	f, code := p.handle(h, false, true)
	if code != ok {
		return 0, code
	}
	at := f.pos
	if f.append {
		at = int64(len(f.node.data))
	}
	if code := f.writeAt(data, uint64(at)); code != ok {
		return 0, code
	}
	f.pos = at + int64(len(data))
	return uint32(len(data)), ok
}

func (p pixelfs) WriteAt(h uint32, offset uint64, data []byte) (uint32, int32) {
	f, code := p.handle(h, false, true)
	switch {
	case code != ok:
		return 0, code
	case f.append:
		return 0, invalid
	}
	if code := f.writeAt(data, offset); code != ok {
		return 0, code
	}
	return uint32(len(data)), ok
}

func (p pixelfs) Seek(h uint32, offset int64, whence uint32) (uint64, int32) {
	f, code := p.handle(h, false, false)
	if code != ok {
		return 0, code
	}
	var base int64
	switch whence {
	case 0:
	case 1:
		base = f.pos
	case 2:
		base = int64(len(f.node.data))
	default:
		return 0, invalid
	}
	if offset > math.MaxInt64-base || base+offset < 0 {
		return 0, invalid
	}
	f.pos = base + offset
	return uint64(f.pos), ok
}

func (p pixelfs) Size(h uint32) (uint64, int32) {
	f, code := p.handle(h, false, false)
	if code != ok {
		return 0, code
	}
	return uint64(len(f.node.data)), ok
}

func (p pixelfs) Truncate(h uint32, size uint64) int32 {
	f, code := p.handle(h, false, true)
	switch {
	case code != ok:
		return code
	case size > maxFile:
		return limit
	}
	if int64(size) != int64(len(f.node.data)) {
		f.node.resize(int64(size))
	}
	return ok
}

// commit makes what the handles wrote the current content: one version between open
// and close.
func (p pixelfs) commit(f *pixelFile) {
	n := f.open
	if !n.dirty {
		return
	}
	c := content{data: slices.Clone(n.data), step: p.step()}
	n.dirty = false
	if last := &f.contents[len(f.contents)-1]; !last.fixed {
		*last = c
		return
	}
	f.contents = append(f.contents, c)
}

func (p pixelfs) Sync(h uint32) int32 {
	f, code := p.handle(h, false, false)
	if code == ok && f.write {
		p.commit(f.file)
	}
	return code
}

func (p pixelfs) Close(h uint32) int32 {
	f, code := p.handle(h, false, false)
	if code != ok {
		return code
	}
	delete(p.handles, h)
	if f.file == nil {
		return ok
	}
	if f.write {
		p.commit(f.file)
		f.node.writers--
	}
	if f.node.handles--; f.node.handles == 0 {
		f.file.contents[len(f.file.contents)-1].fixed = true
		f.file.open = nil
	}
	return ok
}

func (p pixelfs) Stat(path string) (kind uint32, size, modified uint64, digest [32]byte, version uint64, code int32) {
	name, code := p.may(path, above)
	if code != ok {
		return 0, 0, 0, digest, 0, code
	}
	s := &p.storage.files
	if s.dirs[name] {
		return 1, 0, 0, digest, 0, ok
	}
	f := s.list[name]
	switch {
	case f == nil:
		return 0, 0, 0, digest, 0, notFound
	case p.access(name) == above:
		return 0, 0, 0, digest, 0, denied
	}
	c := f.current()
	return 0, uint64(len(c.data)), uint64(p.modified(c.step)), sha256.Sum256(c.data), uint64(len(f.contents)), ok
}

func (p pixelfs) List(path string, dst []byte) (uint32, int32) {
	name, code := p.may(path, above)
	if code != ok {
		return 0, code
	}
	s := &p.storage.files
	switch {
	case s.list[name] != nil:
		return 0, invalid
	case !s.dirs[name]:
		return 0, notFound
	}
	var names []string
	for n := range s.list {
		if parent(n) == name && p.access(n) >= readable {
			names = append(names, n[strings.LastIndexByte(n, '/')+1:])
		}
	}
	for d := range s.dirs {
		if d != "." && parent(d) == name && p.access(d) >= above {
			names = append(names, d[strings.LastIndexByte(d, '/')+1:]+"/")
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/")) })
	var sb strings.Builder
	for _, n := range names {
		sb.WriteString(n)
		sb.WriteByte(0)
	}
	return put(dst, []byte(sb.String()))
}

func (p pixelfs) Mkdir(path string) int32 {
	name, code := p.may(path, writable)
	s := &p.storage.files
	switch {
	case code != ok:
		return code
	case s.dirs[name] || s.list[name] != nil:
		return exists
	case !s.dirs[parent(name)]:
		return notFound
	}
	s.dirs[name] = true
	return ok
}

// moves checks that something may leave its place or be replaced there.
func (p pixelfs) moves(path string) (name string, code int32) {
	if name, code = p.may(path, writable); code == ok && (name == "." || p.grantedAt(name)) {
		return "", invalid
	}
	return name, code
}

func (p pixelfs) Rename(from, to string) int32 {
	for _, path := range []string{from, to} {
		if _, valid := clean(path); !valid && holds(p.caps, "pixelfs") {
			return invalid
		}
	}
	src, code := p.moves(from)
	if code != ok {
		return code
	}
	dst, code := p.moves(to)
	if code != ok {
		return code
	}
	s := &p.storage.files
	f := s.list[src]
	switch {
	case f == nil && !s.dirs[src]:
		return notFound
	case src == dst && !s.written(src):
		return ok
	case src != dst && within(src, dst) && f == nil:
		return invalid
	case src != dst && within(src, dst):
		return notFound
	case src != dst && (s.dirs[dst] || s.list[dst] != nil && f == nil):
		return exists
	case s.written(src) || s.written(dst):
		return busy
	case !s.dirs[parent(dst)]:
		return notFound
	}
	if old := s.list[dst]; old != nil {
		f.contents = slices.Concat(old.contents, f.contents)
	}
	s.give(s.take(src), dst)
	return ok
}

func (p pixelfs) Trash(path string) int32 {
	name, code := p.moves(path)
	s := &p.storage.files
	switch {
	case code != ok:
		return code
	case s.written(name):
		return busy
	case s.list[name] == nil && !s.dirs[name]:
		return notFound
	}
	s.trash = append(s.trash, s.take(name))
	return ok
}

func (p pixelfs) Verify(path string) int32 {
	name, code := p.may(path, readable)
	s := &p.storage.files
	switch {
	case code != ok:
		return code
	case s.dirs[name]:
		return invalid
	case s.list[name] == nil:
		return notFound
	}
	return ok
}

func (p pixelfs) Versions(path string, dst []byte) (uint32, int32) {
	f, code := p.past(path, readable)
	if code != ok {
		return 0, code
	}
	type version struct {
		Version  int    `json:"version"`
		Size     int    `json:"size"`
		Modified int64  `json:"modified"`
		Digest   string `json:"digest"`
		Current  bool   `json:"current"`
	}
	name, _ := clean(path)
	here := p.storage.files.list[name] == f
	var list []version
	for i, c := range slices.Backward(f.contents) {
		sum := sha256.Sum256(c.data)
		list = append(list, version{i + 1, len(c.data), p.modified(c.step), hex.EncodeToString(sum[:]), here && i == len(f.contents)-1})
	}
	data, err := json.Marshal(list)
	if err != nil {
		panic(err) // numbers and digits only: cannot happen
	}
	return put(dst, data)
}

func (p pixelfs) Restore(path string, version uint64) int32 {
	name, code := p.may(path, writable)
	s := &p.storage.files
	switch {
	case code != ok:
		return code
	case name == ".":
		return invalid
	case version == 0:
		return p.untrash(name)
	case s.written(name):
		return busy
	}
	f, code := p.past(path, writable)
	if code != ok {
		return code
	}
	c := f.find(version)
	if c == nil || !s.dirs[parent(name)] {
		return notFound
	}
	s.put(name, c.data, p.step())
	return ok
}

func (p pixelfs) untrash(name string) int32 {
	s := &p.storage.files
	for i, r := range slices.Backward(s.trash) {
		if r.name != name {
			continue
		}
		if s.dirs[name] || s.list[name] != nil {
			return exists
		}
		s.makeAll(parent(name))
		s.trash = slices.Delete(s.trash, i, i+1)
		s.give(r, name)
		return ok
	}
	return notFound
}

// end closes what the run left open.
func (p pixelfs) end() {
	for _, h := range slices.Sorted(maps.Keys(p.handles)) {
		p.Close(h)
	}
}
