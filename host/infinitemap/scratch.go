package infinitemap

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"os"

	"github.com/pxos/pxos/host/disk"
)

// scratch is the file that holds changed tiles that have no room in memory until a
// flush takes them. It means nothing after a crash, so nothing in it is synced. All is
// guarded by cache.mu, or by mu for writing, save that places that hold a tile may be
// read at any time.
//
// A tile lies there as a bitmap of its stretches of 16 pixels, and those that are not
// black: a tile of which little is painted takes little. One that would not become
// shorter is stored as it is.
type scratch struct {
	file disk.File
	end  int64
	free map[int][]int64 // places that tiles grew out of, by their room
	buf  []byte
}

// stretch is 16 pixels. Every tile has a multiple of 16 of them, so that whole bytes of
// bitmap.
const stretch = 48

var noStretch [stretch]byte

// packTile appends the short form of a tile to dst, or the tile itself.
func packTile(dst, data []byte) []byte {
	start := len(dst)
	n := len(data) / stretch
	dst = append(dst, make([]byte, n/8)...)
	for i := range n {
		s := data[i*stretch:][:stretch]
		if bytes.Equal(s, noStretch[:]) {
			continue
		}
		if len(dst)-start+stretch >= len(data) {
			return append(dst[:start], data...)
		}
		dst[start+i/8] |= 1 << (i % 8)
		dst = append(dst, s...)
	}
	return dst
}

// unpackTile fills a tile from what packTile made.
func unpackTile(dst, b []byte) error {
	if len(b) == len(dst) {
		copy(dst, b)
		return nil
	}
	n := len(dst) / stretch
	if len(b) < n/8 {
		return io.ErrUnexpectedEOF
	}
	clear(dst)
	bitmap, b := b[:n/8], b[n/8:]
	for i := range n {
		if bitmap[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if len(b) < stretch {
			return io.ErrUnexpectedEOF
		}
		copy(dst[i*stretch:], b[:stretch])
		b = b[stretch:]
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// room is how much place a tile of n bytes in its short form gets, so that most tiles
// can be stored anew where they are.
func room(n, tile int) int {
	r := unit
	for r < n {
		r *= 2
	}
	return min(r, tile)
}

func (s *scratch) write(fsys disk.FS, data []byte, ch *change) error {
	if s.file == nil {
		f, err := fsys.OpenFile(scratchName, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if err != nil {
			return err
		}
		s.file = f
	}
	s.buf = packTile(s.buf[:0], data)
	slot, need := ch.slot, room(len(s.buf), len(data))
	if slot < 0 || need > ch.room {
		if list := s.free[need]; len(list) > 0 {
			slot = list[len(list)-1]
		} else if slot = s.end; slot > math.MaxInt64-int64(need) {
			return errors.New("the scratch file is full")
		}
	}
	if _, err := s.file.WriteAt(s.buf, slot); err != nil {
		return err
	}
	if slot != ch.slot {
		if slot == s.end {
			s.end += int64(need)
		} else {
			s.free[need] = s.free[need][:len(s.free[need])-1]
		}
		if ch.slot >= 0 {
			if s.free == nil {
				s.free = make(map[int][]int64)
			}
			s.free[ch.room] = append(s.free[ch.room], ch.slot)
		}
		ch.slot, ch.room = slot, need
	}
	ch.crc, ch.length, ch.stored = crc32.Checksum(s.buf, castagnoli), len(s.buf), true
	return nil
}

func (s *scratch) read(dst []byte, ch *change) error {
	if s.file == nil || ch.slot < 0 {
		return io.ErrUnexpectedEOF
	}
	b := dst
	if ch.length != len(dst) {
		b = make([]byte, ch.length)
	}
	if _, err := s.file.ReadAt(b, ch.slot); err != nil {
		return err
	}
	if crc32.Checksum(b, castagnoli) != ch.crc {
		return errors.New("the scratch file was changed by somebody else")
	}
	if len(b) == len(dst) {
		return nil
	}
	return unpackTile(dst, b)
}

// reset forgets what is stored. The file keeps its size until it is closed if it cannot
// be cut, which costs room and nothing else.
func (s *scratch) reset() {
	if s.end > 0 && s.file != nil {
		_ = s.file.Truncate(0)
	}
	s.end, s.free, s.buf = 0, nil, nil
}

func (s *scratch) close(fsys disk.FS) error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return errors.Join(err, fsys.Remove(scratchName))
}
