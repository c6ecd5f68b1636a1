package pxa

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"math"
)

// eachRow calls f with the pixels of every row in a chunk.
func (n *native) eachRow(c *piece, f func(row []byte) error) error {
	data := c.data[8:]
	for b := c.chunk * blocksPerChunk; b < min((c.chunk+1)*blocksPerChunk, n.g.blocks()); b++ {
		data = data[5:]
		for range n.g.rowsIn(b) {
			if err := f(data[1:n.g.stride()]); err != nil {
				return err
			}
			data = data[n.g.stride():]
		}
	}
	return nil
}

// frameWalk checks what surrounds the archive bytes: chunks, blocks, filters,
// checksums, and zeros between entries and after the archive.
type frameWalk struct {
	n     *native
	sum   adler
	adler uint32 // as the file states it
	gaps  zeroWalk
}

func (w *frameWalk) chunk(c *piece) error {
	n := w.n
	size := n.g.chunkSize(c.chunk)
	if !n.chunkHead(c.data, c.chunk) {
		return errLayout
	}
	data := c.data[8 : 8+size]
	if crc32.ChecksumIEEE(c.data[4:8+size]) != binary.BigEndian.Uint32(c.data[8+size:]) {
		return errLayout
	}
	for b := c.chunk * blocksPerChunk; b < min((c.chunk+1)*blocksPerChunk, n.g.blocks()); b++ {
		if !n.blockHead(data, b) {
			return errLayout
		}
		rows := data[5:n.g.blockSize(b)]
		data = data[n.g.blockSize(b):]
		w.sum.update(rows)
		for ; len(rows) > 0; rows = rows[n.g.stride():] {
			if rows[0] != 0 {
				return errLayout
			}
			if err := w.gaps.write(rows[1:n.g.stride()]); err != nil {
				return err
			}
		}
	}
	if c.chunk == n.g.chunks()-1 {
		w.adler = binary.BigEndian.Uint32(data)
	}
	return nil
}

// digestWalk sums the archive bytes.
type digestWalk struct {
	n    *native
	left int64
	sum  hash.Hash
}

func (w *digestWalk) chunk(c *piece) error {
	return w.n.eachRow(c, func(row []byte) error {
		w.write(row)
		return nil
	})
}

func (w *digestWalk) write(row []byte) {
	row = row[:min(int64(len(row)), w.left)]
	w.left -= int64(len(row))
	w.sum.Write(row)
}

// contentWalk compares the stored entries with their sums as the archive
// bytes pass.
type contentWalk struct {
	entries []Entry
	pos     int64 // archive offset of the next byte
	next    int   // index of the entry at or behind pos
	sum     hash.Hash
}

func (w *contentWalk) chunk(n *native, c *piece) error { return n.eachRow(c, w.write) }

func (w *contentWalk) write(p []byte) error {
	if w.sum == nil {
		w.sum = sha256.New()
	}
	for w.next < len(w.entries) {
		e := &w.entries[w.next]
		skip := min(e.Offset-w.pos, int64(len(p)))
		if skip > 0 {
			p, w.pos = p[skip:], w.pos+skip
		}
		if w.pos < e.Offset {
			return nil
		}
		n := min(int64(len(p)), e.Offset+e.StoredSize-w.pos)
		if e.Codec == Stored {
			w.sum.Write(p[:n])
		}
		p, w.pos = p[n:], w.pos+n
		if w.pos < e.Offset+e.StoredSize {
			return nil
		}
		if e.Codec == Stored && Digest(w.sum.Sum(nil)) != e.Sum {
			return sumErr(e)
		}
		w.sum.Reset()
		w.next++
	}
	return nil
}

// zeroWalk checks that bytes which belong to nothing are zero: the gaps
// between entries, as far as the format version is known, and the rest of the
// last row.
type zeroWalk struct {
	header  header
	entries []Entry
	pos     int64 // archive offset of the next byte
	used    int64 // end of what belongs to something
	next    int   // index of the entry behind used
}

func newZeroWalk(r *Reader) zeroWalk {
	return zeroWalk{header: r.header, entries: r.entries, used: r.header.headerLen + r.header.tableLen}
}

func (w *zeroWalk) write(p []byte) error {
	for len(p) > 0 {
		if n := min(w.used-w.pos, int64(len(p))); n > 0 {
			p, w.pos = p[n:], w.pos+n
			continue
		}
		start := int64(math.MaxInt64)
		if w.next < len(w.entries) {
			start = w.entries[w.next].Offset
		}
		if w.pos == start {
			w.used = start + w.entries[w.next].StoredSize
			w.next++
			continue
		}
		n := min(start-w.pos, int64(len(p)))
		if w.pos < w.header.archiveLen {
			n = min(n, w.header.archiveLen-w.pos)
		}
		if (w.header.minor == VersionMinor || w.pos >= w.header.archiveLen) && !zero(p[:n]) {
			return formatErr("PXA-G3", w.pos, "bytes that belong to no entry are not zero")
		}
		p, w.pos = p[n:], w.pos+n
	}
	return nil
}
