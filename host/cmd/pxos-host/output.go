package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/term"
)

// encodeJSON returns one JSON document and a line feed: indented for a terminal, on
// one line otherwise. Characters that a terminal could act on are written as escapes.
func (a *app) encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	out := term.JSON(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
	if isTerminal(a.out) {
		b.Reset()
		if err := json.Indent(&b, out, "", "  "); err != nil {
			return nil, err
		}
		out = b.Bytes()
	}
	return append(out, '\n'), nil
}

// printJSON writes what encodeJSON returns to standard output.
func (a *app) printJSON(v any) error {
	out, err := a.encodeJSON(v)
	if err == nil {
		_, err = a.out.Write(out)
	}
	return err
}

// printResult writes the JSON result of a program. Off a terminal its bytes are left
// as they are, but for white space between tokens.
func (a *app) printResult(doc json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, doc); err != nil {
		return fmt.Errorf("result of the program: %w", err)
	}
	if isTerminal(a.out) {
		safe := term.JSON(b.Bytes())
		b.Reset()
		if err := json.Indent(&b, safe, "", "  "); err != nil {
			return err
		}
	}
	b.WriteByte('\n')
	_, err := a.out.Write(b.Bytes())
	return err
}

// count is a number with its noun.
func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// table writes aligned columns; cells must be safe to show.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) *table { return &table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t *table) flush() error { return t.w.Flush() }

// timeLeft says how long the rest of a job takes at the speed so far, or nothing when
// that is not known or a moment.
func timeLeft(done, total int64, spent time.Duration) string {
	if done <= 0 || done >= total {
		return ""
	}
	left := spent.Seconds() * float64(total-done) / float64(done)
	switch {
	case left < 1:
		return ""
	case left < 60:
		return fmt.Sprintf("  %.0f s left", left)
	case left < 3600:
		return fmt.Sprintf("  %.0f min left", math.Ceil(left/60))
	case left < 100*3600:
		return fmt.Sprintf("  %.1f h left", left/3600)
	}
	return "  days left"
}

// progress returns a function that shows how far a long job is, for a terminal only
// (nil elsewhere), and one that clears the line again.
func (a *app) progress(what string) (step func(done, total int64), clear func()) {
	if !isTerminal(a.err) {
		return nil, func() {}
	}
	start := time.Now()
	var last time.Time
	shown := false
	step = func(done, total int64) {
		now := time.Now()
		if now.Sub(start) < 300*time.Millisecond || now.Sub(last) < 100*time.Millisecond {
			return
		}
		last, shown = now, true
		rate := float64(done) / now.Sub(start).Seconds()
		percent := 100.0
		if total > 0 {
			percent = math.Floor(100 * float64(done) / float64(total))
		}
		fmt.Fprintf(a.err, "\r\x1b[K%s %3.0f %%  %s  %s/s%s", what, percent, abi.FormatBytes(done), abi.FormatBytes(int64(rate)), timeLeft(done, total, now.Sub(start)))
	}
	return step, func() {
		if shown {
			fmt.Fprint(a.err, "\r\x1b[K")
		}
	}
}
