package abi

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The capability kinds of this contract version. A cartridge asks for them in its
// manifest; the owner of the machine grants them or not.
const (
	// CapDir is a directory of the host, seen by the guest under Path.
	CapDir = "dir"
	// CapEnv is one environment variable of the host, called Name.
	CapEnv = "env"
	// CapInfiniteMap is the pixel plane called Name, or all planes of the
	// cartridge's lineage when Name is "*"; with Area only that part of it.
	CapInfiniteMap = "infinitemap"
	// CapPixelFS is what lies at or below Path in the files that the cartridge's
	// lineage keeps as pixels. Path / is all of them.
	CapPixelFS = "pixelfs"
)

// CapabilityKinds returns the kinds a manifest may ask for, sorted.
func CapabilityKinds() []string { return []string{CapDir, CapEnv, CapInfiniteMap, CapPixelFS} }

// capabilityKeys says which keys a kind has beside kind, reason and optional.
var capabilityKeys = map[string][]string{
	CapDir:         {"path", "mode"},
	CapEnv:         {"name"},
	CapInfiniteMap: {"name", "mode", "area"},
	CapPixelFS:     {"path", "mode"},
}

// CapabilityHas reports whether capabilities of that kind have that key: path,
// mode, name or area.
func CapabilityHas(kind, key string) bool { return slices.Contains(capabilityKeys[kind], key) }

// Modes of the kinds that have one.
const (
	ModeRead  = "read"
	ModeWrite = "write" // reading and writing
)

// AnyMap as the Name of a CapInfiniteMap stands for every map.
const AnyMap = "*"

// Capability is one thing a cartridge asks for, or was granted. The JSON and TOML
// keys are the same.
type Capability struct {
	Kind   string `json:"kind"`             // CapDir, CapEnv, CapInfiniteMap or CapPixelFS
	Path   string `json:"path,omitempty"`   // CapDir: absolute guest path; CapPixelFS: absolute path in the store
	Mode   string `json:"mode,omitempty"`   // all but CapEnv: ModeRead or ModeWrite
	Name   string `json:"name,omitempty"`   // CapEnv: the variable; CapInfiniteMap: the map, or AnyMap
	Area   string `json:"area,omitempty"`   // CapInfiniteMap: "x,y,width,height" as ParseArea takes it; empty: the whole plane
	Reason string `json:"reason,omitempty"` // why, for the person who decides
	// Optional says that the cartridge runs without it as well.
	Optional bool `json:"optional,omitempty"`
}

// String returns the short form that is used in prompts, flags and the journal:
// dir:/data:read, env:HOME, pixelfs:/notes:write, infinitemap:world:read or
// infinitemap:world:write:-100,-100,200,200.
func (c Capability) String() string {
	switch c.Kind {
	case CapDir, CapPixelFS:
		return c.Kind + ":" + c.Path + ":" + c.Mode
	case CapEnv:
		return c.Kind + ":" + c.Name
	case CapInfiniteMap:
		s := c.Kind + ":" + c.Name + ":" + c.Mode
		if c.Area != "" {
			s += ":" + c.Area
		}
		return s
	}
	return c.Kind
}

// SameThing reports whether c and d are about the same thing, whatever their modes.
func (c Capability) SameThing(d Capability) bool {
	return c.Kind == d.Kind && c.Path == d.Path && c.Name == d.Name && c.Area == d.Area
}

// Covers reports whether holding c satisfies a request for want: at least the
// requested mode, and the same directory or variable, a path at or below that of c,
// or a map and an area that c includes.
func (c Capability) Covers(want Capability) bool {
	if c.Kind != want.Kind || c.Mode != want.Mode && !(c.Mode == ModeWrite && want.Mode == ModeRead) {
		return false
	}
	switch c.Kind {
	case CapPixelFS:
		return PathWithin(c.Path, want.Path)
	case CapInfiniteMap:
		return (c.Name == AnyMap || c.Name == want.Name) && areaCovers(c.Area, want.Area)
	}
	return c.SameThing(want)
}

// PathWithin reports whether path is prefix or lies below it. Both are clean
// absolute slash paths, such as /notes and /notes/2026/a.txt.
func PathWithin(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// ParseCapability parses the short form that String returns. A mode that is left
// out is ModeRead.
func ParseCapability(s string) (Capability, error) {
	kind, rest, _ := strings.Cut(s, ":")
	c := Capability{Kind: kind}
	switch kind {
	case CapDir, CapPixelFS:
		var ok bool
		if c.Path, c.Mode, ok = cutLast(rest, ":"); !ok {
			c.Mode = ModeRead
		}
	case CapEnv:
		c.Name = rest
	case CapInfiniteMap:
		var ok bool
		if c.Name, rest, ok = strings.Cut(rest, ":"); !ok {
			rest = ModeRead
		}
		if c.Mode, c.Area, ok = strings.Cut(rest, ":"); ok && c.Area == "" {
			return c, fmt.Errorf("invalid capability %q: nothing follows the last colon", s)
		}
	default:
		return Capability{}, unknownKind(kind)
	}
	if faults := c.faults(); len(faults) > 0 {
		return c, fmt.Errorf("invalid capability %q: %s", s, strings.Join(faults, "; "))
	}
	return c, nil
}

func unknownKind(kind string) error {
	return fmt.Errorf("unknown capability kind %q: this host grants %s", kind, strings.Join(CapabilityKinds(), ", "))
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// faults returns everything that is wrong with c, a clause for each.
func (c Capability) faults() (out []string) {
	keys := capabilityKeys[c.Kind]
	if keys == nil {
		return []string{fmt.Sprintf("unknown kind %q: this host grants %s", c.Kind, strings.Join(CapabilityKinds(), ", "))}
	}
	if c.Kind == CapDir && !validGuestPath(c.Path) {
		out = append(out, "path must be an absolute guest path such as /data, not /, /tmp or /pixelfs")
	}
	if c.Kind == CapPixelFS && !validPrefix(c.Path) {
		out = append(out, "path must be / or an absolute path such as /notes, without a slash at the end, spaces, colons and backslashes")
	}
	if CapabilityHas(c.Kind, "mode") && c.Mode != ModeRead && c.Mode != ModeWrite {
		out = append(out, `mode must be "read" or "write"`)
	}
	if c.Kind == CapEnv && !validEnvName(c.Name) {
		out = append(out, "name must be a variable name of A-Z, a-z, 0-9 and _")
	}
	if c.Kind == CapInfiniteMap && c.Name != AnyMap && !ValidMapName(c.Name) {
		out = append(out, "name must be a map's name of a-z, 0-9, - and _, beginning with a letter or digit, or * for all maps")
	}
	if c.Kind == CapInfiniteMap && c.Area != "" {
		if _, err := ParseArea(c.Area); err != nil {
			out = append(out, err.Error())
		}
	}
	for _, k := range []struct{ key, value string }{{"path", c.Path}, {"mode", c.Mode}, {"name", c.Name}, {"area", c.Area}} {
		if k.value != "" && !slices.Contains(keys, k.key) {
			out = append(out, fmt.Sprintf("has keys that do not belong to kind %q", c.Kind))
			break
		}
	}
	return out
}

// validGuestPath accepts clean absolute paths of plain characters. The root and
// /tmp belong to the cartridge itself, and /pixelfs is where its pixel files are.
func validGuestPath(p string) bool {
	return p != "/" && len(p) <= 255 && plainPath(p) && !PathWithin("/tmp", p) && !PathWithin("/pixelfs", p)
}

// Bounds of a path in the pixel files: of a whole path, of one of its parts, and
// the number of parts.
const (
	MaxPixelPath  = 1024 // bytes, without the leading slash
	MaxPixelPart  = 200  // bytes
	MaxPixelParts = 32
)

// validPrefix accepts what a CapPixelFS may name.
func validPrefix(p string) bool {
	if p == "/" {
		return true
	}
	// Names are kept in NFC only: another spelling would cover nothing.
	if len(p) > MaxPixelPath+1 || !plainPath(p) || strings.Count(p, "/") > MaxPixelParts || !norm.NFC.IsNormalString(p) {
		return false
	}
	for part := range strings.SplitSeq(p[1:], "/") {
		if len(part) > MaxPixelPart {
			return false
		}
	}
	return true
}

// plainPath accepts clean absolute paths whose characters need no quotes in the
// short form and cannot be taken for others of it.
func plainPath(p string) bool {
	if !strings.HasPrefix(p, "/") || !utf8.ValidString(p) {
		return false
	}
	for part := range strings.SplitSeq(p[1:], "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
		for _, r := range part {
			if r <= ' ' || r == 0x7f || r == '\\' || r == ':' {
				return false
			}
		}
	}
	return true
}

func validEnvName(s string) bool {
	if s == "" || len(s) > 255 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// ValidMapName reports whether s can name a map: 1 to 64 characters of a-z, 0-9, -
// and _, beginning with a letter or digit. Names that Windows keeps for devices are
// left out, because a map is a directory of its name.
func ValidMapName(s string) bool {
	if !validName(s) {
		return false
	}
	switch s {
	case "con", "prn", "aux", "nul":
		return false
	}
	port := strings.TrimPrefix(strings.TrimPrefix(s, "com"), "lpt")
	return len(s) != 4 || len(port) != 1 || port < "0" || port > "9"
}

// SortCapabilities sorts by the short form, so that lists compare and digest the
// same everywhere.
func SortCapabilities(list []Capability) {
	sort.Slice(list, func(i, j int) bool { return list[i].String() < list[j].String() })
}
