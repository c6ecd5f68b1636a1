package pixelfs

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// The log of an edit, see PIXELFS.md: a header that names file and base, then frames
// of pages. Nothing in it is ever changed.
const (
	logMagic      = "PXED"
	logHeader     = 4096
	frameMagic    = "PXEF"
	frameHeader   = 88
	frameSlot     = 12
	maxFramePages = 1024

	frameCommit = 1 // what stands so far is a state of the file
	frameFolded = 2 // the digest is that of the file that has taken over
)

type logHead struct {
	id   [16]byte
	kept bool // the base need not be kept as a version once more
	sum  [32]byte
	size int64
	name string
}

func (h *logHead) encode() []byte {
	b := make([]byte, 0, logHeader)
	b = append(b, logMagic...)
	b = append(b, 1, 0, 0, 0)
	if h.kept {
		b[5] = 1
	}
	b = binary.BigEndian.AppendUint32(b, page)
	b = binary.BigEndian.AppendUint32(b, uint32(len(h.name)))
	b = append(b, h.id[:]...)
	b = append(b, h.sum[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b = append(b, h.name...)
	b = append(b, make([]byte, logHeader-4-len(b))...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errLog = errors.New("it is no log of edits")

func decodeLogHead(b []byte) (h logHead, err error) {
	if len(b) != logHeader || string(b[:4]) != logMagic || crc32.Checksum(b[:logHeader-4], castagnoli) != binary.BigEndian.Uint32(b[logHeader-4:]) {
		return h, errLog
	}
	n := binary.BigEndian.Uint32(b[12:])
	if b[4] != 1 || b[5] > 1 || binary.BigEndian.Uint32(b[8:]) != page || n > MaxName {
		return h, errLog
	}
	h.kept = b[5] == 1
	copy(h.id[:], b[16:])
	copy(h.sum[:], b[32:])
	h.size = int64(binary.BigEndian.Uint64(b[64:]))
	h.name = string(b[72 : 72+n])
	if h.size < 0 || h.size > MaxSize || CheckName(h.name) != nil {
		return h, errLog
	}
	return h, nil
}

// frame is one step of a log.
type frame struct {
	flags  uint32
	number uint64
	size   int64 // of the file from here on
	low    int64 // the least that the size was since the frame before
	time   int64 // nanoseconds since 1970
	sum    [32]byte
	pages  []int64
	crcs   []uint32
	data   int64 // offset of the first page in the log
}

func (f *frame) encode(id [16]byte) []byte {
	b := make([]byte, 0, frameHeader+len(f.pages)*(frameSlot+page)+4)
	b = append(b, frameMagic...)
	b = binary.BigEndian.AppendUint32(b, f.flags)
	b = binary.BigEndian.AppendUint64(b, f.number)
	b = binary.BigEndian.AppendUint64(b, uint64(f.size))
	b = binary.BigEndian.AppendUint64(b, uint64(f.low))
	b = binary.BigEndian.AppendUint64(b, uint64(f.time))
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.pages)))
	b = append(b, make([]byte, 12)...)
	b = append(b, f.sum[:]...)
	for i, p := range f.pages {
		b = binary.BigEndian.AppendUint64(b, uint64(p))
		b = binary.BigEndian.AppendUint32(b, f.crcs[i])
	}
	return binary.BigEndian.AppendUint32(b, frameSum(id, b))
}

func frameSum(id [16]byte, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, b)
}

// bytes is the length of the frame with its pages.
func (f *frame) bytes() int64 {
	return frameHeader + int64(len(f.pages))*(frameSlot+page) + 4
}

// readFrame reads the frame at off; ok is false where none stands.
func readFrame(r io.ReaderAt, end, off int64, id [16]byte) (f frame, ok bool, err error) {
	if end-off < frameHeader+4 {
		return f, false, nil
	}
	head := make([]byte, frameHeader)
	if err := readFull(r, head, off); err != nil {
		return f, false, err
	}
	n := binary.BigEndian.Uint32(head[40:])
	if string(head[:4]) != frameMagic || n > maxFramePages || end-off < frameHeader+4+int64(n)*(frameSlot+page) {
		return f, false, nil
	}
	b := append(head, make([]byte, n*frameSlot+4)...)
	if err := readFull(r, b[frameHeader:], off+frameHeader); err != nil {
		return f, false, err
	}
	if frameSum(id, b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return f, false, nil
	}
	f.flags = binary.BigEndian.Uint32(b[4:])
	f.number = binary.BigEndian.Uint64(b[8:])
	f.size = int64(binary.BigEndian.Uint64(b[16:]))
	f.low = int64(binary.BigEndian.Uint64(b[24:]))
	f.time = int64(binary.BigEndian.Uint64(b[32:]))
	copy(f.sum[:], b[56:])
	if f.size < 0 || f.size > MaxSize || f.low < 0 || f.low > f.size {
		return f, false, nil
	}
	for i := range int(n) {
		s := b[frameHeader+i*frameSlot:]
		p := int64(binary.BigEndian.Uint64(s))
		if p < 0 || p >= (f.size+page-1)/page {
			return f, false, nil
		}
		f.pages = append(f.pages, p)
		f.crcs = append(f.crcs, binary.BigEndian.Uint32(s[8:]))
	}
	f.data = off + int64(len(b))
	return f, true, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// editLog is a log as a reader finds it: the last state in it that is whole.
type editLog struct {
	logHead
	f       disk.File
	pages   map[int64]slot
	limit   int64
	length  int64 // of the file
	time    time.Time
	commits int
	folded  bool
	into    [32]byte // digest of the file that took over
}

func (l *editLog) close() { l.f.Close() }

// openLog reads the log of edits of the file at place; nil where there is none that says anything.
func (s *Store) openLog(place string) (*editLog, error) {
	f, err := s.fsys.OpenFile(editDir+"/"+place, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the log of its edits: %w", err)
	}
	l, err := readLog(f)
	if errors.Is(err, errLog) || err == nil && l.commits == 0 && !l.folded {
		return nil, f.Close()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read the log of its edits: %w", err)
	}
	return l, nil
}

// readLog follows the frames to the last commit that is whole.
func readLog(f disk.File) (*editLog, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size()
	if end < logHeader {
		return nil, errLog
	}
	head := make([]byte, logHeader)
	if err := readFull(f, head, 0); err != nil {
		return nil, err
	}
	l := &editLog{f: f, pages: map[int64]slot{}}
	if l.logHead, err = decodeLogHead(head); err != nil {
		return nil, err
	}
	l.limit, l.length = l.logHead.size, l.logHead.size
	var group []frame
	var last []frame // the group that the newest commit ended
	number := uint64(1)
	for off := int64(logHeader); ; number++ {
		fr, ok, err := readFrame(f, end, off, l.id)
		if err != nil {
			return nil, err
		}
		if !ok || fr.number != number {
			break
		}
		off += fr.bytes()
		if fr.flags&frameFolded != 0 {
			l.folded, l.into = true, fr.sum
			continue
		}
		group = append(group, fr)
		if fr.flags&frameCommit == 0 {
			continue
		}
		// Everything before a commit was synced before the commit was begun.
		l.apply(last)
		last, group = group, nil
	}
	if last != nil {
		whole, err := wholeFrames(f, last)
		if err != nil {
			return nil, err
		}
		if whole {
			l.apply(last)
		}
	}
	return l, nil
}

// wholeFrames reports whether all pages of frames are what the frames say.
func wholeFrames(r io.ReaderAt, group []frame) (bool, error) {
	buf := make([]byte, page)
	for _, fr := range group {
		for i := range fr.pages {
			if err := readFull(r, buf, fr.data+int64(i)*page); err != nil {
				return false, err
			}
			if crc32.Checksum(buf, castagnoli) != fr.crcs[i] {
				return false, nil
			}
		}
	}
	return true, nil
}

func (l *editLog) apply(group []frame) {
	if group == nil {
		return
	}
	v := layers{pages: l.pages, limit: l.limit, size: l.length}
	for _, fr := range group {
		v.cut(fr.low)
		for i, p := range fr.pages {
			v.pages[p] = slot{fr.data + int64(i)*page, fr.crcs[i]}
		}
		v.size = fr.size
		l.time = time.Unix(0, fr.time)
	}
	l.limit, l.length = v.limit, v.size
	l.commits++
}

// fits reports whether f is the base that the log changes.
func (l *editLog) fits(f *File) bool {
	return l.commits > 0 && l.sum == f.info.Digest && l.logHead.size == f.info.Size
}

// layer puts the state of a log over a file that was just opened.
func (f *File) layer(l *editLog) error {
	f.edits = &layers{base: readerAtFunc(f.readBase), limit: l.limit, size: l.length, pages: l.pages, log: l.f}
	f.info.Size, f.info.Modified, f.info.Digest, f.info.Editing = l.length, l.time, [32]byte{}, true
	return nil
}

// startLog writes the beginning of a new log.
func startLog(f disk.File, h *logHead) error {
	if _, err := rand.Read(h.id[:]); err != nil {
		return err
	}
	_, err := f.WriteAt(h.encode(), 0)
	return err
}

// sortedPages lists the pages that are in memory only, in order.
func sortedPages(fresh map[int64]*[page]byte) []int64 {
	list := make([]int64, 0, len(fresh))
	for i := range fresh {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}
