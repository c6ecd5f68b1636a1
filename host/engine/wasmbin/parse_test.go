package wasmbin

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestReadLEB(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		bits uint // 0: unsigned 32
		want int64
		bad  bool
	}{
		{"zero", []byte{0}, 0, 0, false},
		{"padded zero", []byte{0x80, 0x80, 0x80, 0x80, 0}, 0, 0, false},
		{"largest", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 0, 1<<32 - 1, false},
		{"too large", []byte{0xff, 0xff, 0xff, 0xff, 0x1f}, 0, 0, true},
		{"too long", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, 0, 0, true},
		{"cut", []byte{0x80}, 0, 0, true},
		{"minus one", []byte{0x7f}, 32, -1, false},
		{"padded minus one", []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, 32, -1, false},
		{"smallest i32", []byte{0x80, 0x80, 0x80, 0x80, 0x78}, 32, -1 << 31, false},
		{"wrong sign bits", []byte{0x80, 0x80, 0x80, 0x80, 0x70}, 32, 0, true},
		{"wrong sign bit", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 32, 0, true},
		{"largest i64", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, 64, 1<<63 - 1, false},
		{"smallest i64", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f}, 64, -1 << 63, false},
		{"i64 too large", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 64, 0, true},
		{"largest s33", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 33, 1<<32 - 1, false},
		{"cut i64", []byte{0x80, 0x80}, 64, 0, true},
	} {
		r := &reader{b: c.in, end: len(c.in), fn: -1}
		var got int64
		if c.bits == 0 {
			got = int64(r.u32())
		} else {
			got = r.sleb(c.bits)
		}
		if (r.err != nil) != c.bad || got != c.want {
			t.Errorf("%s: got %d, %v; want %d, bad %v", c.name, got, r.err, c.want, c.bad)
		}
	}
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 1 << 31, -1 << 31, 1<<63 - 1, -1 << 63} {
		b := appendS64(nil, v)
		if got := (&reader{b: b, end: len(b)}).sleb(64); got != v {
			t.Errorf("%d came back as %d", v, got)
		}
		b = padded64(uint64(v))
		if got := (&reader{b: b, end: len(b)}).sleb(64); got != v || len(b) != 10 {
			t.Errorf("%d, padded, came back as %d", v, got)
		}
	}
}

func TestParseErrors(t *testing.T) {
	head := "\x00asm\x01\x00\x00\x00"
	ok := single("i:i", 0, nil, cat(opLocalGet, 0)).bytes()
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "magic"},
		{"text", "(module)", "magic"},
		{"version 2", "\x00asm\x02\x00\x00\x00", "version"},
		{"component", "\x00asm\x0d\x00\x01\x00", "proposal-component-model"},
		{"unknown section", head + "\x0e\x00", "unknown section 14"},
		{"section past the end", head + "\x01\x05\x00", "runs past the end"},
		{"section twice", head + "\x01\x01\x00\x01\x01\x00", "out of order"},
		{"sections out of order", head + "\x03\x01\x00\x01\x01\x00", "out of order"},
		{"bytes left in a section", head + "\x01\x02\x00\x00", "left over"},
		{"4 billion types", head + "\x01\x05\xff\xff\xff\xff\x0f", "do not fit"},
		{"4 billion exports", head + "\x07\x05\xff\xff\xff\xff\x0f", "do not fit"},
		{"gc type", head + "\x01\x02\x01\x5f", "do not fit"},
		{"gc struct", head + "\x01\x04\x01\x5f\x00\x00", "proposal-gc"},
		{"shared memory", head + "\x05\x04\x01\x03\x01\x01", "proposal-threads"},
		{"memory64", head + "\x05\x03\x01\x04\x01", "proposal-memory64"},
		{"page size", head + "\x05\x04\x01\x08\x01\x00", "proposal-custom-page-sizes"},
		{"two memories", head + "\x05\x05\x02\x00\x01\x00\x01", "proposal-multi-memory"},
		{"65537 pages", head + "\x05\x05\x01\x00\x81\x80\x04", "more than 65536"},
		{"maximum below minimum", head + "\x05\x04\x01\x01\x05\x04", "above the maximum"},
		{"tag section", head + "\x0d\x01\x00", "proposal-exception-handling"},
		{"table with a value", head + "\x04\x07\x01\x40\x00\x70\x00\x01\x0b", "proposal-function-references"},
		{"table of i32", head + "\x04\x04\x01\x7f\x00\x01", "table of i32"},
		{"function without a body", head + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00", "have a body"},
		{"export that is not there", head + "\x07\x05\x01\x01a\x00\x00", "does not exist"},
		{"export name not UTF-8", head + "\x07\x05\x01\x01\xff\x00\x00", "not UTF-8"},
		{"start that is not there", head + "\x08\x01\x00", "start function"},
		{"sum of constants", head + "\x06\x09\x01\x7f\x00\x41\x01\x41\x02\x6a\x0b", "proposal-extended-const"},
		{"global of the wrong type", head + "\x06\x06\x01\x7e\x00\x41\x01\x0b", "i64 is needed"},
		{"data without memory", head + "\x0b\x06\x01\x00\x41\x00\x0b\x00", "without a memory"},
		{"data count is off", head + "\x0c\x01\x02", "data count"},
		{"cut in the code", string(ok[:len(ok)-2]), "past the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.in))
			var bad *FormatError
			var refused *RefusedError
			switch {
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Fatalf("got %v, want an error with %q", err, c.want)
			case strings.HasPrefix(c.want, "proposal-") != errors.As(err, &refused) || errors.As(err, &bad) == errors.As(err, &refused):
				t.Errorf("error is a %T", err)
			case bad != nil && bad.Offset > int64(len(c.in)):
				t.Errorf("offset %d is outside", bad.Offset)
			}
		})
	}
	for n := range ok {
		if _, err := Parse(ok[:n]); err == nil && n != 8 {
			// A prefix that ends between sections may be a module of its own.
			if m, _ := Parse(ok[:n]); len(m.code) > 0 {
				t.Errorf("the first %d bytes are taken for the whole", n)
			}
		}
	}
}

func TestReservedNames(t *testing.T) {
	imp := &testModule{impTypes: []FuncType{sig1("l:l")}, imports: [][]byte{cat(MeterModule, RefillName, 0, 0)}}
	exp := single(":", 0, nil, nil)
	exp.funcs[0].export = SealExport
	for name, m := range map[string]*testModule{"import": imp, "export": exp} {
		_, err := Parse(m.bytes())
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Reason != "reserved-name" {
			t.Errorf("%s: got %v, want a refusal for reserved-name", name, err)
		}
	}
	o := mustInstrument(t, single(":", 0, nil, nil).bytes())
	if _, err := Parse(o.Wasm); err == nil {
		t.Error("an instrumented module was taken for an original")
	}
}

// Instructions outside the engine are refused by the name of their proposal.
func TestProposalInstructions(t *testing.T) {
	for name, body := range map[string][]byte{
		"tail-call":           cat(0x12, 0),
		"exception-handling":  cat(0x1f, 0x40, 0),
		"function-references": cat(0x14, 0),
		"gc":                  cat(0xfb, 0),
		"stringref":           cat(0xfb, 0x80, 1),
		"threads":             cat(0xfe, 0),
		"relaxed-simd":        cat(0xfd, 0x80, 2),
		"wide-arithmetic":     cat(0xfc, 19),
		"memory-control":      cat(0xfc, 18),
		"multi-memory":        cat(opI32Const, 0, 0x28, 0x42, 0, 0),
		"stack-switching":     cat(0xe0, 0),
		"half-precision":      cat(0xfd, 0xa0, 2),
	} {
		m, err := Parse(single(":", 0, nil, body).bytes())
		if err == nil {
			_, err = Instrument(m, Options{})
		}
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Reason != "proposal-"+name {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	m := single(":", 0, nil, nil)
	m.impTypes = []FuncType{sig1("i:")}
	m.imports = [][]byte{cat("env", "log", 0, 0)}
	m.funcs = append(m.funcs, testFunc{typ: sig1(":")}, testFunc{typ: sig1(":")})
	sub := cat(leb(2), leb(2), "second", leb(3), "third")
	m.customs = [][]byte{cat("name", 1, leb(len(sub)), sub, 9, 200)}
	p, err := Parse(m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if n := p.FunctionNames(0); len(n) != 2 || n[2] != "second" || n[3] != "third" {
		t.Errorf("names are %v", n)
	}
	// Instrumented: 0 log, 1 refill, 2 run, 3 second, 4 third, 5 and 6 added.
	for i, want := range []string{"env.log", "pxos:meter.refill", "run", "second", "third", "", ""} {
		if got := p.FuncName(uint32(i)); got != want {
			t.Errorf("function %d is %q, want %q", i, got, want)
		}
	}
	for i := range m.customs[0] {
		b := bytes.Clone(m.customs[0])
		b[i] ^= 0xff
		if p, err := Parse((&testModule{customs: [][]byte{b}}).bytes()); err == nil {
			p.FunctionNames(0) // must not fail, whatever the bytes
		}
	}
}
