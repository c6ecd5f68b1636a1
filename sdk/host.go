package pxos

import (
	"encoding/json"
	"time"
)

// Capability is one thing that was granted to this run. Which fields are set
// depends on Kind: "dir" and "pixelfs" have Path and Mode, "env" has Name,
// "infinitemap" has Name, Mode and perhaps Area.
type Capability struct {
	Kind   string `json:"kind"`
	Path   string `json:"path,omitempty"` // where the guest sees the directory; what of the pixel files it is, and all below
	Mode   string `json:"mode,omitempty"` // "read" or "write", which includes reading
	Name   string `json:"name,omitempty"` // of the variable; of the map, "*" for every map
	Area   string `json:"area,omitempty"` // the part of the map, "x,y,width,height"; empty for all of it
	Reason string `json:"reason,omitempty"`
}

// Capabilities returns what was granted to this run, which can be less than the
// manifest asks for.
func Capabilities() ([]Capability, error) {
	data, err := readBuffer(pxosCapabilities)
	if err != nil {
		return nil, err
	}
	var list []Capability
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, CodeInternal
	}
	return list, nil
}

// HostABI returns the version of the contract that the host speaks, which can be
// newer than [ABIMajor] and [ABIMinor].
func HostABI() (major, minor int, err error) {
	v, code := pxosABIVersion()
	return int(v >> 16), int(v & 0xffff), code.Err()
}

// Now returns the time of the host's real-time clock in UTC, in microseconds. In a
// run with a seed it is reproducible.
func Now() (time.Time, error) {
	ns, _, code := pxosClock(clockReal)
	return time.Unix(0, int64(ns)).UTC(), code.Err()
}

// Elapsed returns the time since the run began, in microseconds. It never goes
// back.
func Elapsed() (time.Duration, error) {
	ns, _, code := pxosClock(clockMonotonic)
	return time.Duration(ns), code.Err()
}

// Random fills p with random bytes fit for keys, or with a reproducible stream when
// the run was given a seed.
func Random(p []byte) error { return pxosRandom(p).Err() }
