package pxa

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ulikunitz/xz"
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

// xzFrame puts LZMA2 chunks into a right xz stream without a check.
func xzFrame(chunks []byte, size int) []byte {
	sealed := func(b, p []byte) []byte {
		return binary.LittleEndian.AppendUint32(append(b, p...), crc32.ChecksumIEEE(p))
	}
	b := binary.LittleEndian.AppendUint32([]byte(xzMagic+"\x00\x00"), crc32.ChecksumIEEE([]byte{0, 0}))
	b = sealed(b, []byte{2, 0, 0x21, 1, 8, 0, 0, 0}) // a dictionary of 64 KiB
	b = append(b, chunks...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	index := binary.AppendUvarint([]byte{0, 1}, uint64(12+len(chunks)))
	index = binary.AppendUvarint(index, uint64(size))
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	b = sealed(b, index)
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4))
	foot = append(foot, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(foot))
	return append(append(b, foot...), "YZ"...)
}

// FuzzXZ decodes any LZMA2 data in a right frame.
func FuzzXZ(f *testing.F) {
	good := xzOf(bytes.Repeat([]byte("abcabcabd "), 100), xz.WriterConfig{DictCap: 1 << 16, NoCheckSum: true})
	n := 12 + 4*(int(good[12])+1)
	f.Add(good[n:len(good)-12-12], 1000)
	f.Add([]byte{1, 0, 2, 'a', 'b', 'c', 0}, 3)
	f.Add([]byte{0}, 0)
	f.Fuzz(func(t *testing.T, chunks []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		stream := xzFrame(chunks, size)
		r := &Reader{lim: DefaultLimits()}
		e := &Entry{Path: "x", Codec: XZ, Size: int64(size), StoredSize: int64(len(stream))}
		src, err := newXZReader(io.NewSectionReader(bytes.NewReader(stream), 0, int64(len(stream))), e, r.lim)
		if err != nil {
			return
		}
		// The library takes some streams that are shorter than their index
		// says, which the layer above must see.
		n, err := io.Copy(io.Discard, &entryReader{src: src, entry: e, sum: sha256.New()})
		if err == nil || n > int64(size) {
			t.Fatalf("%d bytes of %d with any sum: %v", n, size, err)
		}
	})
}
