package abi

import (
	"fmt"
	"sort"
	"strings"
)

// The capability kinds of this contract version. A cartridge asks for them in its
// manifest; the owner of the machine grants them or not.
const (
	// CapDir is a directory of the host, seen by the guest under Path.
	CapDir = "dir"
	// CapEnv is one environment variable of the host, called Name.
	CapEnv = "env"
)

// CapabilityKinds returns the kinds a manifest may ask for, sorted.
func CapabilityKinds() []string { return []string{CapDir, CapEnv} }

// Modes of CapDir.
const (
	ModeRead  = "read"
	ModeWrite = "write" // reading and writing
)

// Capability is one thing a cartridge asks for, or was granted. The JSON and TOML
// keys are the same.
type Capability struct {
	Kind   string `json:"kind"`             // CapDir or CapEnv
	Path   string `json:"path,omitempty"`   // CapDir: absolute guest path
	Mode   string `json:"mode,omitempty"`   // CapDir: ModeRead or ModeWrite
	Name   string `json:"name,omitempty"`   // CapEnv: the variable
	Reason string `json:"reason,omitempty"` // why, for the person who decides
	// Optional says that the cartridge runs without it as well.
	Optional bool `json:"optional,omitempty"`
}

// String returns the short form that is used in prompts, flags and the journal:
// dir:/data:read or env:HOME.
func (c Capability) String() string {
	switch c.Kind {
	case CapDir:
		return c.Kind + ":" + c.Path + ":" + c.Mode
	case CapEnv:
		return c.Kind + ":" + c.Name
	}
	return c.Kind
}

// Covers reports whether holding c satisfies a request for want: the same thing,
// with at least the requested mode.
func (c Capability) Covers(want Capability) bool {
	if c.Kind != want.Kind || c.Path != want.Path || c.Name != want.Name {
		return false
	}
	return c.Mode == want.Mode || c.Mode == ModeWrite && want.Mode == ModeRead
}

// ParseCapability parses the short form that String returns.
func ParseCapability(s string) (Capability, error) {
	kind, rest, _ := strings.Cut(s, ":")
	var c Capability
	switch kind {
	case CapDir:
		path, mode, ok := cutLast(rest, ":")
		if !ok {
			path, mode = rest, ModeRead
		}
		c = Capability{Kind: CapDir, Path: path, Mode: mode}
	case CapEnv:
		c = Capability{Kind: CapEnv, Name: rest}
	default:
		return c, fmt.Errorf("unknown capability kind %q: this host grants %s", kind, strings.Join(CapabilityKinds(), ", "))
	}
	if fault := c.fault(); fault != "" {
		return c, fmt.Errorf("invalid capability %q: %s", s, fault)
	}
	return c, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// fault returns what is wrong with c, or "".
func (c Capability) fault() string {
	switch c.Kind {
	case CapDir:
		if !validGuestPath(c.Path) {
			return "path must be an absolute guest path such as /data, not / and not /tmp"
		}
		if c.Mode != ModeRead && c.Mode != ModeWrite {
			return `mode must be "read" or "write"`
		}
	case CapEnv:
		if !validEnvName(c.Name) {
			return "name must be a variable name of A-Z, a-z, 0-9 and _"
		}
	default:
		return fmt.Sprintf("unknown kind %q: this host grants %s", c.Kind, strings.Join(CapabilityKinds(), ", "))
	}
	return ""
}

// validGuestPath accepts clean absolute paths of plain characters. The root and
// /tmp belong to the cartridge itself.
func validGuestPath(p string) bool {
	if len(p) < 2 || len(p) > 255 || p[0] != '/' || p == "/tmp" || strings.HasPrefix(p, "/tmp/") {
		return false
	}
	for _, part := range strings.Split(p[1:], "/") {
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

// SortCapabilities sorts by the short form, so that lists compare and digest the
// same everywhere.
func SortCapabilities(list []Capability) {
	sort.Slice(list, func(i, j int) bool { return list[i].String() < list[j].String() })
}
