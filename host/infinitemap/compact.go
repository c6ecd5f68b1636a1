package infinitemap

import (
	"context"
	"slices"
)

// Compact flushes the map and gives back the room of tiles that were replaced, except
// what snapshots and open readers need. Flushes do so bit by bit anyway; Compact rewrites
// every file that has some such room, and joins small files.
func (m *Map) Compact(ctx context.Context) error {
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.flush(ctx, true)
}

// Segments of similar size are joined when there are this many, so that their number
// stays within some times the logarithm of the number of tiles.
const fanIn = 8

// kept returns the segments that snapshots need.
func (m *Map) kept() map[uint32]bool {
	kept := make(map[uint32]bool)
	for _, s := range m.snapshots {
		for _, g := range s.segments {
			kept[g.number] = true
		}
	}
	return kept
}

// choose picks segments whose tiles move. Those that a snapshot needs stay: moving
// their tiles would free nothing.
func (c *commit) choose() []*segment {
	m := c.m
	kept := m.kept()
	// A tile that moves costs as much as one that changed, so that the cost of a flush
	// stays in proportion; small maps may be tidied in one go.
	budget := int64(max(2*len(c.keys), int(64<<20)/m.tileBytes))
	var classes [64][]segmentInfo
	var out []*segment
	for _, s := range m.view.segments {
		live := int64(s.live) - c.gone[s.number]
		if kept[s.number] || live <= 0 {
			continue
		}
		if c.tidy && live < int64(s.blocks) {
			out = append(out, m.view.segs[s.number])
			continue
		}
		if live*2 < int64(s.blocks) && live <= budget {
			budget -= live
			out = append(out, m.view.segs[s.number])
			continue
		}
		class := 0
		for n := live; n >= fanIn; n /= fanIn {
			class++
		}
		classes[class] = append(classes[class], s)
	}
	for _, group := range classes {
		if len(group) < fanIn && !(c.tidy && len(group) > 1) {
			continue
		}
		sum := int64(0)
		for _, s := range group {
			sum += int64(s.live) - c.gone[s.number]
		}
		if sum*int64(m.tileBytes) > 1<<30 || !c.tidy && sum > max(budget, 4*int64(len(c.keys))*fanIn) {
			continue // large ones are worth their own file
		}
		budget -= sum
		for _, s := range group {
			out = append(out, m.view.segs[s.number])
		}
	}
	return out
}

// take lists the tiles of a segment that the index still points to. A segment whose
// directory cannot be read stays as it is.
func (c *commit) take(s *segment) error {
	m := c.m
	dir, err := s.directory(m.tileBytes, m.shift)
	if err != nil {
		return nil
	}
	for i, d := range dir {
		if i%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if d.block == cleared {
			continue
		}
		if _, changed := slices.BinarySearchFunc(c.keys, d.key, compareKeys); changed {
			continue
		}
		e, in, ok, err := m.lookupIn(d.key)
		if err == nil && ok && in == m.view && e.segment == d.segment && e.block == d.block {
			c.moves = append(c.moves, e)
		}
	}
	return nil
}
