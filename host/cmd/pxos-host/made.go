package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"github.com/pxos/pxos/host/policy"
)

// A cartridge whose programs pack or build compiled from source on this machine is no
// stranger: as long as it lies where it was written, unchanged, it runs inline when
// isolation is auto. Packing a module that somebody else compiled is not making. For each
// there is a file in $PXOS_HOME/made, named by the SHA-256 of its path, that holds its
// digest, and in a second line the directory of its source, to which its pixel files and
// maps belong: they stay from build to build.

// made is what is known of a cartridge that was made here.
type made struct {
	digest string
	origin string // absolute path of the source directory
}

// recordMade remembers a cartridge that was just written. It is a convenience: when it
// fails, the cartridge runs in a process of its own.
func (a *app) recordMade(path string, m made) {
	file, err := a.madeFile(path)
	if err != nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
		_ = os.WriteFile(file, []byte(m.digest+"\n"+m.origin), 0o600)
	}
}

// madeHere returns what was written at path; it is zero when nothing was. What lies
// there now may be another cartridge. A source directory is its own origin.
func (a *app) madeHere(path string) made {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return made{origin: realPath(path)}
	}
	file, err := a.madeFile(path)
	if err != nil {
		return made{}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return made{}
	}
	digest, origin, _ := strings.Cut(string(data), "\n")
	return made{digest, origin}
}

// originOf returns the directory that a cartridge was made from here, or "".
func (m made) originOf(o *opened, x string) string {
	if info, err := os.Stat(x); err == nil && info.IsDir() || m.digest != "" && m.digest == o.Digest() {
		return m.origin
	}
	return ""
}

// realPath is the absolute path without links, as far as it can be known.
func realPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path
}

func (a *app) madeFile(path string) (string, error) {
	home, err := a.home()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(realPath(path)))
	return filepath.Join(home, "made", hex.EncodeToString(sum[:])), nil
}

// isolationFor is what the policy says, with cartridges that were made here trusted.
func isolationFor(pol *policy.Loaded, id policy.Identity, made string) string {
	level := pol.IsolationFor(id)
	if level == policy.IsolationAuto && made != "" && id.Digest == made {
		return policy.IsolationInline
	}
	return level
}
