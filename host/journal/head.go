package journal

import (
	"fmt"
	"strconv"
	"strings"
)

// Head names the last entry of a log at some moment. Saved outside the log's
// reach (on paper, in another machine's log) it is what a log that was cut
// short or written anew is found out by: see [View.Verify] and
// [View.Contains].
type Head struct {
	Seq     uint64 `json:"seq"`     // of the last entry; 0 in an empty log
	Segment uint64 `json:"segment"` // number of the segment that holds it, from 1
	Size    int64  `json:"size"`    // bytes of that segment up to the entry's end
	Hash    Hash   `json:"hash"`    // of the entry; of the segment header in an empty log
}

const headPrefix = "pxlg1"

// String returns the text form, one line without spaces:
// "pxlg1:SEQ:SEGMENT:SIZE:HASH".
func (h Head) String() string {
	return fmt.Sprintf("%s:%d:%d:%d:%s", headPrefix, h.Seq, h.Segment, h.Size, h.Hash)
}

// ParseHead reads the text form that [Head.String] writes; space around it is
// ignored.
func ParseHead(s string) (Head, error) {
	var h Head
	part := strings.Split(strings.TrimSpace(s), ":")
	if len(part) != 5 || part[0] != headPrefix {
		return h, fmt.Errorf("%q is no journal head: want %s:SEQ:SEGMENT:SIZE:HASH", clip(s, 120), headPrefix)
	}
	var err error
	if h.Seq, err = strconv.ParseUint(part[1], 10, 64); err != nil {
		return h, fmt.Errorf("sequence number %q of the journal head is no number", clip(part[1], 40))
	}
	if h.Segment, err = strconv.ParseUint(part[2], 10, 64); err != nil || h.Segment == 0 || h.Segment > maxSegment {
		return h, fmt.Errorf("segment %q of the journal head is outside 1 to %d", clip(part[2], 40), maxSegment)
	}
	if h.Size, err = strconv.ParseInt(part[3], 10, 64); err != nil || h.Size < HeaderSize {
		return h, fmt.Errorf("size %q of the journal head is no length of a segment", clip(part[3], 40))
	}
	if err = h.Hash.UnmarshalText([]byte(part[4])); err != nil {
		return h, fmt.Errorf("hash of the journal head: %w", err)
	}
	return h, nil
}

// clip cuts s to n bytes, on a rune boundary, for use in a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
