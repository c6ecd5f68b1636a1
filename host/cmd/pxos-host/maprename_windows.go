package main

import "os"

// renameOpen moves a directory. Windows moves none in which a file is open, so the map is
// released before; if somebody opens it in between, the move fails and says so.
func renameOpen(from, to string, release func() error) error {
	if err := release(); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// removeOpen removes a directory. Windows removes no open file, so the map is released
// before.
func removeOpen(dir string, release func() error) error {
	if err := release(); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
