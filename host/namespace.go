package host

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/storage"
)

// UserNamespace is the namespace of the person at the keyboard. No cartridge has it.
const UserNamespace = "user"

// What a cartridge that names a parent is to have, in RunRequest.Lineage.
const (
	LineageParent = "parent" // the pixel files and maps of its parent
	LineageOwn    = "own"    // ones of its own
)

// FilesDir is where a host with that home keeps the pixel files of a namespace.
func FilesDir(home, namespace string) string { return filepath.Join(home, "pixelfs", namespace) }

// MapsDir is where a host with that home keeps the maps of a namespace, each a directory.
func MapsDir(home, namespace string) string { return filepath.Join(home, "maps", namespace) }

// aboutFile describes a namespace.
func aboutFile(home, namespace string) string {
	return filepath.Join(home, "namespaces", namespace+".json")
}

// lineageFile remembers the namespace that a cartridge was given.
func lineageFile(home, digest string) string { return filepath.Join(home, "lineages", digest) }

// Namespace describes the pixel files and maps of one lineage.
type Namespace struct {
	Name    string      `json:"namespace"`
	Program string      `json:"name"`              // of the cartridge that was first to use it
	Creator abi.Creator `json:"creator"`           // its
	Root    string      `json:"root"`              // its digest
	Origin  string      `json:"origin,omitempty"`  // the directory it was made from on this machine
	Created time.Time   `json:"created,omitempty"` // when it was first used
	Files   bool        `json:"files"`             // there are pixel files
	Maps    []string    `json:"maps"`              // names
}

// ValidNamespace reports whether s can be the name of a namespace: 1 to 128 characters
// of a-z, 0-9, dots, - and _, beginning with a letter or digit.
func ValidNamespace(s string) bool {
	if s == "" || len(s) > 128 || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return true
}

// OriginNamespace is the namespace of the cartridges that are made on this machine from
// a directory, given by its absolute path.
func OriginNamespace(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "made-" + hex.EncodeToString(sum[:])
}

// namespace decides which files and maps a run gets.
//
// A name that the owner gave comes first. A cartridge made here from a directory has the
// namespace of that directory, from build to build. Any other keeps what it was once
// given. A new one gets its own, the digest being its name; if it names a parent, the
// owner decides: anyone can write any parent into a manifest.
func (h *Host) namespace(c *Cartridge, m *abi.Manifest, req *RunRequest) (string, error) {
	if ns := req.Namespace; ns != "" {
		if !ValidNamespace(ns) {
			return "", errorf(abi.ErrDenied, "a namespace is 1 to 128 characters of a-z, 0-9, dots, - and _", "%q cannot be a namespace", ns)
		}
		return ns, nil
	}
	remembered, err := h.remembered(c.Digest())
	if err != nil {
		return "", err
	}
	ns := remembered
	switch {
	case req.Origin != "":
		ns = OriginNamespace(req.Origin)
	case req.Lineage == LineageParent:
		if m.Parent == "" {
			return "", errorf(abi.ErrDenied, "leave the lineage out: it has files of its own", "cartridge names no parent whose files it could have")
		}
		if ns, err = h.remembered(m.Parent); err != nil {
			return "", err
		}
		if ns == "" {
			ns = m.Parent
		}
	case req.Lineage == LineageOwn:
		ns = c.Digest()
	case req.Lineage != "":
		return "", fmt.Errorf("unknown lineage %q: want parent or own", req.Lineage)
	case ns == "" && m.Parent == "":
		ns = c.Digest()
	case ns == "":
		return "", errorf(abi.ErrDenied, "if it is a successor you trust, --lineage parent gives it its parent's files; --lineage own gives it files of its own",
			"cartridge says that it descends from %s, and nobody has agreed yet", m.Parent)
	}
	// A founding cartridge is known by its digest alone and needs no memory.
	if ns != remembered && (ns != c.Digest() || remembered != "" || m.Parent != "") {
		if err := h.remember(c.Digest(), ns); err != nil {
			return "", err
		}
	}
	return ns, nil
}

// NamespaceOf returns the namespace that a cartridge has without a new decision of its
// owner; origin is as in RunRequest. It is "" for a cartridge that names a parent about
// which nothing was decided.
func (h *Host) NamespaceOf(c *Cartridge, origin string) (string, error) {
	if origin != "" {
		return OriginNamespace(origin), nil
	}
	if ns, err := h.remembered(c.Digest()); ns != "" || err != nil {
		return ns, err
	}
	m, err := c.Manifest()
	if err != nil || m.Parent != "" {
		return "", err
	}
	return c.Digest(), nil
}

// remembered returns the namespace that a cartridge was given, or "".
func (h *Host) remembered(digest string) (string, error) {
	data, err := os.ReadFile(lineageFile(h.cfg.Home, digest))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", errorf(abi.ErrInternal, "see to it that the state directory can be read", "read the namespace of the cartridge: %w", err)
	}
	ns := strings.TrimSpace(string(data))
	if !ValidNamespace(ns) {
		return "", errorf(abi.ErrInternal, "delete it if you know whose files the cartridge is to have", "%q names no namespace", lineageFile(h.cfg.Home, digest))
	}
	return ns, nil
}

func (h *Host) remember(digest, ns string) error {
	file := lineageFile(h.cfg.Home, digest)
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(filepath.Dir(file), ".lineage-*"); err == nil {
			_, err = f.WriteString(ns + "\n")
			if e := f.Close(); err == nil {
				err = e
			}
			if err == nil {
				err = os.Rename(f.Name(), file)
			}
			if err != nil {
				_ = os.Remove(f.Name())
			}
		}
	}
	if err != nil {
		return errorf(abi.ErrInternal, "free space or set PXOS_HOME elsewhere", "remember the namespace of the cartridge: %w", err)
	}
	return nil
}

// Namespaces lists the namespaces that have files, maps or a description, sorted by
// name.
func (h *Host) Namespaces() ([]Namespace, error) {
	byName := map[string]*Namespace{}
	get := func(name string) *Namespace {
		if byName[name] == nil {
			byName[name] = &Namespace{Name: name, Maps: []string{}}
		}
		return byName[name]
	}
	err := h.each("namespaces", func(e fs.DirEntry) error {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !ValidNamespace(name) {
			return nil
		}
		data, err := os.ReadFile(aboutFile(h.cfg.Home, name))
		if err != nil {
			return err
		}
		ns := Namespace{}
		if json.Unmarshal(data, &ns) == nil { // a damaged description takes nothing else with it
			ns.Name, ns.Files, ns.Maps = name, false, []string{}
			byName[name] = &ns
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = h.each("pixelfs", func(e fs.DirEntry) error {
		if e.IsDir() && ValidNamespace(e.Name()) {
			get(e.Name()).Files = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = h.each("maps", func(e fs.DirEntry) error {
		if !e.IsDir() || !ValidNamespace(e.Name()) {
			return nil
		}
		ns := get(e.Name())
		return h.each(filepath.Join("maps", e.Name()), func(m fs.DirEntry) error {
			if m.IsDir() && abi.ValidMapName(m.Name()) {
				ns.Maps = append(ns.Maps, m.Name())
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	out := make([]Namespace, 0, len(byName))
	for _, ns := range byName {
		out = append(out, *ns)
	}
	slices.SortFunc(out, func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// each visits the entries of a directory below the home, which may be missing.
func (h *Host) each(dir string, f func(fs.DirEntry) error) error {
	list, err := os.ReadDir(filepath.Join(h.cfg.Home, dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

// storage describes the pixel files and maps of a run; nil when none were granted.
func (h *Host) storage(p *plan) (*storage.Config, error) {
	if !storage.Uses(p.granted) {
		return nil, nil
	}
	ns, err := h.namespace(p.c, p.manifest, p.req)
	if err != nil {
		return nil, err
	}
	home, err := filepath.Abs(h.cfg.Home)
	if err != nil {
		return nil, err
	}
	about, err := json.Marshal(Namespace{
		Name: ns, Program: p.manifest.Name, Creator: p.manifest.Creator, Root: p.c.Digest(), Origin: p.req.Origin, Created: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		return nil, err
	}
	p.namespace = ns
	return &storage.Config{
		Files: FilesDir(home, ns), Maps: MapsDir(home, ns),
		About:   &storage.Note{Path: aboutFile(home, ns), Data: about},
		Granted: p.granted, Handles: p.limits.Handles, Policy: h.cfg.Storage,
	}, nil
}
