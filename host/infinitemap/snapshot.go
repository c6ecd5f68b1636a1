package infinitemap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// SnapshotInfo describes a snapshot.
type SnapshotInfo struct {
	Name       string
	Generation uint64
	Tiles      uint64 // of level 0
	Made       time.Time
	Err        error // the snapshot's file cannot be read
}

const maxSnapshotName = 100

// snapshotFile returns the file of a snapshot.
func snapshotFile(name string) (string, error) {
	switch {
	case name == "" || len(name) > maxSnapshotName:
		return "", &NameError{name, fmt.Sprintf("use 1 to %d characters", maxSnapshotName)}
	case name[0] == '.' || name[0] == '-' || name[len(name)-1] == '.':
		return "", &NameError{name, "it may not start with a dot or a dash, or end with a dot"}
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", &NameError{name, "use letters, digits, dots, dashes and underscores only"}
		}
	}
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return "", &NameError{name, "it means a device on some systems"}
	}
	if len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9' {
		return "", &NameError{name, "it means a device on some systems"}
	}
	return snapshotDir + "/" + name + ".pxi", nil
}

// loadSnapshots reads the manifests of all snapshots, which say which files they need.
func (m *Map) loadSnapshots() error {
	m.snapshots = make(map[string]*manifest)
	list, err := m.fsys.ReadDir(snapshotDir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		if disk.IsTemp(e.Name()) {
			if err := m.fsys.Remove(snapshotDir + "/" + e.Name()); err != nil && !missing(err) {
				m.sweepErr = err
			}
			continue
		}
		name, ok := strings.CutSuffix(e.Name(), ".pxi")
		if !ok {
			continue
		}
		man, err := readManifest(m.fsys, snapshotDir+"/"+e.Name())
		if err != nil {
			man = nil
		}
		m.snapshots[name] = man
	}
	for name, man := range m.snapshots {
		if man == nil {
			m.snapshots[name] = &manifest{}
		}
	}
	return nil
}

// snapshotsKnown fails while the needs of a snapshot are not known: then no file may be
// removed.
func (m *Map) snapshotsKnown() error {
	for name, man := range m.snapshots {
		if man.generation == 0 {
			return fmt.Errorf("snapshot %q cannot be read, so that no file can be removed: repair or delete it", name)
		}
	}
	return nil
}

// Snapshot flushes the map and keeps that state under a name. It costs one small file,
// and later the room of the tiles that change. A name that is taken gives an error that
// matches fs.ErrExist.
func (m *Map) Snapshot(name string) error {
	file, err := snapshotFile(name)
	if err != nil {
		return err
	}
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := m.flush(context.Background(), false); err != nil {
		return err
	}
	return m.keep(name, file)
}

// keep stores the flushed state as a snapshot.
func (m *Map) keep(name, file string) error {
	if err := m.fsys.MkdirAll(snapshotDir); err != nil {
		return err
	}
	if err := m.fsys.SyncDir("."); err != nil {
		return err
	}
	if _, err := m.fsys.Lstat(file); err == nil {
		return fmt.Errorf("snapshot %q: %w", name, fs.ErrExist)
	} else if !missing(err) {
		return err
	}
	if err := m.opt.Quota.admit(taken(int64(len(m.view.encode()))), "with the snapshot the maps take"); err != nil {
		return fmt.Errorf("snapshot %q: %w", name, err)
	}
	err := writeManifest(m.fsys, file, m.view.manifest)
	var unsure *CommitError
	if err == nil || errors.As(err, &unsure) {
		m.snapshots[name] = m.view.manifest // its files stay either way
	}
	if err != nil {
		return fmt.Errorf("snapshot %q: %w", name, err)
	}
	return nil
}

// Snapshots lists the snapshots by name.
func (m *Map) Snapshots() ([]SnapshotInfo, error) {
	list, err := m.fsys.ReadDir(snapshotDir)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []SnapshotInfo
	for _, e := range list {
		name, ok := strings.CutSuffix(e.Name(), ".pxi")
		if _, err := snapshotFile(name); !ok || err != nil {
			continue
		}
		s := SnapshotInfo{Name: name}
		if st, err := m.fsys.Lstat(snapshotDir + "/" + e.Name()); err == nil {
			s.Made = st.ModTime()
		}
		man, err := readManifest(m.fsys, snapshotDir+"/"+e.Name())
		if err != nil {
			s.Err = err
		} else {
			s.Generation, s.Tiles = man.generation, man.tiles
		}
		out = append(out, s)
	}
	return out, nil
}

// OpenSnapshot opens a snapshot of the map in a directory, for reading.
func OpenSnapshot(fsys disk.FS, name string, opt Options) (*Map, error) {
	file, err := snapshotFile(name)
	if err != nil {
		return nil, err
	}
	opt.ReadOnly = true
	man, pin, err := readPinned(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("snapshot %q: %w", name, err)
	}
	m := newMap(fsys, opt, nil)
	m.fixed = true
	if err := m.start(newView(fsys, m.pool, man, nil, pin)); err != nil {
		return nil, err
	}
	return m, nil
}

// OpenSnapshot opens a snapshot of this map, for reading, as a map of its own.
func (m *Map) OpenSnapshot(name string) (*Map, error) {
	opt := m.opt
	opt.TileSize = 0
	return OpenSnapshot(m.fsys, name, opt)
}

// Restore makes a snapshot the state of the map, in one durable step. Nothing is lost:
// what the map was before, unflushed changes included, is kept as the snapshot
// before-restore-N, N its generation, unless a snapshot has that state already.
func (m *Map) Restore(name string) error {
	file, err := snapshotFile(name)
	if err != nil {
		return err
	}
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := m.flush(context.Background(), false); err != nil {
		return err
	}
	man, err := readManifest(m.fsys, file)
	if err != nil {
		return fmt.Errorf("snapshot %q: %w", name, err)
	}
	if man.id != m.view.id || man.shift != m.shift {
		return fmt.Errorf("snapshot %q is of another map", name)
	}
	kept := false
	for _, s := range m.snapshots {
		kept = kept || s.generation == m.view.generation
	}
	if !kept {
		before := fmt.Sprintf("before-restore-%d", m.view.generation)
		f, err := snapshotFile(before)
		if err != nil {
			return err
		}
		if err := m.keep(before, f); err != nil {
			return err
		}
	}
	man.generation = m.generation + 1
	man.next = m.next
	if err := writeManifest(m.fsys, manifestName, man); err != nil {
		var unsure *CommitError
		if errors.As(err, &unsure) {
			m.unsure = true
			m.generation++
		}
		return fmt.Errorf("restore %q: %w", name, err)
	}
	v := newView(m.fsys, m.pool, man, m.view, nil)
	m.cache.clear(func(*tile) bool { return true })
	m.settle(v)
	return nil
}

// DeleteSnapshot removes a snapshot. The state of the map and other snapshots stay.
func (m *Map) DeleteSnapshot(name string) error {
	file, err := snapshotFile(name)
	if err != nil {
		return err
	}
	if err := m.lockWrite(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := m.fsys.Remove(file); err != nil {
		return fmt.Errorf("snapshot %q: %w", name, err)
	}
	if err := m.fsys.SyncDir(snapshotDir); err != nil {
		return fmt.Errorf("snapshot %q: %w", name, err) // its files stay until the next time
	}
	delete(m.snapshots, name)
	m.sweep()
	return nil
}
