package disktest

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

const creates = os.O_CREATE | os.O_TRUNC

// counted are the operations that change something, make something durable, or take a
// lock: a process that stops right before one of them has left a state of its own.
var counted = []string{"create", "write", "truncate", "sync", "syncdir", "mkdir", "rename", "link", "remove", "chtimes", "lock"}

// Counter is a file system that numbers its operations. Opening an existing file for
// reading is none; see [Op].
type Counter struct {
	disk.FS
	mu  sync.Mutex
	log []Op
}

// Count returns fsys with its operations counted.
func Count(fsys disk.FS) *Counter {
	c := &Counter{}
	c.FS = Hook(fsys, func(op Op) Verdict {
		if slices.Contains(counted, op.Name) {
			c.mu.Lock()
			defer c.mu.Unlock()
			op.Number = len(c.log) + 1
			c.log = append(c.log, op)
		}
		return Verdict{}
	})
	return c
}

// N is the number of operations so far.
func (c *Counter) N() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.log)
}

// Log returns the operations so far; operation n is Log()[n-1].
func (c *Counter) Log() []Op {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

// Plan says which operations fail, and how.
type Plan struct {
	// At is the number, from 1, of the first operation that fails, counted as by
	// [Count] or, with Reads, including those that only read ("open", "read",
	// "readdir", "lstat", "map", "stat").
	At    int
	Reads bool
	// Err is what it fails with, such as syscall.EIO or syscall.ENOSPC.
	Err error
	// Short lets a write that fails write the first half.
	Short bool
	// Sticky makes every later operation fail too, as on a disk that is gone. Of a
	// full disk, name in Only what needs room.
	Sticky bool
	// Only, when not empty, names the operations that are counted and can fail.
	Only []string
	// Kill ends this process at operation At instead, as kill -9 does; with Short,
	// in the middle of a write.
	Kill bool
	// Hit, when not nil, is called with each operation that fails, before it does.
	Hit func(Op)
}

var readers = []string{"open", "read", "readdir", "lstat", "map", "stat"}

// Inject returns fsys with the failures of a plan. A sync that fails over a [Mem] loses
// what it should have stored, as disks do: no later sync makes it durable.
func Inject(fsys disk.FS, p Plan) disk.FS {
	var mu sync.Mutex
	n := 0
	return Hook(fsys, func(op Op) Verdict {
		if len(p.Only) > 0 && !slices.Contains(p.Only, op.Name) ||
			!slices.Contains(counted, op.Name) && !(p.Reads && slices.Contains(readers, op.Name)) {
			return Verdict{}
		}
		mu.Lock()
		n++
		op.Number = n
		hit := n == p.At || n > p.At && p.Sticky
		mu.Unlock()
		if !hit {
			return Verdict{}
		}
		if p.Hit != nil {
			p.Hit(op)
		}
		v := Verdict{Err: p.Err}
		if p.Short && op.Name == "write" {
			v.Part = op.Len / 2
		}
		if p.Kill {
			if v.Part == 0 {
				die()
			}
			v.Err, v.Then = errDead, die
		}
		if v.Err == nil {
			v.Err = errInjected
		}
		return v
	})
}

var (
	errInjected = errors.New("a failure of a test")
	errDead     = errors.New("this process is dead")
)

// KillAt returns fsys with a trap: at operation n, counted from 1 as by [Count], this
// process ends as by kill -9, before doing it. It is for
// child processes of tests; what a process that was killed has written stays, as the
// system has it in memory. For the loss of power see [Mem.PowerCut].
func KillAt(fsys disk.FS, n int) disk.FS {
	return Inject(fsys, Plan{At: n, Kill: true})
}

// die ends this process without letting it do anything more.
func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill() // on Unix SIGKILL, on Windows TerminateProcess
	}
	select {} // until it arrives
}

// Sweep calls trial once for each operation that it does, with that operation failing as
// plan (whose At is not used) says. Each time, trial makes a fresh file system, wraps it
// once with inject, works on what that returns and checks what the file system then
// holds; an error of the work is expected. Sweep returns the number of operations, after
// a last trial in which nothing failed.
func Sweep(t *testing.T, plan Plan, trial func(t *testing.T, inject func(disk.FS) disk.FS)) int {
	t.Helper()
	for n := 1; n <= maxSweep; n++ {
		p, reached := plan, make(chan Op, 1)
		p.At = n
		p.Hit = func(op Op) {
			if plan.Hit != nil {
				plan.Hit(op)
			}
			select {
			case reached <- op:
			default:
			}
		}
		trial(t, func(fsys disk.FS) disk.FS { return Inject(fsys, p) })
		select {
		case op := <-reached:
			if t.Failed() {
				t.Fatalf("with operation %v failing: %v", op, cmp.Or(plan.Err, errInjected))
			}
		default:
			if t.Failed() {
				t.Fatal("with no operation failing")
			}
			return n - 1
		}
	}
	t.Fatalf("more than %d operations: the work does not end", maxSweep)
	return 0
}

const maxSweep = 100_000
