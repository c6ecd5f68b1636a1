package wasi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// env runs f in both engines for both modules with the mounts of newConfig.
func env(t *testing.T, f func(t testing.TB, g *guest, old bool)) {
	t.Helper()
	engines(t, func(t *testing.T, r wazero.Runtime) {
		for _, module := range []string{Preview1, Unstable} {
			t.Run(module, func(t *testing.T) {
				run := &Run{Stdin: NewStdin(bytes.NewReader(nil), nil)}
				f(t, newGuest(t, r, module, run, newConfig(t, run).WithStdin(run.Stdin)), module == Unstable)
			})
		}
	})
}

const (
	pathAt, path2At = 0x100, 0x300
	bufAt           = 0x2000

	followLinks = 1
	oCreat      = 1
	oDirectory  = 2
	rightsRW    = 1<<1 | 1<<6
)

// open opens a path and returns its descriptor.
func (g *guest) open(dir uint64, path string, oflags, fdflags uint64) uint64 {
	g.t.Helper()
	p, n := g.put(pathAt, path)
	rights := uint64(rightsRW)
	if oflags&oDirectory != 0 || dir == fdArchive {
		rights = 1 << 1
	}
	g.ok("path_open", dir, followLinks, p, n, oflags, rights, 0, fdflags, bufAt)
	return uint64(g.u32(bufAt))
}

// iovec writes iovecs for the given lengths, over memory from 0x4000 on.
func (g *guest) iovecs(at uint32, sizes ...uint32) {
	ptr := uint32(0x4000)
	for i, n := range sizes {
		binary.LittleEndian.PutUint32(g.mem()[at+uint32(i)*8:], ptr)
		binary.LittleEndian.PutUint32(g.mem()[at+uint32(i)*8+4:], n)
		ptr += n
	}
}

// TestFilestat checks both layouts at the very end of memory, where wazero's
// longer result would not fit.
func TestFilestat(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		fd := g.open(fdTmp, "f", oCreat, 0)
		g.iovecs(0, 5)
		g.ok("fd_write", fd, 0, 1, bufAt)
		p, n := g.put(pathAt, "f")
		q, m := g.put(path2At, "g")
		g.ok("path_link", fdTmp, 0, p, n, fdTmp, q, m)
		g.ok("fd_filestat_set_times", fd, 11_000, 22_000, 1|4)

		size, nlinkAt := uint32(64), uint32(24)
		if old {
			size, nlinkAt = 56, 20
		}
		for _, at := range []uint32{pageSize - size, 0, 8, 40, 0x5000} {
			for _, call := range []string{"fd", "path"} {
				g.fill()
				lo, hi := at, at+size
				if call == "fd" {
					g.ok("fd_filestat_get", fd, uint64(at))
				} else {
					ptr := uint32(pathAt)
					p, n := g.put(ptr, "f")
					g.ok("path_filestat_get", fdTmp, followLinks, p, n, uint64(at))
					g.mem()[ptr] = '?'
				}
				g.untouched(lo, hi)
				if kind := g.mem()[at+16]; kind != 4 {
					t.Errorf("filetype %d", kind)
				}
				nlink := uint64(g.u32(at + nlinkAt))
				if nlink != 2 || g.u64(at+size-32) != 5 || g.u64(at+size-24) != 11_000 || g.u64(at+size-16) != 22_000 {
					t.Errorf("%s at %#x: nlink %d, size %d, atim %d, mtim %d", call, at,
						nlink, g.u64(at+size-32), g.u64(at+size-24), g.u64(at+size-16))
				}
			}
		}
		g.want(eFault, "fd_filestat_get", fd, uint64(pageSize-size+1))
	})
}

func TestSeekWhence(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		set, cur, end := uint64(0), uint64(1), uint64(2)
		if old {
			cur, end, set = 0, 1, 2
		}
		fd := g.open(fdTmp, "f", oCreat, 0)
		g.iovecs(0, 10)
		g.ok("fd_write", fd, 0, 1, bufAt)
		for _, tt := range []struct {
			off, whence, want uint64
		}{{3, set, 3}, {4, cur, 7}, {1<<64 - 1, end, 9}} {
			g.ok("fd_seek", fd, tt.off, tt.whence, 64)
			if got := g.u64(64); got != tt.want {
				t.Errorf("seek %d, %d = %d, want %d", int64(tt.off), tt.whence, got, tt.want)
			}
			g.ok("fd_tell", fd, 72)
			if got := g.u64(72); got != tt.want {
				t.Errorf("tell %d, want %d", got, tt.want)
			}
		}
		g.want(eInval, "fd_seek", fd, 0, 3, 64)
		g.want(eInval, "fd_seek", fd, 1<<63, set, 64)
		g.want(eSpipe, "fd_seek", 0, 0, cur, 64)
		g.want(eSpipe, "fd_tell", 1, 64)
		g.want(eFault, "fd_seek", fd, 1, set, pageSize-7)
		g.ok("fd_tell", fd, 72)
		if got := g.u64(72); got != 9 {
			t.Errorf("a seek whose result cannot be written moved to %d", got)
		}
	})
}

func TestErrorNumbers(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		full := g.open(fdTmp, "full", oCreat, 0)
		g.ok("fd_filestat_set_size", full, 1<<20-1000)
		g.iovecs(0, 2000)
		fd := g.open(fdTmp, "f", oCreat, 0)
		g.ok("fd_write", fd, 0, 1, bufAt)
		if n := g.u32(bufAt); n == 0 || n >= 1000 {
			t.Errorf("%d bytes fit", n)
		}
		g.want(51, "fd_write", fd, 0, 1, bufAt) // ENOSPC
		g.want(51, "fd_filestat_set_size", fd, 1<<40)
		g.want(51, "fd_allocate", fd, 0, 1<<40)
		g.want(eFbig, "fd_allocate", fd, 1<<62, 1<<62)
		g.want(eInval, "fd_allocate", fd, 1<<63, 5)
		g.want(eFbig, "fd_pwrite", fd, 0, 1, 1<<63-1, bufAt)
		g.want(eInval, "fd_pwrite", fd, 0, 1, 1<<63, bufAt)
		g.want(eSpipe, "fd_pread", 0, 0, 1, 0, bufAt)
		g.want(eSpipe, "fd_pwrite", 1, 0, 1, 0, bufAt)
		g.want(eBadf, "fd_pread", 99, 0, 1, 0, bufAt)
		g.want(eNotsup, "fd_filestat_set_times", 0, 0, 0, 2) // nil in wazero
		g.want(eNotsup, "sock_shutdown", 3, 0)
		g.want(eBadf, "fd_prestat_get", 0, bufAt)
		g.want(eBadf, "fd_prestat_dir_name", 1, bufAt, 0)
		g.ok("fd_prestat_get", fdTmp, bufAt)
		g.want(eInval, "clock_time_get", 4, 0, bufAt)
		g.ok("clock_time_get", 3, 0, bufAt)
		g.ok("clock_res_get", 2, bufAt)
		g.ok("fd_fdstat_set_flags", fd, fdNonblock)
		g.want(eNotsup, "fd_fdstat_set_flags", 0, fdNonblock)
		g.want(eNosys, "fd_fdstat_set_rights", fd, 0, 0)
		g.want(eNosys, "proc_raise", 9)

		p, n := g.put(pathAt, "f")
		q, m := g.put(path2At, "moved")
		g.want(eXdev, "path_rename", fdTmp, p, n, fdHost, q, m)
		g.want(eXdev, "path_link", fdTmp, 0, p, n, fdHost, q, m)
		g.want(69, "path_create_directory", fdArchive, q, m) // EROFS
		p, n = g.put(pathAt, "\xff\xfe")
		g.want(eIlseq, "path_create_directory", fdTmp, p, n)
		p, n = g.put(pathAt, "a\x00b")
		g.want(eInval, "path_create_directory", fdTmp, p, n)
		g.want(eNoent, "path_create_directory", fdTmp, p, 0)
		g.want(eNametoolong, "path_create_directory", fdTmp, 0x4000, maxPath+1)
		p, n = g.put(pathAt, "../etc")
		g.want(63, "path_create_directory", fdTmp, p, n) // EPERM
		p, n = g.put(pathAt, "/etc")
		g.want(63, "path_create_directory", fdTmp, p, n)
	})
}

func TestHandles(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		p, n := g.put(pathAt, "hello.txt")
		var errno uint32
		opened := 0
		for ; errno == 0 && opened < 100; opened++ {
			errno = g.call("path_open", fdArchive, 0, p, n, 0, 2, 0, 0, bufAt)
		}
		if errno != 33 || opened != 65 {
			t.Fatalf("errno %d at the %dth open, want EMFILE at the 65th", errno, opened)
		}
		g.ok("fd_readdir", fdTmp, 0x4000, 100, 0, bufAt) // a mount's own directory takes none
		for fd := uint64(6); fd < 6+64; fd++ {
			g.ok("fd_close", fd)
		}
		if open := g.ctx.(*runCtx).run.Guard.Open(); open != 0 {
			t.Fatalf("%d open", open)
		}
		fd := g.open(fdArchive, "hello.txt", 0, 0)
		g.want(eBadf, "fd_renumber", fd, 1<<31-1)
		g.want(eBadf, "fd_renumber", fd, 1<<32-1)
		g.want(eBadf, "fd_renumber", 99, 98)
		g.want(eNotsup, "fd_renumber", fd, fdTmp)
		g.ok("fd_renumber", fd, fd)
		g.ok("fd_advise", fd, 0, 0, 0)
		g.ok("fd_renumber", fd, 1000)
		g.want(eBadf, "fd_advise", fd, 0, 0, 0)
		g.ok("fd_close", 1000)
	})
}

func TestVectors(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		fd := g.open(fdTmp, "f", oCreat, 0)
		copy(g.mem()[0x4000:], "onetwothree")
		g.iovecs(0, 3, 0, 3, 5)
		g.ok("fd_write", fd, 0, 4, bufAt)
		if n := g.u32(bufAt); n != 11 {
			t.Errorf("wrote %d", n)
		}
		g.ok("fd_pwrite", fd, 0, 3, 11, bufAt)
		clear(g.mem()[0x4000:])
		g.iovecs(0, 4, 4, 4, 90)
		g.ok("fd_pread", fd, 0, 4, 2, bufAt)
		if n := g.u32(bufAt); n != 15 || string(g.mem()[0x4000:0x400f]) != "etwothreeonetwo" {
			t.Errorf("read %d: %q", n, g.mem()[0x4000:0x4010])
		}
		g.ok("fd_pread", fd, 0, 0, 0, bufAt)
		g.want(eBadf, "fd_pread", 99, 0, 4, 0, bufAt)
		g.want(eInval, "fd_read", fd, 0, maxIovecs+1, bufAt)
		g.want(eInval, "fd_read", fd, 0, 1<<29, bufAt) // 8 times it is 2^32
		g.want(eFault, "fd_read", fd, pageSize-8, 2, bufAt)

		// One bad iovec: nothing is transferred before it is seen.
		g.iovecs(0, 3, 3)
		binary.LittleEndian.PutUint32(g.mem()[8:], pageSize-1)
		g.want(eFault, "fd_write", fd, 0, 2, bufAt)
		g.ok("fd_filestat_get", fd, 0x8000)
		size := uint32(0x8020)
		if old {
			size = 0x8018
		}
		if n := g.u64(size); n != 17 {
			t.Errorf("the file has %d bytes", n)
		}

		// The result over the iovecs: no more than was measured.
		for at := uint64(0); at < 24; at++ {
			g.iovecs(0, 1, 1, 1)
			g.call("fd_pread", fd, 0, 3, 0, at)
			g.iovecs(0, 1, 1, 1)
			g.call("fd_read", fd, 0, 3, at)
		}

		// An error after some bytes reports them.
		full := g.open(fdTmp, "full", oCreat, 0)
		g.ok("fd_filestat_set_size", full, 1<<20-600)
		g.iovecs(0, 100, 2000, 100)
		g.ok("fd_write", fd, 0, 3, bufAt)
		if n := g.u32(bufAt); n <= 100 || n >= 600 {
			t.Errorf("wrote %d", n)
		}
	})
}

func TestReaddir(t *testing.T) {
	for _, files := range []int{0, 5, 400} {
		t.Run(fmt.Sprint(files), func(t *testing.T) { testReaddir(t, files) })
	}
}

func testReaddir(t *testing.T, files int) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		run := &Run{}
		config := newConfig(t, run)
		g := newGuest(t, r, Preview1, run, config)
		for i := range files {
			g.ok("fd_close", g.open(fdHost, fmt.Sprintf("%0*d", 1+i%200, i), oCreat, 0))
		}
		g.mod.Memory().Grow(10)
		var want string
		for _, size := range []uint32{100, 300, 4096, readdirChunk, readdirChunk + 1, 2*readdirChunk + 17, 5 * readdirChunk} {
			const at = pageSize
			var names []string
			cookie := uint64(0)
			for {
				copy(g.mem()[at:], bytes.Repeat([]byte{'?'}, int(size)+1))
				g.ok("fd_readdir", fdHost, at, uint64(size), cookie, bufAt)
				used := g.u32(bufAt)
				if g.mem()[at+size] != '?' || used > size {
					t.Fatalf("%d of %d bytes used", used, size)
				}
				whole := uint32(0)
				for b := g.mem()[at : at+used]; len(b) >= direntSize; {
					n := binary.LittleEndian.Uint32(b[16:])
					if direntSize+uint64(n) > uint64(len(b)) {
						break
					}
					names = append(names, string(b[direntSize:direntSize+n]))
					cookie = binary.LittleEndian.Uint64(b)
					b = b[direntSize+n:]
					whole += direntSize + n
				}
				if used < size {
					break
				}
				if whole == 0 {
					if size > direntSize+200 {
						t.Fatal("no progress")
					}
					size *= 2 // as a C library does
				}
			}
			got := strings.Join(names, " ")
			if want == "" {
				want = got
				if len(names) != files+2 {
					t.Fatalf("%d names, want %d", len(names), files+2)
				}
			}
			if got != want {
				t.Fatalf("with a buffer of %d bytes the names differ", size)
			}
		}
	})
}

func TestReadlink(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		p, n := g.put(pathAt, "a/long/target")
		q, m := g.put(path2At, "l")
		g.ok("path_symlink", p, n, fdTmp, q, m)
		g.put(pathAt, "CHANGED MEMORY") // the target must be a copy
		for _, size := range []uint64{4, 13, 20} {
			g.fill()
			q, m = g.put(path2At, "l")
			g.ok("path_readlink", fdTmp, q, m, 0x400, size, bufAt)
			used := g.u32(bufAt)
			if want := "a/long/target"[:min(size, 13)]; string(g.mem()[0x400:0x400+used]) != want {
				t.Errorf("with %d bytes: %q, want %q", size, g.mem()[0x400:0x400+used], want)
			}
			copy(g.mem()[bufAt:], "????")
			g.mem()[path2At] = '?'
			g.untouched(0x400, 0x400+used)
		}
		g.want(eInval, "path_readlink", fdTmp, path2At, 1, 0x400, 0, bufAt)
	})
}

func TestTimesWithoutFollowing(t *testing.T) {
	env(t, func(t testing.TB, g *guest, old bool) {
		p, n := g.put(pathAt, "d")
		g.ok("path_create_directory", fdTmp, p, n)
		g.ok("path_filestat_set_times", fdTmp, 0, p, n, 1000, 2000, 1|4)
		g.ok("path_filestat_set_times", fdTmp, followLinks, p, n, 1000, 2000, 1|4)
		q, m := g.put(path2At, "l")
		g.ok("path_symlink", p, n, fdTmp, q, m)
		g.want(eNotsup, "path_filestat_set_times", fdTmp, 0, q, m, 1000, 2000, 1|4)
	})
}

func TestRandom(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		src := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 40_000)
		g := newGuest(t, r, Preview1, &Run{}, wazero.NewModuleConfig().WithRandSource(bytes.NewReader(src)))
		g.mod.Memory().Grow(10)
		g.ok("random_get", 100, 200_000)
		if !bytes.Equal(g.mem()[100:200_100], src[:200_000]) || g.mem()[200_100] != 0 {
			t.Error("not the bytes of the source")
		}
		ended := errors.New("stopped")
		stop := make(chan struct{})
		close(stop)
		run := &Run{Stop: stop, Stopped: func() { panic(ended) }}
		_, err := g.mod.ExportedFunction("random_get").Call(WithRun(context.Background(), run), 0, 500_000)
		if !errors.Is(err, ended) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCost(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		run := &Run{}
		g := newGuest(t, r, Preview1, run, newConfig(t, run))
		g.iovecs(0, 100, 200)
		p, n := g.put(pathAt, "f")
		for _, tt := range []struct {
			fn   string
			args []uint64
			want uint64
		}{
			{"fd_read", []uint64{0, 0, 2, 64}, 304},
			{"fd_write", []uint64{0, 0, 1, 64}, 104},
			{"fd_pread", []uint64{0, 0, 2, 0, 64}, 304},
			{"fd_read", []uint64{0, 0, 1 << 29, 64}, 0},
			{"fd_read", []uint64{0, pageSize - 8, 2, 64}, 0},
			{"random_get", []uint64{0, 1000}, 1000},
			{"random_get", []uint64{0, 1<<32 - 1}, 0},
			{"fd_readdir", []uint64{4, 0, 500, 0, 64}, 504},
			{"path_create_directory", []uint64{4, p, n}, 1},
			{"path_rename", []uint64{4, p, n, 4, p, n}, 2},
			{"poll_oneoff", []uint64{0, 0x800, 2, 0x900}, 2*80 + 4},
			{"fd_close", []uint64{9}, 0},
			{"sched_yield", nil, 0},
		} {
			if got := Cost(Index(tt.fn), g.mod, tt.args); got != tt.want {
				t.Errorf("%s(%d) costs %d, want %d", tt.fn, tt.args, got, tt.want)
			}
		}
		if Cost(-1, g.mod, nil) != 0 || Cost(0, g.mod, nil) != 0 || Cost(1000, g.mod, nil) != 0 {
			t.Error("an invalid call has a cost")
		}
	})
}
