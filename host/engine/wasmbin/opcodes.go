package wasmbin

// Instructions that the code names; the rest are rows of the tables below.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectT      = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32GtU       = 0x4b
	opI32LeU       = 0x4d
	opI64Ne        = 0x52
	opI64LtS       = 0x53
	opI64GtU       = 0x56
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64And       = 0x83
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opPrefixGC     = 0xfb
	opPrefixMisc   = 0xfc
	opPrefixSIMD   = 0xfd
	opPrefixAtomic = 0xfe

	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// How the bytes after an opcode are read.
const (
	immNone    = iota
	immMem     // alignment and offset
	immLane    // one byte below the sig's lane count
	immMemLane // both
	immOther   // handled by name in the analysis
	immBad     // not an instruction of the core specification
)

// sig is one row: the operands in the order they are pushed, the result (0 for
// none), the form of the immediate, and for memory and lane instructions the
// largest alignment (log2) and the number of lanes.
type sig struct {
	in    [3]ValueType
	n     uint8
	out   ValueType
	imm   uint8
	align uint8
	lanes uint8
}

var (
	sigs     [256]sig
	simdSigs [256]sig
)

func mk(in string, out byte) sig {
	s := sig{out: letter(out), n: uint8(len(in))}
	for i := range in {
		s.in[i] = letter(in[i])
	}
	return s
}

func letter(c byte) ValueType {
	switch c {
	case 'i':
		return I32
	case 'l':
		return I64
	case 'f':
		return F32
	case 'd':
		return F64
	case 'v':
		return V128
	}
	return 0
}

func fill(t *[256]sig, from, to int, in string, out byte) {
	for i := from; i <= to; i++ {
		t[i] = mk(in, out)
	}
}

// The tables are made from the instruction index of the core specification,
// version 2: opcode ranges, operand types, result type.
func init() {
	for i := range sigs {
		sigs[i].imm = immBad
		simdSigs[i].imm = immBad
	}
	for _, op := range []int{0, 1, 2, 3, 4, 5, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x1a, 0x1b, 0x1c, 0x20, 0x21, 0x22, 0x23, 0x24,
		0x25, 0x26, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0xd0, 0xd1, 0xd2, 0xfc, 0xfd} {
		sigs[op].imm = immOther
	}
	mem := func(op int, in string, out byte, align uint8) {
		s := mk(in, out)
		s.imm, s.align = immMem, align
		sigs[op] = s
	}
	for i, row := range []struct {
		out   byte
		align uint8
	}{
		{'i', 2}, {'l', 3}, {'f', 2}, {'d', 3}, {'i', 0}, {'i', 0}, {'i', 1}, {'i', 1},
		{'l', 0}, {'l', 0}, {'l', 1}, {'l', 1}, {'l', 2}, {'l', 2},
	} {
		mem(0x28+i, "i", row.out, row.align)
	}
	for i, row := range []struct {
		in    string
		align uint8
	}{{"ii", 2}, {"il", 3}, {"if", 2}, {"id", 3}, {"ii", 0}, {"ii", 1}, {"il", 0}, {"il", 1}, {"il", 2}} {
		mem(0x36+i, row.in, 0, row.align)
	}
	t := &sigs
	fill(t, 0x45, 0x45, "i", 'i') // eqz
	fill(t, 0x46, 0x4f, "ii", 'i')
	fill(t, 0x50, 0x50, "l", 'i')
	fill(t, 0x51, 0x5a, "ll", 'i')
	fill(t, 0x5b, 0x60, "ff", 'i')
	fill(t, 0x61, 0x66, "dd", 'i')
	fill(t, 0x67, 0x69, "i", 'i') // clz, ctz, popcnt
	fill(t, 0x6a, 0x78, "ii", 'i')
	fill(t, 0x79, 0x7b, "l", 'l')
	fill(t, 0x7c, 0x8a, "ll", 'l')
	fill(t, 0x8b, 0x91, "f", 'f')
	fill(t, 0x92, 0x98, "ff", 'f')
	fill(t, 0x99, 0x9f, "d", 'd')
	fill(t, 0xa0, 0xa6, "dd", 'd')
	for i, io := range []string{
		"li", "fi", "fi", "di", "di", "il", "il", "fl", "fl", "dl", "dl", "if", "if", "lf", "lf", "df",
		"id", "id", "ld", "ld", "fd", "fi", "dl", "if", "ld", // conversions 0xa7 to 0xbf
		"ii", "ii", "ll", "ll", "ll", // sign extension 0xc0 to 0xc4
	} {
		sigs[0xa7+i] = mk(io[:1], io[1])
	}
	initSIMD(&simdSigs)
}

func initSIMD(t *[256]sig) {
	set := func(op int, in string, out byte, imm, align, lanes uint8) {
		s := mk(in, out)
		s.imm, s.align, s.lanes = imm, align, lanes
		t[op] = s
	}
	set(0, "i", 'v', immMem, 4, 0)
	for op := 1; op <= 6; op++ {
		set(op, "i", 'v', immMem, 3, 0)
	}
	for i := 0; i < 4; i++ { // splats
		set(7+i, "i", 'v', immMem, uint8(i), 0)
		set(84+i, "iv", 'v', immMemLane, uint8(i), 16>>i)
		set(88+i, "iv", 0, immMemLane, uint8(i), 16>>i)
	}
	set(11, "iv", 0, immMem, 4, 0)
	set(12, "", 'v', immOther, 0, 0)   // v128.const
	set(13, "vv", 'v', immOther, 0, 0) // i8x16.shuffle
	fill(t, 14, 14, "vv", 'v')
	for i, in := range []string{"i", "i", "i", "l", "f", "d"} {
		fill(t, 15+i, 15+i, in, 'v')
	}
	for _, l := range []struct {
		op    int
		in    string
		out   byte
		lanes uint8
	}{
		{21, "v", 'i', 16}, {22, "v", 'i', 16}, {23, "vi", 'v', 16}, {24, "v", 'i', 8}, {25, "v", 'i', 8}, {26, "vi", 'v', 8},
		{27, "v", 'i', 4}, {28, "vi", 'v', 4}, {29, "v", 'l', 2}, {30, "vl", 'v', 2}, {31, "v", 'f', 4}, {32, "vf", 'v', 4},
		{33, "v", 'd', 2}, {34, "vd", 'v', 2},
	} {
		set(l.op, l.in, l.out, immLane, 0, l.lanes)
	}
	fill(t, 35, 76, "vv", 'v') // comparisons
	fill(t, 77, 77, "v", 'v')  // not
	fill(t, 78, 81, "vv", 'v')
	fill(t, 82, 82, "vvv", 'v') // bitselect
	fill(t, 83, 83, "v", 'i')
	set(92, "i", 'v', immMem, 2, 0)
	set(93, "i", 'v', immMem, 3, 0)
	// From here on an operation is binary unless it is listed.
	fill(t, 94, 255, "vv", 'v')
	for _, op := range []int{
		94, 95, 96, 97, 98, 103, 104, 105, 106, 116, 117, 122, 124, 125, 126, 127, 128, 129, 135, 136, 137, 138, 148, 160, 161,
		167, 168, 169, 170, 192, 193, 199, 200, 201, 202, 224, 225, 227, 236, 237, 239, 248, 249, 250, 251, 252, 253, 254, 255,
	} {
		fill(t, op, op, "v", 'v')
	}
	for _, op := range []int{99, 100, 131, 132, 163, 164, 195, 196} { // all_true, bitmask
		fill(t, op, op, "v", 'i')
	}
	for _, from := range []int{107, 139, 171, 203} { // shifts
		fill(t, from, from+2, "vi", 'v')
	}
	for _, op := range []int{154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238} {
		t[op] = sig{imm: immBad}
	}
}
