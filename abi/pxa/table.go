package pxa

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sort"
	"strconv"
)

// Version of the archive format that this package writes. It reads every
// minor version of the same major one.
const (
	VersionMajor = 1
	VersionMinor = 0
)

const (
	magic       = "pxOS.pxa"
	headerSize  = 64
	recordFixed = 64 // bytes of a table record before the path
	align       = 24 // entries start on a whole pixel and a 64-bit word

	flagExecutable = 1 << 0
)

// ManifestName is the path of the manifest, which the cover takes name and
// version from.
const ManifestName = "cartridge.toml"

// A Codec says how the content of an entry is stored.
type Codec uint8

// The codecs of format version 1. Entries with any other value are listed but
// cannot be opened.
const (
	Stored Codec = 0 // the content itself
	XZ     Codec = 1 // one xz stream in the profile of PXA.md section 7
)

// String gives the name used by tools, "codec N" for unknown ones.
func (c Codec) String() string {
	switch c {
	case Stored:
		return "stored"
	case XZ:
		return "xz"
	}
	return "codec " + strconv.Itoa(int(c))
}

// An Entry is one file of the archive as its table describes it.
type Entry struct {
	Path       string
	Size       int64 // decoded bytes
	StoredSize int64 // bytes in the archive
	Offset     int64 // first byte in the archive, a multiple of 24
	Codec      Codec
	Executable bool
	Sum        Digest // of the decoded content
}

// header is the fixed front of the archive (PXA.md section 4).
type header struct {
	minor      uint8
	headerLen  int64
	entries    int64
	archiveLen int64
	tableLen   int64
	tableSum   Digest
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	b[8], b[9] = VersionMajor, h.minor
	binary.BigEndian.PutUint16(b[10:], uint16(h.headerLen))
	binary.BigEndian.PutUint32(b[12:], uint32(h.entries))
	binary.BigEndian.PutUint64(b[16:], uint64(h.archiveLen))
	binary.BigEndian.PutUint64(b[24:], uint64(h.tableLen))
	copy(b[32:], h.tableSum[:])
	return b
}

// decodeHeader takes the 64 bytes after the cover. The caller has found the
// magic.
func decodeHeader(b []byte, lim Limits) (header, error) {
	h := header{
		minor:      b[9],
		headerLen:  int64(binary.BigEndian.Uint16(b[10:])),
		entries:    int64(binary.BigEndian.Uint32(b[12:])),
		tableSum:   Digest(b[32:64]),
		archiveLen: clampInt64(binary.BigEndian.Uint64(b[16:])),
		tableLen:   clampInt64(binary.BigEndian.Uint64(b[24:])),
	}
	if b[8] != VersionMajor {
		return h, unsupported("PXA-H2", "archive format %d.%d is not supported, this version reads %d.x; a newer pxOS may read it", b[8], b[9], VersionMajor)
	}
	if h.headerLen < headerSize || h.minor == VersionMinor && h.headerLen != headerSize {
		return h, formatErr("PXA-H3", 10, "header length %d, want %d", h.headerLen, headerSize)
	}
	if err := checkLimit("archive bytes", h.archiveLen, lim.Archive); err != nil {
		return h, err
	}
	if err := checkLimit("entries", h.entries, int64(lim.Entries)); err != nil {
		return h, err
	}
	if err := checkLimit("table bytes", h.tableLen, lim.TableBytes); err != nil {
		return h, err
	}
	if h.headerLen+h.tableLen > h.archiveLen {
		return h, formatErr("PXA-H4", 16, "archive length %d cannot hold the header and a table of %d bytes", h.archiveLen, h.tableLen)
	}
	if h.entries*recordFixed > h.tableLen {
		return h, formatErr("PXA-H5", 12, "%d entries cannot fit a table of %d bytes", h.entries, h.tableLen)
	}
	return h, nil
}

func clampInt64(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

func alignUp(n int64) int64 { return (n + align - 1) / align * align }

func encodeTable(entries []Entry) []byte {
	var b []byte
	for _, e := range entries {
		var flags byte
		if e.Executable {
			flags |= flagExecutable
		}
		b = binary.BigEndian.AppendUint16(b, uint16(recordFixed+len(e.Path)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(e.Path)))
		b = append(b, byte(e.Codec), flags, 0, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Offset))
		b = binary.BigEndian.AppendUint64(b, uint64(e.StoredSize))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Size))
		b = append(b, e.Sum[:]...)
		b = append(b, e.Path...)
	}
	return b
}

// decodeTable checks and decodes a table whose length and sum the header
// gave. Offsets in errors count from the start of the archive.
func decodeTable(h header, t []byte, lim Limits) ([]Entry, error) {
	base := h.headerLen
	if sha256.Sum256(t) != h.tableSum {
		return nil, formatErr("PXA-H6", base, "the entry table does not match its SHA-256 in the header")
	}
	var (
		entries []Entry // grows with records that were seen, not with the count
		names   pathSet
		pos     int
		end     = base + h.tableLen
		total   int64
	)
	for pos < len(t) {
		at := base + int64(pos)
		e, n, err := decodeRecord(t[pos:], at, h.minor, lim)
		if err != nil {
			return nil, err
		}
		pos += n
		if len(entries) > 0 && e.Path <= entries[len(entries)-1].Path {
			if e.Path == entries[len(entries)-1].Path {
				return nil, formatErr("PXA-N9", at, "path %q is listed twice", e.Path)
			}
			return nil, formatErr("PXA-T3", at, "path %q is out of order", e.Path)
		}
		if id, msg := names.add(e.Path); msg != "" {
			return nil, formatErr(id, at, "path %q %s", e.Path, msg)
		}
		switch {
		case e.Offset%align != 0:
			return nil, formatErr("PXA-T4", at, "entry %q starts at %d, not a multiple of %d", e.Path, e.Offset, align)
		case e.Offset < end:
			return nil, formatErr("PXA-T5", at, "entry %q at %d overlaps what comes before it, which ends at %d", e.Path, e.Offset, end)
		case e.Offset > h.archiveLen || e.StoredSize > h.archiveLen-e.Offset:
			return nil, formatErr("PXA-T6", at, "entry %q ends past the end of the archive", e.Path)
		case h.minor == VersionMinor && e.Offset != alignUp(end):
			return nil, formatErr("PXA-T7", at, "entry %q starts at %d and leaves a gap, want %d", e.Path, e.Offset, alignUp(end))
		}
		end = e.Offset + e.StoredSize
		total += e.Size // both stay far below 2^63 because of the limits
		if err := checkLimit("decoded bytes of all entries", total, lim.TotalSize); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if int64(len(entries)) != h.entries {
		return nil, formatErr("PXA-H5", 12, "the header counts %d entries, the table has %d", h.entries, len(entries))
	}
	if h.minor == VersionMinor && end != h.archiveLen {
		return nil, formatErr("PXA-H4", 16, "archive length %d, but its contents end at %d", h.archiveLen, end)
	}
	return entries, nil
}

// decodeRecord decodes the record at the start of b and gives its length.
func decodeRecord(b []byte, at int64, minor uint8, lim Limits) (e Entry, n int, err error) {
	if len(b) < recordFixed {
		return e, 0, formatErr("PXA-T1", at, "the table ends inside a record")
	}
	n = int(binary.BigEndian.Uint16(b))
	pathLen := int(binary.BigEndian.Uint16(b[2:]))
	if n < recordFixed+pathLen || n > len(b) || minor == VersionMinor && n != recordFixed+pathLen {
		return e, 0, formatErr("PXA-T1", at, "record length %d does not fit a path of %d bytes and %d bytes of table", n, pathLen, len(b))
	}
	if err := checkLimit("path bytes", int64(pathLen), int64(lim.PathBytes)); err != nil {
		return e, 0, err
	}
	e = Entry{
		Path:       string(b[recordFixed : recordFixed+pathLen]),
		Codec:      Codec(b[4]),
		Executable: b[5]&flagExecutable != 0,
		Offset:     clampInt64(binary.BigEndian.Uint64(b[8:])),
		StoredSize: clampInt64(binary.BigEndian.Uint64(b[16:])),
		Size:       clampInt64(binary.BigEndian.Uint64(b[24:])),
		Sum:        Digest(b[32:64]),
	}
	if minor == VersionMinor && (b[5]&^flagExecutable != 0 || b[6]|b[7] != 0) {
		return e, 0, formatErr("PXA-T2", at, "entry %q has flags that format %d.%d does not define", e.Path, VersionMajor, minor)
	}
	if id, msg := pathFault(e.Path); msg != "" {
		return e, 0, formatErr(id, at, "path %q %s", e.Path, msg)
	}
	if e.Size > lim.EntrySize {
		return e, 0, &LimitError{What: "decoded bytes of entry " + strconv.Quote(e.Path), Got: e.Size, Max: lim.EntrySize}
	}
	switch {
	case e.Codec == Stored && e.Size != e.StoredSize:
		return e, 0, formatErr("PXA-T8", at, "stored entry %q has %d bytes but claims %d", e.Path, e.StoredSize, e.Size)
	case e.Codec == XZ && e.Size > 64<<10 && (e.Size-64<<10)/lim.Ratio > e.StoredSize:
		return e, 0, &LimitError{What: "ratio of compressed entry " + strconv.Quote(e.Path), Got: e.Size / max(e.StoredSize, 1), Max: lim.Ratio}
	}
	return e, n, nil
}

// find gives the index of path in entries, which are sorted.
func find(entries []Entry, path string) (int, bool) {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].Path >= path })
	return i, i < len(entries) && entries[i].Path == path
}
