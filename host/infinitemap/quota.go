package infinitemap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/pxos/pxos/host/disk"
)

// ErrQuota means that a change, a flush or a snapshot would take more than a Quota
// leaves. A *QuotaError says how much.
var ErrQuota = errors.New("the quota of the maps is used up")

// Quota bounds the maps that lie beside one another in a directory, those of other
// processes included. Maps of one process that change at the same time share one Quota.
// Its fields must not change while a map that has it is open.
type Quota struct {
	// Dir opens the directory whose subdirectories are the maps, and who asked closes it
	// when it has a method Close. While Dir gives an error that matches fs.ErrNotExist
	// there are no maps.
	Dir func() (disk.FS, error)
	// Bytes is what the maps may take on the disk, as Usage counts. A flush that would
	// leave more fails with ErrQuota, unless it leaves the map no larger than it was:
	// what is over a quota can be made smaller. 0 means no bound.
	Bytes int64
	// Unflushed is what changed tiles may take beside the cache, of all maps that share
	// the Quota: their places in the scratch files, of which black takes next to nothing,
	// and 4096 bytes for each, and for each tile above them that a flush has to make. A
	// change that needs more fails with ErrQuota before it is made, and the next flush
	// gives the room back. What a flush itself needs is not refused; that may be as much
	// again. 0 means no bound.
	Unflushed int64

	mu   sync.Mutex
	held int64 // of Unflushed
}

// QuotaError says by how much a Quota is too small. It matches ErrQuota.
type QuotaError struct {
	Need, Limit int64  // bytes
	What        string // that needs them
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%s %d bytes, and the quota is %d", e.What, e.Need, e.Limit)
}

// Is reports that a QuotaError is an ErrQuota.
func (e *QuotaError) Is(target error) bool { return target == ErrQuota }

// unit is what the smallest file takes on most disks. Directories and empty files are
// counted as one, so that very many of them are not free.
const unit = 4096

// taken is the room of a file of n bytes.
func taken(n int64) int64 { return max((n+unit-1)/unit, 1) * unit }

// newMapBytes is what an empty map takes: its directory, lock and manifest, and that of
// the pins with its gate, with one to spare.
const newMapBytes = 6 * unit

// Usage returns what the maps take on the disk: every file and directory rounded up to
// 4096 bytes, save the scratch files, which Unflushed bounds. Files that a flush of
// another process is writing, and old ones that readers hold, count.
func (q *Quota) Usage() (int64, error) {
	fsys, err := q.Dir()
	if missing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := usage(fsys, ".", 0)
	if c, ok := fsys.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return n, err
}

// usage adds up a directory. No map has files more than two directories deep; what lies
// deeper is foreign, and is not looked for without end.
func usage(fsys disk.FS, dir string, depth int) (sum int64, err error) {
	list, err := fsys.ReadDir(dir)
	if missing(err) { // removed meanwhile
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		name := e.Name()
		if dir != "." {
			name = dir + "/" + name
		}
		if e.IsDir() {
			sum += unit
			if depth < 4 {
				n, err := usage(fsys, name, depth+1)
				if err != nil {
					return 0, err
				}
				sum += n
			}
			continue
		}
		if depth == 1 && e.Name() == scratchName {
			continue
		}
		n, err := sizeOf(fsys, name)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// sizeOf is the room of one file, 0 when it is gone.
func sizeOf(fsys disk.FS, name string) (int64, error) {
	st, err := fsys.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return taken(st.Size()), nil
}

// Admit fails with ErrQuota when the maps may not take n bytes more.
func (q *Quota) Admit(n int64) error { return q.admit(n, "the maps would take") }

func (q *Quota) admit(n int64, what string) error {
	if q == nil || q.Bytes == 0 {
		return nil
	}
	used, err := q.Usage()
	if err != nil {
		return err
	}
	if used+n > q.Bytes {
		return &QuotaError{used + n, q.Bytes, what}
	}
	return nil
}

// AdmitMap fails with ErrQuota when there is no room for a further map. Whoever makes
// the directory of a new map asks before, as Open finds it made.
func (q *Quota) AdmitMap() error { return q.admit(newMapBytes, "with a new map the maps take") }

// hold takes n bytes of Unflushed, or gives back -n.
func (q *Quota) hold(n int64, force bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > 0 && !force && q.Unflushed > 0 && q.held+n > q.Unflushed {
		return &QuotaError{q.held + n, q.Unflushed, "flush first: the changed tiles take"}
	}
	q.held += n
	return nil
}

// pledge is a map's share of Quota.Unflushed.
type pledge struct {
	held  int64        // of it
	above map[key]bool // tiles that the next lift will change first
	force bool         // a change that must not be refused
}

// pledge takes room for a change of a tile of level 0 that may make the scratch file
// grow, and for the tiles above it, so that a lift always finds it. The caller holds mu
// for writing and cache.mu.
func (m *Map) pledge(c cell, known bool) error {
	q := m.opt.Quota
	var above []key
	if !known {
		bounds := cells{0, c.x, c.y, c.x, c.y}
		if m.hasBounds {
			bounds = m.bounds.join(c)
		}
		for p := c.parent(); p.level <= m.MaxLevel() && (p.level <= m.top || !bounds.up(p.level-1).handful()); p = p.parent() {
			k := p.key()
			if m.dirty[k] != nil || m.room.above[k] {
				break
			}
			above = append(above, k)
		}
	}
	tiles := int64(len(m.dirty) + len(m.room.above) + len(above))
	if !known {
		tiles++
	}
	need := m.scratch.end + tiles*unit
	if err := q.hold(need-m.room.held, m.room.force); err != nil {
		return err
	}
	m.room.held = need
	if m.room.above == nil {
		m.room.above = make(map[key]bool)
	}
	for _, k := range above {
		m.room.above[k] = true
	}
	return nil
}

// unpledge gives back the share of changes that are flushed or forgotten.
func (m *Map) unpledge() {
	if m.opt.Quota != nil {
		_ = m.opt.Quota.hold(-m.room.held, true) // giving back never fails
	}
	m.room = pledge{}
}

// fits checks what a commit whose files are written leaves on the disk: all that is there,
// less the files of this map that nobody will need then. As every writer looks after it
// has written, of two that do so at the same time at least one sees both.
func (c *commit) fits() error {
	m := c.m
	q := m.opt.Quota
	if q == nil || q.Bytes == 0 {
		return nil
	}
	list, err := m.fsys.ReadDir(".")
	if err != nil {
		return err
	}
	needed := m.needed(c.man)
	known := m.snapshotsKnown() == nil
	fresh, freed := taken(int64(len(c.man.encode()))), taken(int64(len(m.view.encode())))
	manifests := fresh - freed
	for _, name := range c.files {
		n, err := sizeOf(m.fsys, name)
		if err != nil {
			return err
		}
		fresh += n
	}
	gone := int64(0)
	for _, e := range list {
		name := e.Name()
		// What is obsolete already and still there is held by a reader.
		if _, ok := fileNumber(name); !ok || !known || needed[name] || m.obsolete[name] != 0 {
			continue
		}
		n, err := sizeOf(m.fsys, name)
		if err != nil {
			return err
		}
		gone += n
	}
	if freed += gone; fresh <= freed {
		return nil
	}
	used, err := q.Usage()
	if err != nil {
		return err
	}
	if need := used + manifests - gone; need > q.Bytes {
		c.over = need - q.Bytes
		return &QuotaError{need, q.Bytes, "the maps would take"}
	}
	return nil
}

// largest is how long a segment may become while it is written: one that alone is over
// the quota cannot fit, unless the map was over it before.
func (c *commit) largest() int64 {
	q := c.m.opt.Quota
	if q == nil || q.Bytes == 0 {
		return 1<<63 - 1
	}
	had := uint64(0)
	for _, s := range c.m.view.segments {
		had += s.bytes
	}
	return max(q.Bytes, int64(min(had, 1<<62)))
}

// slack is about how much a tidy commit would take less than this one.
func (c *commit) slack() int64 {
	kept := c.m.kept()
	sum := 0.0
	for _, s := range c.man.segments {
		if !kept[s.number] && s.live < s.blocks {
			sum += float64(s.bytes) * float64(s.blocks-s.live) / float64(s.blocks)
		}
	}
	return int64(min(sum, 1<<62))
}
