package wasi

import (
	"encoding/binary"
	"math"
	"time"
)

const eventSize = 32

// subSize is the size of a subscription. That of wasi_unstable has one more
// u64, the identifier of a clock, before the clock's number.
func subSize(old bool) uint32 {
	if old {
		return 56
	}
	return 48
}

const (
	typeClock = 0
	typeRead  = 1
	typeWrite = 2

	clockAbsolute = 1
	eventHangup   = 1
)

// forever is a wait that no clock ends.
const forever = time.Duration(math.MaxInt64)

// sub is a parsed subscription.
type sub struct {
	userdata uint64
	kind     byte
	errno    uint32 // of the event, which is then ready at once
	fd       uint32
	wait     time.Duration // of a clock
}

// poller is one poll_oneoff.
type poller struct {
	c     *call
	in    []byte
	size  uint32
	now   [2]uint64 // clock readings for absolute timeouts
	known [2]bool
}

// at parses subscription i. It reports false for an unknown type.
func (p *poller) at(i uint32) (s sub, ok bool) {
	le := binary.LittleEndian
	b := p.in[i*p.size : (i+1)*p.size]
	s = sub{userdata: le.Uint64(b), kind: b[8]}
	arg := b[16:]
	switch s.kind {
	case typeClock:
		if p.c.old {
			arg = arg[8:]
		}
		s.wait, s.errno = p.clock(le.Uint32(arg), le.Uint64(arg[8:]), le.Uint16(arg[24:]))
	case typeRead, typeWrite:
		s.fd = le.Uint32(arg)
		if !p.c.open(s.fd) {
			s.errno = eBadf
		}
	default:
		return s, false
	}
	return s, true
}

// clock returns how long a clock subscription waits from the start of the call.
func (p *poller) clock(id uint32, timeout uint64, flags uint16) (time.Duration, uint32) {
	if id > 3 || flags&^clockAbsolute != 0 {
		return 0, eInval
	}
	if flags&clockAbsolute != 0 {
		id = min(id, 1) // CPU time clocks are the monotonic clock here
		if !p.known[id] {
			p.known[id] = true
			p.c.v.borrow(8, func(ptr uint32, b []byte) {
				p.c.other(fnClockTime, uint64(id), 0, uint64(ptr))
				p.now[id] = binary.LittleEndian.Uint64(b)
			})
		}
		timeout -= min(timeout, p.now[id])
	}
	if timeout > math.MaxInt64 {
		return forever, 0
	}
	return time.Duration(timeout), 0
}

// poll is poll_oneoff. Files and directories are always ready, standard input
// is when a read would not block, and standard output always. The call returns
// as soon as one subscription is ready, with all that are.
func (c *call) poll() uint32 {
	n, result := uint32(c.stack[2]), uint32(c.stack[3])
	out := uint32(c.stack[1])
	p := poller{c: c, size: subSize(c.old)}
	// A copy, since results may overlap the subscriptions. n is bounded.
	p.in = append(p.in, c.v.bytes(uint32(c.stack[0]), n*p.size)...)

	wait, ready, stdin := forever, false, false
	for i := uint32(0); i < n; i++ {
		s, ok := p.at(i)
		switch {
		case !ok:
			return eInval
		case s.errno != 0:
			ready = true
		case s.kind == typeClock:
			wait = min(wait, s.wait)
		case s.kind == typeRead && c.waits(s.fd):
			stdin = true
		default:
			ready = true
		}
	}
	if ready {
		wait = 0
	}
	if errno := c.sleep(wait, stdin); errno != 0 {
		return errno
	}

	var events uint32
	le := binary.LittleEndian
	for i := uint32(0); i < n; i++ {
		s, _ := p.at(i)
		var nbytes uint64
		var flags uint16
		switch {
		case s.errno != 0:
		case s.kind == typeClock:
			// After a wait that input ended, wait is longer than it took.
			if s.wait > wait || s.wait > 0 && stdin && c.run.Stdin.ready() {
				continue
			}
		case s.kind == typeRead && c.waits(s.fd):
			if !c.run.Stdin.ready() {
				continue
			}
			var end bool
			if nbytes, end = c.run.Stdin.buffered(); end {
				flags = eventHangup
			}
		}
		b := c.v.bytes(out+events*eventSize, eventSize)
		clear(b)
		le.PutUint64(b, s.userdata)
		le.PutUint16(b[8:], uint16(s.errno))
		b[10] = s.kind
		le.PutUint64(b[16:], nbytes)
		le.PutUint16(b[24:], flags)
		events++
	}
	c.v.mem.WriteUint32Le(result, events)
	return 0
}

// waits reports whether reading fd can block: it is the run's standard input.
func (c *call) waits(fd uint32) bool {
	return fd == 0 && c.run.Stdin != nil && c.stdio(0)
}

// sleep waits until d is over, or input is there if stdin is set. It returns an
// error number if the run is stopped or its context is done.
func (c *call) sleep(d time.Duration, stdin bool) uint32 {
	if c.run.stopped() {
		return c.run.interrupted()
	}
	if d <= 0 {
		if stdin {
			c.run.Stdin.demand()
		}
		return 0
	}
	if d != forever && !stdin && c.run.Sleep != nil && c.run.Sleep(d) {
		return 0
	}
	var timer <-chan time.Time
	if d != forever {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	for {
		var input <-chan struct{}
		if stdin {
			// Another run may take the input between the wake-up and here.
			if input = c.run.Stdin.demand(); input == nil {
				return 0
			}
		}
		select {
		case <-input:
		case <-timer:
			if c.run.Sleep != nil {
				c.run.Sleep(d)
			}
			return 0
		case <-c.run.Stop:
			return c.run.interrupted()
		case <-c.ctx.Done():
			return c.run.interrupted()
		}
	}
}
