package worker

import (
	"context"
	"encoding/binary"
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
	Result *abi.RunResult
	Error  *failure
}

// begin is written before the answer when the module is loaded; the answer itself
// begins with another byte, so that the first of either tells that loading is over.
const (
	begin  = ' '
	answer = '\n'
)

type failure struct {
	Type abi.ErrorType
	Msg  string
	Hint string
}

// Main is the body of a worker process: it takes one job, runs it and answers. The
// result is the process's exit code, which says only whether an answer was given.
func Main(ctx context.Context) int {
	jobPipe, resultPipe := os.NewFile(fdJob, "job"), os.NewFile(fdResult, "result")
	if jobPipe == nil || resultPipe == nil {
		fmt.Fprintln(os.Stderr, "pxos-host: error: worker is started by the host itself")
		return 2
	}
	in, err := receive(ctx, jobPipe)
	if errors.Is(err, io.EOF) {
		return 2 // the host had no job for this worker
	}
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
	if rep.Result, err = in.run(ctx, resultPipe); err != nil {
		var e *engine.Error
		if !errors.As(err, &e) {
			e = &engine.Error{Type: abi.ErrInternal, Msg: err.Error()}
		}
		rep = reply{Error: &failure{e.Type, e.Msg, e.Hint}}
	}
	data, err := pack(rep)
	if err != nil {
		return 1
	}
	head := binary.LittleEndian.AppendUint32([]byte{answer}, uint32(len(data)))
	if _, err := resultPipe.Write(append(head, data...)); err != nil {
		return 1
	}
	return 0
}

// incoming is a job on its way to its run.
type incoming struct {
	job     *Job
	archive *Archive
	fault   error          // why there is no archive, for the answer
	eng     *engine.Engine // that a preload asked for, if any
	cfg     Config         // and how it works
}

// receive reads messages up to the one that carries the job, and prepares for its run.
// The worker does one thing after the other: in a process this short, to wake another
// thread costs more than it gains.
func receive(ctx context.Context, r io.Reader) (*incoming, error) {
	in := &incoming{}
	kind, data, err := readMessage(r)
	if err == nil && kind == kindPreload {
		if err = in.preload(ctx, data); err != nil {
			return nil, err
		}
		kind, data, err = readMessage(r)
	}
	switch {
	case err != nil:
		return nil, err
	case kind != kindJob:
		return nil, errKind
	}
	return in, in.take(data)
}

func (in *incoming) preload(ctx context.Context, data []byte) error {
	var p Preload
	if err := unpack(data, &p, false); err != nil {
		return err
	}
	eng, err := engine.New(p.config())
	if err != nil {
		return err
	}
	in.eng, in.cfg = eng, p.Config
	eng.Preload(ctx, p.Digest, p.Table)()
	return nil
}

var errKind = errors.New("message is of no known kind")

func readMessage(r io.Reader) (kind byte, data []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	switch {
	case n == 0:
		return 0, nil, errKind
	case n > maxMessage:
		return 0, nil, errors.New("message is too big")
	}
	data = make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, fmt.Errorf("message is cut short: %w", io.ErrUnexpectedEOF)
	}
	return data[0], data[1:], nil
}

// take decodes a job, lowers the limits of the process to what it needs and opens its
// cartridge. Its error is that of a host that is none.
func (in *incoming) take(data []byte) error {
	in.job = &Job{}
	if err := unpack(data, in.job, false); err != nil {
		return err
	}
	if in.fault = Confine(in.job); in.fault == nil {
		in.archive, in.fault = in.open()
	}
	return nil
}

func (in *incoming) open() (*Archive, error) {
	f := os.NewFile(fdCartridge, "cartridge")
	if in.job.Path != "" {
		var err error
		if f, err = os.Open(in.job.Path); err != nil {
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
	if a.Fingerprint() != in.job.Fingerprint {
		return nil, &engine.Error{Type: abi.ErrCartridge, Msg: "cartridge was changed while it was opened", Hint: "run it again when nothing writes to it"}
	}
	return a, nil
}

func (in *incoming) run(ctx context.Context, resultPipe io.Writer) (*abi.RunResult, error) {
	if in.fault != nil {
		return nil, in.fault
	}
	if in.eng == nil || in.cfg != in.job.Config {
		var err error
		if in.eng, err = engine.New(in.job.config()); err != nil {
			return nil, err
		}
	}
	begun := func() { _, _ = resultPipe.Write([]byte{begin}) }
	return in.job.Run(ctx, in.eng, in.archive, Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, begun)
}
