package wasmbin

import (
	"bytes"
	"testing"
)

// dataModule makes a module with one page of memory and the given data section.
func dataModule(data ...byte) []byte {
	b := []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01")
	return append(append(b, 11, byte(len(data))), data...)
}

func TestDataPayload(t *testing.T) {
	seg := func(off byte, s string) []byte {
		return append([]byte{0, opI32Const, off, opEnd, byte(len(s))}, s...)
	}
	join := func(n byte, segs ...[]byte) []byte {
		out := []byte{n}
		for _, s := range segs {
			out = append(out, s...)
		}
		return out
	}
	for _, tc := range []struct {
		name     string
		in, want []byte
	}{
		{"one", join(1, seg(4, "ab")), nil},
		{"adjacent", join(2, seg(4, "ab"), seg(6, "cd")), join(1, seg(4, "abcd"))},
		{"gap", join(3, seg(1, "ab"), seg(5, "c"), seg(7, "d")), join(1, seg(1, "ab\x00\x00c\x00d"))},
		{"overlap stays", join(2, seg(4, "ab"), seg(5, "c")), nil},
		{"descending", join(2, seg(9, "ab"), seg(4, "c")), join(1, seg(4, "c\x00\x00\x00\x00ab"))},
		{"passive stays", append(join(2, seg(4, "ab")), 1, 1, 'x'), nil},
		{"wide gap stays", append(join(2, seg(4, "ab")), append([]byte{0, opI32Const, 0x80, 0x02, opEnd, 1}, 'x')...), nil},
		{"empty segments", join(2, seg(4, ""), seg(4, "x")), join(1, seg(4, "x"))},
		{"high offsets", join(2, []byte{0, opI32Const, 0x7e, opEnd, 1, 'a'}, []byte{0, opI32Const, 0x7f, opEnd, 1, 'b'}),
			join(1, []byte{0, opI32Const, 0x7e, opEnd, 2, 'a', 'b'})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := Parse(dataModule(tc.in...))
			if err != nil {
				t.Fatal(err)
			}
			got, n := m.dataPayload()
			want := tc.want
			if want == nil {
				want = tc.in
			}
			if !bytes.Equal(got, want) || n != int(want[0]) {
				t.Errorf("got %d segments %x\nwant %x", n, got, want)
			}
		})
	}
}
