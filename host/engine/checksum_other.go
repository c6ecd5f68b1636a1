//go:build !unix

package engine

import (
	"hash/crc32"
	"io"
	"os"
)

// checksumFile returns the size and the CRC-32C of a file.
func checksumFile(path string) (size int64, sum uint32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h := crc32.New(castagnoli)
	size, err = io.Copy(h, f)
	return size, h.Sum32(), err
}
