package wasmbin

import (
	"cmp"
	"slices"
)

// dataSegment is an active segment with a constant offset into the module's own
// memory.
type dataSegment struct {
	offset uint64
	init   span
}

func (s dataSegment) end() uint64 { return s.offset + uint64(s.init.end-s.init.start) }

// maxGap is the longest run of zeros between two segments that is written out to
// make them one. A segment costs the decoder and the instantiation about as much as
// copying a few hundred bytes.
const maxGap = 128

// dataPayload returns the data section and the number of its segments, with
// neighbours made one where that cannot be told apart: all segments are active,
// their offsets are constants and no two overlap, so that their order means nothing;
// no instruction names a segment; and the memory is the module's own, so that it is
// zero between them. An instantiation that fails because a segment is out of bounds fails either
// way, and nobody sees the memory then. Compilers such as Go's emit a segment for
// each stretch without zeros, thousands of them.
func (m *Module) dataPayload() (payload []byte, count int) {
	raw := m.raw[m.dataSec.start:m.dataSec.end]
	segs, ok := m.activeSegments()
	if !ok {
		return raw, m.numData
	}
	type run struct{ first, last int }
	var runs []run
	for i := range segs {
		if i > 0 {
			if segs[i].offset-segs[i-1].end() <= maxGap {
				runs[len(runs)-1].last = i
				continue
			}
		}
		runs = append(runs, run{i, i})
	}
	if len(runs) == len(segs) {
		return raw, m.numData
	}
	p := appendU32(make([]byte, 0, len(raw)+len(raw)/4), uint32(len(runs)))
	for _, r := range runs {
		size := segs[r.last].end() - segs[r.first].offset
		p = append(appendS64(append(p, 0, opI32Const), int64(int32(uint32(segs[r.first].offset)))), opEnd)
		p = appendU32(p, uint32(size))
		at := segs[r.first].offset
		for _, s := range segs[r.first : r.last+1] {
			for ; at < s.offset; at++ {
				p = append(p, 0)
			}
			p = append(p, m.raw[s.init.start:s.init.end]...)
			at = s.end()
		}
	}
	return p, len(runs)
}

// activeSegments reads the segments, or reports that they must stay as they are.
func (m *Module) activeSegments() ([]dataSegment, bool) {
	if m.numData < 2 || m.memory == nil || m.memory.Imported || m.namesData {
		return nil, false
	}
	r := &reader{b: m.raw, pos: m.dataSec.start, end: m.dataSec.end}
	segs := make([]dataSegment, 0, r.count("data segments", 2))
	for range m.numData {
		flags := r.u32()
		if flags == 1 {
			return nil, false
		}
		if flags == 2 {
			r.u32()
		}
		if r.byte() != opI32Const {
			return nil, false
		}
		off := uint64(uint32(r.sleb(32)))
		if r.byte() != opEnd {
			return nil, false
		}
		n := int(r.u32())
		start := r.pos
		r.bytes(n)
		if r.err != nil {
			return nil, false
		}
		segs = append(segs, dataSegment{off, span{start, r.pos}})
	}
	slices.SortStableFunc(segs, func(a, b dataSegment) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(segs); i++ {
		if segs[i].offset < segs[i-1].end() {
			return nil, false
		}
	}
	return segs, true
}
