//go:build unix

package engine

import (
	"hash/crc32"
	"os"

	"golang.org/x/sys/unix"
)

// checksumFile returns the size and the CRC-32C of a file. It is mapped rather than
// read: the pages are those that the engine is about to read as well.
func checksumFile(path string) (size int64, sum uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return 0, 0, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED|mapPopulate)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = unix.Munmap(data) }()
	return st.Size(), crc32.Checksum(data, castagnoli), nil
}
