package abi

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Limits bound one run. Zero means "not stated" in a manifest, a policy or a
// flag; the limits that are in force have every field set.
//
// A manifest can only lower what would apply without it; the policy of the
// machine's owner and flags can raise it as well, up to [MaxLimits].
type Limits struct {
	Memory  int64         `json:"memory"`  // bytes of linear memory
	Fuel    int64         `json:"fuel"`    // units, see the engine's FUEL.md
	Time    time.Duration `json:"time_ns"` // wall clock, instantiation included
	Stack   int64         `json:"stack"`   // bytes of estimated call frames
	Table   int64         `json:"table"`   // entries of all tables together
	Output  int64         `json:"output"`  // bytes to stdout and stderr together
	Handles int64         `json:"handles"` // files and directories open at once
	Tmp     int64         `json:"tmp"`     // bytes in the private /tmp
	Log     int64         `json:"log"`     // bytes of log lines and JSON result together
}

// DefaultLimits are in force when nobody states any. They let a compiler or an
// interpreter work on real input and keep a hostile program small.
func DefaultLimits() Limits {
	return Limits{
		Memory:  256 << 20,
		Fuel:    10_000_000_000_000,
		Time:    5 * time.Minute,
		Stack:   8 << 20,
		Table:   1 << 20,
		Output:  64 << 20,
		Handles: 256,
		Tmp:     64 << 20,
		Log:     16 << 20,
	}
}

// MaxLimits are what the engine can count; nothing raises a limit beyond them.
func MaxLimits() Limits {
	return Limits{
		Memory:  4095 << 20, // wazero's compiler cannot address a memory of exactly 65536 pages
		Fuel:    math.MaxInt64 / 2,
		Time:    365 * 24 * time.Hour,
		Stack:   15 << 20,
		Table:   10 << 20,
		Output:  1 << 40,
		Handles: 1 << 16,
		Tmp:     4 << 30,
		Log:     256 << 20,
	}
}

type limitField struct {
	name string
	unit string // "bytes", "count" or "time"
	get  func(*Limits) int64
	set  func(*Limits, int64)
}

var limitFields = []limitField{
	{"memory", "bytes", func(l *Limits) int64 { return l.Memory }, func(l *Limits, v int64) { l.Memory = v }},
	{"fuel", "count", func(l *Limits) int64 { return l.Fuel }, func(l *Limits, v int64) { l.Fuel = v }},
	{"time", "time", func(l *Limits) int64 { return int64(l.Time) }, func(l *Limits, v int64) { l.Time = time.Duration(v) }},
	{"stack", "bytes", func(l *Limits) int64 { return l.Stack }, func(l *Limits, v int64) { l.Stack = v }},
	{"table", "count", func(l *Limits) int64 { return l.Table }, func(l *Limits, v int64) { l.Table = v }},
	{"output", "bytes", func(l *Limits) int64 { return l.Output }, func(l *Limits, v int64) { l.Output = v }},
	{"handles", "count", func(l *Limits) int64 { return l.Handles }, func(l *Limits, v int64) { l.Handles = v }},
	{"tmp", "bytes", func(l *Limits) int64 { return l.Tmp }, func(l *Limits, v int64) { l.Tmp = v }},
	{"log", "bytes", func(l *Limits) int64 { return l.Log }, func(l *Limits, v int64) { l.Log = v }},
}

// LimitNames returns the names of the limits as manifests, policies and flags
// spell them.
func LimitNames() []string {
	out := make([]string, len(limitFields))
	for i, f := range limitFields {
		out[i] = f.name
	}
	return out
}

// Set sets the limit called name from its text: bytes take a number with an
// optional unit (KiB, MiB, GiB, kB, MB, GB) and with it at most one decimal, as
// FormatBytes writes them, counts take a number with an optional
// K, M, G or T (thousands), time takes a Go duration such as 1.5s or 2m. The error
// says what was expected; values must be positive and at most those of MaxLimits.
func (l *Limits) Set(name, text string) error {
	for _, f := range limitFields {
		if f.name != name {
			continue
		}
		v, err := f.parse(text)
		if err != nil {
			return err
		}
		return l.setChecked(f, v)
	}
	return fmt.Errorf("unknown limit %q: there are %s", name, strings.Join(LimitNames(), ", "))
}

func (l *Limits) setChecked(f limitField, v int64) error {
	maxima := MaxLimits()
	if v <= 0 {
		return fmt.Errorf("limit %s must be greater than 0", f.name)
	}
	if top := f.get(&maxima); v > top {
		return fmt.Errorf("limit %s is at most %s", f.name, f.format(top))
	}
	f.set(l, v)
	return nil
}

// setNumber sets a limit from a plain number: bytes, a count, or seconds.
func (l *Limits) setNumber(f limitField, v int64) error {
	if f.unit == "time" {
		if v > int64(math.MaxInt64/time.Second) {
			v = math.MaxInt64
		} else {
			v *= int64(time.Second)
		}
	}
	return l.setChecked(f, v)
}

func (f limitField) parse(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if f.unit == "time" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("invalid time %q: want a duration such as 500ms, 10s or 2m", text)
		}
		return int64(d), nil
	}
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '_') {
		i++
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(text[:i], "_", ""), 10, 64)
	var tenths int64
	if f.unit == "bytes" && len(text) > i+1 && text[i] == '.' && text[i+1] >= '0' && text[i+1] <= '9' {
		tenths = int64(text[i+1] - '0')
		i += len(".0")
	}
	mul, ok := unitSizes[f.unit][strings.TrimSpace(text[i:])]
	if err != nil || !ok || n > math.MaxInt64/mul-1 || tenths > 0 && mul == 1 {
		if f.unit == "bytes" {
			return 0, fmt.Errorf("invalid size %q: want bytes such as 65536, 64KiB or 1.5MiB", text)
		}
		return 0, fmt.Errorf("invalid count %q: want a number such as 1000000 or 500M", text)
	}
	return n*mul + tenths*mul/10, nil
}

var unitSizes = map[string]map[string]int64{
	"bytes": {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30},
	"count": {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
}

func (f limitField) format(v int64) string {
	switch f.unit {
	case "time":
		return time.Duration(v).String()
	case "bytes":
		return FormatBytes(v)
	}
	return strconv.FormatInt(v, 10)
}

// Format returns the limits that are set as name=value pairs in a fixed order.
func (l Limits) Format() []string {
	var out []string
	for _, f := range limitFields {
		if v := f.get(&l); v != 0 {
			out = append(out, f.name+"="+f.format(v))
		}
	}
	return out
}

// Lower returns l with every field that is set in m and smaller taken from m: how
// a manifest applies.
func (l Limits) Lower(m Limits) Limits {
	for _, f := range limitFields {
		if v := f.get(&m); v != 0 && v < f.get(&l) {
			f.set(&l, v)
		}
	}
	return l
}

// Replace returns l with every field that is set in p taken from p: how a policy
// or a flag applies.
func (l Limits) Replace(p Limits) Limits {
	for _, f := range limitFields {
		if v := f.get(&p); v != 0 {
			f.set(&l, v)
		}
	}
	return l
}

// FormatBytes writes a byte count exactly when it is a whole number of units and
// with one decimal otherwise: 256MiB, 1.5MiB, 12B.
func FormatBytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			if n%u.size == 0 {
				return strconv.FormatInt(n/u.size, 10) + u.name
			}
			if n%(u.size>>10) == 0 && n%u.size > u.size/20*19 {
				continue // 4095MiB is not 4.0GiB
			}
			return strconv.FormatFloat(float64(n)/float64(u.size), 'f', 1, 64) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// FormatBytesUp is FormatBytes rounded up: read back, it is n or more. It is for what
// a limit must be at least.
func FormatBytesUp(n int64) string {
	for _, u := range []int64{1 << 30, 1 << 20, 1 << 10} {
		if n >= u && n%u != 0 {
			tenths := n/u*10 + (n%u*10+u-1)/u
			return FormatBytes(tenths/10*u + (tenths%10*u+9)/10)
		}
	}
	return FormatBytes(n)
}
