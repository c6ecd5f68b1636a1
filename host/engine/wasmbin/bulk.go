package wasmbin

import (
	"maps"
	"slices"
)

// A memory.fill, memory.copy or memory.init runs to its end once it has begun, and
// where the memory was not touched before, each mebibyte takes a millisecond. So the
// instruction itself is left only the last chunk of its work. The helper that is
// called before it takes its operands, pays, and hands them back:
//
//	func $pay (d, v, n) -> (d, v, n)
//	  block $long
//	    n > chunk, br_if $long
//	    left := meter - (n/32 + 1)<<20
//	    left < 0, br_if $long
//	    meter := left
//	    return d, v, n
//	  end
//	  call $long (d, v, n)
//
// Nothing lives across a call there. What is out of the ordinary is left to a second
// helper, which does all but the rest of a long instruction:
//
//	func $long (d, v, n) -> (d, v, n)
//	  meter -= (n/32 + 1)<<20
//	  if meter < 0 then call $slow
//	  block $rest
//	    n <= chunk, br_if $rest
//	    d + n > the memory, br_if $rest
//	    loop
//	      memory.fill d, v, chunk
//	      d += chunk, n -= chunk
//	      call $slow               ; the host looks whether the guest must end
//	      n > chunk, br_if loop
//	    end
//	  end
//	  d, v, n
//
// The bounds are those of the whole, so that nothing is written when it does not fit:
// the instruction gets its own operands then, and traps by itself. They hold to the
// end, because only the guest changes the size of its memory. A copy to a higher
// address goes from the end, since a chunk may lie on what is yet to be read.
// A segment may have been dropped, which no instruction tells; but an empty
// memory.init at the end of the source traps then.
//
// The instruction stays where it was, and is not in the helper with the rest, because
// the compiler saves all registers in a function that moves memory: 8 ns a call.

// bulkChunk is how many bytes a memory instruction moves before the host is asked
// again. It is as much as a slice of fuel of the engine pays for.
const bulkChunk = 1 << 20

// bulkHelpers are the function indices of the helpers to call before instructions.
type bulkHelpers struct {
	fill, copy uint32
	init       map[uint32]uint32 // by segment; those that fit a chunk have none
}

// bulkLayout adds the helpers for the memory instructions that the bodies use.
func (in *instrumenter) bulkLayout(add func(FuncType, []byte) uint32) {
	m := in.m
	three := []ValueType{I32, I32, I32}
	operands := FuncType{Params: three, Results: three}
	pair := func(k *bulkOp) uint32 {
		return add(operands, in.payBody(add(operands, in.longBody(k))))
	}
	if m.bulkUse&(1<<bulkFill) != 0 {
		in.bulk.fill = pair(&bulkOp{code: []byte{opPrefixMisc, miscMemoryFill, 0}})
	}
	if m.bulkUse&(1<<bulkCopy) != 0 {
		in.bulk.copy = pair(&bulkOp{code: []byte{opPrefixMisc, miscMemoryCopy, 0, 0}, source: true, backward: true})
	}
	if len(m.inits) == 0 {
		return
	}
	in.bulk.init = map[uint32]uint32{}
	for _, seg := range slices.Sorted(maps.Keys(m.inits)) {
		if size := m.dataLens[seg]; size > in.chunk {
			code := appendU32([]byte{opPrefixMisc, miscMemoryInit}, seg)
			in.bulk.init[seg] = pair(&bulkOp{code: append(code, 0), source: true, segment: true, size: size})
		}
	}
}

// bulkOp is one instruction with the operands (destination, value or source, bytes).
type bulkOp struct {
	code     []byte // the instruction with its immediates
	source   bool   // the second operand is an address that moves too
	backward bool   // the source is the memory itself
	segment  bool   // the source is a data segment, of size bytes unless it was dropped
	size     uint32
}

// appendMemoryCharge leaves meter - (n/32 + 1)<<20 on the stack, n in local 2.
func (in *instrumenter) appendMemoryCharge(b []byte) []byte {
	b = appendU32(append(b, opGlobalGet), in.meter)
	b = append(b, opLocalGet, 2, opI64ExtendU, opI64Const, 5, opI64ShrU, opI64Const, 1, opI64Add)
	return append(b, opI64Const, stackBits, opI64Shl, opI64Sub)
}

// appendChunk pushes the length of a chunk.
func (in *instrumenter) appendChunk(b []byte) []byte {
	return appendS64(append(b, opI32Const), int64(int32(in.chunk)))
}

func (in *instrumenter) payBody(long uint32) []byte {
	b := []byte{1, 1, byte(I64), opBlock, 0x40, opLocalGet, 2}
	b = append(in.appendChunk(b), opI32GtU, opBrIf, 0)
	b = append(in.appendMemoryCharge(b), opLocalTee, 3, opI64Const, 0, opI64LtS, opBrIf, 0)
	b = appendU32(append(b, opLocalGet, 3, opGlobalSet), in.meter)
	b = append(b, opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opReturn, opEnd)
	b = append(b, opLocalGet, 0, opLocalGet, 1, opLocalGet, 2)
	return append(appendU32(append(b, opCall), long), opEnd)
}

func (in *instrumenter) longBody(k *bulkOp) []byte {
	b := appendU32(append(in.appendMemoryCharge([]byte{0}), opGlobalSet), in.meter)
	b = in.appendCheck(b)

	b = append(b, opBlock, 0x40, opLocalGet, 2)
	b = append(in.appendChunk(b), opI32LeU, opBrIf, 0)
	// ends pushes the end of the n bytes at the address in a local, in 64 bits.
	ends := func(local byte) {
		b = append(b, opLocalGet, local, opI64ExtendU, opLocalGet, 2, opI64ExtendU, opI64Add)
	}
	inMemory := func(local byte) {
		ends(local)
		b = append(b, opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl, opI64GtU, opBrIf, 0)
	}
	inMemory(0)
	switch {
	case k.segment:
		ends(1)
		b = append(appendS64(append(b, opI64Const), int64(k.size)), opI64GtU, opBrIf, 0)
		b = append(b, opI32Const, 0, opLocalGet, 1, opLocalGet, 2, opI32Add, opI32Const, 0)
		b = append(b, k.code...)
	case k.source:
		inMemory(1)
	}
	if k.backward {
		b = append(b, opLocalGet, 0, opLocalGet, 1, opI32GtU, opIf, 0x40, opLoop, 0x40)
		b = append(in.appendChunk(append(b, opLocalGet, 2)), opI32Sub, opLocalSet, 2)
		b = append(b, opLocalGet, 0, opLocalGet, 2, opI32Add, opLocalGet, 1, opLocalGet, 2, opI32Add)
		b = append(in.appendChunk(b), k.code...)
		b = in.appendNext(b)
		b = append(b, opBr, 1, opEnd) // to the rest
	}
	b = append(b, opLoop, 0x40, opLocalGet, 0, opLocalGet, 1)
	b = append(in.appendChunk(b), k.code...)
	b = append(in.appendChunk(append(b, opLocalGet, 0)), opI32Add, opLocalSet, 0)
	if k.source {
		b = append(in.appendChunk(append(b, opLocalGet, 1)), opI32Add, opLocalSet, 1)
	}
	b = append(in.appendChunk(append(b, opLocalGet, 2)), opI32Sub, opLocalSet, 2)
	b = append(in.appendNext(b), opEnd)
	return append(b, opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opEnd)
}

// appendNext asks the host, goes on with the loop while more than a chunk is left,
// and ends it.
func (in *instrumenter) appendNext(b []byte) []byte {
	b = appendU32(append(b, opCall), in.slow)
	b = append(in.appendChunk(append(b, opLocalGet, 2)), opI32GtU)
	return append(b, opBrIf, 0, opEnd)
}
