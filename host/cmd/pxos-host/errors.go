package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/builder"
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
	a.fail(err.Error(), hintOf(err))
	return code
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
	switch {
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
