// Package policy is what the owner of a machine decides about cartridges: the
// limits they run under, how they are isolated, what they are granted, and which
// of them are trusted. It is written in pxos.toml:
//
//	[limits]              # each replaces the built-in default; see abi.Limits
//	memory = "256MiB"     # bytes of linear memory
//	fuel = "10T"          # units of work
//	time = "5m"           # wall clock
//	stack = "16MiB"       # bytes of call frames
//	table = 1048576       # table entries
//	output = "64MiB"      # bytes to stdout and stderr
//	handles = 256         # files and directories open at once
//	tmp = "64MiB"         # bytes in the private /tmp
//	log = "16MiB"         # bytes of log lines and result
//
//	[run]
//	isolation = "auto"    # "process", "inline", or "auto": inline for trusted cartridges
//	interpreter = false   # true runs without compiling
//
//	[journal]
//	durability = "none"   # "full", "end" or "none": when entries are forced to disk
//
//	[cache]
//	size = "2GiB"         # bound of the cache of compiled code
//
//	[pixelfs]             # for the files of each lineage of cartridges
//	quota = "1GiB"        # bytes on disk, earlier versions included
//	files = 100000        # current files
//	keep = 20             # versions of a file that pruning leaves; left out: all
//	max_age = "90d"       # pruning leaves younger versions; left out: any age
//	compression = "auto"  # "none", "rle", "lz4", or "auto": what pays
//
//	[infinitemap]         # for the maps of each lineage of cartridges
//	quota = "1GiB"        # bytes on disk, snapshots included
//	cache = "64MiB"       # bytes of tiles in memory for one open map
//
//	[[trusted]]           # may run inline
//	cartridge = "…"       # a digest of 64 hex digits, or a path on this machine
//	note = "mine"         # optional, for the reader
//
//	[[grants]]
//	cartridge = "…"       # as above
//	kind = "dir"
//	path = "/data"        # where the cartridge asks for it
//	host = "~/notes"      # what it gets: absolute, below ~, or beside this file
//	mode = "read"         # "read" (the default) or "write"
//	note = "…"            # optional
//
//	[[grants]]
//	cartridge = "…"
//	kind = "env"
//	name = "LANG"
//	value = "C"           # optional; without it the value that the host has
//
//	[[grants]]
//	cartridge = "…"
//	kind = "pixelfs"
//	path = "/notes"       # at or above what the cartridge asks for
//	mode = "write"        # "read" (the default) or "write"
//
//	[[grants]]
//	cartridge = "…"
//	kind = "infinitemap"
//	name = "world"        # a map, or "*" for every map of its lineage
//	mode = "write"        # "read" (the default) or "write"
//	area = "0,0,512,512"  # optional; x, y, width, height; without it the whole plane
//
// A grant takes effect only for what the cartridge's manifest asks for, and never
// with a wider mode. Cartridges are named by digest, or by a place that only the
// owner can write, never by the name in their manifest: anybody can write any
// name there.
//
// Where the file comes from decides what it may say; see [Load].
package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/strict"
)

// FileName is the name of a policy file.
const FileName = "pxos.toml"

// MaxFile is the largest policy file in bytes.
const MaxFile = 1 << 20

// The isolation choices of [run].
const (
	IsolationAuto    = "auto"
	IsolationProcess = "process"
	IsolationInline  = "inline"
)

// The durability choices of [journal], from the strongest on.
const (
	DurabilityFull = "full" // both entries of a run are on disk before it goes on
	DurabilityEnd  = "end"  // they are on disk when the run has ended
	DurabilityNone = "none" // the operating system decides
)

// Policy is one policy file after validation, or several merged. Fields that are
// not stated are zero.
type Policy struct {
	Limits      abi.Limits
	Isolation   string // IsolationAuto, IsolationProcess, IsolationInline or empty
	Interpreter bool
	Durability  string // DurabilityFull, DurabilityEnd, DurabilityNone or empty
	CacheBytes  int64
	PixelFS     PixelFS
	InfiniteMap InfiniteMap
	Trusted     []Subject
	Grants      []Grant
}

// Subject names the cartridge that a rule is about: by its digest, or by its place
// on this machine. Exactly one of the fields is set.
type Subject struct {
	Digest string // 64 hex digits
	Path   string // absolute host path of a cartridge file or a source directory
}

// String returns the digest or the path.
func (s Subject) String() string { return s.Digest + s.Path }

// Grant gives one cartridge one thing.
type Grant struct {
	Subject        Subject
	abi.Capability        // what is given; Reason is not used
	HostPath       string // CapDir: absolute host directory
	Value          string // CapEnv: the value, when Fixed
	Fixed          bool   // CapEnv: Value is used instead of the host's variable
	Note           string
}

// Describe says in one line what the grant gives, and to whom.
func (g Grant) Describe() string {
	var what string
	switch {
	case g.Kind == abi.CapDir:
		what = fmt.Sprintf("%s as %s (%s)", g.HostPath, g.Path, g.Mode)
	case g.Kind == abi.CapPixelFS:
		what = fmt.Sprintf("pixel files under %s (%s)", g.Path, g.Mode)
	case g.Kind == abi.CapInfiniteMap:
		what = fmt.Sprintf("map %s (%s)", g.Name, g.Mode)
		if g.Area != "" {
			what += " within " + g.Area
		}
	case g.Fixed:
		what = fmt.Sprintf("the variable %s=%s", g.Name, g.Value)
	default:
		what = "the variable " + g.Name
	}
	return what + " to " + g.Subject.String()
}

// Error lists every fault of one policy file.
type Error struct {
	File   string
	Faults []strict.Fault
}

func (e *Error) Error() string {
	return fmt.Sprintf("invalid %s: %s", e.File, strict.Join(e.Faults))
}

// Base says where a policy file lies, which its relative paths depend on.
type Base struct {
	File string // its path, for messages
	Dir  string // absolute directory that relative paths start from
	Home string // the user's home directory that ~ stands for; empty: ~ is a fault
}

// Parse parses and validates one policy file. The error is an *Error with all
// faults and their lines.
func Parse(src []byte, base Base) (*Policy, error) {
	doc, fault := strict.Parse(src, MaxFile)
	if fault != nil {
		return nil, &Error{base.File, []strict.Fault{*fault}}
	}
	root := doc.Root()
	p := &Policy{}
	if t := root.Table("limits", false); t != nil {
		p.Limits = abi.TakeLimits(t)
		t.Done()
	}
	if t := root.Table("run", false); t != nil {
		p.Isolation = t.Choice("isolation", false, IsolationAuto, IsolationProcess, IsolationInline)
		p.Interpreter, _ = t.Bool("interpreter")
		t.Done()
	}
	if t := root.Table("journal", false); t != nil {
		p.Durability = t.Choice("durability", false, DurabilityFull, DurabilityEnd, DurabilityNone)
		t.Done()
	}
	if t := root.Table("cache", false); t != nil {
		p.CacheBytes = takeBytes(t, "size")
		t.Done()
	}
	if t := root.Table("pixelfs", false); t != nil {
		p.PixelFS = takePixelFS(t)
	}
	if t := root.Table("infinitemap", false); t != nil {
		p.InfiniteMap = takeInfiniteMap(t)
	}
	for _, t := range root.Tables("trusted") {
		p.Trusted = append(p.Trusted, takeSubject(t, base))
		t.Text("note", false)
		t.Done()
	}
	p.Grants = takeGrants(root, base)
	root.Done()
	if faults := doc.Faults(); len(faults) > 0 {
		return nil, &Error{base.File, faults}
	}
	return p, nil
}

func takeGrants(root *strict.Table, base Base) []Grant {
	var out []Grant
	for _, t := range root.Tables("grants") {
		g := Grant{Subject: takeSubject(t, base)}
		g.Kind = t.Choice("kind", true, abi.CapabilityKinds()...)
		switch g.Kind {
		case abi.CapDir:
			g.Path = t.Text("path", true)
			g.Mode = takeMode(t)
			if host := t.Text("host", true); host != "" {
				g.HostPath = resolve(t, "host", host, base)
			}
			if g.Path != "" {
				checkCapability(t, "path", g.Capability)
			}
		case abi.CapEnv:
			g.Name = t.Text("name", true)
			if _, g.Fixed = t.Take("value"); g.Fixed {
				g.Value = t.Text("value", false)
			}
			if g.Name != "" {
				checkCapability(t, "name", g.Capability)
			}
		case abi.CapPixelFS:
			g.Path = t.Text("path", true)
			g.Mode = takeMode(t)
			if g.Path != "" {
				checkCapability(t, "path", g.Capability)
			}
		case abi.CapInfiniteMap:
			g.Name = t.Text("name", true)
			g.Mode = takeMode(t)
			if g.Name != "" {
				checkCapability(t, "name", g.Capability)
			}
			if g.Area = t.Text("area", false); g.Area != "" {
				if _, err := abi.ParseArea(g.Area); err != nil {
					t.Fault("area", "%s", strings.TrimPrefix(err.Error(), "area "))
				}
			}
		}
		g.Note = t.Text("note", false)
		if g.Kind != "" {
			t.Done()
		}
		out = append(out, g)
	}
	return out
}

func takeMode(t *strict.Table) string {
	mode := t.Choice("mode", false, abi.ModeRead, abi.ModeWrite)
	if mode == "" {
		return abi.ModeRead
	}
	return mode
}

// checkCapability lets the contract judge a capability, and reports its fault at
// key.
func checkCapability(t *strict.Table, key string, c abi.Capability) {
	if got, err := abi.ParseCapability(c.String()); err != nil {
		t.Fault(key, "%s", strings.TrimPrefix(err.Error(), fmt.Sprintf("invalid capability %q: ", c.String())))
	} else if got != c {
		t.Fault(key, "is not a plain name")
	}
}

func takeSubject(t *strict.Table, base Base) Subject {
	s := t.Text("cartridge", true)
	switch {
	case s == "":
		return Subject{}
	case abi.ValidDigest(s):
		return Subject{Digest: s}
	case filepath.IsAbs(s), strings.ContainsAny(s, `/\`):
		return Subject{Path: resolve(t, "cartridge", s, base)}
	}
	t.Fault("cartridge", "must be a digest (64 hex digits in lower case, see pxos-host inspect) or a path such as ./hello.pxa; a cartridge's name is no proof of who it is")
	return Subject{}
}

// resolve makes a path of the file absolute.
func resolve(t *strict.Table, key, path string, base Base) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if base.Home == "" {
			t.Fault(key, "uses ~, and there is no home directory")
			return ""
		}
		return filepath.Join(base.Home, path[1:])
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base.Dir, path)
}

// takeBytes takes a byte size, written as a number or as the byte limits are.
func takeBytes(t *strict.Table, key string) int64 {
	val, ok := t.Take(key)
	if !ok {
		return 0
	}
	n, err := int64(0), errors.New(`must be a number or a string such as "2GiB"`)
	switch x := val.(type) {
	case int64:
		n, err = x, nil
	case string:
		// The output limit has the widest range of those that count bytes.
		var l abi.Limits
		err = l.Set("output", x)
		n = l.Output
	}
	switch {
	case err != nil:
		t.Fault(key, "%s", strings.TrimPrefix(err.Error(), "limit output "))
	case n <= 0:
		t.Fault(key, "must be greater than 0")
	}
	return n
}
