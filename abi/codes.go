package abi

import "strconv"

// Code is the outcome of a host function, the single i32 result of each of
// them. The numbers are part of the contract and append-only: a number is never
// reused or renamed. A guest treats a number it does not know as [CodeInternal].
type Code int32

// The codes. The comment is what a guest author reads in the reference page.
const (
	CodeOK          Code = iota // the call did what it says
	CodeInvalid                 // an argument has a value the function does not take
	CodeFault                   // a pointer and length do not lie inside the guest's memory
	CodeTooSmall                // the buffer is smaller than the data; the needed length was stored, nothing else was
	CodeNotFound                // what was named does not exist
	CodeDenied                  // the capability the function needs was not granted
	CodeLimit                   // a limit of this run would be exceeded
	CodeUnsupported             // this host cannot do it, though the request is valid
	CodeIO                      // the host failed to read or write
	CodeCorrupt                 // stored data does not match its checksum
	CodeExists                  // what was to be created exists already
	CodeBadHandle               // the handle is not open
	CodeBusy                    // somebody else holds it; try again
	CodeInternal                // a fault of the host
	codeEnd
)

var codeTable = [codeEnd]struct{ name, doc string }{
	CodeOK:          {"ok", "the call did what it says"},
	CodeInvalid:     {"invalid", "an argument has a value the function does not take"},
	CodeFault:       {"fault", "a pointer and length do not lie inside the guest's memory"},
	CodeTooSmall:    {"too_small", "the buffer is smaller than the data; the needed length was stored and nothing else"},
	CodeNotFound:    {"not_found", "what was named does not exist"},
	CodeDenied:      {"denied", "the capability the function needs was not granted"},
	CodeLimit:       {"limit", "a limit of this run would be exceeded"},
	CodeUnsupported: {"unsupported", "this host cannot do it, though the request is valid"},
	CodeIO:          {"io", "the host failed to read or write"},
	CodeCorrupt:     {"corrupt", "stored data does not match its checksum"},
	CodeExists:      {"exists", "what was to be created exists already"},
	CodeBadHandle:   {"bad_handle", "the handle is not open"},
	CodeBusy:        {"busy", "somebody else holds it; try again"},
	CodeInternal:    {"internal", "a fault of the host"},
}

// Codes returns every code of this contract version in numeric order.
func Codes() []Code {
	out := make([]Code, codeEnd)
	for i := range out {
		out[i] = Code(i)
	}
	return out
}

// String returns the stable name of the code, such as "not_found", or
// "code N" for a number this version does not know.
func (c Code) String() string {
	if c >= 0 && c < codeEnd {
		return codeTable[c].name
	}
	return "code " + strconv.Itoa(int(c))
}

// Doc returns what the code means, in one clause without a full stop.
func (c Code) Doc() string {
	if c >= 0 && c < codeEnd {
		return codeTable[c].doc
	}
	return "a code of a newer contract"
}

// Error makes a Code usable as a Go error in a guest. Calling it on CodeOK is a
// mistake of the caller; use Err to convert.
func (c Code) Error() string { return c.String() + ": " + c.Doc() }

// Err returns nil for CodeOK and the code itself otherwise.
func (c Code) Err() error {
	if c == CodeOK {
		return nil
	}
	return c
}
