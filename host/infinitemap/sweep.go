package infinitemap

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pxos/pxos/host/disk"
)

// fileNumber reads the number of a segment or an index run from its name.
func fileNumber(name string) (uint32, bool) {
	for _, prefix := range []string{"seg-", "idx-"} {
		if s, ok := strings.CutPrefix(name, prefix); ok {
			if s, ok = strings.CutSuffix(s, ".pxi"); ok {
				n, err := strconv.ParseUint(s, 10, 32)
				return uint32(n), err == nil && strconv.FormatUint(n, 10) == s
			}
		}
	}
	return 0, false
}

// adopt prepares a writer: what a crash left is removed, and numbers that were used are
// not used again.
func (m *Map) adopt() error {
	if err := m.fsys.MkdirAll(pinDir); err != nil {
		return err
	}
	if err := m.loadSnapshots(); err != nil {
		return err
	}
	list, err := m.fsys.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range list {
		if n, ok := fileNumber(e.Name()); ok && n >= m.next && n < maxNumber {
			m.next = n + 1
		}
		if disk.IsTemp(e.Name()) || e.Name() == scratchName {
			if err := m.fsys.Remove(e.Name()); err != nil && !missing(err) {
				m.sweepErr = err
			}
		}
	}
	m.obsolete = make(map[string]uint64)
	m.sweep()
	return nil
}

// needed returns the files that a state or a snapshot names.
func (m *Map) needed(state *manifest) map[string]bool {
	out := make(map[string]bool)
	add := func(man *manifest) {
		for _, r := range man.runs {
			out[runName(r.number)] = true
		}
		for _, s := range man.segments {
			out[segmentName(s.number)] = true
		}
	}
	add(state)
	for _, s := range m.snapshots {
		add(s)
	}
	return out
}

// sweep removes files that no state needs. A reader of generation g needs those that
// became obsolete after g. That a file cannot be removed is no failure of what the
// caller did: it is tried again after the next flush. The caller holds mu for writing.
func (m *Map) sweep() {
	if err := m.trySweep(); err != nil && !errors.Is(err, disk.ErrLocked) {
		m.sweepErr = err
	} else {
		m.sweepErr = nil
	}
}

func (m *Map) trySweep() error {
	if m.unsure {
		return nil // the state on the disk may be one that we do not know
	}
	if err := m.snapshotsKnown(); err != nil {
		return err
	}
	list, err := m.fsys.ReadDir(".")
	if err != nil {
		return err
	}
	needed := m.needed(m.view.manifest)
	for _, e := range list {
		name := e.Name()
		if _, ok := fileNumber(name); !ok {
			continue
		}
		if needed[name] {
			delete(m.obsolete, name)
		} else if m.obsolete[name] == 0 {
			m.obsolete[name] = m.view.generation
		}
	}
	if len(m.obsolete) == 0 {
		return nil
	}
	gate, err := m.fsys.Lock(gateName, disk.Exclusive)
	if err != nil {
		return err
	}
	oldest, err := m.oldestReader()
	for name, since := range m.obsolete {
		if err != nil || since > oldest {
			continue
		}
		if e := m.fsys.Remove(name); e != nil && !missing(e) {
			err = fmt.Errorf("remove a file that is no longer needed: %w", e)
			continue
		}
		delete(m.obsolete, name)
	}
	return errors.Join(err, gate.Close())
}

// oldestReader returns the smallest generation that a reader has pinned, and removes
// the pins of readers that are gone. The caller holds the gate.
func (m *Map) oldestReader() (uint64, error) {
	oldest := uint64(math.MaxUint64)
	list, err := m.fsys.ReadDir(pinDir)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		g, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil {
			continue
		}
		l, err := m.fsys.Lock(pinName(g), disk.Exclusive)
		if errors.Is(err, disk.ErrLocked) {
			oldest = min(oldest, g)
			continue
		}
		if err != nil {
			return 0, err
		}
		if err := errors.Join(m.fsys.Remove(pinName(g)), l.Close()); err != nil {
			return 0, err
		}
	}
	return oldest, nil
}
