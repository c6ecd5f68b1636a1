package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/pxos/pxos/abi"
)

// Role is where a policy file comes from.
type Role string

// The roles.
const (
	RoleExplicit Role = "explicit" // named by the user for this call
	RoleUser     Role = "user"     // in the user's configuration directory
	RoleLocal    Role = "local"    // in the working directory
	RoleAnswers  Role = "answers"  // what the user answered at prompts
)

// Places says where Load looks. Files that do not exist are skipped, except
// Explicit.
type Places struct {
	Explicit string // takes the place of User and Local
	User     string
	Local    string
	Answers  string // the file of Answers
	Home     string // the user's home directory, for ~
}

// File is one file that Load read.
type File struct {
	Path     string
	Role     Role
	Digest   string // SHA-256 of its content, 64 hex digits
	Approved bool   // RoleLocal: everything in it counts
}

// Loaded is the policy in force and where it comes from.
type Loaded struct {
	Policy
	Files []File
	// Withheld lists what an unapproved local file says and does not get: grants,
	// trust, raised limits, weaker isolation and durability. One line each.
	Withheld []string
	// Local is the unapproved local file as it was read, for Answers.Approve; zero
	// when there is none or nothing was withheld.
	Local File
}

// Load reads and merges the policy files.
//
// A file that the user names, or that lies in the user's configuration directory,
// counts in full. A pxos.toml in the working directory may have come with a
// cartridge from a stranger, in an archive or a repository, so by itself it can
// only take away: lower limits, stronger isolation, stronger durability, the
// interpreter. What it would give counts once the user has approved exactly this
// content of this file; until then Loaded.Withheld says what is left out.
//
// A file with faults is an *Error, wherever it lies.
func Load(p Places) (*Loaded, error) {
	out := &Loaded{}
	answers, err := LoadAnswers(p.Answers)
	if err != nil {
		return nil, err
	}
	if p.Explicit != "" {
		explicit, f, err := load(p.Explicit, RoleExplicit, p.Home)
		if err != nil {
			return nil, err
		}
		out.Files, out.Policy = []File{f}, *explicit
	} else {
		user, f, err := load(p.User, RoleUser, p.Home)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			out.Files, out.Policy = []File{f}, *user
		}
		if err := out.addLocal(p, answers); err != nil {
			return nil, err
		}
	}
	if len(answers.Grants) > 0 {
		out.Grants = append(out.Grants, answers.Grants...)
		out.Files = append(out.Files, File{Path: p.Answers, Role: RoleAnswers, Approved: true})
	}
	return out, nil
}

func (l *Loaded) addLocal(p Places, answers *Answers) error {
	local, f, err := load(p.Local, RoleLocal, p.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case p.User != "" && realPath(p.Local) == realPath(p.User):
		return nil // working in the configuration directory: the same file
	case err != nil:
		return err
	}
	f.Approved = answers.approved(f)
	if f.Approved {
		l.Policy = merge(l.Policy, *local)
	} else {
		l.Policy, l.Withheld = tighten(l.Policy, *local)
		if len(l.Withheld) > 0 {
			l.Local = f
		}
	}
	l.Files = append(l.Files, f)
	return nil
}

// load reads one file. The empty path does not exist.
func load(path string, role Role, home string) (*Policy, File, error) {
	f := File{Role: role, Approved: role != RoleLocal}
	if path == "" {
		return nil, f, fs.ErrNotExist
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, f, err
	}
	f.Path = abs
	src, err := readFile(abs)
	if err != nil {
		return nil, f, err
	}
	sum := sha256.Sum256(src)
	f.Digest = hex.EncodeToString(sum[:])
	p, err := Parse(src, Base{File: path, Dir: filepath.Dir(abs), Home: home})
	return p, f, err
}

// readFile reads a regular file of at most MaxFile bytes.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// merge returns base with everything that over states: single values replaced,
// lists put in front.
func merge(base, over Policy) Policy {
	base.Limits = base.Limits.Replace(over.Limits)
	if over.Isolation != "" {
		base.Isolation = over.Isolation
	}
	if over.Durability != "" {
		base.Durability = over.Durability
	}
	if over.CacheBytes != 0 {
		base.CacheBytes = over.CacheBytes
	}
	base.PixelFS = mergePixelFS(base.PixelFS, over.PixelFS)
	base.InfiniteMap = mergeInfiniteMap(base.InfiniteMap, over.InfiniteMap)
	base.Interpreter = base.Interpreter || over.Interpreter
	base.Trusted = slices.Concat(over.Trusted, base.Trusted)
	base.Grants = slices.Concat(over.Grants, base.Grants)
	return base
}

// tighten returns base with what over takes away, and a line for each thing that
// over would give.
func tighten(base, over Policy) (Policy, []string) {
	var withheld []string
	inForce := abi.DefaultLimits().Replace(base.Limits)
	var raised abi.Limits
	lim, ov := reflect.ValueOf(&base.Limits).Elem(), reflect.ValueOf(over.Limits)
	in, up := reflect.ValueOf(inForce), reflect.ValueOf(&raised).Elem()
	for i := range ov.NumField() {
		switch v := ov.Field(i).Int(); {
		case v == 0:
		case v < in.Field(i).Int():
			lim.Field(i).SetInt(v)
		case v > in.Field(i).Int():
			up.Field(i).SetInt(v)
		}
	}
	for _, s := range raised.Format() {
		withheld = append(withheld, "limit "+s)
	}
	switch over.Isolation {
	case IsolationProcess:
		base.Isolation = IsolationProcess
	case IsolationInline:
		if base.Isolation != IsolationInline {
			withheld = append(withheld, "isolation inline")
		}
	}
	order := []string{DurabilityFull, DurabilityEnd, DurabilityNone}
	rank := func(d string) int { // the built-in durability is none
		if i := slices.Index(order, d); i >= 0 {
			return i
		}
		return len(order) - 1
	}
	switch {
	case over.Durability == "":
	case rank(over.Durability) <= rank(base.Durability):
		base.Durability = over.Durability
	default:
		withheld = append(withheld, "durability "+over.Durability)
	}
	if over.CacheBytes != 0 && over.CacheBytes != base.CacheBytes {
		withheld = append(withheld, "cache size "+abi.FormatBytes(over.CacheBytes))
	}
	var held []string
	base.PixelFS, held = tightenPixelFS(base.PixelFS, over.PixelFS)
	withheld = append(withheld, held...)
	base.InfiniteMap, held = tightenInfiniteMap(base.InfiniteMap, over.InfiniteMap)
	withheld = append(withheld, held...)
	base.Interpreter = base.Interpreter || over.Interpreter
	for _, s := range over.Trusted {
		withheld = append(withheld, "trust in "+s.String())
	}
	for _, g := range over.Grants {
		withheld = append(withheld, "grant of "+g.Describe())
	}
	return base, withheld
}
