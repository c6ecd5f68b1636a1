package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// CheckMemo remembers which cartridge files passed their whole check, so that the
// next run of the same file need not draw its cover and sum its pixels again. It lies
// in the directory of the compile cache. Its zero value remembers nothing.
//
// An entry is a file of 112 bytes, named by the SHA-256 of the cartridge file:
//
//	0   8  magic
//	8   8  version of the checker, little endian
//	16  32 SHA-256 of the whole cartridge file
//	48  32 digest of the archive, which the check established
//	80  32 SHA-256 of the 80 bytes before
//
// Nothing is weaker with it. The check is a function of the file's bytes and of the
// checker's version alone, and the memo answers only for bytes whose SHA-256 is that
// of bytes that passed: to get another file through, one needs a second preimage of
// SHA-256, on which the digests of the archive itself rest, or has to write into a
// directory of the owner's that also holds machine code. An entry that is not exactly
// as above is no entry, and the file is checked as if there were none.
type CheckMemo struct {
	Dir     string
	Version uint64 // of the checker; entries of other versions are not seen
}

const (
	checkMagic  = "pxck0001"
	checkSize   = 112
	checkPrefix = "checked-"
	maxChecks   = 4096 // files that are remembered
)

func (m CheckMemo) path(file [32]byte) string {
	return filepath.Join(m.Dir, checkPrefix+hex.EncodeToString(file[:]))
}

func (m CheckMemo) encode(file, digest [32]byte) []byte {
	b := append(make([]byte, 0, checkSize), checkMagic...)
	b = binary.LittleEndian.AppendUint64(b, m.Version)
	b = append(append(b, file[:]...), digest[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// Lookup returns the digest of the archive in a cartridge file that passed its check,
// by the SHA-256 of that file.
func (m CheckMemo) Lookup(file [32]byte) (digest [32]byte, ok bool) {
	if m.Dir == "" {
		return digest, false
	}
	f, err := os.Open(m.path(file))
	if err != nil {
		return digest, false
	}
	defer f.Close()
	var b [checkSize + 1]byte
	n, _ := f.Read(b[:])
	if n != checkSize {
		return digest, false
	}
	digest = [32]byte(b[48:80])
	if !bytes.Equal(b[:n], m.encode(file, digest)) {
		return [32]byte{}, false
	}
	if st, err := f.Stat(); err == nil {
		touch(f.Name(), st)
	}
	return digest, true
}

// Store remembers that a cartridge file passed its check. The entry appears whole or
// not at all. Beyond a few thousand entries the least recently used are forgotten.
func (m CheckMemo) Store(file, digest [32]byte) error {
	if m.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(m.Dir, tmpPrefix) // for its owner alone
	if err != nil {
		return err
	}
	_, err = tmp.Write(m.encode(file, digest))
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), m.path(file))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return err
	}
	return m.forget(maxChecks)
}

// forget removes the least recently used entries when there are more than limit; a
// quarter of them, so that it is seldom done.
func (m CheckMemo) forget(limit int) error {
	d, err := os.Open(m.Dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, checkPrefix) })
	if len(names) <= limit {
		return nil
	}
	used := map[string]time.Time{}
	for _, n := range names {
		if st, err := os.Stat(filepath.Join(m.Dir, n)); err == nil {
			used[n] = st.ModTime()
		}
	}
	slices.SortFunc(names, func(a, b string) int { return used[a].Compare(used[b]) })
	for _, n := range names[:len(names)-limit*3/4] {
		if err := os.Remove(filepath.Join(m.Dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkEntry describes an entry for CacheList. One that is just being replaced may be
// gone.
func checkEntry(path string, d fs.DirEntry) (ent CacheEntry, ok bool) {
	st, err := d.Info()
	if err != nil {
		return ent, false
	}
	ent = CacheEntry{Key: d.Name(), Kind: KindCheck, Size: st.Size(), Used: st.ModTime().UTC()}
	b := make([]byte, checkSize)
	f, err := os.Open(path)
	if err != nil {
		return ent, false
	}
	defer f.Close()
	_, err = io.ReadFull(f, b)
	switch {
	case err != nil || st.Size() != checkSize || string(b[:len(checkMagic)]) != checkMagic:
		ent.Fault = "check entry has no header"
	case checkPrefix+hex.EncodeToString(b[16:48]) != d.Name() || sha256.Sum256(b[:80]) != [32]byte(b[80:]):
		ent.Fault = "check entry fails its checksum"
	default:
		ent.Source = hex.EncodeToString(b[48:80])
	}
	return ent, true
}
