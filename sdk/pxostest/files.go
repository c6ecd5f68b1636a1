//go:build !wasip1

package pxostest

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// filesystem is pixel files in memory. Names are those of package io/fs, with "." for
// the root.
type filesystem struct {
	dirs  map[string]bool
	list  map[string]*pixelFile
	trash []removed // oldest first
}

// pixelFile is a file: its contents, of which the last one is current, and what the
// handles of a run made of it.
type pixelFile struct {
	contents []content // the first is version 1
	open     *node
}

type content struct {
	data  []byte
	step  int64 // when it was kept
	fixed bool  // the next commit adds another one
}

// node is the state that the open handles of one file share.
type node struct {
	data    []byte
	dirty   bool
	handles int
	writers int
}

// removed is one thing in the trash.
type removed struct {
	name  string
	dir   bool
	files map[string]*pixelFile
	dirs  []string
}

// maxFile bounds what one file of the fake holds in memory.
const maxFile = 64 << 20

func newFilesystem() filesystem {
	return filesystem{dirs: map[string]bool{".": true}, list: map[string]*pixelFile{}}
}

func (f *pixelFile) current() content { return f.contents[len(f.contents)-1] }

// find returns the content with that number, or nil.
func (f *pixelFile) find(version uint64) *content {
	if version == 0 || version > uint64(len(f.contents)) {
		return nil
	}
	return &f.contents[version-1]
}

func parent(name string) string { return path.Dir(name) }

func within(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

func (s *filesystem) makeAll(dir string) {
	for ; dir != "."; dir = parent(dir) {
		s.dirs[dir] = true
	}
}

// put gives a file a new content.
func (s *filesystem) put(name string, data []byte, step int64) {
	f := s.list[name]
	if f == nil {
		f = &pixelFile{}
		s.list[name] = f
	}
	f.contents = append(f.contents, content{data: data, step: step, fixed: true})
	if f.open != nil {
		f.open.data = slices.Clone(data)
	}
}

// clean turns a path into a name, or refuses it.
func clean(path string) (name string, ok bool) {
	name = strings.TrimPrefix(path, "/")
	if name == "" {
		return ".", true
	}
	if len(name) > 1024 || strings.Count(name, "/") >= 32 || !utf8.ValidString(name) {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 200 {
			return "", false
		}
	}
	return name, !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// access is what a run may do at a name.
type access int

const (
	outside access = iota
	above          // on the way to what was granted
	readable
	writable
)

func (f *fake) access(name string) access {
	best := outside
	for _, c := range f.caps {
		prefix, ok := clean(c.Path)
		if c.Kind != "pixelfs" || !ok {
			continue
		}
		switch {
		case within(prefix, name) && c.Mode == "write":
			return writable
		case within(prefix, name):
			best = readable
		case best == outside && within(name, prefix):
			best = above
		}
	}
	return best
}

// grantedAt reports whether exactly that name was granted.
func (f *fake) grantedAt(name string) bool {
	for _, c := range f.caps {
		if prefix, ok := clean(c.Path); ok && c.Kind == "pixelfs" && prefix == name {
			return true
		}
	}
	return false
}

// may checks a path and what may be done there.
func (f *fake) may(path string, need access) (name string, code int32) {
	if !holds(f.caps, "pixelfs") {
		return "", denied
	}
	if !utf8.ValidString(path) {
		return "", invalid
	}
	name, valid := clean(path)
	switch {
	case !valid:
		return "", invalid
	case f.access(name) < need:
		return "", denied
	}
	return name, ok
}

// trashed returns the file that lay last at a name and is in the trash now.
func (s *filesystem) trashed(name string) *pixelFile {
	for _, r := range slices.Backward(s.trash) {
		if f := r.files[name]; f != nil {
			return f
		}
	}
	return nil
}

// take removes a file or a directory with all it holds.
func (s *filesystem) take(name string) removed {
	r := removed{name: name, dir: s.dirs[name], files: map[string]*pixelFile{}}
	for n, f := range s.list {
		if within(name, n) {
			r.files[n] = f
			delete(s.list, n)
		}
	}
	for d := range s.dirs {
		if within(name, d) {
			r.dirs = append(r.dirs, d)
			delete(s.dirs, d)
		}
	}
	return r
}

// give puts what take removed at another name.
func (s *filesystem) give(r removed, name string) {
	at := func(n string) string { return name + strings.TrimPrefix(n, r.name) }
	for _, d := range r.dirs {
		s.dirs[at(d)] = true
	}
	for n, f := range r.files {
		s.list[at(n)] = f
	}
}

// written reports whether a file at or below a name is open for writing.
func (s *filesystem) written(name string) bool {
	for n, f := range s.list {
		if within(name, n) && f.open != nil && f.open.writers > 0 {
			return true
		}
	}
	return false
}
