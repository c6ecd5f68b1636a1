package abi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/pxos/pxos/abi/strict"
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

// Fault is one thing wrong with a manifest: its line, key and message.
type Fault = strict.Fault

// ManifestError lists every fault of a manifest, in the order of its lines.
type ManifestError struct {
	Faults []Fault
}

func (e *ManifestError) Error() string {
	return "invalid " + ManifestPath + ": " + strict.Join(e.Faults)
}

// ParseManifest parses and validates a manifest. It is strict: unknown keys, wrong
// types, missing metadata and values outside their range are faults, and the
// *ManifestError it returns holds all of them with their lines. Only a file that is
// not TOML at all yields a single fault.
//
// Whether this host speaks the contract version that the manifest names is not
// checked here; see CheckVersion.
func ParseManifest(src []byte) (*Manifest, error) {
	doc, fault := strict.Parse(src, MaxManifest)
	if fault != nil {
		return nil, &ManifestError{[]Fault{*fault}}
	}
	v := &validator{doc}
	m := v.manifest()
	if faults := doc.Faults(); len(faults) > 0 {
		return nil, &ManifestError{faults}
	}
	return m, nil
}

// validator turns one document into a Manifest.
type validator struct{ doc *strict.Document }

func (v *validator) fault(key, format string, args ...any) { v.doc.Fault(key, format, args...) }

func (v *validator) manifest() *Manifest {
	t := v.doc.Root()
	m := &Manifest{
		Name:    t.Text("name", true),
		Version: t.Text("version", true),
		Parent:  t.Text("parent", false),
	}
	if strings.TrimSpace(m.Name) != "" && !validName(m.Name) {
		v.fault("name", "must be 1 to 64 characters of a-z, 0-9, - and _, beginning with a letter or digit")
	}
	if m.Version != "" && !ValidVersion(m.Version) {
		v.fault("version", "must be a semantic version such as 1.0.0")
	}
	if m.Parent != "" && !ValidDigest(m.Parent) {
		v.fault("parent", "must be the parent's digest, 64 hex digits in lower case, or empty")
	}
	if val, ok := t.Take("created_at"); !ok {
		v.fault("created_at", "is missing")
	} else if at, ok := val.(time.Time); !ok || !strings.HasPrefix(at.Location().String(), "UTC") && at.Location().String() != "" {
		v.fault("created_at", "must be a time with its offset such as 2026-01-31T12:00:00Z")
	} else {
		m.CreatedAt = at.UTC()
	}
	if c := t.Table("creator", true); c != nil {
		m.Creator = Creator{Kind: c.Text("kind", true), Name: c.Text("name", true)}
		if k := m.Creator.Kind; k != "" && k != CreatorHuman && k != CreatorLLM && k != CreatorHybrid {
			v.fault("creator.kind", `must be "human", "llm" or "hybrid"`)
		}
		c.Done()
	}
	m.Notes = t.Text("notes", true)
	m.Genesis = t.Text("genesis", true)
	if _, _, err := parseVersion(m.Genesis); m.Genesis != "" && err != nil {
		v.fault("genesis", "must be MAJOR.MINOR such as %s", GenesisVersion)
	}
	m.Licence = t.Text("licence", true)
	if m.ABI = t.Text("abi", false); m.ABI == "" {
		m.ABI = "1.0"
	} else if _, _, err := parseVersion(m.ABI); err != nil {
		v.fault("abi", "must be MAJOR.MINOR such as %s", Version())
	}
	v.programs(t, m)
	v.capabilities(t, m)
	v.limits(t, m)
	t.Done()
	return m
}

// ValidVersion reports whether s is a full semantic version without a leading v.
func ValidVersion(s string) bool {
	core, _, _ := strings.Cut(s, "+")
	core, _, _ = strings.Cut(core, "-")
	return semver.IsValid("v"+s) && strings.Count(core, ".") == 2
}

func (v *validator) programs(t *strict.Table, m *Manifest) {
	def := t.Text("default", false)
	ps := t.Table("programs", true)
	if ps == nil {
		return
	}
	seen := map[string]bool{}
	for _, name := range ps.Names() {
		key := ps.Key(name)
		p := ps.Table(name, true)
		if p == nil {
			continue
		}
		full := FullName(name)
		if !validProgram(name) {
			v.fault(key, "program names are MODULE or MODULE:FUNCTION of a-z, 0-9, _, . and -")
		} else if seen[full] {
			v.fault(key, "is the same program as another one: %s", full)
		}
		seen[full] = true
		prog := Program{
			Name:        full,
			Module:      p.Text("module", true),
			Export:      p.Text("export", false),
			Kind:        p.Text("kind", true),
			Description: p.Text("description", false),
		}
		if prog.Export == "" {
			prog.Export = "_start"
		}
		if strings.HasPrefix(prog.Export, "pxos:") {
			v.fault(p.Key("export"), "names beginning with pxos: are reserved")
		}
		if prog.Module != "" && !validModulePath(prog.Module) {
			v.fault(p.Key("module"), "must be a relative path in the archive such as hello.wasm")
		}
		if k := prog.Kind; k != "" && k != KindWASI && k != KindSDK {
			v.fault(p.Key("kind"), `must be "wasi" or "sdk"`)
		}
		p.Done()
		m.Programs = append(m.Programs, prog)
	}
	if len(ps.Names()) == 0 {
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

// validName reports whether s is a cartridge's name.
func validName(s string) bool {
	return len(s) <= 64 && plain(s, "_-", false) && s[0] != '_' && s[0] != '-'
}

// validProgram reports whether s is MODULE or MODULE:FUNCTION.
func validProgram(s string) bool {
	module, function, has := strings.Cut(s, ":")
	if len(module) > 64 || !plain(module, "_.-", true) || strings.IndexByte("_.-", module[0]) >= 0 || module[0] >= 'A' && module[0] <= 'Z' {
		return false
	}
	return !has || len(function) <= 64 && plain(function, "_.-", true) && function[0] != '.' && function[0] != '-'
}

// ValidDigest reports whether s is a digest in its text form: 64 hex digits in
// lower case.
func ValidDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// plain reports whether s is not empty and of a-z, 0-9, the characters in extra,
// and A-Z where upper says so.
func plain(s, extra string, upper bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !(upper && c >= 'A' && c <= 'Z') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != ""
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

func (v *validator) capabilities(t *strict.Table, m *Manifest) {
	for _, c := range t.Tables("capabilities") {
		cap := Capability{
			Kind:   c.Text("kind", true),
			Path:   c.Text("path", false),
			Mode:   c.Text("mode", false),
			Name:   c.Text("name", false),
			Area:   c.Text("area", false),
			Reason: c.Text("reason", true),
		}
		cap.Optional, _ = c.Bool("optional")
		if cap.Mode == "" && CapabilityHas(cap.Kind, "mode") {
			cap.Mode = ModeRead
		}
		if cap.Kind != "" {
			for _, fault := range cap.faults() {
				c.Fault("", "%s", fault)
			}
		}
		for _, other := range m.Capabilities {
			if other.SameThing(cap) {
				c.Fault("", "asks for %s a second time", cap)
			}
		}
		c.Done()
		m.Capabilities = append(m.Capabilities, cap)
	}
}

func (v *validator) limits(t *strict.Table, m *Manifest) {
	if l := t.Table("limits", false); l != nil {
		m.Limits = TakeLimits(l)
		l.Done()
	}
}

// TakeLimits takes every limit from a table, each a number or a text as Limits.Set
// wants it; values that are wrong become faults of the table's document. Limits
// that are not there stay zero.
func TakeLimits(t *strict.Table) Limits {
	var l Limits
	for _, f := range limitFields {
		val, ok := t.Take(f.name)
		if !ok {
			continue
		}
		var err error
		switch x := val.(type) {
		case int64:
			err = l.setNumber(f, x)
		case string:
			err = l.Set(f.name, x)
		default:
			err = errors.New("must be a number or a string such as \"64MiB\"")
		}
		if err != nil {
			t.Fault(f.name, "%s", strings.TrimPrefix(err.Error(), "limit "+f.name+" "))
		}
	}
	return l
}
