package pixelfs

import "github.com/pxos/pxos/host/disk"

// A full disk must not keep anybody from making room: moving things to the trash,
// emptying it and pruning all write a record first. So a store holds a few blocks in
// reserve and gives them up when the disk has no others.
const (
	reserveSize = 256 << 10
	reserveLow  = 128 << 10 // free bytes below which the reserve is given up
	reserveFrom = 16 << 20  // free bytes from which it is filled again
)

// makeWay gives the reserve up if the disk is full. It is called within the lock by
// what makes room.
func (s *Store) makeWay() error {
	free, err := s.fsys.Free()
	if err != nil || free >= reserveLow || !s.exists(reservePlace) {
		return nil // a disk that does not tell is tried
	}
	if err := s.fsys.Remove(reservePlace); err != nil {
		return err
	}
	return s.fsys.SyncDir(meta)
}

// fillReserve makes the reserve where there is none and enough room. It is a
// convenience: when it fails, the store works without.
func (s *Store) fillReserve() {
	if free, err := s.fsys.Free(); err != nil || free < reserveFrom || s.exists(reservePlace) {
		return
	}
	_ = disk.WriteFile(s.fsys, reservePlace, func(f disk.File) error {
		_, err := f.Write(make([]byte, reserveSize))
		return err
	})
}
