package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
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
	Argv []string
	Env  []string // the whole environment; nothing of the host's is inherited
	// Started, when not nil, gets the process id of each worker.
	Started func(pid int)
}

// Start runs a job in a new worker process and waits for its answer. cartridge is the
// file that the worker reads.
//
// A worker that dies, or that does not answer after its deadline, is a result with
// ErrCrash or ErrDeadline: the host goes on.
func Start(ctx context.Context, command Command, job *Job, cartridge *os.File, s Streams) (*abi.RunResult, error) {
	data, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	jobR, jobW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer jobW.Close()
	defer jobR.Close()
	resR, resW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer resR.Close()
	defer resW.Close()

	cmd := exec.Command(command.Argv[0], command.Argv[1:]...)
	cmd.ExtraFiles = []*os.File{cartridge, jobR, resW}
	cmd.Env = append([]string{"GOTRACEBACK=none"}, command.Env...)
	cmd.SysProcAttr = sysProcAttr()
	cmd.Stdout, cmd.Stderr = s.Stdout, s.Stderr
	stdin, err := connectStdin(cmd, s.Stdin)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, &engine.Error{Type: abi.ErrInternal, Msg: "worker process cannot be started: " + err.Error(),
			Hint: "use --isolation inline if you trust the cartridge", Err: err}
	}
	if command.Started != nil {
		command.Started(cmd.Process.Pid)
	}
	jobR.Close()
	resW.Close()
	go stdin()

	var cause atomic.Int32
	kill := func(why int32) {
		if cause.CompareAndSwap(0, why) {
			killGroup(cmd.Process)
		}
	}
	timer := time.AfterFunc(loadTime, func() { kill(killedDeadline) })
	defer timer.Stop()
	cancel := context.AfterFunc(ctx, func() { kill(killedCancel) })
	defer cancel()

	var head [4]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(data)))
	_, werr := jobW.Write(append(head[:], data...))

	// One byte says that the module is loaded and the guest begins.
	_, rerr := io.ReadFull(resR, head[:1])
	if rerr == nil {
		timer.Reset(job.Limits.Time + answerGrace)
	}
	answer, rerr := io.ReadAll(io.LimitReader(resR, maxMessage))
	var rep reply
	if rerr == nil && len(answer) > 0 {
		rerr = json.Unmarshal(answer, &rep)
	}
	killGroup(cmd.Process) // nothing of the group is left behind
	waitErr := cmd.Wait()
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
// to, so it is copied through a pipe like any other reader. The returned function
// does the copying, and ends when the worker or the input does.
func connectStdin(cmd *exec.Cmd, r io.Reader) (copyIn func(), err error) {
	switch f := r.(type) {
	case nil:
		return func() {}, nil
	case *bytes.Reader:
	case *os.File:
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice == 0 {
			cmd.Stdin = f
			return func() {}, nil
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
