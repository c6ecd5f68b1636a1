package journal

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// Every run appends two bodies, and a process that hands its first struct to
// encoding/json spends longer on preparing that type than on the whole append.
// So the two are written here when they hold nothing that takes more than
// copying. What is written is what encoding/json writes, byte for byte.

// body is the JSON of a begin entry.
func (b *RunBegin) body() any {
	o := object{ok: true}
	o.text("cartridge", b.Cartridge)
	o.text("name", b.Name)
	o.text("version", b.Version)
	o.text("program", b.Program)
	o.textIf("args_digest", b.ArgsDigest)
	o.intIf("args_bytes", b.ArgsBytes)
	o.texts("grants", b.Grants)
	o.begin("limits")
	o.uintIf("memory_bytes", b.Limits.MemoryBytes)
	o.uintIf("table_elements", b.Limits.TableElements)
	o.uintIf("stack_bytes", b.Limits.StackBytes)
	o.uintIf("fuel", b.Limits.Fuel)
	o.intIf("timeout_ns", b.Limits.TimeoutNS)
	o.uintIf("output_bytes", b.Limits.OutputBytes)
	o.uintIf("open_handles", b.Limits.OpenHandles)
	o.end()
	o.text("isolation", b.Isolation)
	o.key("sandboxed")
	o.b = strconv.AppendBool(o.b, b.Sandboxed)
	o.textIf("host", b.Host)
	o.begin("proc")
	o.int("pid", int64(b.Proc.PID))
	o.intIf("start", b.Proc.Start)
	o.textIf("boot", b.Proc.Boot)
	o.textIf("space", b.Proc.Space)
	o.end()
	o.textIf("purpose", b.Purpose)
	return o.body(b)
}

// body is the JSON of an end entry.
func (e *RunEnd) body() any {
	o := object{ok: len(e.Network) == 0 && e.Network != nil && e.Calls != nil}
	o.uint("run", e.Run)
	o.text("result", e.Result)
	o.uintIf("exit_code", uint64(e.ExitCode))
	if e.Error != nil {
		o.begin("error")
		o.intIf("code", int64(e.Error.Code))
		o.text("type", e.Error.Type)
		o.text("message", e.Error.Message)
		o.end()
	}
	o.int("duration_ns", e.DurationNS)
	o.intIf("load_ns", e.LoadNS)
	o.intIf("execution_ns", e.ExecutionNS)
	o.uint("fuel", e.Fuel)
	o.uint("memory_peak", e.MemoryPeak)
	o.begin("calls")
	for _, name := range slices.Sorted(maps.Keys(e.Calls)) {
		o.uint(name, e.Calls[name])
	}
	o.end()
	o.uint("output_bytes", e.OutputBytes)
	o.key("network")
	o.b = append(o.b, "[]"...)
	o.textIf("result_digest", e.ResultDigest)
	return o.body(e)
}

// object is a JSON object on its way. ok falls when a text needs escaping.
type object struct {
	b  []byte
	ok bool
}

// body gives the object, or v for encoding/json when the object is not to be had.
func (o *object) body(v any) any {
	if !o.ok {
		return v
	}
	o.end()
	return json.RawMessage(o.b)
}

func (o *object) begin(key string) {
	o.key(key)
	o.b = append(o.b, '{')
}

func (o *object) end() { o.b = append(o.b, '}') }

func (o *object) key(key string) {
	switch {
	case len(o.b) == 0:
		o.b = append(make([]byte, 0, 1024), '{')
	case o.b[len(o.b)-1] != '{':
		o.b = append(o.b, ',')
	}
	o.value(key)
	o.b = append(o.b, ':')
}

// value writes a text.
func (o *object) value(s string) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			o.ok = false
		}
	}
	o.b = append(append(append(o.b, '"'), s...), '"')
}

func (o *object) text(key, s string) {
	o.key(key)
	o.value(s)
}

func (o *object) textIf(key, s string) {
	if s != "" {
		o.text(key, s)
	}
}

func (o *object) texts(key string, list []string) {
	o.ok = o.ok && list != nil
	o.key(key)
	o.b = append(o.b, '[')
	for i, s := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.value(s)
	}
	o.b = append(o.b, ']')
}

func (o *object) int(key string, v int64) {
	o.key(key)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) intIf(key string, v int64) {
	if v != 0 {
		o.int(key, v)
	}
}

func (o *object) uint(key string, v uint64) {
	o.key(key)
	o.b = strconv.AppendUint(o.b, v, 10)
}

func (o *object) uintIf(key string, v uint64) {
	if v != 0 {
		o.uint(key, v)
	}
}
