package storage_test

import (
	"testing"

	"github.com/pxos/pxos/host/engine/vfs"
	"github.com/pxos/pxos/host/engine/vfs/vfstest"
	"github.com/tetratelabs/wazero/experimental/sys"
)

func mounted(t *testing.T, dir string, sandboxed bool, grants ...string) sys.FS {
	t.Helper()
	cfg := config(t, dir, grants...)
	if sandboxed {
		cfg.Overlay = dir + "/overlay"
	}
	s, err := cfg.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.End(true)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Mounts()[0].FS
}

func TestMount(t *testing.T) {
	opt := vfstest.Options{Busy: vfs.EBUSY, NoLinks: true, TextNames: true, OneTime: true, Many: 200}
	for name, open := range map[string]func(t *testing.T) sys.FS{
		"overlay": func(t *testing.T) sys.FS { return mounted(t, t.TempDir(), true, "pixelfs:/:write") },
		"guarded": func(t *testing.T) sys.FS {
			return vfs.NewGuard(100, nil).Mount(mounted(t, t.TempDir(), false, "pixelfs:/:write"))
		},
	} {
		t.Run(name, func(t *testing.T) { vfstest.Run(t, opt, open) })
	}
}
