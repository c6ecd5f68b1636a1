package vfs

import (
	"strings"

	"github.com/tetratelabs/wazero/experimental/sys"
)

const (
	maxPath = 4096
	maxName = 255
)

// clean resolves p by name alone. The result is "." or a slash separated path
// without empty, "." or ".." components. mustDir reports a trailing slash (or a
// trailing "." or ".."), which only a directory satisfies.
func clean(p string) (name string, mustDir bool, errno sys.Errno) {
	switch {
	case p == "":
		return "", false, sys.ENOENT
	case len(p) > maxPath:
		return "", false, sys.ENAMETOOLONG
	case p == ".":
		return ".", true, 0
	case strings.IndexByte(p, 0) >= 0:
		return "", false, sys.EINVAL
	}
	if plain(p) {
		return p, false, 0
	}
	parts := make([]string, 0, 8)
	for rest, more := p, true; more; {
		var c string
		c, rest, more = strings.Cut(rest, "/")
		mustDir = c == "" || c == "." || c == ".."
		switch {
		case c == "" || c == ".":
		case c == "..":
			if len(parts) == 0 {
				return "", false, sys.EPERM
			}
			parts = parts[:len(parts)-1]
		case len(c) > maxName:
			return "", false, sys.ENAMETOOLONG
		default:
			parts = append(parts, c)
		}
	}
	if len(parts) == 0 {
		return ".", true, 0
	}
	return strings.Join(parts, "/"), mustDir, 0
}

// plain reports whether p is already clean, which saves the allocations for
// nearly every path that a guest sends.
func plain(p string) bool {
	start := 0
	for i := 0; i <= len(p); i++ {
		if i < len(p) && p[i] != '/' {
			continue
		}
		c := p[start:i]
		if c == "" || c == "." || c == ".." || len(c) > maxName {
			return false
		}
		start = i + 1
	}
	return true
}

// access splits the exclusive part of flag. wazero gives O_RDONLY the value 0,
// O_RDWR 1 and O_WRONLY 2.
func access(flag sys.Oflag) (read, write bool) {
	switch {
	case flag&sys.O_RDWR != 0:
		return true, true
	case flag&sys.O_WRONLY != 0:
		return false, true
	}
	return true, false
}

// offset is the int64 of Seek. wazero's Seek returns an Errno where io.Seeker
// has an error; under its plain name go vet takes the one for a mistaken other.
type offset = int64
