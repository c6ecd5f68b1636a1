package wasi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental/sys"
)

// clockSub and fdSub build subscriptions in either layout.
func clockSub(old bool, userdata uint64, id uint32, timeout uint64, flags uint16) []byte {
	b := make([]byte, subSize(old))
	le := binary.LittleEndian
	le.PutUint64(b, userdata)
	b[8] = typeClock
	at := 16
	if old {
		le.PutUint64(b[16:], 0xdead) // the identifier, which means nothing
		at = 24
	}
	le.PutUint32(b[at:], id)
	le.PutUint64(b[at+8:], timeout)
	le.PutUint64(b[at+16:], 1) // precision
	le.PutUint16(b[at+24:], flags)
	return b
}

func fdSub(old bool, userdata uint64, kind byte, fd uint32) []byte {
	b := make([]byte, subSize(old))
	binary.LittleEndian.PutUint64(b, userdata)
	b[8] = kind
	binary.LittleEndian.PutUint32(b[16:], fd)
	return b
}

type event struct {
	userdata uint64
	errno    uint16
	kind     byte
	nbytes   uint64
	flags    uint16
}

const (
	subsAt, eventsAt, countAt = 0x1000, 0x8000, 0x9000
)

// poll makes the call and parses its events, and checks that nothing else in
// memory changed.
func (g *guest) poll(subs ...[]byte) (uint32, []event) {
	g.t.Helper()
	g.fill()
	in := bytes.Join(subs, nil)
	copy(g.mem()[subsAt:], in)
	errno := g.call("poll_oneoff", subsAt, eventsAt, uint64(len(subs)), countAt)
	if !bytes.Equal(g.mem()[subsAt:subsAt+len(in)], in) {
		g.t.Error("the subscriptions were changed")
	}
	var events []event
	if errno == 0 {
		n := g.u32(countAt)
		for i := uint32(0); i < n; i++ {
			b := g.mem()[eventsAt+i*eventSize:]
			le := binary.LittleEndian
			events = append(events, event{le.Uint64(b), le.Uint16(b[8:]), b[10], le.Uint64(b[16:]), le.Uint16(b[24:])})
		}
		if b := g.mem()[eventsAt+n*eventSize]; b != '?' {
			g.t.Error("a byte behind the last event was changed")
		}
	}
	return errno, events
}

func TestPoll(t *testing.T) {
	const far = uint64(time.Hour)
	for _, module := range []string{Preview1, Unstable} {
		old := module == Unstable
		t.Run(module, func(t *testing.T) {
			engines(t, func(t *testing.T, r wazero.Runtime) {
				stop := make(chan struct{})
				source := NewSource(neverReader{})
				run := &Run{Stop: stop, Stdin: source.Stdin(stop)}
				g := newGuest(t, r, module, run, newConfig(t, run).WithStdin(run.Stdin))
				now := uint64(time.Now().UnixNano())
				for _, tt := range []struct {
					name  string
					subs  [][]byte
					errno uint32
					want  []event
				}{
					{"sleep", [][]byte{clockSub(old, 7, 1, 1000, 0)}, 0, []event{{userdata: 7}}},
					{"no time", [][]byte{clockSub(old, 7, 0, 0, 0)}, 0, []event{{userdata: 7}}},
					{"CPU clock", [][]byte{clockSub(old, 7, 2, 1, 0)}, 0, []event{{userdata: 7}}},
					{"unknown clock", [][]byte{clockSub(old, 7, 4, 1, 0)}, 0, []event{{userdata: 7, errno: eInval}}},
					{"unknown clock flag", [][]byte{clockSub(old, 7, 1, 1, 2)}, 0, []event{{userdata: 7, errno: eInval}}},
					{"absolute past", [][]byte{clockSub(old, 7, 0, now-1, 1)}, 0, []event{{userdata: 7}}},
					{"absolute soon", [][]byte{clockSub(old, 7, 0, now+1e6, 1)}, 0, []event{{userdata: 7}}},
					{"shortest first", [][]byte{clockSub(old, 1, 1, far, 0), clockSub(old, 2, 1, 1000, 0)}, 0, []event{{userdata: 2}}},
					{"2^63 is far", [][]byte{clockSub(old, 1, 1, 1<<63, 0), clockSub(old, 2, 1, 1000, 0), clockSub(old, 3, 1, 1<<64-1, 1)}, 0, []event{{userdata: 2}}},
					{"ready file ends a sleep", [][]byte{clockSub(old, 1, 1, far, 0), fdSub(old, 2, typeRead, fdTmp)}, 0, []event{{userdata: 2, kind: typeRead}}},
					{"output is ready", [][]byte{fdSub(old, 2, typeWrite, 1), clockSub(old, 1, 1, far, 0)}, 0, []event{{userdata: 2, kind: typeWrite}}},
					{"closed descriptor", [][]byte{fdSub(old, 2, typeRead, 77), fdSub(old, 3, typeWrite, 1<<32-1)}, 0, []event{{userdata: 2, kind: typeRead, errno: eBadf}, {userdata: 3, kind: typeWrite, errno: eBadf}}},
					{"timeout before input", [][]byte{fdSub(old, 2, typeRead, 0), clockSub(old, 1, 1, 1000, 0)}, 0, []event{{userdata: 1}}},
					{"no input yet", [][]byte{fdSub(old, 2, typeRead, 0), clockSub(old, 1, 1, 0, 0)}, 0, []event{{userdata: 1}}},
					{"unknown type", [][]byte{fdSub(old, 2, 3, 0)}, eInval, nil},
				} {
					errno, events := g.poll(tt.subs...)
					if errno != tt.errno || len(events) != len(tt.want) {
						t.Errorf("%s: errno %d, events %+v; want %d, %+v", tt.name, errno, events, tt.errno, tt.want)
						continue
					}
					for i := range events {
						if events[i] != tt.want[i] {
							t.Errorf("%s: event %+v, want %+v", tt.name, events[i], tt.want[i])
						}
					}
				}
				g.want(eInval, "poll_oneoff", subsAt, eventsAt, 0, countAt)
				g.want(eInval, "poll_oneoff", subsAt, eventsAt, 89478486, countAt) // 48 times it is 2^32+32
				g.want(eInval, "poll_oneoff", subsAt, eventsAt, 1<<28, countAt)    // both sizes wrap to 0
				g.want(eInval, "poll_oneoff", subsAt, eventsAt, 1<<32-1, countAt)
				g.want(eFault, "poll_oneoff", pageSize-uint64(subSize(old))+1, eventsAt, 1, countAt)
				g.want(eFault, "poll_oneoff", subsAt, pageSize-eventSize+1, 1, countAt)
				g.want(eFault, "poll_oneoff", subsAt, eventsAt, 1, pageSize-3)
			})
		})
	}
}

func TestPollStopped(t *testing.T) {
	ended := errors.New("deadline")
	for _, tt := range []struct {
		name string
		call func(g *guest) error
	}{
		{"sleep", func(g *guest) error {
			copy(g.mem(), clockSub(false, 1, 1, uint64(time.Hour), 0))
			_, err := g.mod.ExportedFunction("poll_oneoff").Call(g.ctx, 0, 1000, 1, 2000)
			return err
		}},
		{"endless sleep", func(g *guest) error {
			copy(g.mem(), clockSub(false, 1, 1, 1<<64-1, 0))
			_, err := g.mod.ExportedFunction("poll_oneoff").Call(g.ctx, 0, 1000, 1, 2000)
			return err
		}},
		{"input", func(g *guest) error {
			copy(g.mem(), fdSub(false, 1, typeRead, 0))
			_, err := g.mod.ExportedFunction("poll_oneoff").Call(g.ctx, 0, 1000, 1, 2000)
			return err
		}},
		{"read", func(g *guest) error {
			binary.LittleEndian.PutUint32(g.mem()[4:], 100)
			_, err := g.mod.ExportedFunction("fd_read").Call(g.ctx, 0, 0, 1, 2000)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engines(t, func(t *testing.T, r wazero.Runtime) {
				stop := make(chan struct{})
				run := &Run{Stop: stop, Stdin: NewStdin(neverReader{}, stop), Stopped: func() { panic(ended) }}
				g := newGuest(t, r, Preview1, run, wazero.NewModuleConfig().WithStdin(run.Stdin))
				time.AfterFunc(20*time.Millisecond, func() { close(stop) })
				if err := tt.call(g); !errors.Is(err, ended) {
					t.Fatalf("error %v, want the one of Stopped", err)
				}
			})
		})
	}
	t.Run("without Stopped", func(t *testing.T) {
		engines(t, func(t *testing.T, r wazero.Runtime) {
			stop := make(chan struct{})
			close(stop)
			g := newGuest(t, r, Preview1, &Run{Stop: stop}, wazero.NewModuleConfig())
			copy(g.mem(), clockSub(false, 1, 1, uint64(time.Hour), 0))
			g.want(eIntr, "poll_oneoff", 0, 1000, 1, 2000)
		})
	})
	t.Run("context", func(t *testing.T) {
		engines(t, func(t *testing.T, r wazero.Runtime) {
			g := newGuest(t, r, Preview1, &Run{}, wazero.NewModuleConfig())
			ctx, cancel := context.WithCancel(g.ctx)
			g.ctx = ctx
			time.AfterFunc(10*time.Millisecond, cancel)
			copy(g.mem(), clockSub(false, 1, 1, 1<<64-1, 0))
			g.want(eIntr, "poll_oneoff", 0, 1000, 1, 2000)
		})
	})
}

func TestPollInput(t *testing.T) {
	engines(t, func(t *testing.T, r wazero.Runtime) {
		pr, pw := io.Pipe()
		run := &Run{Stdin: NewStdin(pr, nil)}
		g := newGuest(t, r, Preview1, run, wazero.NewModuleConfig().WithStdin(run.Stdin))
		subs := [][]byte{clockSub(false, 1, 1, uint64(time.Hour), 0), fdSub(false, 2, typeRead, 0)}
		go pw.Write([]byte("hello"))
		if errno, ev := g.poll(subs...); errno != 0 || len(ev) != 1 || ev[0] != (event{2, 0, typeRead, 5, 0}) {
			t.Fatalf("errno %d, events %+v", errno, ev)
		}
		read := func() string {
			le := binary.LittleEndian
			le.PutUint32(g.mem(), 0x100)
			le.PutUint32(g.mem()[4:], 3)
			g.ok("fd_read", 0, 0, 1, 16)
			return string(g.mem()[0x100 : 0x100+g.u32(16)])
		}
		if got := read() + read(); got != "hello" {
			t.Fatalf("read %q", got)
		}
		pw.Close()
		if errno, ev := g.poll(subs...); errno != 0 || len(ev) != 1 || ev[0] != (event{2, 0, typeRead, 0, eventHangup}) {
			t.Fatalf("at the end: errno %d, events %+v", errno, ev)
		}
		if got := read(); got != "" {
			t.Fatalf("read %q at the end", got)
		}
	})
}

func TestStdin(t *testing.T) {
	t.Run("bytes after a stop go to the next run", func(t *testing.T) {
		pr, pw := io.Pipe()
		src := NewSource(pr)
		stop := make(chan struct{})
		first := src.Stdin(stop)
		got := make(chan error)
		go func() {
			_, err := first.Read(make([]byte, 10))
			got <- err
		}()
		close(stop)
		if err := <-got; err != ErrStopped {
			t.Fatalf("error %v", err)
		}
		go func() {
			pw.Write([]byte("late input"))
			pw.Close()
		}()
		all, err := io.ReadAll(src.Stdin(nil))
		if string(all) != "late input" || err != nil {
			t.Fatalf("read %q, %v", all, err)
		}
	})
	t.Run("everything arrives", func(t *testing.T) {
		want := bytes.Repeat([]byte("0123456789"), 50_000)
		for name, r := range map[string]io.Reader{
			"direct": bytes.NewReader(want),
			"pipe":   pipe(want),
		} {
			in := NewStdin(r, make(chan struct{}))
			if name == "pipe" {
				in.Poll(sys.POLLIN, -1)
			}
			got, err := io.ReadAll(in)
			if !bytes.Equal(got, want) || err != nil {
				t.Errorf("%s: read %d bytes, %v", name, len(got), err)
			}
		}
	})
	t.Run("error", func(t *testing.T) {
		broken := errors.New("broken")
		in := NewStdin(io.MultiReader(bytes.NewReader([]byte("ab")), errReader{broken}), nil)
		got, err := io.ReadAll(in)
		if string(got) != "ab" || err != broken {
			t.Errorf("read %q, %v", got, err)
		}
	})
	t.Run("no progress", func(t *testing.T) {
		if _, err := NewStdin(errReader{}, nil).Read(make([]byte, 1)); err != io.ErrNoProgress {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no more is read than was asked for", func(t *testing.T) {
		pr, pw := io.Pipe()
		in := NewStdin(pr, nil)
		go pw.Write([]byte("ab"))
		b := make([]byte, 1)
		if n, err := in.Read(b); n != 1 || err != nil || b[0] != 'a' {
			t.Fatalf("%d, %v, %q", n, err, b)
		}
		if n, err := pr.Read(make([]byte, 9)); n != 1 || err != nil {
			t.Fatalf("the pipe holds %d more bytes, %v; want 1", n, err)
		}
	})
	t.Run("poll", func(t *testing.T) {
		stop := make(chan struct{})
		in := NewStdin(neverReader{}, stop)
		if ready, errno := in.Poll(sys.POLLIN, 1); ready || errno != 0 {
			t.Errorf("%v, %v", ready, errno)
		}
		if _, errno := in.Poll(sys.POLLOUT, 1); errno != sys.ENOTSUP {
			t.Errorf("%v", errno)
		}
		close(stop)
		if _, errno := in.Poll(sys.POLLIN, -1); errno != sys.EINTR {
			t.Errorf("%v", errno)
		}
	})
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func pipe(b []byte) io.Reader {
	r, w := io.Pipe()
	go func() {
		for len(b) > 0 {
			n := min(len(b), 1777)
			w.Write(b[:n])
			b = b[n:]
		}
		w.Close()
	}()
	return r
}
