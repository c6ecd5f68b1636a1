package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/engine/worker"
	"github.com/pxos/pxos/host/journal"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/storage"
)

// Isolation levels.
const (
	// IsolationAuto runs what the owner trusts inline and everything else in a
	// process of its own.
	IsolationAuto = "auto"
	// IsolationProcess runs each program in a worker process with resource limits,
	// which dies with the host.
	IsolationProcess = "process"
	// IsolationInline runs programs inside the host process, in the WebAssembly
	// sandbox alone.
	IsolationInline = "inline"
)

// Durability of the journal.
const (
	DurabilityFull = "full" // begin and end of a run are on the disk before it goes on
	DurabilityEnd  = "end"  // the end of a run is on the disk before its result is given
	DurabilityNone = "none" // the operating system writes when it likes; a power cut can lose the last seconds
)

// Config says where a host keeps its state and what its owner decided. Zero fields
// mean the defaults.
type Config struct {
	Home        string         // state directory; required
	Limits      abi.Limits     // replace the built-in defaults where set
	Isolation   string         // IsolationAuto unless set
	Worker      worker.Command // starts a worker; without it everything runs inline
	CacheBytes  int64          // bound of the compile cache
	NoCache     bool           // keep no compiled code
	Durability  string         // DurabilityNone unless set
	Interpreter bool           // interpret instead of compiling
	// Confine lowers the resource limits of this very process for good when a run takes
	// place inline: for a host that ends with its one run.
	Confine bool
	// Storage is what the owner decided about pixel files and maps; fields that are zero
	// have the defaults of package policy.
	Storage storage.Policy
	Trusted func(digest string) bool // what IsolationAuto runs inline
}

// Host is a running pxOS host.
type Host struct {
	cfg     Config
	started time.Time
	runs    atomic.Int64

	engineOnce sync.Once
	eng        *engine.Engine
	engErr     error

	logMu sync.Mutex
	log   *journal.Journal

	spare atomic.Pointer[worker.Process] // waits for a job
	ended atomic.Pointer[worker.Process] // has done its job and is being taken down

	curMu   sync.Mutex
	current *Cartridge
	base    RunRequest

	closed atomic.Bool
	active sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

// New returns a host. It touches no file yet.
func New(cfg Config) (*Host, error) {
	if cfg.Home == "" {
		return nil, fmt.Errorf("no state directory given")
	}
	switch cfg.Isolation {
	case "":
		cfg.Isolation = IsolationAuto
	case IsolationAuto, IsolationProcess, IsolationInline:
	default:
		return nil, fmt.Errorf("unknown isolation %q: want auto, process or inline", cfg.Isolation)
	}
	switch cfg.Durability {
	case "":
		cfg.Durability = DurabilityNone
	case DurabilityFull, DurabilityEnd, DurabilityNone:
	default:
		return nil, fmt.Errorf("unknown durability %q: want full, end or none", cfg.Durability)
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = engine.DefaultCacheBytes
	}
	files, maps := policy.PixelFS{QuotaBytes: cfg.Storage.QuotaBytes, QuotaFiles: cfg.Storage.QuotaFiles, Compression: cfg.Storage.Compression}.InForce(), policy.InfiniteMap{QuotaBytes: cfg.Storage.MapQuotaBytes, CacheBytes: cfg.Storage.CacheBytes}.InForce()
	cfg.Storage.QuotaBytes, cfg.Storage.QuotaFiles, cfg.Storage.Compression = files.QuotaBytes, files.QuotaFiles, files.Compression
	cfg.Storage.MapQuotaBytes, cfg.Storage.CacheBytes = maps.QuotaBytes, maps.CacheBytes
	h := &Host{cfg: cfg, started: time.Now()}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// CacheDir is where a host with that home keeps compiled code.
func CacheDir(home string) string { return filepath.Join(home, "cache") }

// JournalDir is where a host with that home keeps its journal.
func JournalDir(home string) string { return filepath.Join(home, "journal") }

func (h *Host) cacheDir() string {
	if h.cfg.NoCache {
		return ""
	}
	return CacheDir(h.cfg.Home)
}

// engine returns the engine that runs programs inside this process.
func (h *Host) engine() (*engine.Engine, error) {
	h.engineOnce.Do(func() {
		h.eng, h.engErr = engine.New(engine.Config{CacheDir: h.cacheDir(), CacheBytes: h.cfg.CacheBytes, Interpreter: h.cfg.Interpreter, Families: storage.Families()})
	})
	return h.eng, h.engErr
}

// Journal returns the host's journal, opening it at the first call.
func (h *Host) Journal() (*journal.Journal, error) {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	if h.log != nil {
		return h.log, nil
	}
	if err := os.MkdirAll(h.cfg.Home, 0o700); err != nil {
		return nil, errorf(abi.ErrInternal, "set PXOS_HOME to a directory you can write", "create state directory: %w", err)
	}
	j, err := journal.Open(JournalDir(h.cfg.Home), journal.Options{})
	if err != nil {
		return nil, errorf(abi.ErrInternal, "nothing runs without its journal; see pxos-host log verify", "open journal: %w", err)
	}
	h.log = j
	return j, nil
}

// Limits returns the limits in force for a manifest: the owner's over the built-in
// ones, lowered by the manifest, replaced by flags.
func (h *Host) Limits(manifest, flags abi.Limits) abi.Limits {
	return abi.DefaultLimits().Replace(h.cfg.Limits).Lower(manifest).Replace(flags)
}

// Close ends every run, closes the journal and frees the engine. It is safe to call
// twice.
func (h *Host) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	h.cancel()
	if p := h.spare.Swap(nil); p != nil {
		p.Abandon()
	}
	h.active.Wait()
	h.afterwards(nil)
	var err error
	if h.eng != nil {
		err = h.eng.Close(context.Background())
	}
	h.logMu.Lock()
	defer h.logMu.Unlock()
	if h.log != nil {
		if e := h.log.Close(); err == nil {
			err = e
		}
	}
	return err
}
