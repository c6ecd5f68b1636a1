package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/journal"
	"github.com/pxos/pxos/host/term"
)

// shownRuns is how many runs the table shows without --limit.
const shownRuns = 50

// loggedRun is the JSON form of one run in the log. Keys are added, none is removed.
// What is known only after a run is null until it has ended.
type loggedRun struct {
	Run        uint64               `json:"run"`
	Time       time.Time            `json:"time"`
	Status     journal.Status       `json:"status"`
	Cartridge  string               `json:"cartridge"`
	Name       string               `json:"name"`
	Version    string               `json:"version"`
	Program    string               `json:"program"`
	ArgsDigest string               `json:"args_digest"`
	Granted    []string             `json:"granted"`
	Limits     journal.RunLimits    `json:"limits"`
	Isolation  string               `json:"isolation"`
	Host       string               `json:"host"`
	Result     *string              `json:"result"` // ok, exit or error
	ResultSum  string               `json:"result_digest,omitempty"`
	ExitCode   *uint32              `json:"exit_code"`
	Error      string               `json:"error,omitempty"`
	ErrorType  string               `json:"error_type,omitempty"`
	Duration   *float64             `json:"duration"`       // seconds, from begin to end
	Load       *float64             `json:"load_time"`      // seconds of it to load or compile the module
	Execution  *float64             `json:"execution_time"` // seconds of it that were the program's own
	Fuel       *uint64              `json:"fuel"`
	Memory     *uint64              `json:"memory"`
	Output     *uint64              `json:"output"`
	HostCalls  map[string]uint64    `json:"host_calls"`
	Network    []journal.NetRequest `json:"network"`
	Purpose    string               `json:"purpose,omitempty"` // genesis: a probe of validate-genesis
}

func logged(r journal.Run) loggedRun {
	out := loggedRun{
		Run: r.ID, Time: r.Time, Status: r.Status, Cartridge: r.Begin.Cartridge, Name: r.Begin.Name, Version: r.Begin.Version,
		Program: r.Begin.Program, ArgsDigest: r.Begin.ArgsDigest, Granted: r.Begin.Grants, Limits: r.Begin.Limits,
		Isolation: r.Begin.Isolation, Host: r.Begin.Host, Purpose: r.Begin.Purpose,
	}
	if e := r.End; e != nil {
		out.Result, out.ExitCode, out.Duration = &e.Result, &e.ExitCode, seconds(e.DurationNS)
		if e.ExecutionNS > 0 { // older entries and runs that never started have none
			out.Load, out.Execution = seconds(e.LoadNS), seconds(e.ExecutionNS)
		}
		out.Fuel, out.Memory, out.Output = &e.Fuel, &e.MemoryPeak, &e.OutputBytes
		out.HostCalls, out.Network, out.ResultSum = e.Calls, e.Network, e.ResultDigest
		if e.Error != nil {
			out.Error, out.ErrorType = e.Error.Message, e.Error.Type
		}
	}
	return out
}

func seconds(ns int64) *float64 {
	s := time.Duration(ns).Seconds()
	return &s
}

type logFlags struct {
	cartridge, program, since, until string
	status                           []string
	limit                            int
	asJSON, entries, newest, all     bool
}

func (a *app) logCmd() *cobra.Command {
	var f logFlags
	cmd := a.command("log [flags]", "Show what ran here",
		`Shows the runs in the log, in the order in which they began: what ran, when, with
what result. The time beside a run is the program's own, without what loading and
compiling it took; --json has both. A run whose host died before it ended is shown
as interrupted. With --json each run is one JSON object on a line of its own; with
--entries the log's own entries are shown instead of runs.

The runs with which validate-genesis tries the sandbox are in the log like all
others, and shown with --all.`,
		`  pxos-host log
  pxos-host log --cartridge hello --since 24h
  pxos-host log --status error --status interrupted --json
  pxos-host log verify --head "$(cat head.txt)"
  pxos-host log image log.png`)
	fl := cmd.Flags()
	fl.StringVar(&f.cartridge, "cartridge", "", "only this `CARTRIDGE`: a name, or the first 6 or more digits of a digest")
	fl.StringVar(&f.program, "program", "", "only this `PROGRAM`")
	fl.StringVar(&f.since, "since", "", "only runs since this `TIME`: 2h ago as 2h, a date, or RFC 3339")
	fl.StringVar(&f.until, "until", "", "only runs before this `TIME`")
	fl.StringArrayVar(&f.status, "status", nil, "only this `STATUS`: ok, error, running, interrupted or unknown")
	fl.IntVar(&f.limit, "limit", -1, "the newest `N` runs, 0 for all (default: 50 in the table, all in JSON)")
	fl.Lookup("limit").DefValue = "0" // -1 is no default to show
	fl.BoolVar(&f.newest, "newest", false, "newest first")
	fl.BoolVar(&f.all, "all", false, "also the runs with which this host checked itself")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON object a line")
	fl.BoolVar(&f.entries, "entries", false, "entries of all kinds instead of runs")
	complete(cmd, "status", "ok", "error", "running", "interrupted", "unknown")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v, err := a.view(cmd.Context())
		if err != nil || v == nil {
			return err
		}
		if f.entries {
			return a.logEntries(cmd.Context(), v, &f)
		}
		return a.logRuns(cmd.Context(), v, &f)
	}
	cmd.AddCommand(a.logVerifyCmd(), a.logHeadCmd(), a.logImageCmd())
	return cmd
}

// view opens the log for reading. Without a log it says so and returns nil.
func (a *app) view(ctx context.Context) (*journal.View, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	v, err := journal.OpenView(ctx, host.JournalDir(home))
	if errors.Is(err, fs.ErrNotExist) {
		a.nothingRan(home)
		return nil, nil
	}
	return v, err
}

func (a *app) nothingRan(home string) { a.note("nothing ran yet: there is no log in %s", home) }

// moment reads a time: a duration before now, a date, or RFC 3339.
func moment(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("write "+flag+" 2h, "+flag+" 2026-01-31 or "+flag+" 2026-01-31T12:00:00Z", "%s %q is no time", flag, s)
}

func (f *logFlags) query() (journal.RunQuery, error) {
	q := journal.RunQuery{Cartridge: f.cartridge, Program: f.program, Asked: !f.all}
	var err error
	if q.Since, err = moment("--since", f.since); err != nil {
		return q, err
	}
	if q.Until, err = moment("--until", f.until); err != nil {
		return q, err
	}
	for _, s := range f.status {
		st, err := journal.ParseStatus(s)
		if err != nil {
			return q, usagef("", "--status %q: %w", s, err)
		}
		q.Status = append(q.Status, st)
	}
	// A program may be named without its function, as run takes it.
	if q.Program != "" && !strings.Contains(q.Program, ":") {
		q.Program += ":main"
	}
	q.Limit = f.limit
	if f.limit < 0 {
		if q.Limit = shownRuns; f.asJSON {
			q.Limit = 0
		}
	}
	return q, nil
}

func (a *app) logRuns(ctx context.Context, v *journal.View, f *logFlags) error {
	q, err := f.query()
	if err != nil {
		return err
	}
	show, flush := a.showRun(f.asJSON)
	// All of it in order needs no memory; the newest few are turned round.
	if q.Limit == 0 && !f.newest {
		q.Oldest = true
	}
	var (
		runs   []journal.Run
		faults []error
	)
	for r, err := range v.Runs(ctx, q) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			faults = append(faults, err)
		case q.Oldest || f.newest:
			if err := show(r); err != nil {
				return err
			}
		default:
			runs = append(runs, r)
		}
	}
	for _, r := range slices.Backward(runs) {
		if err := show(r); err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return damaged(faults)
}

func damaged(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	return hinted(fmt.Errorf("%d entries of the log cannot be read; the first: %w", len(faults), faults[0]), "pxos-host log verify finds what is wrong")
}

// showRun returns how a run is shown, and what to call at the end.
func (a *app) showRun(asJSON bool) (show func(journal.Run) error, flush func() error) {
	if asJSON {
		w := bufio.NewWriter(a.out)
		return func(r journal.Run) error { return a.bufferJSON(w, logged(r)) }, w.Flush
	}
	t := newTable(a.out)
	return func(r journal.Run) error {
		took, outcome := "", string(r.Status)
		if r.End != nil {
			took = ownTime(r.End).Round(100 * time.Microsecond).String()
			switch {
			case r.End.Error != nil:
				outcome = r.End.Error.Type
				if r.End.Result == journal.ResultExit {
					outcome = fmt.Sprintf("exit %d", r.End.ExitCode)
				}
			case r.End.ExitCode != 0:
				outcome = fmt.Sprintf("exit %d", r.End.ExitCode)
			}
		}
		digest := r.Begin.Cartridge
		if len(digest) > 12 {
			digest = digest[:12]
		}
		t.row(fmt.Sprint(r.ID), r.Time.Local().Format("2006-01-02 15:04:05"), term.Line(outcome), took,
			term.Line(r.Begin.Name+" "+r.Begin.Version), term.Line(digest), term.Line(strings.TrimSuffix(r.Begin.Program, ":main")))
		return nil
	}, t.flush
}

// ownTime is how long a program ran itself; where the log does not say, how long the
// whole of its run took.
func ownTime(e *journal.RunEnd) time.Duration {
	if e.ExecutionNS > 0 {
		return time.Duration(e.ExecutionNS)
	}
	return time.Duration(e.DurationNS)
}

// bufferJSON is printJSON for many documents.
func (a *app) bufferJSON(w *bufio.Writer, v any) error {
	out, err := a.encodeJSON(v)
	if err == nil {
		_, err = w.Write(out)
	}
	return err
}

func (a *app) logEntries(ctx context.Context, v *journal.View, f *logFlags) error {
	if f.cartridge != "" || f.program != "" || len(f.status) > 0 {
		return usagef("leave out --entries, or these flags", "--cartridge, --program and --status select runs, not entries")
	}
	q, err := f.query()
	if err != nil {
		return err
	}
	r := journal.Range{Since: q.Since, Until: q.Until, Limit: q.Limit, Newest: f.newest || q.Limit > 0}
	var entries []journal.Entry
	var faults []error
	w := bufio.NewWriter(a.out)
	show := func(e journal.Entry) error {
		if f.asJSON {
			return a.bufferJSON(w, e)
		}
		_, err := fmt.Fprintf(w, "%d %s %s %s\n", e.Seq, e.Time.Format(time.RFC3339Nano), e.Type, term.JSON(e.Body))
		return err
	}
	for e, err := range v.Read(ctx, r) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			faults = append(faults, err)
		case r.Newest && !f.newest:
			entries = append(entries, e)
		default:
			if err := show(e); err != nil {
				return err
			}
		}
	}
	for _, e := range slices.Backward(entries) {
		if err := show(e); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return damaged(faults)
}

func (a *app) logVerifyCmd() *cobra.Command {
	cmd := a.command("verify [--head HEAD] [--json]", "Check the whole log",
		`Checks every byte of the log and its chain of hashes. With a head that was saved
earlier it also finds out when the log was cut short or written anew since.`,
		`  pxos-host log head > head.txt
  pxos-host log verify --head "$(cat head.txt)"`)
	head := cmd.Flags().String("head", "", "the `HEAD` that log head printed earlier")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var saved *journal.Head
		if cmd.Flags().Changed("head") {
			h, err := journal.ParseHead(*head)
			if err != nil {
				return usagef("pxos-host log head prints one", "%w", err)
			}
			saved = &h
		}
		home, err := a.home()
		if err != nil {
			return err
		}
		rep, err := journal.Verify(cmd.Context(), host.JournalDir(home), saved)
		hint := "restore the log from a copy, or keep this one and begin a new one with another PXOS_HOME"
		torn := errors.Is(err, journal.ErrTorn)
		switch {
		case errors.Is(err, context.Canceled):
			return err
		case errors.Is(err, fs.ErrNotExist) && saved != nil && saved.Seq > 0:
			err, hint = errors.New("the log is gone: the saved head is of one with entries"), "check PXOS_HOME"
		case errors.Is(err, fs.ErrNotExist):
			a.nothingRan(home)
			err = nil
		case torn && rep.Segments == 0:
			torn, hint = false, "restore the log from a copy; otherwise the next run sets these bytes aside and begins a new log"
		}
		if *asJSON {
			if rep.Recovered == nil {
				rep.Recovered = []journal.Recovered{}
			}
			out := struct {
				OK    bool   `json:"ok"`
				Error string `json:"error,omitempty"`
				journal.Report
			}{OK: err == nil || torn, Report: rep}
			if err != nil {
				out.Error = err.Error()
			}
			if perr := a.printJSON(out); perr != nil {
				return perr
			}
		}
		if torn {
			a.note("%v; the next run sets it aside", err)
			err = nil
		}
		if err != nil {
			return hinted(err, hint)
		}
		if !*asJSON && rep.Segments > 0 {
			_, err = fmt.Fprintf(a.out, "ok, %s in %s, head %s\n", count(rep.Entries, "entry", "entries"), count(rep.Segments, "segment", "segments"), rep.Head)
			for _, r := range rep.Recovered {
				a.note("the log recovered from a crash: %d %s bytes of segment %d were set aside in %s", r.Bytes, r.Cause, r.Segment, strings.Join(r.Files, ", "))
			}
		}
		return err
	}
	return cmd
}

func (a *app) logHeadCmd() *cobra.Command {
	cmd := a.command("head", "Print the head of the log, to be kept elsewhere",
		"Prints one line that names the newest entry. Kept out of reach, on paper or on\nanother machine, it is what log verify --head compares the log with.",
		"  pxos-host log head > head.txt")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v, err := a.view(cmd.Context())
		if err != nil {
			return err
		}
		if v == nil {
			return &exitError{code: exitFailed}
		}
		_, err = fmt.Fprintln(a.out, v.Head())
		return err
	}
	return cmd
}

func (a *app) logImageCmd() *cobra.Command {
	cmd := a.command("image OUT.png [--segment N]", "Draw the log as a picture",
		`Writes the log as a PNG picture: a timeline, and each entry as pixels that hold it.
OUT is - for standard output. An existing PNG is replaced, any other file is not.`,
		"  pxos-host log image log.png")
	segment := cmd.Flags().Uint64("segment", 0, "only segment `N` (default: all)")
	cmd.Args = takes(1, 1, "the name of the picture")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := a.view(cmd.Context())
		if err != nil {
			return err
		}
		if v == nil {
			return &exitError{code: exitFailed}
		}
		draw := func(w io.Writer) error {
			return v.Image(cmd.Context(), w, journal.ImageOptions{First: *segment, Last: *segment})
		}
		if args[0] == "-" {
			return a.drawOut(draw)
		}
		if err := builder.WritePicture(args[0], draw); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: %s\n", term.Line(args[0]), count(v.Head().Seq, "entry", "entries"))
		return err
	}
	return cmd
}

// drawOut draws to standard output.
func (a *app) drawOut(draw func(io.Writer) error) error {
	if isTerminal(a.out) {
		return usagef("write OUT.png, or pipe it somewhere", "a picture is not written to a terminal")
	}
	w := bufio.NewWriterSize(a.out, 1<<20)
	if err := draw(w); err != nil {
		return err
	}
	return w.Flush()
}
