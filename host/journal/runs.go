package journal

import (
	"context"
	"time"
)

// Types of the entries around a run.
const (
	TypeBegin = "run.begin" // body RunBegin
	TypeEnd   = "run.end"   // body RunEnd
)

// RunBegin is the body of the entry that is appended before a run: what is
// about to happen. Fields are only ever added.
type RunBegin struct {
	Cartridge  string    `json:"cartridge"`             // digest, 64 lower-case hex digits; first, see leading
	Name       string    `json:"name"`                  // from the manifest
	Version    string    `json:"version"`               // from the manifest
	Program    string    `json:"program"`               // "module:function" or "module"
	ArgsDigest string    `json:"args_digest,omitempty"` // SHA-256 of the arguments, which are not stored themselves
	ArgsBytes  int64     `json:"args_bytes,omitempty"`  // their length
	Grants     []string  `json:"grants"`                // capabilities that were granted
	Limits     RunLimits `json:"limits"`                // that hold for the run
	Isolation  string    `json:"isolation"`             // "process" or "inline"
	Sandboxed  bool      `json:"sandboxed"`             // not the current cartridge: writes go to an overlay
	Host       string    `json:"host,omitempty"`        // version of the host
	Proc       Proc      `json:"proc"`                  // the host process; BeginRun fills it in
	Purpose    string    `json:"purpose,omitempty"`     // PurposeGenesis; empty for a run that somebody asked for
}

// PurposeGenesis marks a run of a probe with which the host checks itself against
// the Genesis principles. Nothing in a cartridge or in a request sets it.
const PurposeGenesis = "genesis"

// RunLimits are the limits of a run; 0 means that none was set.
type RunLimits struct {
	MemoryBytes   uint64 `json:"memory_bytes,omitempty"`
	TableElements uint64 `json:"table_elements,omitempty"`
	StackBytes    uint64 `json:"stack_bytes,omitempty"`
	Fuel          uint64 `json:"fuel,omitempty"`
	TimeoutNS     int64  `json:"timeout_ns,omitempty"`
	OutputBytes   uint64 `json:"output_bytes,omitempty"`
	OpenHandles   uint64 `json:"open_handles,omitempty"`
}

// Outcomes of a run, the Result of RunEnd.
const (
	ResultOK    = "ok"    // a result, or exit code 0
	ResultExit  = "exit"  // a non-zero exit code
	ResultError = "error" // a typed error: of the program, of a limit, of the host
)

// RunEnd is the body of the entry that is appended after a run: what became of
// it. Fields are only ever added.
type RunEnd struct {
	Run          uint64            `json:"run"` // sequence number of its begin entry; EndRun fills it in; first, see leading
	Result       string            `json:"result"`
	ExitCode     uint32            `json:"exit_code,omitempty"`
	Error        *RunError         `json:"error,omitempty"`
	DurationNS   int64             `json:"duration_ns"`            // from the begin entry on: a worker's start, loading and running
	LoadNS       int64             `json:"load_ns,omitempty"`      // part of it that loaded or compiled the module; 0 where it is not known
	ExecutionNS  int64             `json:"execution_ns,omitempty"` // part of it that was the program's own; 0 where it is not known
	Fuel         uint64            `json:"fuel"`
	MemoryPeak   uint64            `json:"memory_peak"`             // bytes of guest memory
	Calls        map[string]uint64 `json:"calls"`                   // host functions by name: how often called
	OutputBytes  uint64            `json:"output_bytes"`            // on stdout and stderr together
	Network      []NetRequest      `json:"network"`                 // made on behalf of the run
	ResultDigest string            `json:"result_digest,omitempty"` // SHA-256 of the result, which is not stored itself
}

// RunError is how a run failed.
type RunError struct {
	Code    int32  `json:"code,omitempty"` // of the abi table
	Type    string `json:"type"`           // such as "out_of_fuel"
	Message string `json:"message"`        // at most 4096 bytes are stored
}

// NetRequest is one network request; it never holds keys or contents.
type NetRequest struct {
	Time     time.Time `json:"time"`
	Plugin   string    `json:"plugin"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Status   int       `json:"status"`
	BytesOut int64     `json:"bytes_out"`
	BytesIn  int64     `json:"bytes_in"`
}

// maxMessage bounds the part of an error message that is stored: a guest chose
// it, and an end entry must never be too big to append.
const maxMessage = 4096

// BeginRun appends the begin entry of a run and returns the id that its end
// entry refers to. It fills in b.Proc with this process.
func BeginRun(ctx context.Context, log Log, b RunBegin) (id uint64, err error) {
	b.Proc = Self()
	if b.Grants == nil {
		b.Grants = []string{}
	}
	e, err := log.Append(ctx, Draft{Type: TypeBegin, Body: b.body()})
	return e.Seq, err
}

// EndRun appends the end entry of the run with the given id. It fills in e.Run
// and cuts an over-long error message. A begin entry without an end is reported
// as interrupted once its process is gone, so a caller whose context has ended
// still passes a live one here.
func EndRun(ctx context.Context, log Log, id uint64, e RunEnd) error {
	e.Run = id
	if e.Calls == nil {
		e.Calls = map[string]uint64{}
	}
	if e.Network == nil {
		e.Network = []NetRequest{}
	}
	tint := tintError
	switch e.Result {
	case ResultOK:
		tint = tintOK
	case ResultExit:
		tint = tintExit
	}
	if e.Error != nil && len(e.Error.Message) > maxMessage {
		short := *e.Error
		short.Message = clip(short.Message, maxMessage)
		e.Error = &short
	}
	_, err := log.Append(ctx, Draft{Type: TypeEnd, Body: e.body(), Tint: tint})
	return err
}
