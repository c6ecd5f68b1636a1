package abi

// Kind is what a parameter means. Each kind lowers to one or more WebAssembly
// parameters, always in this order; the generators and the host derive pointers,
// lengths and bounds checks from it, so that no function checks them by hand.
type Kind uint8

const (
	// U32 is a plain number: one i32, read as unsigned.
	U32 Kind = iota
	// U64 is a plain number: one i64, read as unsigned.
	U64
	// F64 is a plain number: one f64.
	F64
	// Bytes is data the host reads: i32 pointer, i32 length.
	Bytes
	// Text is UTF-8 text the host reads: i32 pointer, i32 length. Text that is
	// not valid UTF-8 is refused with CodeInvalid.
	Text
	// Fill is a buffer the host fills completely: i32 pointer, i32 length.
	Fill
	// Buffer is a buffer for data of unknown length: i32 pointer, i32 capacity,
	// i32 pointer to a u32 that receives the length of the data. Data longer than
	// the capacity stores the length, writes nothing and returns CodeTooSmall.
	Buffer
	// Part is a buffer for a part of longer data: i32 pointer, i32 capacity, i32
	// pointer to a u32 that receives the count of bytes written, which is less
	// than the capacity only at the end.
	Part
	// OutU32 is a pointer to a u32 that the host stores: one i32.
	OutU32
	// OutU64 is a pointer to a u64 that the host stores: one i32.
	OutU64
	// OutDigest is a pointer to 32 bytes that the host stores: one i32.
	OutDigest
	// S64 is a plain number: one i64, read as signed.
	S64
)

// ValType is a WebAssembly value type by its binary encoding.
type ValType byte

// The value types that host functions use.
const (
	I32  ValType = 0x7f
	I64  ValType = 0x7e
	Fl64 ValType = 0x7c
)

// String returns the WebAssembly text name of the type.
func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case Fl64:
		return "f64"
	}
	return "?"
}

// Lower returns the WebAssembly parameters a parameter of kind k becomes.
func (k Kind) Lower() []ValType {
	switch k {
	case U64, S64:
		return []ValType{I64}
	case F64:
		return []ValType{Fl64}
	case Bytes, Text, Fill:
		return []ValType{I32, I32}
	case Buffer, Part:
		return []ValType{I32, I32, I32}
	}
	return []ValType{I32}
}

// String returns the kind's name in the reference page.
func (k Kind) String() string {
	return [...]string{"u32", "u64", "f64", "bytes", "text", "fill", "buffer", "part", "out u32", "out u64", "out digest", "s64"}[k]
}

// Param is one parameter of a host function.
type Param struct {
	Name string // snake_case, unique in its function
	Kind Kind
	Doc  string // one clause
}

// Function is one row of the host-function table. Each function has exactly one
// WebAssembly result, an i32 [Code].
type Function struct {
	Module     string // WebAssembly import module, the family's name
	Name       string // WebAssembly import name, snake_case
	Since      int    // minor contract version that introduced it
	Capability string // capability kind it needs; empty: none
	Params     []Param
	Doc        string // what it does, one or two sentences
}

// Lower returns the WebAssembly parameter types in order.
func (f *Function) Lower() []ValType {
	var out []ValType
	for _, p := range f.Params {
		out = append(out, p.Kind.Lower()...)
	}
	return out
}

// Family is a group of functions that share a WebAssembly import module.
type Family struct {
	Module     string
	Since      int    // minor contract version that introduced it
	Capability string // what each of its rows needs that names no other; empty: none
	Doc        string
	Rows       []Function
}

// Clock ids of pxos.clock.
const (
	ClockReal      = 0 // nanoseconds since 1970-01-01 UTC
	ClockMonotonic = 1 // nanoseconds since the run began
)

// ClockResolution is the resolution of both clocks in nanoseconds: the values
// that a guest sees, through any interface, are multiples of it.
const ClockResolution = 1000

// Log levels of pxos.log.
const (
	LevelDebug = 0
	LevelInfo  = 1
	LevelWarn  = 2
	LevelError = 3
)

// Sizes a single call may carry.
const (
	MaxResult    = 16 << 20 // bytes of a JSON result
	MaxLogLine   = 8 << 10  // bytes of one log line; a longer one is cut
	MaxArgs      = 16 << 20 // bytes of JSON arguments
	MaxErrorText = 64 << 10 // bytes of an error's type and message together
)

// Flags of pixelfs.open, added together.
const (
	FileRead      = 1
	FileWrite     = 2
	FileCreate    = 4  // make the file when there is none
	FileExclusive = 8  // with FileCreate: fail when there is one
	FileTruncate  = 16 // begin with an empty file
	FileAppend    = 32 // write at the end, whatever the position
)

// What pixelfs.stat finds at a path.
const (
	EntryFile      = 0
	EntryDirectory = 1
)

// Where pixelfs.seek counts from.
const (
	SeekStart   = 0
	SeekCurrent = 1
	SeekEnd     = 2
)

// Flags of infinitemap.open, added together.
const (
	MapRead   = 1
	MapWrite  = 2
	MapCreate = 4 // make the map when there is none
)

// MaxMapLevel is the highest level of infinitemap.read_region: one pixel of it
// stands for 2^MaxMapLevel by 2^MaxMapLevel of the plane.
const MaxMapLevel = 63

// Families returns the table: every family of host functions in this contract
// version, in a fixed order. It is the single source of the host's registration,
// of the Go and C bindings and of the reference page. The slices are shared and
// must not be changed.
func Families() []Family { return families }

// Functions returns the rows of all families in order.
func Functions() []Function {
	var out []Function
	for _, f := range families {
		out = append(out, f.Rows...)
	}
	return out
}

// Lookup returns the row with that import module and name, or nil.
func Lookup(module, name string) *Function {
	for i := range families {
		if families[i].Module != module {
			continue
		}
		for j := range families[i].Rows {
			if families[i].Rows[j].Name == name {
				return &families[i].Rows[j]
			}
		}
	}
	return nil
}

var families = []Family{pxosFamily, pixelfsFamily, infinitemapFamily}

func init() {
	for i := range families {
		for j := range families[i].Rows {
			row := &families[i].Rows[j]
			row.Module, row.Since = families[i].Module, max(row.Since, families[i].Since)
			if row.Capability == "" {
				row.Capability = families[i].Capability
			}
		}
	}
}
