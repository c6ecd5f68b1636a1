//go:build !unix

package vfs

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// openSafely has nothing to add where no file in a directory can block an open.
const openSafely = 0

// appendByKernel tells that appending is done by seeking before each write.
const appendByKernel = false

func setAppend(*os.File, bool) sys.Errno { return 0 }
