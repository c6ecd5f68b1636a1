package storage

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/host/disk"
)

// errCut is what a store gets once its run was cut off.
var errCut = errors.New("the run was stopped")

// gate stands between a store and its disk. Once it is shut nothing reaches the disk
// any more, as if the process had died there: a store that is closed behind a shut gate
// frees what it has open and commits nothing. Locks that the store holds can be given
// back, and reading goes on.
type gate struct {
	disk.FS
	shut *atomic.Bool
}

func (g gate) pass() error {
	if g.shut.Load() {
		return errCut
	}
	return nil
}

const writing = os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND

func (g gate) OpenFile(name string, flag int) (disk.File, error) {
	if flag&writing == 0 {
		return g.FS.OpenFile(name, flag)
	}
	if err := g.pass(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := g.FS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &gateFile{f, g}, nil
}

func (g gate) Mkdir(name string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.Mkdir(name)
}

func (g gate) MkdirAll(name string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.MkdirAll(name)
}

func (g gate) Rename(from, to string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.Rename(from, to)
}

func (g gate) Link(from, to string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.Link(from, to)
}

func (g gate) Remove(name string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.Remove(name)
}

func (g gate) RemoveAll(name string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.RemoveAll(name)
}

func (g gate) SyncDir(name string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.SyncDir(name)
}

func (g gate) Chtimes(name string, mtime time.Time) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.FS.Chtimes(name, mtime)
}

func (g gate) Map(f disk.File) (disk.Mapping, error) {
	if gf, ok := f.(*gateFile); ok {
		f = gf.File
	}
	return g.FS.Map(f)
}

// gateFile is a file that was opened for writing.
type gateFile struct {
	disk.File
	gate gate
}

func (f *gateFile) Write(p []byte) (int, error) {
	if err := f.gate.pass(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *gateFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.gate.pass(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *gateFile) Truncate(size int64) error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *gateFile) Sync() error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.Sync()
}
