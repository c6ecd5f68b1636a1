package infinitemap

import (
	"context"
	"errors"

	"github.com/pxos/pxos/host/disk"
)

// Report is what Verify found.
type Report struct {
	Tiles   uint64        // that were read, of all levels
	Damaged []*TileError  // at most MaxFaults of them
	Index   []*IndexError // parts of the index that cannot be read
	More    uint64        // damaged tiles beyond MaxFaults
}

// MaxFaults is how many damaged tiles a Report lists.
const MaxFaults = 10000

// OK reports whether nothing is damaged.
func (r *Report) OK() bool { return len(r.Damaged) == 0 && len(r.Index) == 0 && r.More == 0 }

// Verify reads every tile of the flushed state, the map below an overlay included, and
// names the damaged ones. progress, when not nil, is told how many of about how many
// tiles were read. The error says that Verify could not go on, not that it found
// something.
func (m *Map) Verify(ctx context.Context, progress func(done, total uint64)) (*Report, error) {
	m.mu.RLock()
	if m.closed {
		m.mu.RUnlock()
		return nil, ErrClosed
	}
	states := []*view{m.view.retain()}
	if m.base != nil {
		states = append(states, m.base.retain())
	}
	m.mu.RUnlock()
	defer func() {
		for _, v := range states {
			v.release()
		}
	}()
	var total uint64
	report := &Report{}
	for _, v := range states {
		for _, s := range v.segments {
			total += uint64(s.live)
		}
		for _, r := range v.open {
			for _, g := range r.gaps {
				report.Index = append(report.Index, &IndexError{File: runName(r.info.number), Err: g.err})
			}
		}
	}
	for _, v := range states {
		if err := v.verify(ctx, m, report, total, progress); err != nil {
			return report, err
		}
	}
	if progress != nil {
		progress(report.Tiles, max(total, report.Tiles))
	}
	return report, nil
}

func (v *view) verify(ctx context.Context, m *Map, report *Report, total uint64, progress func(done, total uint64)) error {
	buf := make([]byte, m.tileBytes)
	for level := 0; level <= v.top; level++ {
		w := walker{sources: v.sources(nil, false), area: everything(level, m.shift)}
		w.visit = func(s *source, i int, c cell) bool {
			if s.entry(i).block == cleared {
				return true
			}
			// v.read guards the mapping for itself; the walk reads it between visits.
			if _, err := v.read(c, buf); err != nil {
				var te *TileError
				switch {
				case len(report.Damaged) >= MaxFaults:
					report.More++
				case errors.As(err, &te):
					report.Damaged = append(report.Damaged, te)
				}
			}
			if report.Tiles++; progress != nil && report.Tiles%256 == 0 {
				progress(report.Tiles, total)
			}
			return ctx.Err() == nil
		}
		if err := disk.Guarded(func() { w.walk() }); err != nil {
			report.Index = append(report.Index, &IndexError{File: "idx", Err: err})
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
