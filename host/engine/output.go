package engine

import (
	"fmt"
	"io"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/term"
)

// output is the guest's stdout or stderr: it counts against the run's limit, stops
// when the run does, and neutralises escape sequences on their way to a terminal.
type output struct {
	run    *Run
	w      io.Writer
	filter *term.Filter // nil: bytes pass as they are
}

func newOutput(r *Run, w io.Writer, clean bool) *output {
	o := &output{run: r, w: w}
	if clean {
		o.filter = &term.Filter{}
	}
	return o
}

func (o *output) Write(p []byte) (int, error) {
	r := o.run
	r.checkStop()
	room := r.limits.Output - r.written
	over := int64(len(p)) > room
	if over {
		p = p[:room]
	}
	r.written += int64(len(p))
	n, err := len(p), error(nil)
	if o.w != nil && len(p) > 0 {
		if o.filter != nil {
			_, err = o.w.Write(o.filter.Clean(p))
		} else {
			n, err = o.w.Write(p)
		}
	}
	if over {
		panic(&abortError{abi.ErrOutput, fmt.Sprintf("output limit of %s reached", abi.FormatBytes(r.limits.Output))})
	}
	return n, err
}
