package disk_test

import (
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

func fresh(t testing.TB) *disk.Dir {
	t.Helper()
	d, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDir(t *testing.T) { disktest.Run(t, func() disk.FS { return fresh(t) }) }

// The way that other systems and old kernels go.
func TestDirSlow(t *testing.T) {
	if !disk.SlowOpen(t) {
		t.Skip("this system has one way to open files, which TestDir has tested")
	}
	disktest.Run(t, func() disk.FS { return fresh(t) })
}
