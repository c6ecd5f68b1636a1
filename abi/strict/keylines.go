package strict

import (
	"strconv"
	"strings"
)

// keyLines maps the dotted path of every key and table of a TOML document to the
// line it is written on. The TOML library reports positions only for syntax errors.
// This follows only as much of the grammar as finds keys: headers, keys before '=',
// and values that span lines; what it returns means something only for documents
// that the library accepts. Elements of an array of tables have their index as a
// path component, and components are written as component writes them.
//
// deep is the first line on which a key or a value nests deeper than maxDepth, or
// 0. The library recurses without a bound, so it must not see such a document.
func keyLines(src string) (lines map[string]int, deep int) {
	s := &keyScanner{src: src, line: 1, lines: map[string]int{}, count: map[string]int{}}
	for s.pos < len(s.src) && s.deep == 0 {
		s.statement()
	}
	return s.lines, s.deep
}

type keyScanner struct {
	src    string
	pos    int
	line   int
	prefix []string
	lines  map[string]int
	count  map[string]int // array of tables: elements so far
	level  int            // nesting of the value at pos
	deep   int            // first line that nests too deep
}

func (s *keyScanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *keyScanner) next() byte {
	c := s.peek()
	s.pos++
	if c == '\n' {
		s.line++
	}
	return c
}

func (s *keyScanner) skipSpace() {
	for s.pos < len(s.src) && (s.peek() == ' ' || s.peek() == '\t' || s.peek() == '\r') {
		s.pos++
	}
}

func (s *keyScanner) skipLine() {
	for s.pos < len(s.src) && s.next() != '\n' {
	}
}

func (s *keyScanner) statement() {
	s.skipSpace()
	switch c := s.peek(); {
	case c == '\n' || c == '#':
		s.skipLine()
	case strings.HasPrefix(s.src[s.pos:], "[["):
		s.pos += 2
		path := s.resolve(s.key())
		name := join(path)
		s.prefix = append(path, strconv.Itoa(s.count[name]))
		s.count[name]++
		s.record(path)
		s.record(s.prefix)
		s.skipLine()
	case c == '[':
		s.pos++
		s.prefix = s.resolve(s.key())
		s.record(s.prefix)
		s.skipLine()
	default:
		s.pair(s.prefix)
		s.skipLine()
	}
}

// resolve puts the index of the newest element behind each component that is an
// array of tables, except the last.
func (s *keyScanner) resolve(path []string) []string {
	var out []string
	for i, part := range path {
		out = append(out, part)
		if n := s.count[join(out)]; n > 0 && i < len(path)-1 {
			out = append(out, strconv.Itoa(n-1))
		}
	}
	return out
}

// pair reads KEY = VALUE below prefix.
func (s *keyScanner) pair(prefix []string) {
	path := append(append([]string(nil), prefix...), s.key()...)
	s.record(path)
	s.skipSpace()
	if s.peek() != '=' {
		return
	}
	s.pos++
	s.value(path)
}

// key reads a dotted key and stops at what follows it.
func (s *keyScanner) key() []string {
	var parts []string
	for {
		s.skipSpace()
		switch c := s.peek(); {
		case c == '"' || c == '\'':
			parts = append(parts, s.quoted())
		default:
			start := s.pos
			for s.pos < len(s.src) && !strings.ContainsRune(" \t\r\n.=]#\"'", rune(s.peek())) {
				s.pos++
			}
			parts = append(parts, s.src[start:s.pos])
		}
		if len(parts) > maxDepth {
			s.tooDeep()
			return parts
		}
		s.skipSpace()
		if s.peek() != '.' {
			return parts
		}
		s.pos++
	}
}

// quoted reads a string in any of the four forms and returns its raw text.
func (s *keyScanner) quoted() string {
	q := s.src[s.pos : s.pos+1]
	escapes := q == `"`
	if strings.HasPrefix(s.src[s.pos:], q+q+q) {
		q = q + q + q
	}
	s.pos += len(q)
	start := s.pos
	for s.pos < len(s.src) {
		if strings.HasPrefix(s.src[s.pos:], q) {
			end := s.pos
			s.pos += len(q)
			// Up to two more quotes may stand right before a closing triple.
			for len(q) == 3 && s.pos < len(s.src) && s.src[s.pos] == q[0] {
				s.pos++
				end++
			}
			return s.src[start:end]
		}
		if s.next() == '\\' && escapes {
			s.next()
		}
	}
	return s.src[start:min(s.pos, len(s.src))]
}

// value skips one value and records the keys of inline tables in it.
func (s *keyScanner) value(path []string) {
	if s.level++; s.level > maxDepth {
		s.tooDeep()
	}
	defer func() { s.level-- }()
	s.skipSpace()
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.pos++
		for i := 0; s.pos < len(s.src); {
			s.skipBlank()
			switch s.peek() {
			case ']':
				s.pos++
				return
			case ',':
				s.pos++
				i++
			default:
				before := s.pos
				s.value(append(append([]string(nil), path...), strconv.Itoa(i)))
				if s.pos == before {
					s.next()
				}
			}
		}
	case '{':
		s.pos++
		for s.pos < len(s.src) {
			s.skipBlank()
			switch s.peek() {
			case '}':
				s.pos++
				return
			case ',':
				s.pos++
			default:
				before := s.pos
				s.pair(path)
				if s.pos == before {
					s.next()
				}
			}
		}
	default:
		for s.pos < len(s.src) && !strings.ContainsRune(",]}#\r\n", rune(s.peek())) {
			s.pos++
		}
	}
}

// skipBlank skips white space, line ends and comments inside arrays and tables.
func (s *keyScanner) skipBlank() {
	for s.pos < len(s.src) {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			s.skipLine()
		default:
			return
		}
	}
}

// tooDeep notes the line and ends the scan.
func (s *keyScanner) tooDeep() {
	if s.deep == 0 {
		s.deep = s.line
	}
	s.pos = len(s.src)
}

// record notes the line of path and of the tables that it creates on its way.
func (s *keyScanner) record(path []string) {
	for n := len(path); n > 0; n-- {
		name := join(path[:n])
		if _, ok := s.lines[name]; ok {
			return
		}
		s.lines[name] = s.line
	}
}

func join(path []string) string {
	quoted := make([]string, len(path))
	for i, p := range path {
		quoted[i] = component(p)
	}
	return strings.Join(quoted, ".")
}

// component writes one part of a path, quoted when it has anything in it that
// would be mistaken for the path's own syntax or must not reach a terminal.
func component(p string) string {
	if strings.ContainsFunc(p, func(r rune) bool { return r == '.' || !strconv.IsGraphic(r) || r == ' ' }) {
		return strconv.Quote(p)
	}
	return p
}
