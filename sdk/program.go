package pxos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"

	"github.com/pxos/pxos/sdk/internal/buffer"
)

// Context is what a program is given beside its arguments.
type Context struct {
	Program string   // full name, module:function
	Argv    []string // command-line words after "--", without the program's own name
	Stdin   io.Reader
	Stdout  io.Writer // what the person sees; the JSON result goes another way
	Stderr  io.Writer
}

// None stands for no arguments, or for no result, in a program's signature.
type None struct{}

// A handler gets the JSON arguments and returns the JSON result, nil for none.
type handler func(ctx *Context, args []byte) (result []byte, err error)

var programs = map[string]handler{}

// Register adds a program under its name, "module:function" or "module", which
// means "module:main". The JSON arguments are decoded into In as encoding/json
// does, except that a key which In does not have is an error; the result is encoded
// from Out. [None] as Out sets no result.
//
// Register panics when the name is empty or taken: call it from an init function
// with constant names.
func Register[In, Out any](name string, program func(ctx *Context, in In) (Out, error)) {
	RegisterRaw(name, func(ctx *Context, args []byte) ([]byte, error) {
		var in In
		if err := decode(args, &in); err != nil {
			return nil, err
		}
		out, err := program(ctx, in)
		if err != nil {
			return nil, err
		}
		if _, none := any(out).(None); none {
			return nil, nil
		}
		return encode(out)
	})
}

// RegisterRaw is Register for a program that reads and writes JSON itself: args is
// one valid JSON value, and result must be one as well, or nil for none.
func RegisterRaw(name string, program func(ctx *Context, args []byte) (result []byte, err error)) {
	full := fullName(name)
	if full == "" || strings.HasPrefix(full, ":") || strings.HasSuffix(full, ":") {
		panic("pxos: program name " + name + " is not MODULE or MODULE:FUNCTION")
	}
	if programs[full] != nil {
		panic("pxos: program " + full + " is registered twice")
	}
	programs[full] = program
}

// Programs returns the full names of the registered programs, sorted.
func Programs() []string {
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func fullName(name string) string {
	if name != "" && !strings.Contains(name, ":") {
		return name + ":main"
	}
	return name
}

// Main runs the program that the host asks for and does not return. Call it from
// main, after every program is registered.
func Main() {
	os.Exit(run(os.Args[min(1, len(os.Args)):], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the program the host names and returns the exit code.
func run(argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	result, err := dispatch(&Context{Argv: argv, Stdin: stdin, Stdout: stdout, Stderr: stderr})
	if err == nil && result != nil {
		err = setResult(result)
	}
	if err == nil {
		return 0
	}
	f := asFailure(err)
	if code := pxosFail(f.Type, f.Message); code != CodeOK {
		// The host did not take the error. A person can still read it here.
		fmt.Fprintf(stderr, "error: %s (%s); the host did not record it: %v\n", f.Message, f.Type, code)
	}
	return 1
}

func dispatch(ctx *Context) (result []byte, err error) {
	name, err := readBuffer(pxosProgramName)
	if err != nil {
		return nil, fmt.Errorf("ask the host for the program's name: %w", err)
	}
	ctx.Program = string(name)
	program := programs[fullName(ctx.Program)]
	if program == nil {
		return nil, Errorf("unknown_program", "no program %q in this module: it has %s", ctx.Program, strings.Join(Programs(), ", "))
	}
	args, err := readBuffer(pxosArguments)
	if err != nil {
		return nil, fmt.Errorf("ask the host for the arguments: %w", err)
	}
	defer func() {
		if v := recover(); v != nil {
			result, err = nil, recovered(v, ctx.Stderr)
		}
	}()
	return program(ctx, args)
}

// recovered turns the value of a panic into an error and shows where it happened.
func recovered(v any, stderr io.Writer) error {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	fmt.Fprintf(stderr, "panic: %v\n\n%s", v, stack)
	return Errorf("panic", "the program panicked: %v", v)
}

func setResult(result []byte) error {
	switch code := pxosResult(string(result)); code {
	case CodeOK:
		return nil
	case CodeInvalid:
		return Errorf("invalid_result", "the program's result is not one valid JSON value")
	case CodeLimit:
		return Errorf("result_too_large", "the result has %d bytes, more than this run may return", len(result))
	default:
		return fmt.Errorf("hand the result to the host: %w", code)
	}
}

func decode(args []byte, in any) error {
	d := json.NewDecoder(bytes.NewReader(args))
	d.DisallowUnknownFields()
	err := d.Decode(in)
	if err == nil {
		return nil
	}
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		what := "the arguments"
		if te.Field != "" {
			what = fmt.Sprintf("argument %q", te.Field)
		}
		return Errorf("invalid_arguments", "%s must be %s, not %s", what, jsonKind(te), te.Value)
	}
	return Errorf("invalid_arguments", "invalid arguments: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// jsonKind names what a Go type looks like in JSON, for a person who writes JSON.
func jsonKind(te *json.UnmarshalTypeError) string {
	switch kind := te.Type.Kind().String(); kind {
	case "bool", "string":
		return "a " + kind
	case "struct", "map":
		return "an object"
	case "slice", "array":
		return "an array"
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64":
		return "an integer that fits " + kind
	case "float32", "float64":
		return "a number"
	default:
		return te.Type.String()
	}
}

func encode(out any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return nil, Errorf("invalid_result", "the result cannot be written as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readBuffer calls a host function that stores data of unknown length.
func readBuffer(read func([]byte) (uint32, Code)) ([]byte, error) {
	data, code := buffer.Read(read, CodeTooSmall, CodeInternal)
	return data, code.Err()
}
