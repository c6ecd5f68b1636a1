package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/engine/worker"
	"github.com/pxos/pxos/host/journal"
	"github.com/pxos/pxos/host/storage"
)

// Grant is a capability together with what stands behind it on this machine.
type Grant struct {
	abi.Capability
	HostPath string // CapDir: the directory
	Value    string // CapEnv: the value
}

// RunRequest says how one run is to be made. The zero value runs the default
// program with no arguments, no input, no output and no capability.
type RunRequest struct {
	Program string          // "module:function", "module", or empty for the default
	Args    json.RawMessage // one JSON value; nil means {}
	Argv    []string        // arguments after the program's own name
	Env     []string        // KEY=VALUE, given by the user

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal says which streams are a terminal. The guest sees that they are, and
	// escape sequences in what it writes there are neutralised.
	Terminal struct{ Stdin, Stdout, Stderr bool }

	Limits    abi.Limits // from flags: replace everything else where set
	Grants    []Grant
	Isolation string // overrides the host's
	Seed      []byte // not nil: random bytes and clocks are reproducible

	// Sandbox has the run's changes of pixel files and maps go to an overlay of its own,
	// which Overlays lists and KeepOverlay carries over.
	Sandbox bool
	// Origin is the absolute path of the directory that the cartridge was made from on
	// this machine; its pixel files and maps are then the same from build to build.
	Origin string
	// Lineage is what a cartridge that names a parent is to have: LineageParent or
	// LineageOwn. Without it such a cartridge is refused, unless it was decided before.
	Lineage string
	// Namespace names whose pixel files and maps the run gets, whatever the cartridge is.
	Namespace string

	purpose string // what the journal says the run was for
}

// Missing returns what a manifest asks for and grants do not cover.
func Missing(m *abi.Manifest, grants []Grant) []abi.Capability {
	var out []abi.Capability
	for _, want := range m.Capabilities {
		held := false
		for _, g := range grants {
			held = held || g.Covers(want)
		}
		if !held {
			out = append(out, want)
		}
	}
	return out
}

// Required returns those of a list that a cartridge cannot run without.
func Required(list []abi.Capability) []abi.Capability {
	return slices.DeleteFunc(slices.Clone(list), func(c abi.Capability) bool { return c.Optional })
}

// Run runs a program of a cartridge and journals it. The error is an *Error when
// the run could not be made at all: an unknown program, a module that was refused, a
// capability that is missing. Whatever happens after the guest began is in the
// result. Runs that failed to start are in the journal as well.
func (h *Host) Run(ctx context.Context, c *Cartridge, req RunRequest) (*abi.RunResult, error) {
	if h.closed.Load() {
		return nil, errors.New("host is shut down")
	}
	h.active.Add(1)
	defer h.active.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()

	p, err := h.plan(c, &req)
	if err != nil {
		return nil, err
	}
	log, err := h.Journal()
	if err != nil {
		return nil, err
	}
	id, err := h.begin(ctx, log, p)
	if err != nil {
		return nil, err
	}
	h.runs.Add(1)
	started := time.Now()
	var res *abi.RunResult
	if p.storage != nil && req.Sandbox {
		err = h.sandbox(p, id)
	}
	if err == nil {
		res, err = h.execute(ctx, p)
	}
	end := journal.RunEnd{DurationNS: int64(time.Since(started)), Calls: map[string]uint64{}}
	if err != nil {
		var he *Error
		if !errors.As(err, &he) {
			he = errorf(abi.ErrInternal, "", "%w", err)
		}
		end.Result = journal.ResultError
		end.Error = &journal.RunError{Type: string(he.Type), Message: he.Msg}
		err = he
	} else {
		res.Run, res.Cartridge, res.Isolation = id, c.Digest(), p.isolation
		fillEnd(&end, res)
	}
	if jerr := h.end(log, id, end); jerr != nil && err == nil {
		return res, jerr
	}
	return res, err
}

// plan is a run that is ready to start.
type plan struct {
	c         *Cartridge
	manifest  *abi.Manifest
	program   *abi.Program
	req       *RunRequest
	limits    abi.Limits
	isolation string
	granted   []abi.Capability
	env       []string
	dirs      []worker.Dir
	storage   *storage.Config // nil: nothing of it was granted
	namespace string
}

func (h *Host) plan(c *Cartridge, req *RunRequest) (*plan, error) {
	m, err := c.Manifest()
	if err != nil {
		return nil, err
	}
	if err := abi.CheckVersion(m.ABI); err != nil {
		return nil, errorf(abi.ErrUnsupported, "install a newer pxos-host, or ask for a build against abi "+abi.Version(), "%w", err)
	}
	prog, err := m.Program(req.Program)
	if err != nil {
		return nil, errorf(abi.ErrNoProgram, "pxos-host inspect lists the programs of a cartridge", "%w", err)
	}
	if len(req.Args) > abi.MaxArgs || len(req.Args) > 0 && !json.Valid(req.Args) {
		return nil, errorf(abi.ErrInternal, `arguments are one JSON value such as '{"name":"Ada"}'`, "arguments are not valid JSON of at most %s", abi.FormatBytes(abi.MaxArgs))
	}
	if missing := Required(Missing(m, req.Grants)); len(missing) > 0 {
		return nil, errorf(abi.ErrDenied, "grant it with a flag or in pxos.toml if you trust the cartridge", "capability not granted: %s", missing[0])
	}
	p := &plan{c: c, manifest: m, program: prog, req: req, limits: h.Limits(m.Limits, req.Limits)}
	p.env = append(p.env, req.Env...)
	for _, g := range req.Grants {
		g.Reason, g.Optional = "", false
		p.granted = append(p.granted, g.Capability)
		switch g.Kind {
		case abi.CapDir:
			p.dirs = append(p.dirs, worker.Dir{Guest: g.Path, Host: g.HostPath, ReadOnly: g.Mode != abi.ModeWrite})
		case abi.CapEnv:
			p.env = append(p.env, g.Name+"="+g.Value)
		}
	}
	abi.SortCapabilities(p.granted)
	p.isolation = h.isolation(c, req)
	if p.storage, err = h.storage(p); err != nil {
		return nil, err
	}
	return p, nil
}

// isolation decides where a run takes place.
func (h *Host) isolation(c *Cartridge, req *RunRequest) string {
	level := h.cfg.Isolation
	if req.Isolation != "" {
		level = req.Isolation
	}
	if level == IsolationAuto {
		level = IsolationProcess
		if h.cfg.Trusted != nil && h.cfg.Trusted(c.Digest()) {
			level = IsolationInline
		}
	}
	if level == IsolationProcess && (len(h.cfg.Worker.Argv) == 0 || !worker.Supported) {
		level = IsolationInline
	}
	return level
}

func (h *Host) begin(ctx context.Context, log *journal.Journal, p *plan) (uint64, error) {
	b := journal.RunBegin{
		Cartridge: p.c.Digest(),
		Name:      p.manifest.Name,
		Version:   p.manifest.Version,
		Program:   p.program.Name,
		Isolation: p.isolation,
		Host:      Version,
		Purpose:   p.req.purpose,
		Sandboxed: p.req.Sandbox,
	}
	b.ArgsDigest = argsDigest(p.req)
	b.ArgsBytes = int64(len(p.req.Args))
	b.Grants = []string{}
	for _, g := range p.granted {
		b.Grants = append(b.Grants, g.String())
	}
	l := p.limits
	b.Limits = journal.RunLimits{
		MemoryBytes: uint64(l.Memory), TableElements: uint64(l.Table), StackBytes: uint64(l.Stack), Fuel: uint64(l.Fuel),
		TimeoutNS: int64(l.Time), OutputBytes: uint64(l.Output), OpenHandles: uint64(l.Handles),
	}
	id, err := journal.BeginRun(ctx, h.synced(log, h.cfg.Durability == DurabilityFull), b)
	if err != nil {
		return 0, errorf(abi.ErrInternal, "nothing runs that cannot be journalled; free space or set PXOS_HOME elsewhere", "write journal: %w", err)
	}
	return id, nil
}

func (h *Host) end(log *journal.Journal, id uint64, end journal.RunEnd) error {
	err := journal.EndRun(context.Background(), h.synced(log, h.cfg.Durability != DurabilityNone), id, end)
	if err != nil {
		return errorf(abi.ErrInternal, "the run took place; its end could not be journalled", "write journal: %w", err)
	}
	return nil
}

// syncedLog asks for every entry to be on the disk before an append returns.
type syncedLog struct{ *journal.Journal }

func (s syncedLog) Append(ctx context.Context, d journal.Draft) (journal.Entry, error) {
	d.Sync = true
	return s.Journal.Append(ctx, d)
}

func (h *Host) synced(log *journal.Journal, sync bool) journal.Log {
	if sync {
		return syncedLog{log}
	}
	return log
}

// argsDigest identifies what a program was asked without keeping it: SHA-256 over
// the JSON arguments and the argument list, each behind its length.
func argsDigest(req *RunRequest) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(req.Args), req.Args)
	for _, a := range req.Argv {
		fmt.Fprintf(h, "%d:%s", len(a), a)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func fillEnd(end *journal.RunEnd, res *abi.RunResult) {
	switch {
	case res.Success:
		end.Result = journal.ResultOK
	case res.ErrorType == abi.ErrExit:
		end.Result = journal.ResultExit
	default:
		end.Result = journal.ResultError
	}
	end.ExitCode = res.ExitCode
	if !res.Success {
		end.Error = &journal.RunError{Type: string(res.ErrorType), Message: res.Error}
	}
	if res.LoadTime > 0 { // a worker that died leaves the two together
		end.LoadNS, end.ExecutionNS = int64(res.LoadTime*1e9), int64(res.ExecutionTime*1e9)
	}
	end.Fuel, end.MemoryPeak, end.OutputBytes = res.Fuel, res.Memory, res.Output
	end.Calls = map[string]uint64{}
	for name, n := range res.HostCalls {
		end.Calls[name] = uint64(n)
	}
	if res.Result != nil && string(res.Result) != "null" {
		sum := sha256.Sum256(res.Result)
		end.ResultDigest = hex.EncodeToString(sum[:])
	}
}

// execute runs a plan where its isolation says.
func (h *Host) execute(ctx context.Context, p *plan) (*abi.RunResult, error) {
	job := &worker.Job{
		Config:  h.engineConfig(),
		Program: p.program.Name, Module: p.program.Module, Export: p.program.Export,
		Argv: append([]string{path.Base(p.program.Module)}, p.req.Argv...),
		Env:  p.env, Args: p.req.Args,
		Granted: p.granted, Dirs: p.dirs, Limits: p.limits, Storage: p.storage,
		Seed: p.req.Seed, Epoch: p.manifest.CreatedAt,
		TerminalStdin: p.req.Terminal.Stdin, CleanStdout: p.req.Terminal.Stdout, CleanStderr: p.req.Terminal.Stderr,
	}
	io := worker.Streams{Stdin: p.req.Stdin, Stdout: p.req.Stdout, Stderr: p.req.Stderr}
	if p.isolation == IsolationInline {
		eng, err := h.engine()
		if err != nil {
			return nil, err
		}
		if h.cfg.Confine {
			if err := worker.Confine(job); err != nil {
				return nil, err
			}
		}
		return job.Run(ctx, eng, p.c.archive, io, nil)
	}
	job.Fingerprint = p.c.archive.Fingerprint()
	job.Path = p.c.path
	proc, err := h.takeSpare(io)
	if err != nil {
		return nil, err
	}
	defer h.afterwards(proc)
	return proc.Run(ctx, job, p.c.data)
}

// afterwards leaves it to the next run, or to Close, to wait for the end of a worker.
func (h *Host) afterwards(p *worker.Process) {
	if old := h.ended.Swap(p); old != nil {
		_ = old.Wait()
	}
}

// Prepare starts a worker process for a run that is about to come with the same
// streams, so that it is ready when the cartridge is. It is never needed and never
// wrong: a worker that is not used ends with the host.
func (h *Host) Prepare(req RunRequest) {
	level := h.cfg.Isolation
	if req.Isolation != "" {
		level = req.Isolation
	}
	if level == IsolationInline || len(h.cfg.Worker.Argv) == 0 || !worker.Supported {
		return
	}
	proc, err := worker.Spawn(h.cfg.Worker, worker.Streams{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr})
	if err != nil {
		return // the run itself will say what is wrong
	}
	if old := h.spare.Swap(proc); old != nil {
		old.Abandon()
	}
}

// Open opens a cartridge for a run that is about to come. While it is verified, the
// compiled code of the program is fetched from the cache, if it is there, and a file
// whose very bytes passed the check before is not checked again (engine.CheckMemo);
// otherwise it is OpenCartridge.
func (h *Host) Open(ctx context.Context, path string, req RunRequest) (*Cartridge, error) {
	return openCartridge(ctx, path, opening{
		early: func(c *Cartridge) { h.preload(ctx, c, req) },
		memo:  engine.CheckMemo{Dir: h.cacheDir(), Version: pxa.CheckVersion},
	})
}

// soonRead is the size below which a cartridge is verified in no time.
const soonRead = 512 << 10

// preload has the code of the program fetched from the cache.
func (h *Host) preload(ctx context.Context, c *Cartridge, req RunRequest) {
	m, err := c.Manifest()
	if err != nil {
		return
	}
	prog, err := m.Program(req.Program)
	if err != nil {
		return
	}
	_, digest, ok := c.archive.Stat(prog.Module)
	if !ok {
		return
	}
	pre := &worker.Preload{Config: h.engineConfig(), Digest: digest, Table: h.Limits(m.Limits, req.Limits).Table}
	if p := h.spare.Load(); p != nil {
		p.Preload(pre)
	} else if c.data != nil && len(c.data) < soonRead {
		// Handing the work to another processor takes longer than what is gained.
	} else if eng, err := h.engine(); err == nil {
		go eng.Preload(context.WithoutCancel(ctx), digest, pre.Table)()
	}
}

func (h *Host) engineConfig() worker.Config {
	return worker.Config{CacheDir: h.cacheDir(), CacheBytes: h.cfg.CacheBytes, Interpreter: h.cfg.Interpreter}
}

// takeSpare returns the prepared worker if there is one with these streams, or a new
// one.
func (h *Host) takeSpare(s worker.Streams) (*worker.Process, error) {
	if p := h.spare.Swap(nil); p != nil {
		if same(p.Streams(), s) {
			return p, nil
		}
		p.Abandon()
	}
	return worker.Spawn(h.cfg.Worker, s)
}

// same compares streams; values that cannot be compared are different.
func same(a, b worker.Streams) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	return a == b
}

// Precompile fills the compile cache with the code of every program of a cartridge,
// so that its first run is warm.
func (h *Host) Precompile(ctx context.Context, c *Cartridge) error {
	m, err := c.Manifest()
	if err != nil {
		return err
	}
	eng, err := h.engine()
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for _, p := range m.Programs {
		if done[p.Module] {
			continue
		}
		done[p.Module] = true
		src, err := worker.Source(c.archive, p.Module)
		if err != nil {
			return err
		}
		limits := h.Limits(m.Limits, abi.Limits{})
		if _, err := eng.Load(ctx, src, limits); err != nil {
			return err
		}
		eng.Unload(ctx, src, limits)
	}
	return nil
}
