//go:build !windows

package main

import (
	"errors"
	"os"
	"path/filepath"
)

// renameOpen moves a directory whose map is open, so that nobody else becomes its writer
// in between, and makes that durable.
func renameOpen(from, to string, release func() error) error {
	err := os.Rename(from, to)
	for _, dir := range []string{filepath.Dir(to), filepath.Dir(from)} {
		if err == nil {
			err = syncNames(dir)
		}
	}
	return errors.Join(err, release())
}

func syncNames(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeOpen removes the directory of a map that is open, so that nobody else becomes its
// writer in between.
func removeOpen(dir string, release func() error) error {
	err := os.RemoveAll(dir)
	_ = release() // of files that are gone
	return err
}
