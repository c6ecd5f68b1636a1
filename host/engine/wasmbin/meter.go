package wasmbin

// Names that an instrumented module imports and exports. No other module may
// use names that begin with "pxos:"; Parse refuses them.
const (
	// MeterModule and RefillName name the imported host function
	// refill(meter i64) -> i64. The guest calls it when the meter has a negative
	// part; what it returns becomes the meter.
	MeterModule = "pxos:meter"
	RefillName  = "refill"
	// MeterGlobal is the exported mutable i64 global that holds the meter.
	MeterGlobal = "pxos:meter"
	// SealExport is an exported function () -> i64 that returns Output.Seal.
	SealExport = "pxos:seal"
	// StartExport is an exported function () -> () that runs the start function
	// of the original module; it exists when Output.HasStart is set. The start
	// section itself is removed, so that the host decides when it runs.
	StartExport = "pxos:start"
)

// Version numbers the instrumentation. It is part of every cache key, because
// any change of what Instrument writes for a given module, charges included,
// raises it.
const Version = 2

// The meter packs two signed counters: fuel in the upper 44 bits, stack units
// in the lower 20, as fuel*2^20 + stack.
const (
	stackBits = 20
	// MaxFuel is the largest amount of fuel one meter can hold.
	MaxFuel = 1<<43 - 1
	// MaxStack is the largest number of stack units one meter can hold: 16 MiB
	// of estimated frames.
	MaxStack = 1<<19 - 1
	// StackUnit is the size of a stack unit in bytes of estimated frame.
	StackUnit = 32
	// Unarmed is the value of the meter before the host has set it. It is so far
	// below zero that charges that come before the first check keep it there,
	// and the first check calls refill.
	Unarmed int64 = -1 << 62
	// maxFrame bounds the stack units of one function, so that one subtraction
	// after a passed check cannot wrap the counter.
	maxFrame = 1 << 18

	// emptyMask has the sign bits of both counters.
	emptyMask int64 = -1<<63 | 1<<(stackBits-1)
)

// Pack makes a meter from fuel (up to MaxFuel; negative is debt) and stack
// units (up to MaxStack). Larger values are clamped.
func Pack(fuel, stack int64) int64 {
	fuel = min(max(fuel, -MaxFuel), MaxFuel)
	stack = min(max(stack, -MaxStack), MaxStack)
	return fuel<<stackBits + stack
}

// Unpack is the inverse of Pack: a negative fuel is a debt, a negative stack
// means that the guest nests deeper than it was given.
func Unpack(meter int64) (fuel, stack int64) {
	stack = meter << (64 - stackBits) >> (64 - stackBits)
	return (meter - stack) >> stackBits, stack
}

// Charges of instructions whose work depends on an operand; see FUEL.md.
const (
	chargeMemory = iota // n bytes: n/32 + 1
	chargeTable         // n entries: n + 1
	chargePages         // n pages: 2048 each, at most 65536 of them count
	numCharges

	// Bits of Module.bulkUse; these pay as chargeMemory does, in helpers of their own.
	bulkFill
	bulkCopy
)

const pageFuel = 2048

// frameUnits estimates the stack of one activation in units of StackUnit. The
// interpreter and the compiler lay frames out differently, so that this is a
// model and not a measurement: a fixed part, eight bytes for each parameter,
// result, local and operand, and an eighth of the body, since the compiler gives
// each value that lives across a call a place of its own.
func frameUnits(t FuncType, locals, height uint32, body int) uint64 {
	slots := uint64(len(t.Params)) + uint64(len(t.Results)) + uint64(locals) + uint64(height)
	return (32 + 8*slots + uint64(body)/8 + StackUnit - 1) / StackUnit
}
