package worker

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/engine"
)

// File numbers of a worker.
const (
	fdCartridge = 3
	fdJob       = 4
	fdResult    = 5
)

// maxMessage bounds a job and a result: arguments, environment, a program's JSON
// result and its log, each of which has a limit of its own far below.
const maxMessage = 512 << 20

// reply is what a worker answers: a result, or why there is none.
type reply struct {
	Result *abi.RunResult `json:"result,omitempty"`
	Error  *failure       `json:"error,omitempty"`
}

// begin is written before the answer when the module is loaded; the answer itself
// begins with another byte, so that the first of either tells that loading is over.
const (
	begin  = ' '
	answer = '\n'
)

type failure struct {
	Type abi.ErrorType `json:"type"`
	Msg  string        `json:"msg"`
	Hint string        `json:"hint"`
}

// Main is the body of a worker process: it takes one job, runs it and answers. The
// result is the process's exit code, which says only whether an answer was given.
func Main(ctx context.Context) int {
	jobPipe, resultPipe := os.NewFile(fdJob, "job"), os.NewFile(fdResult, "result")
	if jobPipe == nil || resultPipe == nil {
		fmt.Fprintln(os.Stderr, "pxos-host: error: worker is started by the host itself")
		return 2
	}
	// What the run will need, but not before its job is here, happens beside the reading
	// of it: while the host opens the cartridge there are processors to spare.
	go engine.Warm()
	go func() { _, _ = json.Marshal(reply{Result: &abi.RunResult{}}) }()
	job, err := readJob(ctx, jobPipe)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pxos-host: error: worker is started by the host itself")
		return 2
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// Whatever the guest is doing: without its host a worker has no business.
		_, _ = jobPipe.Read(make([]byte, 1))
		os.Exit(1)
	}()
	var rep reply
	if rep.Result, err = runJob(ctx, job, resultPipe); err != nil {
		var e *engine.Error
		if !errors.As(err, &e) {
			e = &engine.Error{Type: abi.ErrInternal, Msg: err.Error()}
		}
		rep = reply{Error: &failure{e.Type, e.Msg, e.Hint}}
	}
	data, err := json.Marshal(rep)
	if err != nil {
		return 1
	}
	head := binary.LittleEndian.AppendUint32([]byte{answer}, uint32(len(data)))
	if _, err := resultPipe.Write(append(head, data...)); err != nil {
		return 1
	}
	return 0
}

// readJob reads messages up to the one that carries the job.
func readJob(ctx context.Context, r io.Reader) (*incoming, error) {
	in := &incoming{}
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n > maxMessage {
			return nil, errors.New("message is too big")
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, err
		}
		switch {
		case n > 0 && data[0] == kindPreload && in.eng == nil:
			p, err := decodePreload(data[1:])
			if err != nil {
				return nil, err
			}
			if in.eng, err = engine.New(p.config()); err != nil {
				return nil, err
			}
			in.cfg = p.Config
			in.eng.Preload(ctx, p.Digest, p.Table)
		case n > 0 && data[0] == kindJob:
			in.job = &Job{}
			return in, json.Unmarshal(data[1:], in.job)
		default:
			return nil, errors.New("message is of no known kind")
		}
	}
}

// incoming is a job with the engine that was prepared for it, if any.
type incoming struct {
	job *Job
	eng *engine.Engine
	cfg Config
}

func (in *incoming) engine() (*engine.Engine, error) {
	if in.eng != nil && in.cfg == in.job.Config {
		return in.eng, nil
	}
	return engine.New(in.job.config())
}

func runJob(ctx context.Context, in *incoming, resultPipe io.Writer) (*abi.RunResult, error) {
	job := in.job
	if err := Confine(job); err != nil {
		return nil, err
	}
	f := os.NewFile(fdCartridge, "cartridge")
	if job.Path != "" {
		var err error
		if f, err = os.Open(job.Path); err != nil {
			return nil, changed(err)
		}
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := pxa.Open(f, st.Size(), nil)
	if err != nil {
		return nil, changed(err)
	}
	a := NewArchive(r)
	if a.Fingerprint() != job.Fingerprint {
		return nil, &engine.Error{Type: abi.ErrCartridge, Msg: "cartridge was changed while it was opened", Hint: "run it again when nothing writes to it"}
	}
	eng, err := in.engine()
	if err != nil {
		return nil, err
	}
	begun := func() { _, _ = resultPipe.Write([]byte{begin}) }
	return job.Run(ctx, eng, a, Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, begun)
}
