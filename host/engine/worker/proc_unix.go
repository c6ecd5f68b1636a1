//go:build unix

package worker

import (
	"os"

	"github.com/pxos/pxos/host/engine"
	"golang.org/x/sys/unix"
)

// Supported reports whether runs can have a process of their own here.
const Supported = true

// killGroup kills the worker and everything in its process group.
func killGroup(p *os.Process) { _ = unix.Kill(-p.Pid, unix.SIGKILL) }

// Resource limits beyond what the run itself is limited to.
const (
	spareAddress = 8 << 30 // the Go runtime and compiled code reserve address space they never touch
	spareFiles   = 64      // the worker's own
	spareCPU     = 15 * 60 // seconds, for compiling
	maxFileSize  = 4 << 30 // a cache entry

	// Beyond that, of a run with pixel storage: its mapped files and caches, and the
	// files of maps, and beside each open file those that its edits need.
	storageAddress = 16 << 30
	storageFiles   = 1024
	filesPerHandle = 8
)

// Confine lowers what this process may use to what the job needs, for good.
func Confine(job *Job) error {
	l := job.Limits
	set := func(res int, n uint64) error {
		var old unix.Rlimit
		if err := unix.Getrlimit(res, &old); err != nil {
			return err
		}
		n = min(n, uint64(old.Max))
		return unix.Setrlimit(res, &unix.Rlimit{Cur: rlim(n), Max: rlim(n)})
	}
	files := uint64(maxFileSize) + uint64(l.Output)
	handles, address := uint64(l.Handles)+spareFiles, uint64(l.Memory)+uint64(l.Tmp)+spareAddress
	if job.Storage != nil {
		files = unix.RLIM_INFINITY // its quota counts
		handles = uint64(l.Handles)*filesPerHandle + spareFiles + storageFiles
		address += storageAddress
	}
	for _, d := range job.Dirs {
		if !d.ReadOnly {
			files = unix.RLIM_INFINITY // what is written there is the owner's decision
		}
	}
	for _, r := range []struct {
		what string
		res  int
		n    uint64
	}{
		{"core", unix.RLIMIT_CORE, 0},
		{"open files", unix.RLIMIT_NOFILE, handles},
		{"cpu time", unix.RLIMIT_CPU, uint64(l.Time.Seconds()) + spareCPU},
		{"file size", unix.RLIMIT_FSIZE, files},
		{"address space", rlimitAS, address},
	} {
		if r.res < 0 {
			continue
		}
		if err := set(r.res, r.n); err != nil {
			return &engine.Error{Type: "internal", Msg: "worker cannot limit its " + r.what + ": " + err.Error(), Err: err}
		}
	}
	return nil
}
