package pxa

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzReader opens anything. The CRCs are put right first, so that what lies
// behind them is reached, and both ways to read must agree.
func FuzzReader(f *testing.F) {
	names, err := filepath.Glob(filepath.Join(vectorDir, "*.pxa"))
	if err != nil || len(names) == 0 {
		f.Fatal("no vectors", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	lim := Limits{EntrySize: 1 << 20, TotalSize: 4 << 20, Archive: 8 << 20, Memory: 8 << 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		for at := 8; at+12 <= len(b); {
			n := int(binary.BigEndian.Uint32(b[at:]))
			if n > len(b)-at-12 {
				break
			}
			binary.BigEndian.PutUint32(b[at+8+n:], crc32.ChecksumIEEE(b[at+4:at+8+n]))
			at += 12 + n
		}
		r, err := Open(plain(b), int64(len(b)), &Options{Limits: lim})
		if err != nil {
			return
		}
		for _, e := range r.Entries() {
			if got, err := r.ReadFile(e.Path); err == nil && int64(len(got)) != e.Size {
				t.Fatalf("%q: %d bytes, the table says %d", e.Path, len(got), e.Size)
			}
			if ValidPath(e.Path) != nil {
				t.Fatalf("accepted the path %q", e.Path)
			}
		}
		rep, err := r.Verify(t.Context(), nil)
		m, merr := Open(inMemory(b), int64(len(b)), &Options{Limits: lim})
		if merr != nil {
			t.Fatalf("in memory: %v", merr)
		}
		m.own.Store(nil)
		rep2, err2 := m.Verify(t.Context(), nil)
		if (err == nil) != (err2 == nil) || err == nil && rep.Digest != rep2.Digest {
			t.Fatalf("the two ways to read disagree: %v, %v", err, err2)
		}
	})
}

// FuzzArchive puts any archive bytes into a right picture.
func FuzzArchive(f *testing.F) {
	f.Add(craftArchive(lies{}))
	f.Add(craftArchive(lies{}, baseParts()...))
	f.Add(craftArchive(lies{}, part{path: "x", codec: XZ, data: bytes.Repeat([]byte("y"), 48), content: []byte("z")}))
	f.Fuzz(func(t *testing.T, a []byte) {
		if len(a) == 0 || len(a) > 1<<16 {
			return
		}
		file := picture(a, "")
		r, err := Open(inMemory(file), int64(len(file)), nil)
		if err != nil {
			return
		}
		if r.header.archiveLen != int64(len(a)) {
			return // the digest is over another length
		}
		if _, err := r.Verify(t.Context(), nil); err != nil {
			return
		}
		// What verifies with this version number packs to the same archive.
		if r.header.minor != VersionMinor {
			return
		}
		var sources []Source
		for _, e := range r.entries {
			if e.Codec != Stored {
				return
			}
			b, err := r.ReadFile(e.Path)
			if err != nil {
				t.Fatal(err)
			}
			s := BytesSource(e.Path, b)
			s.Executable = e.Executable
			sources = append(sources, s)
		}
		d, err := Pack(t.Context(), io.Discard, sources, nil)
		if err != nil || d != r.digest {
			t.Fatalf("packed again: %v, %v", d, err)
		}
	})
}

// FuzzRoundTrip packs any content under any name.
func FuzzRoundTrip(f *testing.F) {
	f.Add("a", []byte("b"), false)
	f.Add("dir/ünïcode", bytes.Repeat([]byte("pixel "), 100), true)
	f.Add("../x", []byte{}, false)
	f.Fuzz(func(t *testing.T, path string, content []byte, xz bool) {
		var b bytes.Buffer
		d, err := Pack(t.Context(), &b, []Source{BytesSource(path, content)}, &PackOptions{XZ: xz})
		if err != nil {
			if ValidPath(path) == nil && len(path) <= 1024 {
				t.Fatal(err)
			}
			return
		}
		r, err := OpenVerified(t.Context(), plain(b.Bytes()), int64(b.Len()), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.ReadFile(path)
		if err != nil || !bytes.Equal(got, content) || r.digest != d {
			t.Fatalf("%q, %v", got, err)
		}
	})
}
