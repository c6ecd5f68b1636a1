package abi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"golang.org/x/mod/semver"
)

// ManifestPath is where the manifest lies in a cartridge's archive.
const ManifestPath = "cartridge.toml"

// MaxManifest is the largest manifest in bytes.
const MaxManifest = 1 << 20

// Program kinds.
const (
	// KindWASI is a plain WASI preview 1 command: arguments, stdin, stdout, exit code.
	KindWASI = "wasi"
	// KindSDK is a program that takes JSON arguments and gives a JSON result
	// through the pxos family. It has stdin, stdout and files as well.
	KindSDK = "sdk"
)

// Creator kinds: who made the cartridge.
const (
	CreatorHuman  = "human"
	CreatorLLM    = "llm"
	CreatorHybrid = "hybrid"
)

// Manifest is cartridge.toml after validation.
type Manifest struct {
	Name      string    // a-z, 0-9, - and _, 1 to 64 characters
	Version   string    // semantic version without the leading v
	Parent    string    // digest of the parent cartridge, 64 hex digits, or empty
	CreatedAt time.Time // UTC
	Creator   Creator
	Notes     string // why this version exists
	Genesis   string // version of the Genesis principles, major.minor
	Licence   string // SPDX expression or a name
	ABI       string // contract version it was written against, major.minor
	Default   string // full name of the program that runs when none is named, or empty

	Programs     []Program // sorted by name
	Capabilities []Capability
	Limits       Limits // zero fields are not stated
}

// Creator says who made a cartridge.
type Creator struct {
	Kind string `json:"kind"` // CreatorHuman, CreatorLLM or CreatorHybrid
	Name string `json:"name"`
}

// Program is one entry point.
type Program struct {
	Name        string `json:"name"`   // full name, module:function
	Module      string `json:"module"` // path in the archive
	Export      string `json:"export"` // exported function; "_start" for a command
	Kind        string `json:"kind"`   // KindWASI or KindSDK
	Description string `json:"description,omitempty"`
}

// FullName returns the full form of a program's name: "module" means
// "module:main".
func FullName(name string) string {
	if name != "" && !strings.Contains(name, ":") {
		return name + ":main"
	}
	return name
}

// Program returns the program called name, in short or full form; the empty name
// means the default program. Without such a program the error lists those there
// are.
func (m *Manifest) Program(name string) (*Program, error) {
	if name == "" {
		name = m.Default
		if name == "" {
			return nil, fmt.Errorf("no default program: name one of %s", strings.Join(m.programNames(), ", "))
		}
	}
	full := FullName(name)
	for i := range m.Programs {
		if m.Programs[i].Name == full {
			return &m.Programs[i], nil
		}
	}
	return nil, fmt.Errorf("no program %q: there are %s", name, strings.Join(m.programNames(), ", "))
}

func (m *Manifest) programNames() []string {
	var out []string
	for _, p := range m.Programs {
		out = append(out, strings.TrimSuffix(p.Name, ":main"))
	}
	return out
}

// Fault is one thing wrong with a manifest.
type Fault struct {
	Line int    // 1-based line in the source; 0 when the fault has none, such as a missing key
	Key  string // dotted path of the key, empty for the file as a whole
	Msg  string // what is wrong and what is expected
}

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

// ManifestError lists every fault of a manifest, in the order of its lines.
type ManifestError struct {
	Faults []Fault
}

func (e *ManifestError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.String()
	}
	noun := "faults"
	if len(parts) == 1 {
		noun = "fault"
	}
	return fmt.Sprintf("invalid %s: %d %s: %s", ManifestPath, len(parts), noun, strings.Join(parts, "; "))
}

var (
	nameRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	programRE = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$`)
	digestRE  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ParseManifest parses and validates a manifest. It is strict: unknown keys, wrong
// types, missing metadata and values outside their range are faults, and the
// *ManifestError it returns holds all of them with their lines. Only a file that is
// not TOML at all yields a single fault.
//
// Whether this host speaks the contract version that the manifest names is not
// checked here; see CheckVersion.
func ParseManifest(src []byte) (*Manifest, error) {
	if len(src) > MaxManifest {
		return nil, &ManifestError{[]Fault{{Msg: fmt.Sprintf("is %d bytes, at most %d are allowed", len(src), MaxManifest)}}}
	}
	if !utf8.Valid(src) {
		return nil, &ManifestError{[]Fault{{Msg: "is not UTF-8 text"}}}
	}
	var raw map[string]any
	if _, err := toml.Decode(string(src), &raw); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, &ManifestError{[]Fault{{Line: pe.Position.Line, Msg: pe.Message}}}
		}
		return nil, &ManifestError{[]Fault{{Msg: err.Error()}}}
	}
	v := &validator{lines: keyLines(string(src))}
	m := v.manifest(raw)
	if len(v.faults) > 0 {
		sort.SliceStable(v.faults, func(i, j int) bool { return v.faults[i].Line < v.faults[j].Line })
		return nil, &ManifestError{v.faults}
	}
	return m, nil
}

// validator collects the faults of one manifest.
type validator struct {
	lines  map[string]int
	faults []Fault
}

func (v *validator) fault(key, format string, args ...any) {
	line := 0
	for k := key; k != ""; {
		if l, ok := v.lines[k]; ok {
			line = l
			break
		}
		// A missing key is reported at its table, when that has a line.
		i := strings.LastIndex(k, ".")
		if i < 0 {
			break
		}
		k = k[:i]
	}
	v.faults = append(v.faults, Fault{Line: line, Key: key, Msg: fmt.Sprintf(format, args...)})
}

// table is one TOML table under validation; keys are removed as they are taken, so
// that what remains is unknown.
type table struct {
	v    *validator
	path string
	vals map[string]any
	used []string
}

func (t *table) key(name string) string {
	if strings.ContainsAny(name, ". ") {
		name = fmt.Sprintf("%q", name)
	}
	if t.path == "" {
		return name
	}
	return t.path + "." + name
}

func (t *table) take(name string) (any, bool) {
	t.used = append(t.used, name)
	val, ok := t.vals[name]
	return val, ok
}

// text takes a string; required says that it must be there and not be blank.
func (t *table) text(name string, required bool) string {
	val, ok := t.take(name)
	if !ok {
		if required {
			t.v.fault(t.key(name), "is missing")
		}
		return ""
	}
	s, ok := val.(string)
	if !ok {
		t.v.fault(t.key(name), "must be a string")
		return ""
	}
	if required && strings.TrimSpace(s) == "" {
		t.v.fault(t.key(name), "must not be empty")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }); i >= 0 {
		t.v.fault(t.key(name), "contains a control character")
	}
	return s
}

func (t *table) sub(name string, required bool) *table {
	val, ok := t.take(name)
	if !ok {
		if required {
			t.v.fault(t.key(name), "is missing")
		}
		return nil
	}
	m, ok := val.(map[string]any)
	if !ok {
		t.v.fault(t.key(name), "must be a table")
		return nil
	}
	return &table{v: t.v, path: t.key(name), vals: m}
}

func (t *table) done() {
	for name := range t.vals {
		if slices.Contains(t.used, name) {
			continue
		}
		t.v.fault(t.key(name), "unknown key%s", suggest(name, t.used))
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

func (v *validator) manifest(raw map[string]any) *Manifest {
	t := &table{v: v, vals: raw}
	m := &Manifest{
		Name:    t.text("name", true),
		Version: t.text("version", true),
		Parent:  t.text("parent", false),
	}
	if strings.TrimSpace(m.Name) != "" && !nameRE.MatchString(m.Name) {
		v.fault("name", "must be 1 to 64 characters of a-z, 0-9, - and _, beginning with a letter or digit")
	}
	if m.Version != "" && !ValidVersion(m.Version) {
		v.fault("version", "must be a semantic version such as 1.0.0")
	}
	if m.Parent != "" && !digestRE.MatchString(m.Parent) {
		v.fault("parent", "must be the parent's digest, 64 hex digits in lower case, or empty")
	}
	if val, ok := t.take("created_at"); !ok {
		v.fault("created_at", "is missing")
	} else if at, ok := val.(time.Time); !ok || !strings.HasPrefix(at.Location().String(), "UTC") && at.Location().String() != "" {
		v.fault("created_at", "must be a time with its offset such as 2026-01-31T12:00:00Z")
	} else {
		m.CreatedAt = at.UTC()
	}
	if c := t.sub("creator", true); c != nil {
		m.Creator = Creator{Kind: c.text("kind", true), Name: c.text("name", true)}
		if k := m.Creator.Kind; k != "" && k != CreatorHuman && k != CreatorLLM && k != CreatorHybrid {
			v.fault("creator.kind", `must be "human", "llm" or "hybrid"`)
		}
		c.done()
	}
	m.Notes = t.text("notes", true)
	m.Genesis = t.text("genesis", true)
	if _, _, err := parseVersion(m.Genesis); m.Genesis != "" && err != nil {
		v.fault("genesis", "must be MAJOR.MINOR such as %s", GenesisVersion)
	}
	m.Licence = t.text("licence", true)
	if m.ABI = t.text("abi", false); m.ABI == "" {
		m.ABI = "1.0"
	} else if _, _, err := parseVersion(m.ABI); err != nil {
		v.fault("abi", "must be MAJOR.MINOR such as %s", Version())
	}
	v.programs(t, m)
	v.capabilities(t, m)
	v.limits(t, m)
	t.done()
	return m
}

// ValidVersion reports whether s is a full semantic version without a leading v.
func ValidVersion(s string) bool {
	core, _, _ := strings.Cut(s, "+")
	core, _, _ = strings.Cut(core, "-")
	return semver.IsValid("v"+s) && strings.Count(core, ".") == 2
}

func (v *validator) programs(t *table, m *Manifest) {
	def := t.text("default", false)
	ps := t.sub("programs", true)
	if ps == nil {
		return
	}
	seen := map[string]bool{}
	for _, name := range sortedKeys(ps.vals) {
		key := ps.key(name)
		p := ps.sub(name, true)
		if p == nil {
			continue
		}
		full := FullName(name)
		if !programRE.MatchString(name) {
			v.fault(key, "program names are MODULE or MODULE:FUNCTION of a-z, 0-9, _, . and -")
		} else if seen[full] {
			v.fault(key, "is the same program as another one: %s", full)
		}
		seen[full] = true
		prog := Program{
			Name:        full,
			Module:      p.text("module", true),
			Export:      p.text("export", false),
			Kind:        p.text("kind", true),
			Description: p.text("description", false),
		}
		if prog.Export == "" {
			prog.Export = "_start"
		}
		if strings.HasPrefix(prog.Export, "pxos:") {
			v.fault(p.key("export"), "names beginning with pxos: are reserved")
		}
		if prog.Module != "" && !validModulePath(prog.Module) {
			v.fault(p.key("module"), "must be a relative path in the archive such as hello.wasm")
		}
		if k := prog.Kind; k != "" && k != KindWASI && k != KindSDK {
			v.fault(p.key("kind"), `must be "wasi" or "sdk"`)
		}
		p.done()
		m.Programs = append(m.Programs, prog)
	}
	if len(ps.vals) == 0 {
		v.fault("programs", "must name at least one program")
	}
	m.Default = v.defaultProgram(def, m, seen)
}

// defaultProgram picks what runs when no program is named: what the manifest says,
// else the only one, else "main", else the one named like the cartridge.
func (v *validator) defaultProgram(stated string, m *Manifest, have map[string]bool) string {
	if stated != "" {
		if !have[FullName(stated)] {
			v.fault("default", "no program is called %q", stated)
		}
		return FullName(stated)
	}
	if len(m.Programs) == 1 {
		return m.Programs[0].Name
	}
	for _, name := range []string{"main:main", m.Name + ":main"} {
		if have[name] {
			return name
		}
	}
	return ""
}

func validModulePath(p string) bool {
	if len(p) > 255 || strings.ContainsAny(p, "\\:") {
		return false
	}
	for _, part := range strings.Split(p, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

func (v *validator) capabilities(t *table, m *Manifest) {
	val, ok := t.take("capabilities")
	if !ok {
		return
	}
	list, ok := val.([]map[string]any)
	if !ok {
		if empty, isArray := val.([]any); isArray && len(empty) == 0 {
			return
		}
		v.fault("capabilities", "must be written as [[capabilities]] tables")
		return
	}
	for i, vals := range list {
		c := &table{v: v, path: fmt.Sprintf("capabilities.%d", i), vals: vals}
		cap := Capability{
			Kind:   c.text("kind", true),
			Path:   c.text("path", false),
			Mode:   c.text("mode", false),
			Name:   c.text("name", false),
			Reason: c.text("reason", true),
		}
		if cap.Kind == CapDir && cap.Mode == "" {
			cap.Mode = ModeRead
		}
		if cap.Kind != "" {
			if fault := cap.fault(); fault != "" {
				v.fault(c.path, "%s", fault)
			}
		}
		if cap.Kind == CapDir && cap.Name != "" || cap.Kind == CapEnv && cap.Path+cap.Mode != "" {
			v.fault(c.path, "has keys that do not belong to kind %q", cap.Kind)
		}
		for _, other := range m.Capabilities {
			if other.Kind == cap.Kind && other.Path == cap.Path && other.Name == cap.Name {
				v.fault(c.path, "asks for %s a second time", cap)
			}
		}
		c.done()
		m.Capabilities = append(m.Capabilities, cap)
	}
}

func (v *validator) limits(t *table, m *Manifest) {
	l := t.sub("limits", false)
	if l == nil {
		return
	}
	for _, f := range limitFields {
		val, ok := l.take(f.name)
		if !ok {
			continue
		}
		var err error
		switch x := val.(type) {
		case int64:
			err = m.Limits.setNumber(f, x)
		case string:
			err = m.Limits.Set(f.name, x)
		default:
			err = errors.New("must be a number or a string such as \"64MiB\"")
		}
		if err != nil {
			v.fault(l.key(f.name), "%s", strings.TrimPrefix(err.Error(), "limit "+f.name+" "))
		}
	}
	l.done()
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
