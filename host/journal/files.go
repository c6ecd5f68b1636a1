package journal

import (
	"io"
	"io/fs"
	"os"
	"runtime"
)

// fileSystem is the whole of what the journal asks of the disk. Tests put
// their own in its place to stop the world at each call.
type fileSystem interface {
	MkdirAll(dir string) error
	ReadDir(dir string) ([]string, error)
	Stat(path string) (fs.FileInfo, error)
	Open(path string, flag int) (file, error)
	Rename(from, to string) error
	// SyncDir makes the names in dir durable where the platform can.
	SyncDir(dir string) error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
	Close() error
	// TryLock takes the advisory lock without waiting and says whether it
	// could.
	TryLock(exclusive bool) (bool, error)
	Unlock() error
}

// disk is the operating system's file system. Log entries tell what a user
// ran, so directories and files are for that user alone.
type disk struct{}

func (disk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (disk) ReadDir(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (disk) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (disk) Open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (disk) Rename(from, to string) error { return os.Rename(from, to) }

func (disk) SyncDir(dir string) error {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		return nil // directories cannot be synced there; NTFS journals names itself
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

type diskFile struct{ *os.File }

func (f diskFile) TryLock(exclusive bool) (bool, error) { return tryLock(f.File, exclusive) }
func (f diskFile) Unlock() error                        { return unlock(f.File) }
