package pxa

import (
	"bytes"
	"io"
)

// otherFormats are magic numbers of what people mistake for cartridges.
var otherFormats = []struct {
	at          int
	magic, name string
	picture     bool
}{
	{0, "\xff\xd8\xff", "a JPEG picture", true},
	{0, "GIF8", "a GIF picture", true},
	{8, "WEBP", "a WebP picture", true},
	{4, "ftypavif", "an AVIF picture", true},
	{4, "ftypheic", "a HEIC picture", true},
	{0, "BM", "a BMP picture", true},
	{0, "II*\x00", "a TIFF picture", true},
	{0, "MM\x00*", "a TIFF picture", true},
	{0, "\xff\x0a", "a JPEG XL picture", true},
	{0, "\x00\x00\x00\x0cJXL ", "a JPEG XL picture", true},
	{0, "qoif", "a QOI picture", true},
	{0, "P6", "a PPM picture", true},
	{0, "\x00asm", "a WebAssembly module; pack it first", false},
	{0, "PK\x03\x04", "a zip archive", false},
	{0, "\x1f\x8b", "a gzip file", false},
	{0, "\xfd7zXZ\x00", "an xz file", false},
	{0, "%PDF", "a PDF file", false},
	{0, "<", "a text or web page", false},
}

// notPNG explains a file that does not start with the PNG signature. b holds
// its first bytes.
func notPNG(b []byte) error {
	if len(b) == 0 {
		return &FormatError{ID: "PXA-P1", Msg: "the file is empty", kind: ErrNotPXA}
	}
	if len(b) < 8 && bytes.HasPrefix([]byte(pngSignature), b) {
		return &FormatError{ID: "PXA-P1", Msg: "the file is cut off inside the PNG signature", kind: ErrNotPXA}
	}
	if bytes.HasPrefix(b, []byte("\x89PNG")) || bytes.HasPrefix(b, []byte("\x09PNG")) {
		return &FormatError{ID: "PXA-P1", Msg: "the PNG signature is damaged, as by a transfer in text mode", kind: ErrNotPXA}
	}
	for _, f := range otherFormats {
		if len(b) >= f.at+len(f.magic) && string(b[f.at:f.at+len(f.magic)]) == f.magic {
			if !f.picture {
				return &FormatError{ID: "PXA-P1", Msg: "not a PNG picture but " + f.name, kind: ErrNotPXA}
			}
			return &FormatError{ID: "PXA-P1", Msg: "not a PNG picture but " + f.name + ": a lossy or re-encoded copy of a cartridge cannot be used; get the original file", kind: ErrAltered}
		}
	}
	return &FormatError{ID: "PXA-P1", Msg: "not a PNG picture", kind: ErrNotPXA}
}

// noArchive explains a picture that has no magic below the cover. front holds
// the archive bytes found there.
func noArchive(front []byte) error {
	const hint = "; get the original file"
	m := []byte(magic)
	for _, order := range [][3]int{{2, 1, 0}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}} {
		var b [9]byte
		for i := range b {
			b[i] = front[i/3*3+order[i%3]]
		}
		if bytes.Equal(b[:8], m) {
			return alteredErr("PXA-H1", 0, "the colour channels of this copy were swapped%s", hint)
		}
	}
	near := 0
	inverted := true
	for i, c := range m {
		if d := int(front[i]) - int(c); d > -40 && d < 40 {
			near++
		}
		inverted = inverted && front[i] == ^c
	}
	switch {
	case inverted:
		return alteredErr("PXA-H1", 0, "the colours of this copy were inverted%s", hint)
	case near == len(m):
		return alteredErr("PXA-H1", 0, "the pixels of this copy are close to a cartridge's but not the same: it was saved lossily or its colours were changed%s", hint)
	}
	return alteredErr("PXA-H1", 0, "no archive below the cover: this is a lossy, resized, cropped, rotated or edited copy of a cartridge, or never was one%s", hint)
}

// readFront reads up to n bytes from the start of a file.
func readFront(ra io.ReaderAt, size int64, n int) ([]byte, error) {
	b := make([]byte, min(size, int64(n)))
	if m, err := ra.ReadAt(b, 0); m < len(b) {
		return nil, noEOF(err)
	}
	return b, nil
}
