package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// The fixed numbers of format version 1. JOURNAL.md is their specification.
const (
	// Major and Minor are the format version this package writes.
	Major = 1
	Minor = 0
	// HeaderSize is the length of a segment header in bytes: 64 pixels.
	HeaderSize = 192
	// MaxRecord is the greatest length of one record in bytes, a whole number
	// of pixels just under 1 MiB.
	MaxRecord = 349525 * 3
	// MaxType is the greatest length of an entry's type in bytes.
	MaxType = 64
	// DefaultWidth is the row width in pixels that new segments declare.
	DefaultWidth = 1024

	maxWidth    = 1 << 16
	recordFixed = 27 // bytes before the type
	recordTail  = 35 // hash and trailing length
	minRecord   = (recordFixed + 1 + 2 + recordTail + 2) / 3 * 3
	maxSegment  = 999_999_999
)

var magic = [4]byte{'P', 'X', 'L', 'G'}

// Hash is a SHA-256 value; its text form is 64 lower-case hex digits.
type Hash [sha256.Size]byte

// String returns the 64 hex digits of h.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the 64 hex digits of h.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits of either case.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash has %d hex digits, this has %d characters", 2*len(h), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// header is the fixed start of a segment, decoded.
type header struct {
	minor    uint8
	width    uint32
	segment  uint64
	firstSeq uint64 // sequence number of the first record, also when there is none yet
	created  int64  // unix nanoseconds
	prev     Hash   // of the last record of the segment before; zero in segment 1
	prevSize uint64 // bytes of the segment before
	logID    [16]byte
	hash     Hash // of the 160 bytes before it; the chain's start in this segment
}

func (h *header) encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, magic[:])
	b[4], b[5] = Major, h.minor
	binary.BigEndian.PutUint32(b[8:], h.width)
	binary.BigEndian.PutUint32(b[12:], HeaderSize)
	binary.BigEndian.PutUint64(b[16:], h.segment)
	binary.BigEndian.PutUint64(b[24:], h.firstSeq)
	binary.BigEndian.PutUint64(b[32:], uint64(h.created))
	copy(b[40:72], h.prev[:])
	binary.BigEndian.PutUint64(b[72:], h.prevSize)
	copy(b[80:96], h.logID[:])
	h.hash = sha256.Sum256(b[:160])
	copy(b[160:], h.hash[:])
	return b
}

// decodeHeader reads the first HeaderSize bytes of a segment.
func decodeHeader(b []byte) (header, error) {
	var h header
	if len(b) < HeaderSize {
		return h, fmt.Errorf("segment header is %d bytes long instead of %d", len(b), HeaderSize)
	}
	b = b[:HeaderSize]
	if [4]byte(b[:4]) != magic {
		return h, errors.New("no journal segment: the first four bytes are not PXLG")
	}
	if b[4] != Major {
		return h, fmt.Errorf("%w: journal format %d.%d, this host reads %d.x", ErrUnsupported, b[4], b[5], Major)
	}
	copy(h.hash[:], b[160:])
	if sha256.Sum256(b[:160]) != h.hash {
		return h, errors.New("segment header does not match its hash")
	}
	h.minor = b[5]
	h.width = binary.BigEndian.Uint32(b[8:])
	h.segment = binary.BigEndian.Uint64(b[16:])
	h.firstSeq = binary.BigEndian.Uint64(b[24:])
	h.created = int64(binary.BigEndian.Uint64(b[32:]))
	copy(h.prev[:], b[40:72])
	h.prevSize = binary.BigEndian.Uint64(b[72:])
	copy(h.logID[:], b[80:96])
	switch {
	case binary.BigEndian.Uint32(b[12:]) != HeaderSize:
		return h, fmt.Errorf("segment header declares %d bytes instead of %d", binary.BigEndian.Uint32(b[12:]), HeaderSize)
	case h.width == 0 || h.width > maxWidth:
		return h, fmt.Errorf("segment width %d is outside 1 to %d pixels", h.width, maxWidth)
	case h.segment == 0 || h.segment > maxSegment:
		return h, fmt.Errorf("segment number %d is outside 1 to %d", h.segment, maxSegment)
	case h.firstSeq == 0 || (h.segment == 1) != (h.firstSeq == 1 && h.prev == Hash{} && h.prevSize == 0):
		return h, fmt.Errorf("segment %d declares first sequence number %d and a predecessor that cannot be", h.segment, h.firstSeq)
	case h.created < 0:
		return h, errors.New("segment was created before 1970")
	}
	if h.minor == 0 && (b[6] != 0 || b[7] != 0 || [64]byte(b[96:160]) != [64]byte{}) {
		return h, errors.New("reserved bytes of the segment header are not zero")
	}
	return h, nil
}

// beginsHeader checks that b, shorter than a header, is how a header of segment
// n begins: what is left when writing one was cut off. No bytes at all are.
func beginsHeader(b []byte, n uint64) error {
	// The fields that b does not reach are filled in with some that are valid,
	// and the whole is judged like any header.
	rest := header{width: DefaultWidth, segment: n, firstSeq: 1}
	if n > 1 {
		rest.firstSeq = 2
	}
	whole := rest.encode()
	copy(whole, b)
	sum := sha256.Sum256(whole[:160])
	copy(whole[160:], sum[:])
	h, err := decodeHeader(whole)
	switch {
	case err != nil:
		return err
	case len(b) > 160 && !bytes.HasPrefix(sum[:], b[160:]):
		return errors.New("segment header does not match its hash")
	case h.segment != n:
		return fmt.Errorf("the header says segment %d", h.segment)
	}
	return nil
}

// record is one record with its parts still in the buffer it was read from.
type record struct {
	tint  [3]byte
	flags byte
	seq   uint64
	time  int64
	typ   []byte
	body  []byte
	hash  Hash
	raw   []byte // the whole record
}

func putUint24(b []byte, v int) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }
func uint24(b []byte) int       { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// recordSize is the length in bytes of a record with a type of t and a body of
// b bytes, rounded up to whole pixels.
func recordSize(t, b int) int { return (recordFixed + t + b + recordTail + 2) / 3 * 3 }

// appendRecord appends the encoding of r to dst, computing r.hash from prev.
// The caller has checked type, body and size.
func appendRecord(dst []byte, r *record, prev *Hash) []byte {
	size := recordSize(len(r.typ), len(r.body))
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	b := dst[at:]
	copy(b, r.tint[:])
	putUint24(b[3:], size/3)
	binary.BigEndian.PutUint64(b[6:], r.seq)
	binary.BigEndian.PutUint64(b[14:], uint64(r.time))
	b[22] = byte(len(r.typ))
	b[23] = r.flags
	putUint24(b[24:], len(r.body))
	copy(b[recordFixed:], r.typ)
	copy(b[recordFixed+len(r.typ):], r.body)
	r.hash = chain(prev, b)
	copy(b[size-recordTail:], r.hash[:])
	putUint24(b[size-3:], size/3)
	r.raw = b
	return dst
}

// chain computes the hash that belongs into the record b, given the hash of
// the record (or segment header) before it.
func chain(prev *Hash, b []byte) Hash {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(b[:len(b)-recordTail])
	var out Hash
	h.Sum(out[:0])
	return out
}

// frameSize returns the length in bytes that the record at the start of b
// claims, or an error where no record can have that length. b holds at least
// six bytes.
func frameSize(b []byte) (int, error) {
	size := 3 * uint24(b[3:])
	if size < minRecord || size > MaxRecord {
		return 0, fmt.Errorf("record length of %d bytes is outside %d to %d", size, minRecord, MaxRecord)
	}
	return size, nil
}

// decodeRecord takes b, exactly the bytes that the record's length claims,
// apart. It checks the frame, not the chain.
func decodeRecord(b []byte) (record, error) {
	var r record
	if len(b) < minRecord || len(b) > MaxRecord || len(b) != 3*uint24(b[3:]) {
		return r, fmt.Errorf("record of %d bytes does not have the length it declares", len(b))
	}
	if uint24(b[len(b)-3:]) != len(b)/3 {
		return r, fmt.Errorf("record lengths differ: %d pixels before, %d after", len(b)/3, uint24(b[len(b)-3:]))
	}
	t, n := int(b[22]), uint24(b[24:])
	if t == 0 || t > MaxType || recordSize(t, n) != len(b) {
		return r, fmt.Errorf("type of %d and body of %d bytes do not make a record of %d", t, n, len(b))
	}
	end := recordFixed + t + n
	for _, pad := range b[end : len(b)-recordTail] {
		if pad != 0 {
			return r, errors.New("record padding is not zero")
		}
	}
	r.tint = [3]byte(b)
	r.flags = b[23]
	r.seq = binary.BigEndian.Uint64(b[6:])
	r.time = int64(binary.BigEndian.Uint64(b[14:]))
	r.typ = b[recordFixed : recordFixed+t]
	r.body = b[recordFixed+t : end]
	r.hash = Hash(b[len(b)-recordTail:])
	r.raw = b
	if !validType(r.typ) {
		return r, fmt.Errorf("record type %q is not lower-case letters, digits, dots, dashes and underscores", r.typ)
	}
	if r.seq == 0 || r.time < 0 {
		return r, fmt.Errorf("record has sequence number %d and time %d", r.seq, r.time)
	}
	return r, nil
}

// validType reports whether t is a letter or digit followed by letters,
// digits, dots, dashes and underscores, all lower case, 64 bytes at most.
func validType[T string | []byte](t T) bool {
	if len(t) == 0 || len(t) > MaxType {
		return false
	}
	for i := 0; i < len(t); i++ {
		c := t[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// plainBody reports whether b could be a body: an object with no control
// character in it. Records therefore cannot be found inside a body, since the
// first byte of a record's length is one (JOURNAL.md, J-21).
func plainBody(b []byte) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	// Eight bytes at once: a byte below 0x20, and no other below 0x80, borrows
	// into its top bit when 0x20 is taken from it.
	for ; len(b) >= 8; b = b[8:] {
		v := binary.LittleEndian.Uint64(b)
		if (v-0x2020202020202020)&^v&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < 0x20 {
			return false
		}
	}
	return true
}
