package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

// Exit codes; see the package comment.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitMaxGuest   = 255
	exitHost       = 125
	exitCancelled  = 130
	exitBrokenPipe = 141
)

// exitError ends the process with a code. Without a cause it is silent: what there
// was to say has been said.
type exitError struct {
	code int
	err  error
	hint string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// hinted adds what the user can do about err.
func hinted(err error, hint string) error { return &exitError{exitFailed, err, hint} }

// usageError is a mistake on the command line.
func usageError(err error) error {
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return err // it has a hint already
	}
	return &exitError{exitUsage, err, "pxos-host help shows how commands are used"}
}

func usagef(hint, format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...), hint}
}

// report prints an error and returns the exit code.
func (a *app) report(err error) int {
	if errors.Is(err, syscall.EPIPE) {
		return exitBrokenPipe // whoever read our output has gone
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		if code = exit.code; exit.err == nil {
			return code
		}
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "pxos-host: interrupted")
		return exitCancelled
	}
	a.fail(message(err), hintOf(err))
	return code
}

// message is the text of an error, with the faults of a file on lines of their own.
func message(err error) string {
	var (
		me     *abi.ManifestError
		pe     *policy.Error
		whole  string
		file   string
		faults []abi.Fault
	)
	switch {
	case errors.As(err, &me):
		whole, file, faults = me.Error(), abi.ManifestPath, me.Faults
	case errors.As(err, &pe):
		whole, file, faults = pe.Error(), pe.File, pe.Faults
	default:
		return err.Error()
	}
	front, _, ok := strings.Cut(err.Error(), whole)
	if !ok {
		return err.Error()
	}
	var b strings.Builder
	noun := "faults"
	if len(faults) == 1 {
		noun = "fault"
	}
	fmt.Fprintf(&b, "%sinvalid %s: %d %s", front, file, len(faults), noun)
	for _, f := range faults {
		fmt.Fprintf(&b, "\n  %s: %s", term.Line(file), term.Line(f.String()))
	}
	return b.String()
}

// notThere says that what the user named does not exist, or returns err as it is.
func notThere(err error, name, hint string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	what := name
	if what == "" || strings.TrimSpace(what) != what {
		what = fmt.Sprintf("%q", name)
	}
	return &host.Error{Type: abi.ErrCartridge, Msg: "there is no " + what, Hint: hint, Err: err}
}

// hintAny is what may be named where a cartridge is wanted.
const hintAny = "name a .pxa cartridge, a .wasm module or a cartridge's directory"

// takes is a check of the number of arguments that says in words what is wanted.
func takes(low, high int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := cmd.CommandPath() + " --help shows how it is used"
		switch n := len(args); {
		case n < low:
			return usagef(hint, "%s needs %s", cmd.Name(), what)
		case high == 0 && n > 0 && cmd.HasSubCommands():
			return usagef(cmd.CommandPath()+" --help lists the commands", "%s has no command %q", cmd.Name(), args[0])
		case high == 0 && n > 0:
			return usagef(hint, "%s takes no arguments, and %q is one", cmd.Name(), args[0])
		case high > 0 && n > high:
			return usagef(hint, "%s takes only %s, and %q is another argument", cmd.Name(), what, args[high])
		}
		return nil
	}
}

// fail prints an error with its hint. Both may quote what a stranger wrote.
func (a *app) fail(msg, hint string) {
	fmt.Fprintf(a.err, "pxos-host: error: %s\n", term.Text(msg))
	if hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", term.Text(hint))
	}
}

// note prints something that is worth knowing and no error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "pxos-host: note: %s\n", term.Line(fmt.Sprintf(format, args...)))
}

// hintOf finds the hint in an error of the packages beneath.
func hintOf(err error) string {
	var exit *exitError
	if errors.As(err, &exit) && exit.hint != "" {
		return exit.hint
	}
	var he *host.Error
	if errors.As(err, &he) && he.Hint != "" {
		return he.Hint
	}
	var be *builder.Error
	if errors.As(err, &be) {
		return be.Hint
	}
	var me *abi.ManifestError
	var pe *policy.Error
	switch {
	case errors.As(err, &pe):
		return "pxos.toml at the top of the pxos repository explains every key"
	case errors.As(err, &me):
		return "mend cartridge.toml; abi/ABI.md describes every key"
	case errors.Is(err, syscall.ENOSPC):
		return "free some space, or write to another disk"
	case errors.Is(err, syscall.EFBIG):
		return "the file would be larger than the disk or ulimit -f allows; write to another place"
	case errors.Is(err, fs.ErrPermission):
		return "check the permissions of the file and of the directory that holds it"
	}
	return ""
}

// hostError gives an error of run the code that says so: not the program failed, the
// host could not run it.
func hostError(err error) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) && (exit.code != exitFailed || exit.err == nil) {
		return err
	}
	return &exitError{exitHost, err, hintOf(err)}
}

// guestCode returns the exit code for a run that took place.
func guestCode(res *abi.RunResult) int {
	switch {
	case res.Success:
		return 0
	case res.ErrorType == abi.ErrExit:
		return int(min(res.ExitCode, exitMaxGuest))
	case res.ErrorType == abi.ErrCancelled:
		return exitCancelled
	}
	switch res.ErrorType {
	case abi.ErrDenied, abi.ErrRefused, abi.ErrInvalidModule, abi.ErrUnsupported, abi.ErrMissingImports,
		abi.ErrNoProgram, abi.ErrCartridge, abi.ErrCrash, abi.ErrInternal:
		return exitHost
	}
	return exitFailed
}

// oneLine joins the lines of a text that goes into a table.
func oneLine(s string) string { return term.Line(strings.Join(strings.Fields(s), " ")) }
