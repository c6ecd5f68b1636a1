package disk

import (
	"errors"
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

const errNotDir = syscall.ENOTDIR

// lock locks the first byte of the file, which should hold nothing: Windows locks are
// mandatory and would otherwise keep readers from the bytes.
func lock(f *os.File, how LockMode) (bool, error) {
	var op uint32
	if how&Exclusive != 0 {
		op |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	if how&Wait == 0 {
		op |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), op, 0, 1, 0, new(windows.Overlapped))
	switch {
	case err == nil:
		return true, nil
	case how&Wait == 0 && (errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING)):
		return false, nil
	}
	return false, os.NewSyscallError("LockFileEx", err)
}

func unlock(f *os.File) error {
	err := windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
	return os.NewSyscallError("UnlockFileEx", err)
}

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED) || errors.Is(err, windows.ERROR_FILE_TOO_LARGE) ||
		errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func notSyncable(error) bool { return false }

func mapFile(f *os.File, size int) (*mapping, error) {
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, os.NewSyscallError("CreateFileMapping", err)
	}
	addr, err := windows.MapViewOfFile(h, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if e := windows.CloseHandle(h); err == nil && e != nil {
		windows.UnmapViewOfFile(addr)
		return nil, os.NewSyscallError("CloseHandle", e)
	}
	if err != nil {
		return nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// The address is not Go memory: reading it through a pointer's own bits keeps
	// the pointer checker quiet about what it cannot know.
	p := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return &mapping{data: unsafe.Slice((*byte)(p), size)}, nil
}

func unmap(data []byte) error {
	return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(spanOf(data).start))
}

func free(f *os.File) (int64, error) {
	name, err := windows.UTF16PtrFromString(f.Name())
	if err != nil {
		return 0, err
	}
	var avail uint64
	if err := windows.GetDiskFreeSpaceEx(name, &avail, nil, nil); err != nil {
		return 0, os.NewSyscallError("GetDiskFreeSpaceEx", err)
	}
	return int64(min(avail, math.MaxInt64)), nil
}
