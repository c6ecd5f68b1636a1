package pxa

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

const vectorDir = "testdata/vectors"

// A vector is a file with one fault, named for the layer that must see it.
// The outcome is "ok DIGEST" or the kind of error and the rule broken.
type vector struct {
	name    string
	outcome string // "ok", or kind and rule
	file    []byte
}

func baseParts() []part {
	return []part{file1(ManifestName, manifest), file1("data/notes.txt", "the quick brown fox\n")}
}

func vectors(t testing.TB) []vector {
	var list []vector
	add := func(name, outcome string, file []byte) { list = append(list, vector{name, outcome, file}) }
	crafted := func(name, outcome string, l lies, parts ...part) {
		text := ""
		for _, p := range parts {
			if p.path == ManifestName {
				text = string(p.data)
			}
		}
		add(name, outcome, picture(craftArchive(l, parts...), text))
	}
	base := picture(craftArchive(lies{}, baseParts()...), manifest)
	r := rasterOf(t, base)

	add("ok-base", "ok", base)
	add("ok-empty", "ok", picture(craftArchive(lies{}), ""))
	add("ok-no-manifest", "ok", picture(craftArchive(lies{}, file1("a", "x")), ""))
	add("ok-filters", "ok", r.encode(encoding{filter: 5, level: 6}))
	add("ok-rgba", "ok", r.encode(encoding{filter: 4, level: 9, rgba: true}))
	add("ok-adam7", "ok", r.encode(encoding{filter: 1, level: 9, interlace: true}))
	add("ok-adam7-rgba-split", "ok", r.encode(encoding{filter: 5, level: 9, interlace: true, rgba: true, split: 7}))
	add("ok-chunks", "ok", r.encode(encoding{
		level: 9, split: 100,
		before: appendChunk(appendChunk(nil, "gAMA", []byte{0, 1, 0x86, 0xa0}), "PLTE", []byte{1, 2, 3}),
		after:  appendChunk(nil, "tEXt", []byte("Comment\x00seen by an editor")),
	}))
	vectorsPNG(add, base, r)
	vectorsCopies(add, r)
	vectorsArchive(crafted)
	vectorsNames(crafted)
	vectorsXZ(crafted)
	return list
}

func vectorsPNG(add func(string, string, []byte), base []byte, r raster) {
	cs := chunks(base)
	cover, body := cs[1], cs[2]
	last := func(b []byte) int { return len(b) - 12 - 4 } // CRC of the last IDAT
	sealed := func(f func(b []byte)) []byte { return reseal(edited(base, f)) }
	add("png-signature", "not-pxa PXA-P1", edited(base, func(b []byte) { b[4] = '\n' }))
	add("png-empty", "not-pxa PXA-P1", nil)
	add("png-crc-header", "format PXA-P4", edited(base, func(b []byte) { b[32] ^= 1 }))
	add("png-crc-cover", "format PXA-P4", edited(base, func(b []byte) { b[cover.at+cover.size-1] ^= 1 }))
	add("png-crc-body", "format PXA-P4", edited(base, func(b []byte) { b[last(b)+3] ^= 1 }))
	add("png-crc-end", "format PXA-P4", edited(base, func(b []byte) { b[len(b)-1] ^= 1 }))
	add("png-adler", "format PXA-P7", sealed(func(b []byte) { b[last(b)-1] ^= 1 }))
	add("png-zlib-header", "format PXA-P7", sealed(func(b []byte) { b[cover.at+8] = 0x79 }))
	add("png-block-length", "format PXA-P7", sealed(func(b []byte) { b[body.at+8+3] ^= 1 }))
	add("png-filter-5", "format PXA-P8", r.encode(encoding{level: 9, raw: func(raw []byte) []byte {
		raw[(r.h-1)*(1+3*r.w)] = 5
		return raw
	}}))
	add("png-row-missing", "format PXA-P7", r.encode(encoding{level: 9, raw: func(raw []byte) []byte { return raw[:len(raw)-1-3*r.w] }}))
	add("png-row-surplus", "format PXA-P7", r.encode(encoding{level: 9, raw: func(raw []byte) []byte { return append(raw, 0) }}))
	add("png-deflate-bomb", "format PXA-P7", r.encode(encoding{level: 9, raw: func(raw []byte) []byte { return append(raw, make([]byte, 16<<20)...) }}))
	add("png-after-zlib", "format PXA-P7", r.encode(encoding{level: 9, z: func(z []byte) []byte { return append(z, 0) }}))
	add("png-after-end", "format PXA-P6", append(bytes.Clone(base), "hidden"...))
	add("png-no-end", "format PXA-P4", base[:len(base)-12])
	add("png-end-data", "format PXA-P6", appendChunk(bytes.Clone(base[:len(base)-12]), "IEND", []byte{0}))
	add("png-critical-chunk", "unsupported PXA-P5", r.encode(encoding{level: 9, before: appendChunk(nil, "SECR", []byte("et"))}))
	add("png-chunk-type", "format PXA-P4", r.encode(encoding{level: 9, before: appendChunk(nil, "te\x1b[", nil)}))
	add("png-second-header", "format PXA-P5", r.encode(encoding{level: 9, before: bytes.Clone(base[8:33])}))
	add("png-no-data", "format PXA-P5", append(bytes.Clone(base[:33]), iendChunk...))
	add("png-data-apart", "format PXA-P5", func() []byte {
		b := append(bytes.Clone(base[:body.at]), appendChunk(nil, "tEXt", []byte("a\x00b"))...)
		return append(b, base[body.at:]...)
	}())
	add("png-crc-text", "format PXA-P4", r.encode(encoding{level: 9, before: edited(appendChunk(nil, "tEXt", []byte("a\x00b")), func(b []byte) { b[8] = 'c' })}))
	add("png-transparent-colour", "unsupported PXA-P9", r.encode(encoding{level: 9, before: appendChunk(nil, "tRNS", make([]byte, 6))}))
	add("png-alpha-128", "unsupported PXA-P9", r.encode(encoding{level: 9, rgba: true, alpha: 128}))
	add("png-interlace-2", "format PXA-P2", sealed(func(b []byte) { b[28] = 2 }))
	add("png-colour-1", "format PXA-P3", sealed(func(b []byte) { b[25] = 1 }))
	add("png-width-0", "format PXA-P2", sealed(func(b []byte) { binary.BigEndian.PutUint32(b[16:], 0) }))
	add("png-width-2-31", "format PXA-P2", sealed(func(b []byte) { binary.BigEndian.PutUint32(b[16:], 1<<31) }))
	add("png-width-2-31-less-1", "altered PXA-G1", sealed(func(b []byte) { binary.BigEndian.PutUint32(b[16:], 1<<31-1) }))
	add("png-height-2-31-less-1", "format PXA-P7", sealed(func(b []byte) { binary.BigEndian.PutUint32(b[20:], 1<<31-1) }))
}

// outcome opens and verifies a file and words what came of it.
func outcome(t testing.TB, ra io.ReaderAt, size int64, force bool) string {
	r, err := Open(ra, size, nil)
	var rep *Report
	if err == nil {
		if force {
			r.own.Store(nil)
		}
		rep, err = r.Verify(t.Context(), nil)
	}
	if err == nil {
		if len(rep.Unsupported) > 0 {
			return "part " + rep.Digest.String()
		}
		return "ok " + rep.Digest.String()
	}
	return classify(err)
}

func classify(err error) string {
	var (
		f *FormatError
		u *UnsupportedError
		l *LimitError
	)
	switch {
	case errors.As(err, &l):
		return "limit"
	case errors.As(err, &u):
		return "unsupported " + u.ID
	case errors.As(err, &f) && errors.Is(err, ErrNotPXA):
		return "not-pxa " + f.ID
	case errors.As(err, &f) && errors.Is(err, ErrAltered):
		return "altered " + f.ID
	case errors.As(err, &f):
		return "format " + f.ID
	}
	return "error " + err.Error()
}

// TestVectors checks every vector, read in both ways, and that the files in
// testdata, which other implementations use, are those made here.
func TestVectors(t *testing.T) {
	list := vectors(t)
	index := "# One line a vector: file, outcome, and the digest or the rule of PXA.md that is broken.\n"
	seen := map[string]bool{}
	for _, v := range list {
		t.Run(v.name, func(t *testing.T) {
			if seen[v.name] {
				t.Fatal("two vectors have this name")
			}
			seen[v.name] = true
			got := outcome(t, plain(v.file), int64(len(v.file)), false)
			if got != v.outcome && !strings.HasPrefix(got, v.outcome+" ") {
				t.Errorf("%s, want %s", got, v.outcome)
			}
			if mem := outcome(t, inMemory(v.file), int64(len(v.file)), false); mem != got {
				t.Errorf("in memory: %s, from a file: %s", mem, got)
			}
			if other := outcome(t, plain(v.file), int64(len(v.file)), true); other != got {
				t.Errorf("as any PNG: %s, in the own layout: %s", other, got)
			}
			index += fmt.Sprintf("%s.pxa %s\n", v.name, got)
			name := filepath.Join(vectorDir, v.name+".pxa")
			if *update {
				if err := os.MkdirAll(vectorDir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, v.file, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			kept, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			// What the standard library compresses may differ between its
			// versions, so the kept file is judged and not compared.
			if again := outcome(t, plain(kept), int64(len(kept)), false); again != got {
				t.Errorf("kept file: %s, made now: %s", again, got)
			}
		})
	}
	name := filepath.Join(vectorDir, "INDEX.txt")
	if *update {
		if err := os.WriteFile(name, []byte(index), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(name)
	if err != nil || string(kept) != index {
		t.Errorf("%s does not list the vectors as they are (%v); run go test -update", name, err)
	}
}
