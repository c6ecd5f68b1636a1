package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

// runFlags are the flags of run.
type runFlags struct {
	program, args         string
	env, dirs, grants     []string
	limits                []string
	timeout, fuel, memory string
	asJSON, interpreter   bool
	isolation, seed       string
	namespace, lineage    string
	yes, sandbox          bool
}

func (a *app) runCmd() *cobra.Command {
	var f runFlags
	cmd := a.command("run X [flags] [-- ARGV...]", "Run a program of a cartridge",
		`Runs a program of X: a .pxa cartridge under any file name, a bare .wasm module,
or a cartridge's directory, which is built first.

The program's standard output and error pass through. A program that gives a
JSON result has it printed on standard output after its own output: on one line,
or indented on a terminal. Its log lines go to standard error. With --json
standard output gets one JSON object that describes the whole run, and what the
program writes to its standard output goes to standard error.

A cartridge gets nothing that it was not granted. What its manifest asks for is
granted by pxos.toml, by the flags --dir, --env and --grant, or by you: on a
terminal you are asked, without one the run is refused.

The exit code is the program's own; codes above 255 become 255. A program that
failed without one (an error it reported, a trap, a limit, the deadline) is 1.
125 means that the host could not run it, 2 that the command line is wrong.`,
		`  pxos-host run hello.pxa
  pxos-host run hello.pxa --program greet --args '{"name":"Ada"}'
  pxos-host run wc.pxa -- -l < README.md
  pxos-host run notes.pxa --dir ~/notes:/data:read --timeout 10s
  pxos-host run cartridges/life --json | jq .fuel`)
	fl := cmd.Flags()
	fl.StringVarP(&f.program, "program", "p", "", "the program, `MODULE[:FUNCTION]` (default: the manifest's)")
	fl.StringVar(&f.args, "args", "", "`JSON` arguments; @FILE reads them from a file, - from standard input")
	fl.StringArrayVar(&f.env, "env", nil, "set a variable for the program: `NAME=VALUE`, or NAME to pass yours on")
	fl.StringArrayVar(&f.dirs, "dir", nil, "grant a directory: `HOST[:GUEST][:read|write]`, read only unless it says write")
	fl.StringArrayVar(&f.grants, "grant", nil, "grant what the manifest asks for: `KIND:…`, one of env:NAME[=VALUE], dir:PATH[:write]=HOST, pixelfs:PATH[:write], infinitemap:NAME[:write[:X,Y,WIDTH,HEIGHT]]")
	fl.StringArrayVar(&f.limits, "limit", nil, "set a limit, `NAME=VALUE`: "+strings.Join(abi.LimitNames(), ", "))
	fl.StringVar(&f.timeout, "timeout", "", "the limit time, a `DURATION` such as 1s or 2m")
	fl.StringVar(&f.fuel, "fuel", "", "the limit fuel, a `COUNT` such as 500M")
	fl.StringVar(&f.memory, "memory", "", "the limit memory, a `SIZE` such as 64MiB")
	fl.BoolVar(&f.asJSON, "json", false, "print the full result as one JSON object")
	fl.StringVar(&f.isolation, "isolation", "", "where it runs: process, inline or auto (`LEVEL`)")
	fl.BoolVar(&f.interpreter, "interpreter", false, "interpret instead of compiling")
	fl.StringVar(&f.seed, "seed", "", "make random bytes and clocks reproducible from this `TEXT`")
	fl.BoolVarP(&f.yes, "yes", "y", false, "grant for this run what needs no choice of a directory")
	fl.BoolVar(&f.sandbox, "sandbox", false, "keep its changes of pixel files and maps apart: pxos-host overlay")
	fl.StringVar(&f.namespace, "namespace", "", "give it the pixel files and maps of this `NAMESPACE`")
	fl.StringVar(&f.lineage, "lineage", "", "for one that names a parent: its parent's files and maps, or its own (`WHOSE`)")
	complete(cmd, "lineage", host.LineageParent, host.LineageOwn)
	complete(cmd, "isolation", policy.IsolationAuto, policy.IsolationProcess, policy.IsolationInline)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		n := cmd.ArgsLenAtDash()
		if n < 0 {
			n = len(args)
		}
		switch {
		case n == 0:
			return errors.New("run needs a cartridge, a .wasm module or a directory")
		case n > 1:
			return fmt.Errorf("run takes one cartridge, and %q is another argument; put the program's own behind --", args[1])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := f.request(a)
		if err != nil {
			return err
		}
		req.Argv = args[1:]
		return hostError(a.run(cmd.Context(), args[0], &f, req))
	}
	return cmd
}

// request turns flags into a request; its errors are mistakes of usage.
func (f *runFlags) request(a *app) (*host.RunRequest, error) {
	req := &host.RunRequest{Program: f.program, Isolation: f.isolation, Sandbox: f.sandbox, Namespace: f.namespace, Lineage: f.lineage}
	switch {
	case f.lineage != "" && f.lineage != host.LineageParent && f.lineage != host.LineageOwn:
		return nil, usagef("it is parent or own", "there is no lineage %q", f.lineage)
	case f.namespace != "" && !host.ValidNamespace(f.namespace):
		return nil, usagef("pxos-host fs namespaces lists them", "%q cannot be a namespace", f.namespace)
	}
	set := func(name, text string) error {
		if err := req.Limits.Set(name, text); err != nil {
			return usagef("limits are "+strings.Join(abi.LimitNames(), ", ")+"; pxos.toml explains them", "%w", err)
		}
		return nil
	}
	for _, l := range f.limits {
		name, text, ok := strings.Cut(l, "=")
		if !ok {
			return nil, usagef("write --limit memory=64MiB", "--limit %q has no value", l)
		}
		if err := set(name, text); err != nil {
			return nil, err
		}
	}
	for _, l := range []struct{ name, text string }{{"time", f.timeout}, {"fuel", f.fuel}, {"memory", f.memory}} {
		if l.text == "" {
			continue
		}
		if err := set(l.name, l.text); err != nil {
			return nil, err
		}
	}
	switch f.isolation {
	case "", policy.IsolationAuto, policy.IsolationProcess, policy.IsolationInline:
	default:
		return nil, usagef("the levels are process, inline and auto", "there is no isolation %q", f.isolation)
	}
	if f.seed != "" {
		req.Seed = []byte(f.seed)
	}
	for _, e := range f.env {
		name, _, ok := strings.Cut(e, "=")
		if !ok {
			value, set := os.LookupEnv(name)
			if !set {
				return nil, usagef("write --env NAME=VALUE", "--env %s: there is no such variable to pass on", name)
			}
			e += "=" + value
		}
		if name == "" || strings.ContainsRune(e, 0) {
			return nil, usagef("write --env NAME=VALUE", "--env %q has no name", e)
		}
		req.Env = append(req.Env, e)
	}
	if f.args != "" {
		args, err := f.readArgs(a.in)
		if err != nil {
			return nil, err
		}
		if !json.Valid(args) {
			return nil, usagef(`quote it for the shell: --args '{"name":"Ada"}'`, "--args is not one JSON value")
		}
		req.Args = args
	}
	return req, nil
}

func (f *runFlags) readArgs(stdin io.Reader) ([]byte, error) {
	var r io.Reader
	switch name, isFile := strings.CutPrefix(f.args, "@"); {
	case f.args == "-":
		r = stdin
	case isFile:
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("--args @FILE reads the arguments from a file", "%w", err)
		}
		defer file.Close()
		r = file
	default:
		return []byte(f.args), nil
	}
	args, err := io.ReadAll(io.LimitReader(r, abi.MaxArgs+1))
	if err == nil && len(args) > abi.MaxArgs {
		err = usagef("give large input to a program on its standard input", "arguments are larger than %s", abi.FormatBytes(abi.MaxArgs))
	}
	return args, err
}

// run runs and reports.
func (a *app) run(ctx context.Context, x string, f *runFlags, req *host.RunRequest) error {
	res, digest, err := a.perform(ctx, x, f, req)
	var exit *exitError
	switch {
	case res != nil:
	case err == nil, !f.asJSON, errors.As(err, &exit) && exit.code == exitUsage:
		return err
	default:
		res = refused(req, digest, err)
	}
	if perr := a.printRun(res, f.asJSON); err == nil {
		err = perr
	}
	if err != nil {
		return err
	}
	if code := guestCode(res); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// perform opens the cartridge, asks for what it wants, and runs it. Without a result
// the host could not run it; digest is the cartridge's as soon as it was opened.
func (a *app) perform(ctx context.Context, x string, f *runFlags, req *host.RunRequest) (res *abi.RunResult, digest string, err error) {
	a.oneRun = true
	h, pol, err := a.host(f.interpreter)
	if err != nil {
		return nil, "", err
	}
	defer h.Close()
	req.Stdin, req.Stdout, req.Stderr = a.in, a.out, a.err
	if f.args == "-" {
		req.Stdin = nil
	}
	req.Terminal.Stdin = req.Stdin != nil && isTerminal(a.in)
	req.Terminal.Stderr = isTerminal(a.err)
	if f.asJSON {
		req.Stdout, req.Terminal.Stdout = a.err, req.Terminal.Stderr
	} else {
		req.Terminal.Stdout = isTerminal(a.out)
	}
	// A worker process gets ready while the cartridge is opened and verified.
	early, made := *req, a.madeHere(x)
	if early.Isolation == "" {
		early.Isolation = isolationFor(pol, policy.Identity{Digest: made.digest, Path: x}, made.digest)
	}
	h.Prepare(early)
	a.opener = func(ctx context.Context, path string) (*host.Cartridge, error) { return h.Open(ctx, path, *req) }
	c, err := a.open(ctx, x)
	if err != nil {
		return nil, "", notOpened(err)
	}
	defer c.close()
	m, err := c.Manifest()
	if err != nil {
		return nil, c.Digest(), err
	}
	for _, w := range pol.Withheld {
		a.note("./%s is not approved, so it does not give: %s", policy.FileName, w)
	}
	if len(pol.Withheld) > 0 {
		fmt.Fprintln(a.err, "hint: read the file; if it is yours, pxos-host config allow")
	}
	if req.Grants, err = a.grants(ctx, c, m, f, pol); err != nil {
		return nil, c.Digest(), err
	}
	// A variable that was granted is set once.
	req.Env = slices.DeleteFunc(req.Env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.ContainsFunc(req.Grants, func(g host.Grant) bool { return g.Kind == abi.CapEnv && g.Name == name })
	})
	if req.Isolation == "" {
		req.Isolation = isolationFor(pol, c.id, made.digest)
	}
	req.Origin = made.originOf(c, x)
	// A reader of our output that goes away is the guest's to notice: it gets an
	// error from its write, and the end of the run still reaches the journal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	res, err = h.Run(ctx, c.Cartridge, *req)
	if req.Sandbox && res != nil {
		a.noteOverlay(h, res.Run)
	}
	return res, c.Digest(), err
}

// notOpened gives an error of opening its type.
func notOpened(err error) error {
	var he *host.Error
	if errors.As(err, &he) {
		return err
	}
	return &host.Error{Type: abi.ErrCartridge, Msg: err.Error(), Hint: hintOf(err), Err: err}
}

// refused gives --json its object for a run that the host could not make.
func refused(req *host.RunRequest, digest string, err error) *abi.RunResult {
	res := &abi.RunResult{
		Result: json.RawMessage("null"), Error: err.Error(), ErrorType: abi.ErrInternal, Hint: hintOf(err),
		Logs: []abi.LogLine{}, Granted: []abi.Capability{}, Program: abi.FullName(req.Program), Cartridge: digest,
	}
	var he *host.Error
	if errors.As(err, &he) {
		res.ErrorType = he.Type
	}
	return res
}

func (a *app) printRun(res *abi.RunResult, asJSON bool) error {
	if asJSON {
		return a.printJSON(res)
	}
	for _, l := range res.Logs {
		fmt.Fprintf(a.err, "[%s] %s\n", term.Line(l.Level), term.Line(l.Message))
	}
	var err error
	if len(res.Result) > 0 && string(res.Result) != "null" {
		err = a.printResult(res.Result)
	}
	if res.Success || res.ErrorType == abi.ErrExit {
		return err // a program that exits with a code has said why
	}
	msg := res.Error
	if msg == "" {
		msg = "the program failed"
	}
	a.fail(fmt.Sprintf("%s (%s)", msg, res.ErrorType), res.Hint)
	const shown = 8
	for i, fn := range res.Trace {
		if i == shown {
			fmt.Fprintf(a.err, "  and %d more\n", len(res.Trace)-shown)
			break
		}
		fmt.Fprintf(a.err, "  at %s\n", term.Line(fn))
	}
	return err
}
