package disktest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// Sector is the unit, in bytes, that a disk writes whole or not at all.
const Sector = 512

// Change is something that was done to a Mem and not synced, in the smallest piece that
// a disk keeps or loses.
type Change struct {
	Seq    int    // the order in which things were done; pieces of one write share it
	Op     string // "create", "mkdir", "rename", "link", "remove"; "data" or "size"
	Name   string // the file's name when it was opened, or the (new) name that changed
	Sector int64  // of "data": which, counted from the start of the file
	Size   int64  // of "size": the new one
}

// Crash returns the file system as it is after a power loss that keeps exactly the
// unsynced changes that keep chooses, as far as they can be kept: see the package
// comment. m itself goes on as if nothing had happened, so that many ends can be tried
// from one history. keep must not use m.
func (m *Mem) Crash(keep func(Change) bool) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &crash{keep: keep, copies: map[*node]*node{}, names: map[*node]map[string]*node{}}
	c.entries(m.entries)
	out := &Mem{capacity: m.capacity, seq: m.seq}
	out.root = c.copy(m.root, out)
	out.freed = sync.NewCond(&out.mu)
	return out
}

// PowerCut returns the file system as it is after a power loss now. The seed of rng
// decides what survives of the unsynced changes: nothing, everything, everything up to
// some moment, or any possible choice.
func (m *Mem) PowerCut(rng *rand.Rand) *Mem {
	m.mu.Lock()
	last := m.seq
	m.mu.Unlock()
	switch rng.IntN(8) {
	case 0:
		return m.Crash(func(Change) bool { return false })
	case 1:
		return m.Crash(func(Change) bool { return true })
	case 2, 3:
		// An ordered journal that stops somewhere; the write it stops in is torn.
		end := rng.IntN(last + 2)
		return m.Crash(func(c Change) bool {
			return c.Seq < end || c.Seq == end && rng.IntN(2) == 0
		})
	case 4:
		// Names first, bytes hardly: what delayed allocation does.
		return m.Crash(func(c Change) bool { return c.Op != "data" || rng.IntN(8) == 0 })
	case 5:
		// Bytes first, names hardly.
		return m.Crash(func(c Change) bool { return c.Op == "data" || rng.IntN(8) == 0 })
	default:
		p := rng.Float64()
		return m.Crash(func(Change) bool { return rng.Float64() < p })
	}
}

type crash struct {
	keep   func(Change) bool
	copies map[*node]*node
	names  map[*node]map[string]*node // directories that kept entries change
}

// entries decides which changes of names survive. A change is possible only when those
// before it that it builds on survive too: those of the same name and those that move
// the same file. Moving a directory builds on everything before.
func (c *crash) entries(all []*entry) {
	type key struct {
		dir  *node
		base string
	}
	lostNames, lostNodes, lostAny := map[key]bool{}, map[*node]bool{}, false
	for _, e := range all {
		possible := true
		for _, n := range e.moves {
			if lostNodes[n] || e.op == "rename" && n.isDir() && lostAny {
				possible = false
			}
		}
		for _, s := range e.set {
			if lostNames[key{s.dir, s.base}] {
				possible = false
			}
		}
		last := e.set[len(e.set)-1]
		if possible && c.keep(Change{Seq: e.seq, Op: e.op, Name: last.path}) {
			for _, s := range e.set {
				if c.names[s.dir] == nil {
					c.names[s.dir] = map[string]*node{}
				}
				c.names[s.dir][s.base] = s.node
			}
			continue
		}
		lostAny = true
		for _, n := range e.moves {
			lostNodes[n] = true
		}
		for _, s := range e.set {
			lostNames[key{s.dir, s.base}] = true
		}
	}
}

// copy returns what is left of a node.
func (c *crash) copy(n *node, m *Mem) *node {
	if done := c.copies[n]; done != nil {
		return done
	}
	out := &node{mtime: n.mtime}
	c.copies[n] = out
	if !n.isDir() {
		out.data = c.content(n)
		out.durable = slices.Clone(out.data)
		m.used += int64(len(out.data))
		return out
	}
	out.names, out.safe = map[string]*node{}, map[string]*node{}
	left := map[string]*node{}
	for base, child := range n.safe {
		left[base] = child
	}
	for base, child := range c.names[n] {
		left[base] = child
	}
	// In the order of names, so that one seed gives one outcome.
	for _, base := range sortedNames(left) {
		if left[base] == nil {
			continue
		}
		child := c.copy(left[base], m)
		child.links++
		out.names[base], out.safe[base] = child, child
	}
	return out
}

// content decides what a file holds.
func (c *crash) content(n *node) []byte {
	data := slices.Clone(n.durable)
	size, now := int64(len(data)), int64(len(data)) // kept, and as the writer saw it
	for _, w := range n.writes {
		if w.size >= 0 {
			kept := c.keep(Change{Seq: w.seq, Op: "size", Name: w.path, Size: w.size})
			if kept {
				size = w.size
				if size < int64(len(data)) {
					data = data[:size]
				}
			} else if w.size < now {
				// What follows was stored in the place of what was cut off, and
				// is reached only through the cut.
				break
			}
			now = w.size
			continue
		}
		end := w.off + int64(len(w.data))
		for s := w.off / Sector; s*Sector < end; s++ {
			if !c.keep(Change{Seq: w.seq, Op: "data", Name: w.path, Sector: s}) {
				continue
			}
			from, to := max(s*Sector, w.off), min((s+1)*Sector, end)
			data = putBytes(data, w.data[from-w.off:to-w.off], from)
		}
		if end > now {
			now = end
			if c.keep(Change{Seq: w.seq, Op: "size", Name: w.path, Size: end}) {
				size = end
			}
		}
	}
	return resizeBytes(data, size)
}

// SyncDir implements [disk.FS]: the changes of names in this directory become durable,
// and those they build on.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.find(name)
	if err == nil && !dir.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathError("sync", name, err)
	}
	m.entries = syncEntries(m.entries, dir)
	return nil
}

// syncEntries makes durable what a sync of dir does and returns the rest. It goes back
// from the newest, collecting what the needed changes build on.
func syncEntries(all []*entry, dir *node) []*entry {
	type key struct {
		dir  *node
		base string
	}
	needNames, needNodes, needAll := map[key]bool{}, map[*node]bool{}, false
	needed := make([]bool, len(all))
	for i, e := range slices.Backward(all) {
		need := needAll
		for _, s := range e.set {
			need = need || s.dir == dir || needNames[key{s.dir, s.base}]
		}
		for _, n := range e.moves {
			need = need || needNodes[n]
		}
		if needed[i] = need; !need {
			continue
		}
		for _, s := range e.set {
			needNames[key{s.dir, s.base}] = true
		}
		for _, n := range e.moves {
			needNodes[n] = true
			needAll = needAll || e.op == "rename" && n.isDir()
		}
	}
	var rest []*entry
	for i, e := range all {
		if !needed[i] {
			rest = append(rest, e)
			continue
		}
		for _, s := range e.set {
			if s.node == nil {
				delete(s.dir.safe, s.base)
			} else {
				s.dir.safe[s.base] = s.node
			}
		}
	}
	return rest
}
