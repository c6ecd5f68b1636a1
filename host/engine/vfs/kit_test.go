package vfs

import (
	"os"
	"testing"

	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

const (
	rw     = sys.O_RDWR
	create = sys.O_RDWR | sys.O_CREAT
)

// newHost returns a host directory and where it is.
func newHost(t *testing.T, readOnly bool) (*HostDir, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return NewHostDir(root, readOnly), dir
}

func TestWritable(t *testing.T) {
	for _, sut := range []struct {
		name string
		make func(t *testing.T) sys.FS
	}{
		{"mem", func(t *testing.T) sys.FS { return NewMem(DefaultQuota, nil) }},
		{"hostdir", func(t *testing.T) sys.FS { h, _ := newHost(t, false); return h }},
		{"guarded mem", func(t *testing.T) sys.FS {
			return NewGuard(100, nil).Mount(NewMem(DefaultQuota, nil))
		}},
	} {
		t.Run(sut.name, func(t *testing.T) {
			vfstest.Run(t, vfstest.Options{Busy: EBUSY}, sut.make)
		})
	}
}
