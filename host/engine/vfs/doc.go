// Package vfs holds the file systems that a guest may see, as implementations
// of wazero's experimental/sys.FS:
//
//   - [NewArchive]: the cartridge's own archive, read only;
//   - [NewMem]: a private file system in memory with a byte and inode quota;
//   - [NewHostDir]: a granted host directory, reached through os.Root alone.
//
// [Guard] wraps any of them for one run: it limits the open handles, calls a
// hook before every operation, and remembers error numbers that wazero's own
// set cannot express.
//
// # Paths
//
// A path is slash separated and relative to the mount; a leading slash changes
// nothing, because wazero joins the name of an opened directory and a path with
// one. "." and empty components are dropped. ".." is resolved by name, and a
// path that would leave the mount is refused with EPERM. NUL is EINVAL, a
// component over 255 bytes or a path over 4096 is ENAMETOOLONG, the empty path
// is ENOENT, and a trailing slash asks for a directory. A backslash is an
// ordinary byte, except in a host directory on Windows, where it is refused.
//
// # Errors
//
// Methods return [sys.Errno]. wazero's set has no number for a full disk, too
// many open files and a few others; this package returns values outside that
// set for them (see [ENOSPC] and its neighbours). wazero's WASI functions turn
// such a value into EIO, and package wasi turns it back into the right number
// with [Guard.TakeErrno].
package vfs
