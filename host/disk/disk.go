// Package disk is what pxOS asks of a disk: files below one directory, with the few
// promises that a store of files needs to survive a crash. [Open] gives the operating
// system's; package disktest has one in memory that can lose its power, and wrappers
// that fail, count or kill at a chosen operation.
//
// # What is durable when
//
// Two things are stored, and each needs its own sync. The bytes and the size of a file
// are durable when [File].Sync has returned. The names in a directory (made, renamed,
// linked or removed) are durable when [FS].SyncDir of that directory has returned; for
// a rename between two directories, either of the two is enough. Syncing a file does
// not make its name durable, and syncing a directory makes neither the contents of its
// files nor its own name in its parent durable. Whatever was not synced may be lost,
// kept, or, for bytes, kept in part, after a power loss. [WriteFile] and [MakeDirs] put
// the syncs in their places.
//
// After a Sync that failed, the bytes written since the one before may be lost even
// when a later Sync succeeds: write them again, or give the file up.
package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// File is an open regular file. Its methods behave as those of [os.File]: positioned
// reads and writes may run at the same time as one another, Read, Write and Seek share
// one position, and WriteAt fails on a file opened with os.O_APPEND.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	// Sync makes the bytes and the size durable, not the name; see the package
	// comment.
	Sync() error
	// Truncate sets the size; what it adds reads as zeros.
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	// Name is the name given to OpenFile, whatever became of the file since.
	Name() string
}

// FS is a directory and what is below it. Names are slash-separated, relative and
// satisfy [fs.ValidPath]; "." is the directory itself. All methods may be called at
// the same time. Errors are of type [*fs.PathError] or [*os.LinkError] and match
// fs.ErrNotExist, fs.ErrExist and fs.ErrInvalid where those say what happened.
type FS interface {
	// OpenFile opens a regular file; flag is made of os.O_RDONLY, O_WRONLY, O_RDWR,
	// O_APPEND, O_CREATE, O_EXCL (which needs O_CREATE) and O_TRUNC (which needs
	// writing); anything else is fs.ErrInvalid. New files are the user's alone (0600). A directory, a link or anything else that is no regular file is refused with
	// ErrIrregular.
	OpenFile(name string, flag int) (File, error)
	// Mkdir makes one directory for the user alone (0700).
	Mkdir(name string) error
	// MkdirAll makes a directory and those above it that are missing. See MakeDirs.
	MkdirAll(name string) error
	// Rename moves a file or directory in one step. A file at the new name is
	// replaced; a directory there is not.
	Rename(old, new string) error
	// Link gives a file a second name; the new name must not exist.
	Link(old, new string) error
	// Remove removes a file, a link or an empty directory.
	Remove(name string) error
	// RemoveAll removes a directory with what is in it, or a file; a name that does
	// not exist is no error. It is not one step: a crash may leave a part.
	RemoveAll(name string) error
	// Lstat describes a name; a link is described, not followed.
	Lstat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a directory durable. It does nothing where the
	// operating system or the mounted file system has no such operation.
	SyncDir(name string) error
	// Lock takes an advisory lock on a file, which is made when missing. Two locks
	// exclude each other whether they belong to one process or to two, save that
	// Shared ones live together. The lock is released by Close, and by the end of
	// the process however it comes. Without Wait, a lock that is held elsewhere
	// gives ErrLocked; Wait waits without end. The file's content is untouched and should be empty.
	Lock(name string, how LockMode) (io.Closer, error)
	// Map gives read access to the bytes that f has now; f, which must come from
	// this FS and be open for reading, may be closed afterwards. Bytes of a mapping
	// may only be read inside Guarded.
	Map(f File) (Mapping, error)
	// Chtimes sets the time of the last change.
	Chtimes(name string, mtime time.Time) error
	// Free is the number of bytes that this user can still store.
	Free() (bytes int64, err error)
}

// Mapping is a file as memory.
type Mapping interface {
	// Bytes is valid until Close and must not be written to. Reading it may fault
	// where the file was cut short or the disk fails: see Guarded. Whether a later
	// write to the file is seen is left open.
	Bytes() []byte
	// Close ends the mapping. Using Bytes afterwards crashes the process.
	Close() error
}

// LockMode is Shared or Exclusive, with or without Wait: Exclusive|Wait.
type LockMode uint8

const (
	Shared    LockMode = 1 << iota // with other Shared locks, never with an Exclusive one
	Exclusive                      // alone
	Wait                           // until the lock is free; without it Lock gives ErrLocked
)

func (m LockMode) valid() bool { return m&^Wait == Shared || m&^Wait == Exclusive }

var (
	// ErrLocked says that somebody else holds the lock.
	ErrLocked = errors.New("locked by another process or handle")
	// ErrIrregular says that a name stands for something other than a regular file.
	ErrIrregular = errors.New("not a regular file")
	// ErrFault says that mapped memory could not be read: the file was cut short, or
	// the disk failed.
	ErrFault = errors.New("the mapped file was cut short or cannot be read")
)

// WriteFile makes or replaces the file at name in one durable step: write fills a new
// file beside it, which is synced and renamed, and the directory is synced. After a
// crash at any moment the name has the old content or the new, whole. When WriteFile
// fails before the rename the old content stays and nothing is left behind; an error of
// the last directory sync leaves open which of the two a power loss would leave.
// A crash may leave the new file under its temporary name, for which [IsTemp] is true.
func WriteFile(fsys FS, name string, write func(File) error) (err error) {
	temp, err := TempName(path.Dir(name))
	if err != nil {
		return err
	}
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = fsys.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, removeTemp(fsys, temp))
	}
	return fsys.SyncDir(path.Dir(name))
}

func removeTemp(fsys FS, temp string) error {
	if err := fsys.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the unfinished file: %w", err)
	}
	return nil
}

const tempPrefix, tempSuffix = ".pxos-", ".tmp"

// TempName returns a name in dir that no other caller gets.
func TempName(dir string) (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return path.Join(dir, tempPrefix+hex.EncodeToString(b[:])+tempSuffix), nil
}

// IsTemp reports whether the last part of name has the form that TempName gives. Such
// a file that nobody has open any more is what a crash left, and may be removed.
func IsTemp(name string) bool {
	base := path.Base(name)
	if len(base) != len(tempPrefix)+24+len(tempSuffix) || base[:len(tempPrefix)] != tempPrefix || base[len(base)-len(tempSuffix):] != tempSuffix {
		return false
	}
	for _, c := range base[len(tempPrefix) : len(base)-len(tempSuffix)] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// MakeDirs makes a directory and those above it that are missing, durably. Directories
// that exist are synced too: whoever made them may not have come to it yet.
func MakeDirs(fsys FS, name string) error {
	if err := fsys.MkdirAll(name); err != nil {
		return err
	}
	for name != "." {
		name = path.Dir(name)
		if err := fsys.SyncDir(name); err != nil {
			return err
		}
	}
	return nil
}
