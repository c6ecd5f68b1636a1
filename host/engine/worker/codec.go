package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// What travels between a host and its worker, which is the same program, is encoded
// field by field in the order of the types: numbers as varints, texts, lists and maps
// behind their length, which is one more than it is so that 0 is nil, structs behind the
// number of their fields. encoding/json would serve as well, but it prepares each type
// for longer than a small run takes, and every run has a new process.

var (
	timeType = reflect.TypeFor[time.Time]()
	jsonType = reflect.TypeFor[json.RawMessage]()
)

// pack encodes v, which is made of what the types of this package are made of.
func pack(v any) ([]byte, error) {
	return appendValue(make([]byte, 0, 1024), reflect.Indirect(reflect.ValueOf(v)))
}

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	var err error
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint()), nil
	case reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float())), nil
	case reflect.String:
		return append(binary.AppendUvarint(b, uint64(v.Len())+1), v.String()...), nil
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0), nil
		}
		return appendValue(append(b, 1), v.Elem())
	case reflect.Array:
		for i := 0; i < v.Len() && err == nil; i++ {
			b, err = appendValue(b, v.Index(i))
		}
		return b, err
	case reflect.Slice, reflect.Map:
		if v.IsNil() {
			return append(b, 0), nil
		}
		b = binary.AppendUvarint(b, uint64(v.Len())+1)
		if v.Kind() == reflect.Map {
			for it := v.MapRange(); it.Next() && err == nil; {
				if b, err = appendValue(b, it.Key()); err == nil {
					b, err = appendValue(b, it.Value())
				}
			}
			return b, err
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append(b, v.Bytes()...), nil
		}
		for i := 0; i < v.Len() && err == nil; i++ {
			b, err = appendValue(b, v.Index(i))
		}
		return b, err
	case reflect.Struct:
		if v.Type() == timeType {
			t, err := v.Interface().(time.Time).MarshalBinary()
			return append(append(b, byte(len(t))), t...), err
		}
		b = append(b, byte(v.NumField()))
		for i := 0; i < v.NumField() && err == nil; i++ {
			b, err = appendValue(b, v.Field(i))
		}
		return b, err
	}
	return b, fmt.Errorf("a %s cannot be packed", v.Type())
}

var errPacked = errors.New("message is malformed")

// unpack is the reverse of pack. From a worker, which can have been taken over, the
// bytes may be anything: what JSON cannot say is refused, and with strict texts are UTF-8
// afterwards and JSON is JSON.
func unpack(b []byte, v any, strict bool) error {
	d := unpacker{b: b, strict: strict}
	d.value(reflect.ValueOf(v).Elem())
	if d.bad || len(d.b) > 0 {
		return errPacked
	}
	return nil
}

type unpacker struct {
	b           []byte
	strict, bad bool
}

// take returns the next n bytes, or none when there are fewer.
func (d *unpacker) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	head := d.b[:n]
	d.b = d.b[n:]
	return head
}

func (d *unpacker) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *unpacker) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.take(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

func (d *unpacker) int() int64 {
	v, n := binary.Varint(d.b)
	d.take(uint64(max(n, 0)))
	d.bad = d.bad || n <= 0
	return v
}

func (d *unpacker) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.byte() == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := d.int()
		d.bad = d.bad || v.OverflowInt(n)
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := d.uint()
		d.bad = d.bad || v.OverflowUint(n)
		v.SetUint(n)
	case reflect.Float64:
		if b := d.take(8); b != nil {
			v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		d.bad = d.bad || math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)
	case reflect.String:
		s := string(d.take(d.uint() - 1))
		if d.strict {
			s = strings.ToValidUTF8(s, "\ufffd")
		}
		v.SetString(s)
	case reflect.Pointer:
		if d.byte() == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(v.Elem())
		}
	case reflect.Array:
		for i := 0; i < v.Len() && !d.bad; i++ {
			d.value(v.Index(i))
		}
	case reflect.Slice, reflect.Map:
		if n := d.uint(); n > 0 {
			d.list(v, n-1)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			var t time.Time
			d.bad = t.UnmarshalBinary(d.take(uint64(d.byte()))) != nil || d.bad
			t = t.UTC()
			d.bad = d.bad || t.Year() < 0 || t.Year() > 9999
			v.Set(reflect.ValueOf(t))
			return
		}
		if int(d.byte()) != v.NumField() {
			d.bad = true
		}
		for i := 0; i < v.NumField() && !d.bad; i++ {
			d.value(v.Field(i))
		}
	default:
		d.bad = true
	}
}

// list reads n elements. Each takes a byte or more, so that memory grows with what is
// there and not with n.
func (d *unpacker) list(v reflect.Value, n uint64) {
	t := v.Type()
	if n > uint64(len(d.b)) {
		d.bad = true
		return
	}
	switch {
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(t))
		for ; n > 0 && !d.bad; n-- {
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			d.value(key)
			d.value(value)
			v.SetMapIndex(key, value)
		}
	case t.Elem().Kind() == reflect.Uint8:
		b := d.take(n)
		d.bad = d.bad || d.strict && t == jsonType && !json.Valid(b)
		v.SetBytes(append([]byte{}, b...))
	default:
		v.Set(reflect.MakeSlice(t, 0, int(min(n, 64))))
		for ; n > 0 && !d.bad; n-- {
			e := reflect.New(t.Elem()).Elem()
			d.value(e)
			v.Set(reflect.Append(v, e))
		}
	}
}
