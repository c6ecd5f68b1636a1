package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/host/policy"
)

// A cartridge whose programs pack or build compiled from source on this machine is no
// stranger: as long as it lies where it was written, unchanged, it runs inline when
// isolation is auto. Packing a module that somebody else compiled is not making. For each
// there is a file in $PXOS_HOME/made, named by the SHA-256 of its path, that holds its
// digest.

// recordMade remembers a cartridge that was just written. It is a convenience: when it
// fails, the cartridge runs in a process of its own.
func (a *app) recordMade(path, digest string) {
	file, err := a.madeFile(path)
	if err != nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
		_ = os.WriteFile(file, []byte(digest), 0o600)
	}
}

// madeHere returns the digest of the cartridge that was written at path, or "". What
// lies there now may be another one.
func (a *app) madeHere(path string) string {
	file, err := a.madeFile(path)
	if err != nil {
		return ""
	}
	digest, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(digest)
}

func (a *app) madeFile(path string) (string, error) {
	home, err := a.home()
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	sum := sha256.Sum256([]byte(path))
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
