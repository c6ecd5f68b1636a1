// Package strict reads TOML documents whose every key must be known. A reader
// takes the keys it knows out of a [Table]; what is missing, has the wrong type,
// or is left over becomes a [Fault] with the line it stands on, and a document's
// faults are all reported together. The manifest of a cartridge and the policy
// of a machine are read this way.
//
// Documents may be hostile: nothing here panics on them, nesting is bounded before
// the TOML library sees it, at most 100 faults are kept, and control characters in
// keys are escaped in the text of a fault.
package strict

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds the components of a key and the nesting of values. What this
// module reads needs four.
const maxDepth = 32

// maxFaults is how many faults of one document are kept; the rest is counted.
const maxFaults = 100

// Fault is one thing wrong with a document.
type Fault struct {
	Line int    // 1-based line in the source; 0 when the fault has none, such as a missing key
	Key  string // dotted path of the key, empty for the file as a whole
	Msg  string // what is wrong and what is expected
}

// String returns "line 4: notes: must be a string", without the parts that the
// fault does not have.
func (f Fault) String() string {
	s := f.Msg
	if f.Key != "" {
		s = f.Key + ": " + s
	}
	if f.Line > 0 {
		s = fmt.Sprintf("line %d: %s", f.Line, s)
	}
	return s
}

// Join returns the faults as one line that counts them: "2 faults: …; …".
func Join(faults []Fault) string {
	parts := make([]string, len(faults))
	for i, f := range faults {
		parts[i] = f.String()
	}
	noun := "faults"
	if len(parts) == 1 {
		noun = "fault"
	}
	return fmt.Sprintf("%d %s: %s", len(parts), noun, strings.Join(parts, "; "))
}

// Document is a parsed document and the faults found in it so far.
type Document struct {
	root   map[string]any
	lines  map[string]int
	faults []Fault
	more   int // faults beyond maxFaults
}

// Parse parses a document of at most limit bytes of UTF-8. A document that is too
// big or not TOML yields one fault and no Document.
func Parse(src []byte, limit int) (*Document, *Fault) {
	if len(src) > limit {
		return nil, &Fault{Msg: fmt.Sprintf("is %d bytes, at most %d are allowed", len(src), limit)}
	}
	if !utf8.Valid(src) {
		return nil, &Fault{Msg: "is not UTF-8 text"}
	}
	d := &Document{}
	var deep int
	if d.lines, deep = keyLines(string(src)); deep > 0 {
		return nil, &Fault{Line: deep, Msg: fmt.Sprintf("nests deeper than %d levels", maxDepth)}
	}
	if _, err := toml.Decode(string(src), &d.root); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, &Fault{Line: pe.Position.Line, Msg: pe.Message}
		}
		return nil, &Fault{Msg: err.Error()}
	}
	return d, nil
}

// Root returns the document's top-level table.
func (d *Document) Root() *Table { return &Table{doc: d, vals: d.root} }

// Fault records a fault at the dotted path key. A key that is not in the document
// is placed at the nearest table around it that is.
func (d *Document) Fault(key, format string, args ...any) {
	if len(d.faults) >= maxFaults {
		d.more++
		return
	}
	line := 0
	for k := key; k != ""; {
		if l, ok := d.lines[k]; ok {
			line = l
			break
		}
		i := strings.LastIndex(k, ".")
		if i < 0 {
			break
		}
		k = k[:i]
	}
	d.faults = append(d.faults, Fault{Line: line, Key: key, Msg: fmt.Sprintf(format, args...)})
}

// Faults returns what was found so far in the order of the lines.
func (d *Document) Faults() []Fault {
	sort.SliceStable(d.faults, func(i, j int) bool { return d.faults[i].Line < d.faults[j].Line })
	if d.more > 0 {
		return append(d.faults[:len(d.faults):len(d.faults)], Fault{Msg: fmt.Sprintf("and %d more faults", d.more)})
	}
	return d.faults
}

// Table is one table being read. Every key that is taken counts as known; Done
// reports the others.
type Table struct {
	doc  *Document
	path string
	vals map[string]any
	used []string
}

// Path returns the table's dotted path, "" for the root.
func (t *Table) Path() string { return t.path }

// Key returns the dotted path of a key in t, as Document.Fault takes it.
func (t *Table) Key(name string) string {
	name = component(name)
	if t.path == "" {
		return name
	}
	return t.path + "." + name
}

// Fault records a fault at a key of t; the empty name stands for t itself.
func (t *Table) Fault(name, format string, args ...any) {
	key := t.path
	if name != "" {
		key = t.Key(name)
	}
	t.doc.Fault(key, format, args...)
}

// Names returns all keys of t, sorted.
func (t *Table) Names() []string {
	out := make([]string, 0, len(t.vals))
	for k := range t.vals {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// Take takes a value of any type; ok is false when it is not there.
func (t *Table) Take(name string) (val any, ok bool) {
	t.used = append(t.used, name)
	val, ok = t.vals[name]
	return val, ok
}

// Text takes a string without control characters other than tab and line feed;
// required says that it must be there and not be blank.
func (t *Table) Text(name string, required bool) string {
	val, ok := t.Take(name)
	if !ok {
		if required {
			t.Fault(name, "is missing")
		}
		return ""
	}
	s, ok := val.(string)
	if !ok {
		t.Fault(name, "must be a string")
		return ""
	}
	if required && strings.TrimSpace(s) == "" {
		t.Fault(name, "must not be empty")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }) {
		t.Fault(name, "contains a control character")
	}
	return s
}

// Choice takes a string that must be one of choices; "" when it is not there.
func (t *Table) Choice(name string, required bool, choices ...string) string {
	s := t.Text(name, required)
	if s != "" && !slices.Contains(choices, s) {
		quoted := make([]string, len(choices))
		for i, c := range choices {
			quoted[i] = strconv.Quote(c)
		}
		last := len(quoted) - 1
		t.Fault(name, "must be %s or %s", strings.Join(quoted[:last], ", "), quoted[last])
		return ""
	}
	return s
}

// Bool takes true or false; false when it is not there.
func (t *Table) Bool(name string) (val, ok bool) {
	v, ok := t.Take(name)
	if !ok {
		return false, false
	}
	b, isBool := v.(bool)
	if !isBool {
		t.Fault(name, "must be true or false")
	}
	return b, isBool
}

// Table takes the table called name; nil when it is not there or no table.
func (t *Table) Table(name string, required bool) *Table {
	val, ok := t.Take(name)
	if !ok {
		if required {
			t.Fault(name, "is missing")
		}
		return nil
	}
	m, ok := val.(map[string]any)
	if !ok {
		t.Fault(name, "must be a table")
		return nil
	}
	return &Table{doc: t.doc, path: t.Key(name), vals: m}
}

// Tables takes the elements of the array of tables called name; their paths end
// in their index.
func (t *Table) Tables(name string) []*Table {
	val, ok := t.Take(name)
	if !ok {
		return nil
	}
	list, ok := val.([]map[string]any)
	if !ok {
		if empty, isArray := val.([]any); !isArray || len(empty) != 0 {
			t.Fault(name, "must be written as [[%s]] tables", t.Key(name))
		}
		return nil
	}
	out := make([]*Table, len(list))
	for i, vals := range list {
		out[i] = &Table{doc: t.doc, path: t.Key(name) + "." + strconv.Itoa(i), vals: vals}
	}
	return out
}

// Done reports every key that was not taken as unknown, with the known key that
// is spelled most like it.
func (t *Table) Done() {
	for _, name := range t.Names() {
		switch {
		case slices.Contains(t.used, name):
		case len(t.doc.faults) >= maxFaults:
			t.doc.more++ // without the cost of a suggestion
		default:
			t.Fault(name, "unknown key%s", suggest(name, t.used))
		}
	}
}

// suggest returns a hint when an unknown key is close to a known one.
func suggest(name string, known []string) string {
	best, bestDist := "", 3
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), k); d < bestDist {
			best, bestDist = k, d
		}
	}
	if best == "" {
		return "; known here: " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next := min(row[j]+1, row[j-1]+1, diag+cost)
			diag, row[j] = row[j], next
		}
	}
	return row[len(b)]
}
