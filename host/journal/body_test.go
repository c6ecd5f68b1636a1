package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// sameJSON compares the body that body gives with what encoding/json writes, and
// reports whether it came without encoding/json.
func sameJSON(t *testing.T, v, body any) (direct bool) {
	t.Helper()
	want, _, err := Draft{Type: "a", Body: v}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Draft{Type: "a", Body: body}.Normalize()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("written as\n%s (%v), want\n%s", got, err, want)
	}
	_, direct = body.(json.RawMessage)
	return direct
}

// filled returns a value of a type with something in every field, so that a field
// that is added and forgotten here shows.
func filled[T any](t *testing.T) (v T) {
	var fill func(v reflect.Value, n int)
	fill = func(v reflect.Value, n int) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i), n+i+1)
			}
		case reflect.String:
			v.SetString("text <&> " + string(rune('a'+n)))
		case reflect.Int, reflect.Int32, reflect.Int64:
			v.SetInt(-int64(n))
		case reflect.Uint32, reflect.Uint64:
			v.SetUint(uint64(n))
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), n)
		case reflect.Slice:
			if v.Type() == reflect.TypeFor[[]NetRequest]() {
				v.Set(reflect.MakeSlice(v.Type(), 0, 0))
				return
			}
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), n)
			fill(v.Index(1), n+1)
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]uint64{"wasi.fd_write": 3, "pxos.log": 1, "a": 0}))
		default:
			t.Fatalf("a field is a %s", v.Type())
		}
	}
	fill(reflect.ValueOf(&v).Elem(), 0)
	return v
}

func TestBodies(t *testing.T) {
	begin, end := filled[RunBegin](t), filled[RunEnd](t)
	if !sameJSON(t, begin, begin.body()) || !sameJSON(t, end, end.body()) {
		t.Error("plain bodies are left to encoding/json")
	}
	if !sameJSON(t, RunBegin{Grants: []string{}}, (&RunBegin{Grants: []string{}}).body()) {
		t.Error("an empty begin is left to encoding/json")
	}
	empty := RunEnd{Calls: map[string]uint64{}, Network: []NetRequest{}}
	if !sameJSON(t, empty, empty.body()) {
		t.Error("an empty end is left to encoding/json")
	}
	for name, v := range map[string]RunEnd{
		"nothing": {},
		"request": {Calls: map[string]uint64{}, Network: []NetRequest{{Time: time.Unix(1, 2), Host: "h"}}},
		"call":    {Calls: map[string]uint64{`a"b`: 1}, Network: []NetRequest{}},
		"error":   {Calls: map[string]uint64{}, Network: []NetRequest{}, Error: &RunError{Message: "a\nb\u2028\x7f\xff"}},
	} {
		if sameJSON(t, v, v.body()) {
			t.Errorf("%s: written without encoding/json", name)
		}
	}
	sameJSON(t, RunBegin{}, (&RunBegin{}).body())
}

func FuzzBodies(f *testing.F) {
	f.Add("hello", "1.0.0", "main:run", `dir:/data "x"`, int64(-1), uint64(7), true)
	f.Add("", "\xff", "<\u2028>", "\\", int64(0), uint64(0), false)
	f.Fuzz(func(t *testing.T, a, b, c, d string, n int64, u uint64, flag bool) {
		begin := RunBegin{Cartridge: d, Name: a, Version: b, Program: c, ArgsDigest: d, ArgsBytes: n, Grants: []string{d, a}, Isolation: b,
			Limits: RunLimits{Fuel: u, TimeoutNS: n}, Sandboxed: flag, Host: c, Proc: Proc{PID: int(n), Boot: a, Space: d}, Purpose: b}
		sameJSON(t, begin, begin.body())
		end := RunEnd{Run: u, Result: a, ExitCode: uint32(u), DurationNS: n, LoadNS: n, Fuel: u, Calls: map[string]uint64{b: u, c: 1}, Network: []NetRequest{}, ResultDigest: d}
		if flag {
			end.Error = &RunError{Code: int32(n), Type: b, Message: c}
		}
		sameJSON(t, end, end.body())
	})
}
