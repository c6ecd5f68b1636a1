package pxa

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxComponent = 255 // bytes of one path component, the limit of common file systems

// ValidPath reports why a path may not name an entry: entries have relative
// slash paths in UTF-8 that every common file system can hold and that no
// terminal acts on (PXA.md section 6).
func ValidPath(path string) error {
	id, msg := pathFault(path)
	if msg == "" {
		return nil
	}
	return formatErr(id, -1, "path %q: %s", path, msg)
}

func pathFault(path string) (id, msg string) {
	switch {
	case path == "":
		return "PXA-N1", "is empty"
	case !utf8.ValidString(path):
		return "PXA-N2", "is not UTF-8"
	case path[0] == '/':
		return "PXA-N3", "is absolute"
	}
	ascii := true
	for _, r := range path {
		ascii = ascii && r < utf8.RuneSelf
		switch {
		case r == '\\':
			return "PXA-N5", "has a backslash; use slashes"
		case strings.ContainsRune(`<>:"|?*`, r):
			return "PXA-N5", fmt.Sprintf("has %q, which not every file system can hold", r)
		case r < ' ' || r == 0x7f || r >= utf8.RuneSelf && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point):
			return "PXA-N4", fmt.Sprintf("has the control or invisible character %U", r)
		}
	}
	if !ascii && !norm.NFC.IsNormalString(path) {
		return "PXA-N6", "is not in Unicode normal form C"
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "":
			return "PXA-N3", "has an empty component"
		case part == "." || part == "..":
			return "PXA-N3", fmt.Sprintf("has the component %q", part)
		case len(part) > maxComponent:
			return "PXA-N7", fmt.Sprintf("has a component of %d bytes; the limit is %d", len(part), maxComponent)
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || part[0] == ' ':
			return "PXA-N5", fmt.Sprintf("has the component %q, with a space or dot at its edge that Windows drops", part)
		case reserved(part):
			return "PXA-N5", fmt.Sprintf("has the component %q, a device name on Windows", part)
		}
	}
	return "", ""
}

// reserved tells whether Windows opens a device for this file name.
func reserved(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	num, ok := strings.CutPrefix(base, "COM")
	if !ok {
		num, ok = strings.CutPrefix(base, "LPT")
	}
	return ok && utf8.RuneCountInString(num) == 1 && strings.Contains("0123456789¹²³", num)
}

// foldPath maps paths that some file system would not tell apart to one key.
// It is stricter than any of them: compatibility forms fold too.
func foldPath(s string) string {
	for i := 0; ; i++ {
		if i == len(s) {
			return strings.ToLower(s)
		}
		if s[i] >= utf8.RuneSelf {
			break
		}
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if least == 'ß' {
			b.WriteString("SS")
			continue
		}
		b.WriteRune(least)
	}
	return strings.ToLower(norm.NFKD.String(b.String()))
}

// pathSet finds duplicates, twins and files that would also be directories.
type pathSet struct {
	seen map[string]pathNode
	last string
}

type pathNode struct {
	name string
	dir  bool
}

// add takes the paths of an archive in order and returns a message for the
// first one that collides with an earlier path.
func (s *pathSet) add(path string) (id, msg string) {
	if s.seen == nil {
		s.seen = make(map[string]pathNode)
	}
	for i := 0; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		dir := path[:i]
		if strings.HasPrefix(s.last, path[:i+1]) {
			continue // entered with the path before
		}
		if id, msg := s.enter(dir, true); msg != "" {
			return id, msg
		}
	}
	s.last = path
	return s.enter(path, false)
}

func (s *pathSet) enter(name string, dir bool) (id, msg string) {
	key := foldPath(name)
	old, ok := s.seen[key]
	switch {
	case !ok:
		s.seen[key] = pathNode{name, dir}
		return "", ""
	case old.name != name:
		return "PXA-N8", fmt.Sprintf("differs from %q only in case or Unicode form", old.name)
	case old.dir && dir:
		return "", ""
	case old.dir != dir:
		return "PXA-N9", fmt.Sprintf("%q is both a file and a directory", name)
	}
	return "PXA-N9", "is listed twice"
}
