package infinitemap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// The names of a map's files. Every file but the locks is a PXIF container.
const (
	manifestName = "manifest.pxi"
	lockName     = "lock"
	gateName     = "pins/gate"
	scratchName  = "scratch"
	snapshotDir  = "snapshots"
	pinDir       = "pins"
)

func segmentName(n uint32) string { return fmt.Sprintf("seg-%d.pxi", n) }
func runName(n uint32) string     { return fmt.Sprintf("idx-%d.pxi", n) }

const (
	formatVersion = 1

	manifestHead  = 112
	manifestRun   = 80
	manifestSeg   = 56
	runHead       = 32
	directoryHead = 32

	// maxManifest bounds what is read as a manifest: 2^20 segments and more.
	maxManifest = 64 << 20
	// maxNumber is the highest file number, so that a segment and a block make 64 bits.
	maxNumber = math.MaxUint32 - 1

	flagOverlay = 1 // tombstones are kept, and generations mean those of the map below
	flagBounds  = 2 // the bounds are set
)

// manifest is one whole state of a map.
type manifest struct {
	shift      uint
	top        int // levels 0 to top are stored
	overlay    bool
	generation uint64
	next       uint32 // first file number that was never used
	tiles      uint64 // of level 0
	bounds     cells  // level 0; all tiles lie inside, but it may be larger than needed
	hasBounds  bool
	id         [16]byte // drawn when the map is made
	baseID     [16]byte // overlay: the map below
	baseGen    uint64   // overlay: its generation when the overlay was last flushed
	runs       []runInfo
	segments   []segmentInfo
}

type runInfo struct {
	number      uint32
	entries     uint64
	first, last key
	sum         [32]byte
}

type segmentInfo struct {
	number  uint32
	blocks  uint32 // tiles
	live    uint32 // tiles that the index of this state points to
	entries uint32 // in the directory behind the tiles
	bytes   uint64 // of the file
	sum     [32]byte
}

func (m *manifest) encode() []byte {
	be := binary.BigEndian
	b := make([]byte, manifestHead, manifestHead+len(m.runs)*manifestRun+len(m.segments)*manifestSeg)
	copy(b, "PMAP")
	b[4], b[5], b[6] = formatVersion, byte(m.shift), byte(m.top)
	if m.overlay {
		b[7] |= flagOverlay
	}
	if m.hasBounds {
		b[7] |= flagBounds
		for i, v := range []int64{m.bounds.x0, m.bounds.y0, m.bounds.x1, m.bounds.y1} {
			be.PutUint64(b[32+8*i:], uint64(v))
		}
	}
	be.PutUint64(b[8:], m.generation)
	be.PutUint32(b[16:], m.next)
	be.PutUint64(b[24:], m.tiles)
	copy(b[64:], m.id[:])
	copy(b[80:], m.baseID[:])
	be.PutUint64(b[96:], m.baseGen)
	be.PutUint32(b[104:], uint32(len(m.runs)))
	be.PutUint32(b[108:], uint32(len(m.segments)))
	for _, r := range m.runs {
		b = be.AppendUint32(b, r.number)
		b = be.AppendUint32(b, 0)
		b = be.AppendUint64(b, r.entries)
		for _, k := range []key{r.first, r.last} {
			b = be.AppendUint64(b, k.hi)
			b = be.AppendUint64(b, k.lo)
		}
		b = append(b, r.sum[:]...)
	}
	for _, s := range m.segments {
		b = be.AppendUint32(b, s.number)
		b = be.AppendUint32(b, s.blocks)
		b = be.AppendUint32(b, s.live)
		b = be.AppendUint32(b, s.entries)
		b = be.AppendUint64(b, s.bytes)
		b = append(b, s.sum[:]...)
	}
	return b
}

// decodeManifest reads the original bytes of a manifest; file is for errors.
func decodeManifest(file string, b []byte) (*manifest, error) {
	bad := func(off int, format string, args ...any) (*manifest, error) {
		return nil, &FormatError{File: file, Offset: int64(off), Msg: fmt.Sprintf(format, args...)}
	}
	be := binary.BigEndian
	if len(b) < 5 || !bytes.Equal(b[:4], []byte("PMAP")) {
		return bad(0, "this is no manifest of a map")
	}
	if b[4] > formatVersion {
		return nil, &UnsupportedError{File: file, Msg: fmt.Sprintf("the map has format version %d, this program knows %d: use a newer one", b[4], formatVersion)}
	}
	if b[4] != formatVersion {
		return bad(4, "there is no format version %d", b[4])
	}
	if len(b) < manifestHead {
		return bad(len(b), "the manifest ends inside its head")
	}
	m := &manifest{
		shift:      uint(b[5]),
		top:        int(b[6]),
		overlay:    b[7]&flagOverlay != 0,
		hasBounds:  b[7]&flagBounds != 0,
		generation: be.Uint64(b[8:]),
		next:       be.Uint32(b[16:]),
		tiles:      be.Uint64(b[24:]),
		id:         [16]byte(b[64:80]),
		baseID:     [16]byte(b[80:96]),
		baseGen:    be.Uint64(b[96:]),
	}
	if size := 1 << min(m.shift, 30); size < MinTileSize || size > MaxTileSize {
		return bad(5, "tiles of 2^%d pixels", m.shift)
	}
	if m.top > maxLevel(m.shift) {
		return bad(6, "level %d is above the highest, %d", m.top, maxLevel(m.shift))
	}
	if b[7]&^(flagOverlay|flagBounds) != 0 {
		return bad(7, "unknown flags %#x", b[7])
	}
	if be.Uint32(b[20:]) != 0 {
		return bad(20, "reserved bytes are not zero")
	}
	if !m.overlay && (m.baseGen != 0 || m.baseID != [16]byte{}) {
		return bad(80, "a map that is no overlay names a map below it")
	}
	var v [4]int64
	for i := range v {
		v[i] = int64(be.Uint64(b[32+8*i:]))
	}
	m.bounds = cells{0, v[0], v[1], v[2], v[3]}
	if m.hasBounds {
		lo, hi := cell{0, v[0], v[1]}, cell{0, v[2], v[3]}
		if v[0] > v[2] || v[1] > v[3] || !lo.onPlane(m.shift) || !hi.onPlane(m.shift) {
			return bad(32, "the bounds are not on the plane")
		}
		if !m.bounds.up(m.top).handful() {
			return bad(6, "the bounds need more levels than %d", m.top)
		}
	} else if v != [4]int64{} || m.tiles != 0 {
		return bad(32, "there are tiles but no bounds")
	}
	nr, ns := uint64(be.Uint32(b[104:])), uint64(be.Uint32(b[108:]))
	if want := manifestHead + nr*manifestRun + ns*manifestSeg; want != uint64(len(b)) {
		return bad(104, "%d runs and %d segments need %d bytes, there are %d", nr, ns, want, len(b))
	}
	off := manifestHead
	seen := make(map[uint32]bool, nr)
	for range nr {
		r := runInfo{
			number:  be.Uint32(b[off:]),
			entries: be.Uint64(b[off+8:]),
			first:   key{be.Uint64(b[off+16:]), be.Uint64(b[off+24:])},
			last:    key{be.Uint64(b[off+32:]), be.Uint64(b[off+40:])},
			sum:     [32]byte(b[off+48 : off+80]),
		}
		switch {
		case r.number >= m.next || seen[r.number]:
			return bad(off, "run number %d is taken or was never given", r.number)
		case be.Uint32(b[off+4:]) != 0:
			return bad(off+4, "reserved bytes are not zero")
		case r.entries == 0 || r.entries > math.MaxInt64/entrySize-runHead:
			return bad(off+8, "a run of %d entries", r.entries)
		case r.last.less(r.first) || r.entries > 1 && r.last == r.first:
			return bad(off+16, "the keys of run %d are out of order", r.number)
		}
		seen[r.number] = true
		m.runs = append(m.runs, r)
		off += manifestRun
	}
	for i := range ns {
		s := segmentInfo{
			number:  be.Uint32(b[off:]),
			blocks:  be.Uint32(b[off+4:]),
			live:    be.Uint32(b[off+8:]),
			entries: be.Uint32(b[off+12:]),
			bytes:   be.Uint64(b[off+16:]),
			sum:     [32]byte(b[off+24 : off+56]),
		}
		switch {
		case s.number >= m.next || i > 0 && s.number <= m.segments[i-1].number:
			return bad(off, "segment number %d is out of order or was never given", s.number)
		case s.blocks == 0 || s.blocks == cleared || s.entries < s.blocks:
			return bad(off+4, "a segment of %d tiles and %d entries", s.blocks, s.entries)
		case s.live == 0 || s.live > s.blocks:
			return bad(off+8, "%d of %d tiles are live", s.live, s.blocks)
		}
		m.segments = append(m.segments, s)
		off += manifestSeg
	}
	return m, nil
}

func encodeRunHead(number uint32) []byte {
	b := make([]byte, runHead)
	copy(b, "PIDX")
	b[4] = formatVersion
	binary.BigEndian.PutUint32(b[8:], number)
	return b
}

// checkRunHead compares the head of an index run with what the manifest says of it.
func checkRunHead(b []byte, info runInfo) error {
	if !bytes.Equal(b, encodeRunHead(info.number)) {
		return &FormatError{File: runName(info.number), Msg: "the head does not match the manifest"}
	}
	return nil
}

func encodeDirectoryHead(number uint32, shift uint, blocks, entries uint32) []byte {
	b := make([]byte, directoryHead)
	copy(b, "PDIR")
	b[4], b[5] = formatVersion, byte(shift)
	binary.BigEndian.PutUint32(b[8:], number)
	binary.BigEndian.PutUint32(b[12:], blocks)
	binary.BigEndian.PutUint32(b[16:], entries)
	return b
}

// decodeDirectory reads the table behind a segment's tiles: which tile each block is.
func decodeDirectory(b []byte, info segmentInfo, shift uint) ([]entry, error) {
	file := segmentName(info.number)
	if want := directoryHead + uint64(info.entries)*entrySize; uint64(len(b)) != want {
		return nil, &FormatError{File: file, Msg: fmt.Sprintf("a directory of %d entries needs %d bytes, there are %d", info.entries, want, len(b))}
	}
	if !bytes.Equal(b[:directoryHead], encodeDirectoryHead(info.number, shift, info.blocks, info.entries)) {
		return nil, &FormatError{File: file, Msg: "the directory does not match the manifest"}
	}
	out := make([]entry, info.entries)
	block := uint32(0)
	for i := range out {
		off := directoryHead + i*entrySize
		e := getEntry(b[off : off+entrySize])
		switch {
		case e.segment != info.number:
			return nil, &FormatError{File: file, Offset: int64(off + 24), Msg: "the entry is of another segment"}
		case e.block != cleared && e.block != block:
			return nil, &FormatError{File: file, Offset: int64(off + 28), Msg: "the blocks are out of order"}
		case !e.key.cell().onPlane(shift):
			return nil, &FormatError{File: file, Offset: int64(off), Msg: "the tile is not on the plane"}
		case i > 0 && !out[i-1].key.less(e.key):
			return nil, &FormatError{File: file, Offset: int64(off), Msg: "the keys are out of order"}
		}
		if e.block != cleared {
			block++
		}
		out[i] = e
	}
	if block != info.blocks {
		return nil, &FormatError{File: file, Offset: int64(len(b)), Msg: "blocks are missing from the directory"}
	}
	return out, nil
}
