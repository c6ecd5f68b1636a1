package abi

import (
	"context"
	"encoding/json"
	"time"
)

// Hypervisor is what every pxOS host offers, whatever runs beneath it (SPEC
// section 5). Later versions may add methods through further interfaces; none of
// these is removed or changed.
//
// RunProgram and the others return a Go error only when the host itself could not
// do its part, such as a cartridge that cannot be read. A program that failed is
// a RunResult with Success false.
type Hypervisor interface {
	// RunProgram runs one program of the current cartridge. name is
	// "module:function" or "module", which means "module:main"; empty means the
	// cartridge's default program. args is one JSON value, or nil for {}.
	RunProgram(ctx context.Context, name string, args json.RawMessage) (*RunResult, error)
	// InspectSelf describes the host and its current cartridge.
	InspectSelf(ctx context.Context) (*SelfInfo, error)
	// ValidateGenesis runs the checks of the Genesis principles that can be made
	// on this host and the current cartridge now.
	ValidateGenesis(ctx context.Context) (*GenesisReport, error)
	// Shutdown ends all runs, closes the journal and frees everything. It is safe
	// to call twice.
	Shutdown(ctx context.Context) error
}

// RunResult is the outcome of one run. Its JSON form is part of the contract:
// keys are added, none is removed.
type RunResult struct {
	Success   bool            `json:"success"`
	Result    json.RawMessage `json:"result"`               // the program's JSON result, null without one
	Error     string          `json:"error,omitempty"`      // for a person; no control characters
	ErrorType ErrorType       `json:"error_type,omitempty"` // stable identifier, see the Err constants
	Hint      string          `json:"hint,omitempty"`       // what to do about the error
	ExitCode  uint32          `json:"exit_code"`            // as the guest gave it, not wrapped

	ExecutionTime float64          `json:"execution_time"`       // seconds from instantiation to the end
	LoadTime      float64          `json:"load_time"`            // seconds to load or compile the module
	Logs          []LogLine        `json:"logs"`                 // never null
	Fuel          uint64           `json:"fuel"`                 // units consumed
	Memory        uint64           `json:"memory"`               // peak bytes of linear memory
	Output        uint64           `json:"output"`               // bytes written to stdout and stderr
	HostCalls     map[string]int64 `json:"host_calls,omitempty"` // "module.name" to count

	Program   string       `json:"program"`             // full name, module:function
	Cartridge string       `json:"cartridge"`           // digest, 64 hex digits
	Isolation string       `json:"isolation,omitempty"` // "process" or "inline"
	Granted   []Capability `json:"granted"`             // never null
	Run       uint64       `json:"run,omitempty"`       // sequence number of its begin entry in the journal
	Trace     []string     `json:"trace,omitempty"`     // function names at a trap, innermost first
	Limits    *Limits      `json:"limits,omitempty"`    // the limits that were in force
	Cached    bool         `json:"cached"`              // whether compiled code came from the cache
	StartedAt time.Time    `json:"started_at,omitzero"` // when the run began
}

// LogLine is one line a program logged.
type LogLine struct {
	Level   string  `json:"level"` // debug, info, warn, error
	Message string  `json:"message"`
	Time    float64 `json:"time"` // seconds since the run began
}

// ErrorType says why a run did not succeed. The set is append-only. A program's
// own error (pxos.fail) carries the program's identifier instead, with the prefix
// "program.".
type ErrorType string

// The error types of the host.
const (
	ErrExit           ErrorType = "exit"            // the program exited with a code other than 0
	ErrTrap           ErrorType = "trap"            // the program did something WebAssembly forbids, such as unreachable
	ErrFuel           ErrorType = "out_of_fuel"     // the fuel of the run is used up
	ErrDeadline       ErrorType = "deadline"        // the wall-clock limit passed
	ErrMemory         ErrorType = "out_of_memory"   // the program needs more memory than its limit from the start
	ErrStack          ErrorType = "stack_exhausted" // recursion deeper than the stack limit
	ErrOutput         ErrorType = "output_limit"    // the program wrote more than it may
	ErrCancelled      ErrorType = "cancelled"       // the caller gave up
	ErrDenied         ErrorType = "denied"          // a capability it needs to start was not granted
	ErrRefused        ErrorType = "refused_module"  // the module is valid but would harm the host
	ErrInvalidModule  ErrorType = "invalid_module"  // not a valid WebAssembly module
	ErrUnsupported    ErrorType = "unsupported"     // valid, but needs what this host does not have
	ErrMissingImports ErrorType = "missing_imports" // imports that no family offers
	ErrNoProgram      ErrorType = "no_program"      // the cartridge has no such program
	ErrCartridge      ErrorType = "invalid_cartridge"
	ErrCrash          ErrorType = "crashed" // the worker process died
	ErrInternal       ErrorType = "internal"
)

// SelfInfo is the answer of InspectSelf.
type SelfInfo struct {
	Version        string          `json:"version"`      // of the host
	ABI            string          `json:"abi"`          // of the contract, major.minor
	Engine         string          `json:"engine"`       // such as "wazero v1.12.0 compiler"
	Cartridge      string          `json:"cartridge"`    // digest of the current one, empty without
	Name           string          `json:"name"`         // of the current cartridge
	Capabilities   []string        `json:"capabilities"` // kinds this host can grant
	Families       []string        `json:"families"`     // host-function modules
	ModulesLoaded  int             `json:"modules_loaded"`
	SandboxActive  bool            `json:"sandbox_active"`
	Isolation      string          `json:"isolation"`
	GPUAvailable   bool            `json:"gpu_available"`
	Uptime         float64         `json:"uptime"` // seconds
	GenesisVersion string          `json:"genesis_version"`
	Runs           int64           `json:"runs"`        // since this host started
	JournalSeq     uint64          `json:"journal_seq"` // entries in the journal
	Limits         Limits          `json:"limits"`      // defaults in force
	Policy         json.RawMessage `json:"policy,omitempty"`
}

// GenesisReport is the answer of ValidateGenesis.
type GenesisReport struct {
	Compliant   bool           `json:"compliant"` // every check that ran passed
	Version     string         `json:"version"`   // of Genesis
	Violations  []string       `json:"violations"`
	TestsPassed int            `json:"tests_passed"`
	TestsFailed int            `json:"tests_failed"`
	Checks      []GenesisCheck `json:"checks"`
	NotChecked  []string       `json:"not_checked"` // clauses no check exists for yet
}

// GenesisCheck is one check of one clause.
type GenesisCheck struct {
	Clause   string `json:"clause"` // such as "1.2"
	Name     string `json:"name"`
	Passed   bool   `json:"passed"`
	Evidence string `json:"evidence"` // what was seen
}
