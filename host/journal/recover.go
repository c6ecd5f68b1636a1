package journal

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// TypeRecovered is the type of the entry that a recovery leaves; its body is a
// [Recovered].
const TypeRecovered = "journal.recovered"

// Recovered says that bytes behind the last whole entry were set aside because
// an append was cut off there. It is the body of a [TypeRecovered] entry.
type Recovered struct {
	Segment uint64 `json:"segment"` // where the bytes were
	Offset  int64  `json:"offset"`
	Bytes   int64  `json:"bytes"` // how many they were
	SHA256  Hash   `json:"sha256"`
	// Cause is "torn" for an append that was cut off, and "damaged" when the
	// bytes are a whole entry that does not match its hash, which no crash
	// leaves: somebody, or the disk, changed it.
	Cause string `json:"cause"`
	// Files are the files in the journal's directory that hold what was set
	// aside at this place: usually one, more when a recovery was cut off too.
	Files []string `json:"files"`
}

// isEOF reports an end of file, expected or not.
func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// tornPrefix is how the names of files with bytes set aside at one place begin.
func tornPrefix(segment uint64, offset int64) string {
	return fmt.Sprintf("%s.torn-%d-", segmentName(segment), offset)
}

// recover sets the bytes of the last segment from its tail to size aside and
// appends an entry in their place. The order makes it safe to be cut off
// anywhere: first the copy is durable, then the entry takes the place of the
// torn bytes, then what they reached beyond it is cut. Whatever is left by a
// crash in between is again a torn tail.
func (j *Journal) recover(size int64) error {
	at := j.tail.end
	info := Recovered{Segment: j.hdr.segment, Offset: at, Bytes: size - at, Cause: "torn"}
	if err := j.setAside(j.seg, &info); err != nil {
		return fmt.Errorf("set torn bytes aside: %w", err)
	}
	body, err := json.Marshal(info)
	if err != nil {
		return err
	}
	r := record{tint: tintRecovered, typ: []byte(TypeRecovered), body: body, seq: j.tail.seq + 1, time: j.now()}
	j.buf = appendRecord(j.buf[:0], &r, &j.tail.hash)
	if _, err = j.seg.WriteAt(j.buf, at); err != nil {
		return err
	}
	end := at + int64(len(j.buf))
	if end < size {
		if err = j.seg.Truncate(end); err != nil {
			return err
		}
	}
	if err = j.seg.Sync(); err != nil {
		return err
	}
	j.tail = tailAt(&r, end)
	return nil
}

// recreate replaces segment n, whose file f of size bytes is shorter than a
// header. Segments get their name when their header is on the disk, so this is
// a file that something else cut short. What no header begins with is refused
// as damage and left as it is.
func (j *Journal) recreate(f file, n uint64, size int64) error {
	info := Recovered{Segment: n, Bytes: size, Cause: "torn"}
	err := readStub(f, n, size)
	if err == nil {
		if err = j.setAside(f, &info); err != nil {
			err = fmt.Errorf("set torn bytes aside: %w", err)
		}
	}
	f.Close()
	if err != nil {
		return err
	}
	h := header{segment: 1, firstSeq: 1}
	if n > 1 {
		if err = j.load(n - 1); err != nil {
			return err
		}
		h = header{segment: n, firstSeq: j.tail.seq + 1, prev: j.tail.hash, prevSize: uint64(j.tail.end)}
	}
	body, err := json.Marshal(info)
	if err != nil {
		return err
	}
	return j.create(h, &record{tint: tintRecovered, typ: []byte(TypeRecovered), body: body})
}

// setAside copies info.Bytes bytes at info.Offset of f into a file named for
// their place and their hash, and completes info.
func (j *Journal) setAside(f file, info *Recovered) error {
	torn := io.NewSectionReader(f, info.Offset, info.Bytes)
	sum := sha256.New()
	if _, err := io.Copy(sum, torn); err != nil {
		return err
	}
	sum.Sum(info.SHA256[:0])
	if wholeRecord(f, info.Offset, info.Bytes) {
		info.Cause = "damaged"
	}
	name := tornPrefix(info.Segment, info.Offset) + info.SHA256.String()[:8]
	if err := j.writeFile(name, func(to file) error {
		if _, err := torn.Seek(0, io.SeekStart); err != nil {
			return err
		}
		n, err := io.Copy(io.NewOffsetWriter(to, 0), torn)
		if err == nil && n != info.Bytes {
			err = io.ErrUnexpectedEOF
		}
		return err
	}); err != nil {
		return err
	}
	names, err := j.disk.ReadDir(j.dir)
	if err != nil {
		return err
	}
	info.Files = []string{}
	for _, n := range names {
		if strings.HasPrefix(n, tornPrefix(info.Segment, info.Offset)) {
			info.Files = append(info.Files, n)
		}
	}
	slices.Sort(info.Files)
	// A directory full of such names must not make an entry too big to store.
	if len(info.Files) > 100 {
		info.Files = info.Files[:100]
	}
	return nil
}

// wholeRecord reports whether the bytes at off begin with a record that is
// complete in form.
func wholeRecord(f file, off, n int64) bool {
	if n < minRecord {
		return false
	}
	b := make([]byte, 6)
	if _, err := f.ReadAt(b, off); err != nil {
		return false
	}
	size, err := frameSize(b)
	if err != nil || int64(size) > n {
		return false
	}
	b = make([]byte, size)
	if _, err = f.ReadAt(b, off); err != nil {
		return false
	}
	_, err = decodeRecord(b)
	return err == nil
}

// openRead opens an existing file for reading.
func openRead(disk fileSystem, path string) (file, error) { return disk.Open(path, os.O_RDONLY) }
