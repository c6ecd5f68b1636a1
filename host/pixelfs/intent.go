package pixelfs

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// An intent is a change of several steps, written down before the first one, so that a
// crash in the middle is completed by whoever takes the lock next. Each step can be
// done again without harm.
type intent struct {
	Op    string `json:"op"`
	Steps []step `json:"steps"`
}

type step struct {
	Do   string `json:"do"`
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

// What a step does. All keep steps come first and are durable before the others begin.
const (
	doKeep  = "keep"  // a second name, where the new one does not exist
	doRmdir = "rmdir" // an empty directory
	doMove  = "move"  // where the old name exists
	doClear = "clear" // a directory with all that is in it
)

func (s *Store) newID() (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return s.now().UTC().Format("20060102T150405.000000000Z") + "-" + hex.EncodeToString(b[:]), nil
}

// carry does the steps. A single one that replaces nothing needs no record.
func (s *Store) carry(in intent) error {
	moves := 0
	for _, st := range in.Steps {
		if st.Do != doKeep {
			moves++
		}
	}
	if moves <= 1 {
		_, err := s.steps(in.Steps)
		return err
	}
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if len(data) > maxSmall/2 {
		return fmt.Errorf("%s: it takes more steps than one record can hold", in.Op)
	}
	if err := s.writeSmall(intentPlace, data); err != nil {
		if s.exists(intentPlace) {
			// Written but perhaps not durable: it is taken back.
			err = errors.Join(err, s.clearIntent())
		}
		return err
	}
	begun, err := s.steps(in.Steps)
	if err != nil && begun {
		return fmt.Errorf("%w; the rest is done at the next change of the store", err)
	}
	return errors.Join(err, s.clearIntent())
}

func (s *Store) clearIntent() error {
	if err := s.fsys.Remove(intentPlace); err != nil {
		return err
	}
	return s.fsys.SyncDir(meta)
}

// redo completes what a crash, or an error, interrupted.
func (s *Store) redo() error {
	if there, err := s.has(intentPlace); err != nil || !there {
		return err
	}
	data, err := s.readSmall(intentPlace)
	if err != nil {
		return err
	}
	var in intent
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("%s is not valid: %w", intentPlace, err)
	}
	for _, st := range in.Steps {
		if !fs.ValidPath(st.From) || st.From == "." || st.To != "" && (!fs.ValidPath(st.To) || st.To == ".") {
			return fmt.Errorf("%s is not valid: it names %q and %q", intentPlace, st.From, st.To)
		}
	}
	if _, err := s.steps(in.Steps); err != nil {
		return err
	}
	return s.clearIntent()
}

// steps does what has not been done yet and makes it durable; begun says that a step
// that cannot be taken back was done.
func (s *Store) steps(list []step) (begun bool, err error) {
	dirs := dirSet{}
	for _, st := range list {
		if st.Do != doKeep {
			continue
		}
		if done, err := s.has(st.To); err != nil {
			return false, err
		} else if done {
			dirs.add(path.Dir(st.To))
			continue
		}
		if there, err := s.has(st.From); err != nil {
			return false, err
		} else if !there {
			continue
		}
		if err := s.keepAs(st.From, st.To); err != nil {
			return false, err
		}
		dirs.add(path.Dir(st.To))
	}
	for _, err := range s.syncDirs(dirs) {
		return false, err
	}
	dirs = dirSet{}
	var clear []string
	for _, st := range list {
		switch st.Do {
		case doRmdir:
			if err := s.fsys.Remove(st.From); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return begun, err
			}
			dirs.add(path.Dir(st.From))
		case doMove:
			there, err := s.has(st.From)
			if err != nil {
				return begun, err
			}
			if !there {
				// Done before a crash, which may have come before the sync.
				begun = true
				dirs.add(path.Dir(st.From))
				dirs.add(path.Dir(st.To))
				continue
			}
			if strings.HasPrefix(st.To, meta+"/") {
				if err := s.durable(path.Dir(st.To)); err != nil {
					return begun, err
				}
			}
			if err := s.fsys.Rename(st.From, st.To); err != nil {
				return begun, err
			}
			dirs.add(path.Dir(st.From))
			dirs.add(path.Dir(st.To))
		case doClear:
			clear = append(clear, st.From)
			continue
		default:
			continue
		}
		begun = true
	}
	for d, err := range s.syncDirs(dirs) {
		// A directory may itself have been moved by a later step.
		if !errors.Is(err, fs.ErrNotExist) {
			return begun, fmt.Errorf("sync %s: %w", d, err)
		}
	}
	for _, d := range clear {
		if err := s.fsys.RemoveAll(d); err != nil {
			return begun, err
		}
		if err := s.fsys.SyncDir(path.Dir(d)); err != nil {
			return begun, err
		}
		begun = true
	}
	return begun, nil
}
