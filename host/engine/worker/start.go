package worker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
)

// answerGrace is how long after its deadline a worker may take to answer. It stops
// its guest by itself; only one that cannot is killed.
const answerGrace = 2 * time.Second

// loadTime is how long a worker may take to compile, which the run's own deadline
// does not count. The scan bounds it; this stops what the scan missed.
const loadTime = 10 * time.Minute

// Command says how a worker process is started.
type Command struct {
	Path string // the file to execute; empty: the first of Argv
	Argv []string
	Env  []string // the whole environment; nothing of the host's is inherited
	// Started, when not nil, gets the process id of each worker.
	Started func(pid int)
}

// Process is a worker process that waits for its job. Starting it takes a few
// milliseconds, which pass while the host opens and verifies the cartridge.
type Process struct {
	cmd       *exec.Cmd
	streams   Streams
	cartridge *os.File // for the worker; empty until Run
	job       *os.File // the host's ends of the two pipes
	result    *os.File
	once      sync.Once
	ended     error  // how the process ended, when it was waited for
	copyIn    func() // copies standard input, once there is a job; may be nil
}

// Spawn starts a worker process.
func Spawn(command Command, s Streams) (*Process, error) {
	p := &Process{streams: s}
	jobR, resW, err := p.files()
	if err != nil {
		p.release()
		return nil, spawnError(err)
	}
	defer jobR.Close()
	defer resW.Close()
	p.cmd = exec.Command(command.Argv[0], command.Argv[1:]...)
	if command.Path != "" {
		p.cmd.Path, p.cmd.Err = command.Path, nil
	}
	p.cmd.ExtraFiles = []*os.File{p.cartridge, jobR, resW}
	// Without TZ the Go runtime reads the machine's time zone, which a worker never uses.
	p.cmd.Env = append([]string{"GOTRACEBACK=none", "TZ=UTC"}, command.Env...)
	p.cmd.SysProcAttr = sysProcAttr()
	p.cmd.Stdout, p.cmd.Stderr = s.Stdout, s.Stderr
	p.copyIn, err = connectStdin(p.cmd, s.Stdin)
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.release()
		return nil, spawnError(err)
	}
	if command.Started != nil {
		command.Started(p.cmd.Process.Pid)
	}
	return p, nil
}

func spawnError(err error) error {
	e := &engine.Error{Type: abi.ErrInternal, Msg: "worker process cannot be started: " + err.Error(), Err: err,
		Hint: "use --isolation inline if you trust the cartridge"}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		e.Hint = "too many files are open; close some, or raise the limit with ulimit -n"
	}
	return e
}

// files makes the files of the protocol and returns the worker's ends.
func (p *Process) files() (jobR, resW *os.File, err error) {
	if p.cartridge, err = newCartridgeFile(); err != nil {
		return nil, nil, err
	}
	if jobR, p.job, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if p.result, resW, err = os.Pipe(); err != nil {
		jobR.Close()
		return nil, nil, err
	}
	return jobR, resW, nil
}

func (p *Process) release() {
	for _, f := range []*os.File{p.cartridge, p.job, p.result} {
		if f != nil {
			f.Close()
		}
	}
}

// Preload passes a preload on to the worker. A worker that does not take it fails
// later, at its job.
func (p *Process) Preload(pre *Preload) {
	if data, err := pack(pre); err == nil {
		_, _ = p.job.Write(message(kindPreload, data))
	}
}

func message(kind byte, data []byte) []byte {
	return append(append(binary.LittleEndian.AppendUint32(nil, uint32(len(data)+1)), kind), data...)
}

// Streams returns the standard streams that the worker was started with.
func (p *Process) Streams() Streams { return p.streams }

// Abandon ends a worker that got no job.
func (p *Process) Abandon() {
	killGroup(p.cmd.Process)
	_ = p.Wait()
}

// Run gives the worker its job and waits for its answer. data is the cartridge, which
// the worker gets in a file of its own that nobody else can change; without data it
// opens job.Path. The process is used up afterwards, and the caller calls Wait when it
// has time for it.
//
// A worker that dies, or that does not answer after its deadline, is a result with
// ErrCrash or ErrDeadline: the host goes on.
func (p *Process) Run(ctx context.Context, job *Job, data []byte) (*abi.RunResult, error) {
	packed, err := pack(job)
	if err == nil && data != nil {
		err = fillCartridgeFile(p.cartridge, data)
	}
	if err != nil {
		p.Abandon()
		return nil, err
	}
	started := time.Now()
	if p.copyIn != nil {
		go p.copyIn()
	}

	var cause atomic.Int32
	kill := func(why int32) {
		if cause.CompareAndSwap(0, why) {
			killGroup(p.cmd.Process)
		}
	}
	timer := time.AfterFunc(loadTime, func() { kill(killedDeadline) })
	defer timer.Stop()
	cancel := context.AfterFunc(ctx, func() { kill(killedCancel) })
	defer cancel()

	_, werr := p.job.Write(message(kindJob, packed))
	rep, rerr := readReply(p.result, func() { timer.Reset(job.Limits.Time + answerGrace) })
	waitErr := p.end(rerr == nil)
	switch {
	case rerr == nil && rep.Result != nil:
		return rep.Result, nil
	case rerr == nil && rep.Error != nil:
		return nil, &engine.Error{Type: rep.Error.Type, Msg: rep.Error.Msg, Hint: rep.Error.Hint}
	}
	res := crashed(job, cause.Load(), waitErr, errors.Join(werr, rerr))
	res.ExecutionTime = time.Since(started).Seconds()
	res.StartedAt = started.UTC()
	return res, nil
}

// readReply reads what a worker answers. begun is called when its module is loaded.
func readReply(r io.Reader, begun func()) (rep reply, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return rep, err
	}
	begun()
	if head[0] == begin {
		if _, err := io.ReadFull(r, head[:1]); err != nil {
			return rep, err
		}
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return rep, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if head[0] != answer || n > maxMessage {
		return rep, errors.New("worker's answer is malformed")
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(data) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = unpack(data, &rep, true)
	}
	if err == nil && rep.Result == nil && rep.Error == nil {
		err = errors.New("worker's answer is empty")
	}
	return rep, err
}

// end kills the worker with everything in its process group, so that nothing is left
// behind. After an answer its end need not be waited for now, but see Wait: what the
// guest wrote is written, unless it comes through this process, and the kernel takes the
// worker down while the host goes on.
func (p *Process) end(answered bool) error {
	killGroup(p.cmd.Process)
	if answered && direct(p.cmd.Stdout) && direct(p.cmd.Stderr) {
		return nil
	}
	return p.Wait()
}

// Wait waits for the end of a worker whose Run has returned, and frees what belongs to
// it. Later calls return at once.
func (p *Process) Wait() error {
	p.once.Do(func() {
		p.ended = p.cmd.Wait()
		p.release()
	})
	return p.ended
}

// direct reports whether a worker writes to w by itself.
func direct(w io.Writer) bool {
	_, file := w.(*os.File)
	return file || w == nil
}

const (
	killedDeadline int32 = iota + 1
	killedCancel
)

// crashed is the result of a run whose worker gave no answer.
func crashed(job *Job, cause int32, waitErr, pipeErr error) *abi.RunResult {
	res := &abi.RunResult{Result: json.RawMessage("null"), Logs: []abi.LogLine{}, Program: job.Program, Granted: job.Granted}
	if res.Granted == nil {
		res.Granted = []abi.Capability{}
	}
	limits := job.Limits
	res.Limits = &limits
	switch cause {
	case killedDeadline:
		res.ErrorType, res.Error = abi.ErrDeadline, fmt.Sprintf("time limit of %v reached", job.Limits.Time)
		res.Hint = "raise it with --timeout if the program needs longer"
	case killedCancel:
		res.ErrorType, res.Error = abi.ErrCancelled, "run was cancelled"
	default:
		res.ErrorType, res.Error = abi.ErrCrash, "worker process died before it answered"
		var ee *exec.ExitError
		if errors.As(waitErr, &ee) {
			res.Error += ": " + ee.Error()
		} else if pipeErr != nil {
			res.Error += ": " + pipeErr.Error()
		}
		res.Hint = "the host is unharmed; it may have run out of memory: see --limit memory"
	}
	return res
}

// connectStdin gives the worker its input. A file is passed as it is; a terminal
// cannot be, because the worker's process group is not the one the terminal listens
// to, so it is copied through a pipe like any other reader. The returned function, nil
// when there is nothing to copy, does that until the worker or the input ends.
func connectStdin(cmd *exec.Cmd, r io.Reader) (copyIn func(), err error) {
	if r == nil {
		return nil, nil
	}
	if f, ok := r.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice == 0 {
			cmd.Stdin = f
			return nil, nil
		}
	}
	w, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return func() {
		_, _ = io.Copy(w, r)
		_ = w.Close()
	}, nil
}
