package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// terminal is where the user can be asked.
type terminal struct {
	in, out *os.File
	close   func()
}

// terminal returns the user's terminal, or nil when nobody is there to answer:
// standard input is no terminal. Questions go to the terminal itself, so that they
// are seen when output is redirected.
func (a *app) terminal() *terminal {
	if !isTerminal(a.in) {
		return nil
	}
	if tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		return &terminal{tty, tty, func() { tty.Close() }}
	}
	if isTerminal(a.err) {
		return &terminal{a.in, a.err, func() {}}
	}
	return nil
}

// question asks and returns the answer without the space around it. The end of input
// is an empty answer. Only one line is read; the rest is the guest's.
func (t *terminal) question(ctx context.Context, text string) (string, error) {
	fmt.Fprint(t.out, text)
	line := make(chan string, 1)
	go func() {
		var b []byte
		for one := make([]byte, 1); len(b) < 4096; b = append(b, one[0]) {
			if n, _ := t.in.Read(one); n == 0 || one[0] == '\n' {
				break
			}
		}
		line <- strings.TrimSpace(string(b))
	}()
	select {
	case s := <-line:
		return s, nil
	case <-ctx.Done():
		fmt.Fprintln(t.out)
		return "", ctx.Err()
	}
}
