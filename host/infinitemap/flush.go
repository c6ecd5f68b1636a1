package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// Flush makes all changes durable in one step: after a crash at any moment, the map is
// as this flush leaves it or as the one before did. On an error the changes are all
// still in memory, and a later Flush takes them. Reading goes on meanwhile.
func (m *Map) Flush(ctx context.Context) error {
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.flush(ctx, false)
}

// flush is Flush for a caller that holds mu for writing, which it gives up in between.
func (m *Map) flush(ctx context.Context, tidy bool) error {
	if len(m.dirty) == 0 && !m.unsure && !tidy {
		return nil
	}
	if err := m.lift(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if m.opt.Quota != nil && len(m.obsolete) > 0 {
		m.sweep() // what readers held may be free by now
	}
	keys := m.mem.sorted()
	m.flushing = true
	m.mu.Unlock()
	m.mu.RLock()
	c := &commit{m: m, ctx: ctx, keys: keys, tidy: tidy}
	err := c.run()
	if !tidy && c.over > 0 && c.slack() >= c.over {
		// The room of tiles that were replaced is enough.
		c = &commit{m: m, ctx: ctx, keys: keys, tidy: true}
		err = c.run()
	}
	m.mu.RUnlock()
	m.mu.Lock()
	m.flushing = false
	m.idle.Broadcast()
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	m.settle(c.view)
	return nil
}

// settle takes over a state that was just committed and holds all changes.
func (m *Map) settle(v *view) {
	old := m.view
	m.setView(v)
	m.unsure = false
	old.release()
	m.dirty = make(map[key]*change)
	m.mem, m.unlifted = memtable{}, nil
	m.scratch.reset()
	m.unpledge()
	m.cache.mu.Lock()
	m.spillErr = nil
	m.cache.mu.Unlock()
	m.cache.clear(func(t *tile) bool {
		if t.change == nil {
			return false
		}
		t.change, t.hot = nil, false
		e, ok, err := m.lookup(t.key())
		t.version = e.version()
		return err != nil || !ok // black: there is no such tile any more
	})
	m.sweep()
}

// commit is one flush on its way to the disk.
type commit struct {
	m    *Map
	ctx  context.Context
	keys []key // changed tiles, sorted

	tidy    bool             // move all tiles out of files with dead ones, join all runs
	existed []bool           // each of keys had a tile in the state before, not below an overlay
	gone    map[uint32]int64 // tiles of a segment that nothing will point to
	moves   []entry          // tiles copied from other segments, sorted
	tiles   int64            // change of the number of tiles of level 0
	entries []entry          // the new ones, sorted
	files   []string         // made so far
	man     *manifest
	view    *view
	over    int64 // bytes that it would take beyond the quota
}

func (c *commit) run() (err error) {
	m := c.m
	old := m.view.manifest
	if m.next > maxNumber-2 {
		return errors.New("all file numbers are used up: export the map to a new one")
	}
	man := *old
	c.man = &man
	man.generation = m.generation + 1
	man.top, man.bounds, man.hasBounds = m.top, m.bounds, m.hasBounds
	if m.base != nil {
		man.baseGen = m.base.generation
	}
	defer func() {
		var unsure *CommitError
		if err == nil || errors.As(err, &unsure) {
			return
		}
		for _, f := range c.files {
			if e := m.fsys.Remove(f); e != nil && !missing(e) {
				err = errors.Join(err, fmt.Errorf("remove the unfinished %s: %w", f, e))
			}
		}
		if c.view != nil {
			c.view.release()
			c.view = nil
		}
	}()
	if err := c.plan(); err != nil {
		return err
	}
	if err := c.writeSegment(); err != nil {
		return err
	}
	if err := c.writeRun(); err != nil {
		return err
	}
	if err := c.fits(); err != nil {
		return err
	}
	man.tiles = uint64(max(int64(old.tiles)+c.tiles, 0))
	man.next = m.next
	c.view = newView(m.fsys, m.pool, c.man, m.view, nil)
	for _, r := range c.view.open[:min(1, len(c.view.open))] {
		if len(r.gaps) > 0 && (len(m.view.open) == 0 || r != m.view.open[0]) {
			return &IndexError{runName(r.info.number), fmt.Errorf("it cannot be read back: %w", r.gaps[0].err)}
		}
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if len(c.files) > 0 {
		if err := m.fsys.SyncDir("."); err != nil {
			return err
		}
	}
	if err := writeManifest(m.fsys, manifestName, c.man); err != nil {
		var unsure *CommitError
		if errors.As(err, &unsure) {
			m.unsure = true
			m.generation++ // what may be on the disk has this number
			c.view.release()
		}
		return err
	}
	return nil
}

// plan finds out what the changes replace, and which tiles of other segments are worth
// moving into the new one.
func (c *commit) plan() error {
	m := c.m
	c.existed = make([]bool, len(c.keys))
	c.gone = make(map[uint32]int64)
	for i, k := range c.keys {
		if i%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		e, in, ok, err := m.lookupIn(k)
		if err != nil {
			// The old tile cannot be found, so its segment only seems to need it.
			c.existed[i] = true
			continue
		}
		c.existed[i] = ok && in == m.view
		if c.existed[i] {
			c.gone[e.segment]++
		}
	}
	for _, s := range c.choose() {
		if err := c.take(s); err != nil {
			return err
		}
	}
	slices.SortFunc(c.moves, func(a, b entry) int { return compareKeys(a.key, b.key) })
	return nil
}

// number returns the next file number. Only the one flush at a time asks.
func (c *commit) number() uint32 {
	n := c.m.next
	c.m.next++
	return n
}

// fresh makes a file that must not exist. One that a crash left is in nobody's way: its
// number was never committed.
func (c *commit) fresh(name string) (disk.File, error) {
	f, err := c.m.fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err == nil {
		c.files = append(c.files, name)
	}
	return f, err
}

// writeSegment writes the changed and moved tiles, in key order, and their directory.
func (c *commit) writeSegment() (err error) {
	m := c.m
	if len(c.keys) == 0 && len(c.moves) == 0 {
		return nil
	}
	info := segmentInfo{number: c.number()}
	var f disk.File
	var w *pxi.Writer
	defer func() {
		if f != nil {
			if e := f.Close(); err == nil {
				err = e
			}
		}
	}()
	buf := make([]byte, m.tileBytes)
	largest := c.largest()
	add := func(e entry, data []byte) error {
		if w == nil {
			var err error
			if f, err = c.fresh(segmentName(info.number)); err != nil {
				return err
			}
			w, err = pxi.NewWriter(f, pxi.Options{Width: uint32(m.size), Compression: m.opt.Compression, BlockSize: m.tileBytes})
			if err != nil {
				return err
			}
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		e.segment, e.block = info.number, info.blocks
		info.blocks++
		if info.blocks%64 == 0 {
			switch st, err := f.Stat(); {
			case err != nil:
				return err
			case st.Size() > largest:
				return &QuotaError{st.Size(), largest, "the changed tiles take more than"}
			}
		}
		c.entries = append(c.entries, e)
		return nil
	}
	keys, moves := c.keys, c.moves
	for i := 0; i < len(keys) || len(moves) > 0; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if info.blocks == math.MaxUint32-1 {
			return errors.New("more tiles changed than one flush can hold: flush earlier")
		}
		if len(moves) > 0 && (i == len(keys) || moves[0].key.less(keys[i])) {
			e := moves[0]
			moves = moves[1:]
			if m.view.segs[e.segment].readBlock(buf, e.block) != nil {
				continue // the damaged tile stays where it is, and keeps its name
			}
			c.gone[e.segment]++
			if err := add(e, buf); err != nil {
				return err
			}
			continue
		}
		k, existed := keys[i], c.existed[i]
		i++
		data, ch, err := m.changed(k, buf)
		if err != nil {
			return err
		}
		e := entry{key: k, gen: c.man.generation}
		if m.base != nil {
			e.gen = ch.baseGen
		}
		black := isBlack(data, m.black)
		if k.level() == 0 {
			if existed {
				c.tiles--
			}
			if !black {
				c.tiles++
			}
		}
		if black {
			if existed || m.base != nil {
				e.segment, e.block = info.number, cleared
				c.entries = append(c.entries, e)
			}
			continue
		}
		if err := add(e, data); err != nil {
			return err
		}
	}
	if w != nil {
		if err := c.finishSegment(f, w, &info); err != nil {
			return err
		}
	}
	c.man.segments = nil
	for _, s := range m.view.segments {
		live := int64(s.live) - c.gone[s.number]
		if live > 0 {
			s.live = uint32(live)
			c.man.segments = append(c.man.segments, s)
		}
	}
	if w != nil {
		c.man.segments = append(c.man.segments, info)
	}
	return nil
}

func (c *commit) finishSegment(f disk.File, w *pxi.Writer, info *segmentInfo) error {
	info.live, info.entries = info.blocks, uint32(len(c.entries))
	if _, err := w.Write(encodeDirectoryHead(info.number, c.m.shift, info.blocks, info.entries)); err != nil {
		return err
	}
	b := make([]byte, 0, 1024*entrySize)
	for i, e := range c.entries {
		b = b[:len(b)+entrySize]
		e.put(b[len(b)-entrySize:])
		if len(b) == cap(b) || i == len(c.entries)-1 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	h, err := w.Close()
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	info.sum, info.bytes = h.Sum, uint64(st.Size())
	return nil
}

// changed returns the pixels of a changed tile, in buf when they are not in memory.
func (m *Map) changed(k key, buf []byte) ([]byte, *change, error) {
	m.cache.mu.Lock()
	ch := m.dirty[k]
	t := ch.tile
	m.cache.mu.Unlock()
	if t != nil {
		return t.data, ch, nil
	}
	if err := m.scratch.read(buf, ch); err != nil {
		c := k.cell()
		return nil, nil, &TileError{c.level, c.x, c.y, scratchName, err}
	}
	return buf, ch, nil
}

// maxRuns bounds the index runs of a map, which every search has to visit.
const maxRuns = 12

// writeRun writes the new entries as an index run, together with newer runs that are
// not much longer.
func (c *commit) writeRun() (err error) {
	m := c.m
	if len(c.entries) == 0 && !(c.tidy && len(m.view.open) > 1) {
		return nil
	}
	fresh := make([]byte, len(c.entries)*entrySize)
	for i, e := range c.entries {
		e.put(fresh[i*entrySize:])
	}
	c.entries = nil
	sources := []source{{data: fresh, run: &run{}}}
	total := uint64(len(fresh) / entrySize)
	joined := 0
	for _, r := range m.view.open {
		n := r.info.entries
		if len(r.gaps) > 0 || !c.tidy && n > 4*total && n > m.joinBelow && len(m.view.open)-joined < maxRuns {
			break
		}
		sources = append(sources, source{data: r.data, run: r})
		total += n
		joined++
	}
	rest := m.view.runs[joined:]
	c.man.runs = nil
	info := runInfo{number: c.number()}
	f, err := c.fresh(runName(info.number))
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w, err := pxi.NewWriter(f, pxi.Options{})
	if err != nil {
		return err
	}
	if _, err := w.Write(encodeRunHead(info.number)); err != nil {
		return err
	}
	fault := disk.Guarded(func() { err = c.mergeRuns(w, sources, &info, len(rest) == 0 && m.base == nil) })
	if err := errors.Join(err, fault); err != nil {
		return err
	}
	h, err := w.Close()
	if err != nil {
		return err
	}
	if info.entries == 0 { // nothing but cleared tiles, and nothing older to hide
		name := runName(info.number)
		c.files = slices.DeleteFunc(c.files, func(s string) bool { return s == name })
		return m.fsys.Remove(name)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	info.sum = h.Sum
	c.man.runs = append([]runInfo{info}, rest...)
	return nil
}

// mergeRuns writes the newest entry of each key. With last nothing older is left, so
// that cleared tiles need no entry.
func (c *commit) mergeRuns(w *pxi.Writer, sources []source, info *runInfo, last bool) error {
	at := make([]int, len(sources))
	n := make([]int, len(sources))
	for i := range sources {
		n[i] = sources[i].len()
	}
	b := make([]byte, 0, 2048*entrySize)
	for steps := 0; ; steps++ {
		if steps%4096 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		best := -1
		var bk key
		for i := range sources {
			if at[i] < n[i] {
				if k := sources[i].at(at[i]); best < 0 || k.less(bk) {
					best, bk = i, k
				}
			}
		}
		if best < 0 {
			break
		}
		e := sources[best].entry(at[best])
		for i := range sources {
			if at[i] < n[i] && sources[i].at(at[i]) == bk {
				at[i]++
			}
		}
		if e.block == cleared && last {
			continue
		}
		if info.entries == 0 {
			info.first = bk
		}
		info.last = bk
		info.entries++
		b = b[:len(b)+entrySize]
		e.put(b[len(b)-entrySize:])
		if len(b) == cap(b) {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

// writeManifest puts a manifest in place in one step. A *CommitError says that it may
// or may not be there.
func writeManifest(fsys disk.FS, name string, man *manifest) error {
	b, err := pxi.Encode(man.encode(), pxi.Options{})
	if err != nil {
		return err
	}
	if len(b) > maxManifest {
		return errors.New("the map has too many files: compact it")
	}
	dir := "."
	if i := len(snapshotDir); len(name) > i && name[:i] == snapshotDir {
		dir = snapshotDir
	}
	temp, err := disk.TempName(dir)
	if err != nil {
		return err
	}
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		if e := fsys.Remove(temp); e != nil && !missing(e) {
			err = errors.Join(err, e)
		}
		return err
	}
	if err := fsys.Rename(temp, name); err != nil {
		return &CommitError{err}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return &CommitError{err}
	}
	return nil
}
