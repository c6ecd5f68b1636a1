package pxi

import (
	"encoding/binary"
	"fmt"
)

// Numbers of the format. PXI.md, section 7, gives the reasons.
const (
	HeaderSize             = 64       // bytes before the first pixel
	DefaultWidth           = 1024     // pixels
	MaxWidth               = 1 << 20  // pixels
	MinBlock               = 512      // bytes of data
	MaxBlock               = 16 << 20 // bytes of data
	DefaultBlock           = 4 << 10  // bytes of data, not compressed
	DefaultCompressedBlock = 64 << 10 // bytes of data
	MaxBlocks              = 1 << 26  // blocks of one file
)

const (
	maxHeight   = 1<<32 - 1
	maxSize     = MaxBlocks * MaxBlock // 2^50
	magic       = "PXIF"
	pngMagic    = "\x89PNG\r\n\x1a\n"
	extNone     = 0
	extTrailer  = 1
	offSum      = 23
	offTrailer  = 56
	majorNumber = 1
	minorNumber = 0
)

// Compression says how the blocks of a file are stored.
type Compression uint8

// The compressions of version 1.0. Auto is for [Options] only: the writer
// looks at the first 256 KiB and takes what saves an eighth or more.
const (
	None Compression = 0
	RLE  Compression = 1 // PackBits, as in TIFF (PXI-C1)
	LZ4  Compression = 2 // one LZ4 block each (PXI-C2)
	Auto Compression = 255
)

func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case RLE:
		return "rle"
	case LZ4:
		return "lz4"
	case Auto:
		return "auto"
	}
	return fmt.Sprintf("compression %d", uint8(c))
}

// ParseCompression reads the names that String writes: none, rle, lz4, auto.
func ParseCompression(s string) (Compression, error) {
	for _, c := range []Compression{None, RLE, LZ4, Auto} {
		if s == c.String() {
			return c, nil
		}
	}
	return 0, fmt.Errorf("pxi: unknown compression %q: use none, rle, lz4 or auto", s)
}

// Header is the 64 bytes at the start of a container.
type Header struct {
	Major, Minor  uint8
	Size          uint64 // bytes of data
	Width, Height uint32 // pixels; an empty file has height 0
	Compression   Compression
	Sum           [32]byte // SHA-256 of the data
	Extension     uint8    // 0 nothing follows the pixels, 1 a trailer does
	Trailer       uint64   // file offset of the trailer; 0 when there is none
}

// pixelBytes is the room between header and trailer.
func (h *Header) pixelBytes() int64 { return int64(h.Width) * int64(h.Height) * 3 }

// AppendBinary appends the 64 bytes of h to b. It never fails.
func (h Header) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, magic...)
	b = append(b, h.Major, h.Minor)
	b = binary.BigEndian.AppendUint64(b, h.Size)
	b = binary.BigEndian.AppendUint32(b, h.Width)
	b = binary.BigEndian.AppendUint32(b, h.Height)
	b = append(b, uint8(h.Compression))
	b = append(b, h.Sum[:]...)
	b = append(b, h.Extension)
	return binary.BigEndian.AppendUint64(b, h.Trailer), nil
}

// ParseHeader reads the first 64 bytes of a container of fileSize bytes and
// checks what can be told from them alone: version, dimensions, compression,
// reserved bytes, length of the file. It is how a listing learns sizes without
// opening files; it proves nothing about the data.
func ParseHeader(b []byte, fileSize int64) (Header, error) {
	h, err := parseFields(b)
	if err != nil {
		return Header{}, err
	}
	if err := h.checkLength(fileSize); err != nil {
		return Header{}, err
	}
	return h, nil
}

func parseFields(b []byte) (Header, error) {
	if len(b) < len(magic) || string(b[:4]) != magic {
		e := &FormatError{ID: "PXI-H1", Offset: 0, Msg: "this is no .pxi file: it does not start with PXIF", kind: ErrNotPXI}
		if Sniff(b) == PNG {
			e.Msg = "this is a PNG picture, not a PXIF container"
		}
		return Header{}, e
	}
	if len(b) < HeaderSize {
		return Header{}, formatErr("PXI-H8", int64(len(b)), "the file ends inside the header; it was cut short")
	}
	h := Header{
		Major: b[4], Minor: b[5],
		Size:        binary.BigEndian.Uint64(b[6:]),
		Width:       binary.BigEndian.Uint32(b[14:]),
		Height:      binary.BigEndian.Uint32(b[18:]),
		Compression: Compression(b[22]),
		Sum:         [32]byte(b[offSum : offSum+32]),
		Extension:   b[55],
		Trailer:     binary.BigEndian.Uint64(b[offTrailer:]),
	}
	switch {
	case h.Major > majorNumber:
		return Header{}, unsupported("PXI-H2", "version %d.%d is newer than this reader, which knows version 1", h.Major, h.Minor)
	case h.Major == 0:
		return Header{}, formatErr("PXI-H2", 4, "there is no version 0")
	case h.Width == 0:
		return Header{}, formatErr("PXI-H3", 14, "the width is 0")
	case h.Width > MaxWidth:
		return Header{}, unsupported("PXI-H3", "a picture %d pixels wide is over the limit of %d", h.Width, MaxWidth)
	case h.Compression > LZ4:
		return Header{}, unsupported("PXI-H4", "compression %d is not known here", uint8(h.Compression))
	case h.Size > maxSize:
		return Header{}, unsupported("PXI-H5", "%d bytes of data are over the limit of %d", h.Size, int64(maxSize))
	}
	// A newer minor version may bring what this reader can do without: PXI-V1
	// here and where reserved bytes and lengths are checked, PXI-V2 below.
	if h.Extension > extTrailer {
		if h.Minor == minorNumber {
			return Header{}, formatErr("PXI-H6", 55, "version 1.0 has no extension %d", h.Extension)
		}
		if h.Compression != None {
			return Header{}, unsupported("PXI-H6", "extension %d of version 1.%d is not known here, and the compressed data need it", h.Extension, h.Minor)
		}
	}
	// How much a compressed file stores is known from the trailer only.
	if h.raw() {
		if want := rows(int64(h.Size), h.Width); int64(h.Height) != want {
			return Header{}, formatErr("PXI-H5", 18, "%d bytes at width %d are %d rows, not %d", h.Size, h.Width, want, h.Height)
		}
	} else if (h.Size == 0) != (h.Height == 0) {
		return Header{}, formatErr("PXI-H5", 18, "%d bytes of data do not go with height %d", h.Size, h.Height)
	}
	switch h.Extension {
	case extTrailer:
		if want := uint64(HeaderSize + h.pixelBytes()); h.Trailer != want {
			return Header{}, formatErr("PXI-H7", offTrailer, "the trailer offset is %d; the pixels end at %d", h.Trailer, want)
		}
	case extNone:
		if h.Trailer != 0 && h.Minor == minorNumber {
			return Header{}, formatErr("PXI-H7", offTrailer, "reserved bytes are not zero")
		}
		h.Trailer = 0
	}
	return h, nil
}

// raw reports whether the pixels are the data themselves. Without a trailer
// they always are: the compression field of such files was a label only.
func (h *Header) raw() bool { return h.Compression == None || h.Extension != extTrailer }

func (h *Header) checkLength(fileSize int64) error {
	end := HeaderSize + h.pixelBytes()
	switch {
	case h.Extension == extTrailer:
		if least := end + trailerFixed + trailerSum; fileSize < least {
			return formatErr("PXI-H8", fileSize, "the file has %d bytes and needs %d or more; it was cut short", fileSize, least)
		}
	case fileSize < end:
		return formatErr("PXI-H8", fileSize, "the file has %d bytes and needs %d; it was cut short", fileSize, end)
	case fileSize > end && h.Minor == minorNumber:
		return formatErr("PXI-H8", end, "%d bytes follow the end of the file", fileSize-end)
	}
	return nil
}

// rows is the height of a picture that holds n bytes.
func rows(n int64, width uint32) int64 {
	pixels := (n + 2) / 3
	return (pixels + int64(width) - 1) / int64(width)
}

// Kind says what a file with the name suffix .pxi is.
type Kind int

// The kinds [Sniff] tells apart.
const (
	Unknown   Kind = iota
	Container      // PXIF
	PNG            // a plain PNG picture; its RGB bytes are the data
)

func (k Kind) String() string {
	switch k {
	case Container:
		return "container"
	case PNG:
		return "png"
	}
	return "unknown"
}

// Sniff tells the kind of a file from its first bytes; 8 are enough.
func Sniff(prefix []byte) Kind {
	switch {
	case len(prefix) >= len(magic) && string(prefix[:len(magic)]) == magic:
		return Container
	case len(prefix) >= len(pngMagic) && string(prefix[:len(pngMagic)]) == pngMagic:
		return PNG
	}
	return Unknown
}
