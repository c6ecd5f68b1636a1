package wasi

import (
	"testing"

	"github.com/tetratelabs/wazero"
)

// A stream that is a terminal looks like one to isatty: a character device without a
// position. The others do not.
func TestTerminal(t *testing.T) {
	for _, module := range []string{Preview1, Unstable} {
		engines(t, func(t *testing.T, r wazero.Runtime) {
			g := newGuest(t, r, module, &Run{Terminal: [3]bool{true, false, true}}, wazero.NewModuleConfig())
			for fd, want := range []bool{true, false, true} {
				g.ok("fd_fdstat_get", uint64(fd), 64)
				b := g.mem()[64:88]
				isatty := b[0] == 2 && b[8]&(1<<2|1<<5) == 0
				if isatty != want {
					t.Errorf("%s: descriptor %d: fdstat % x, terminal %v", module, fd, b, want)
				}
				g.ok("fd_filestat_get", uint64(fd), 128)
				if got := g.mem()[144] == 2; got != want {
					t.Errorf("%s: descriptor %d: file type %d, terminal %v", module, fd, g.mem()[144], want)
				}
			}
		})
	}
}
