package pxos

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Failure is an error with a stable type that the caller of a program can branch
// on. Make one with [Errorf].
type Failure struct {
	Type    string // 1 to 64 bytes of a-z, 0-9, _ and .
	Message string // what went wrong and what to do, for a person
	cause   error
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap returns the error that the message was made from, or nil.
func (f *Failure) Unwrap() error { return f.cause }

// Errorf returns a [Failure] of the given type, such as "not_a_number". The message
// is formatted as by fmt.Errorf, and %w keeps the wrapped error.
func Errorf(typ, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Failure{Type: typ, Message: err.Error(), cause: errors.Unwrap(err)}
}

// asFailure returns what is told to the host for an error that a program returned:
// the type of the Failure or Code inside it, or "error", and the whole message. The
// host refuses types and texts outside its rules, and a refused error would be
// lost, so both are made to fit.
func asFailure(err error) *Failure {
	f := &Failure{Type: "error", Message: err.Error()}
	var inner *Failure
	var code Code
	switch {
	case errors.As(err, &inner) && inner != nil:
		f.Type = inner.Type
	case errors.As(err, &code):
		f.Type = code.String()
	}
	if !validType(f.Type) {
		f.Message = f.Type + ": " + f.Message
		f.Type = "error"
	}
	f.Message = strings.ToValidUTF8(f.Message, "\uFFFD")
	if most := MaxErrorText - len(f.Type); len(f.Message) > most {
		f.Message = strings.ToValidUTF8(f.Message[:most], "")
	}
	return f
}

func validType(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.") == ""
}

// Err returns nil for CodeOK and the code otherwise.
func (c Code) Err() error {
	if c == CodeOK {
		return nil
	}
	return c
}

// Is lets errors.Is match the errors of package io/fs.
func (c Code) Is(target error) bool {
	switch c {
	case CodeInvalid:
		return target == fs.ErrInvalid
	case CodeNotFound:
		return target == fs.ErrNotExist
	case CodeDenied:
		return target == fs.ErrPermission
	case CodeExists:
		return target == fs.ErrExist
	case CodeBadHandle:
		return target == fs.ErrClosed
	case CodeUnsupported:
		return target == errors.ErrUnsupported
	}
	return false
}
