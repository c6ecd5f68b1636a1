// Package worker makes runs from plain data, so that the same run can take place
// inside the host or in a process of its own: the host describes it as a [Job], and
// [Start] carries that to a worker process, where [Main] runs it under resource
// limits.
//
// # Protocol
//
// A worker is started as the host's worker command with three files beside its
// standard streams: 3 is the cartridge (unless the job names a path), 4 a pipe on which
// the host writes messages, the last of them the job, and which it keeps open, 5 a pipe
// on which the worker writes one answer. A worker ends at once when pipe 4 closes: no
// worker outlives its host. The host kills a worker that has not answered shortly after
// its deadline, and one that has answered.
//
// Numbers are little endian. A message is a u32 length and that many bytes: a letter
// for its kind, P for a [Preload] and J for the [Job], and that as pack encodes it. The
// worker writes a space when the module is loaded, and then, or instead when it is not, a
// line feed, a u32 length and that many bytes: a reply as pack encodes it.
package worker

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/storage"
)

// Dir is a granted host directory by its path.
type Dir struct {
	Guest    string
	Host     string
	ReadOnly bool
}

// Config is how the engine of a run works.
type Config struct {
	CacheDir    string
	CacheBytes  int64
	Interpreter bool
}

func (c Config) config() engine.Config {
	return engine.Config{CacheDir: c.CacheDir, CacheBytes: c.CacheBytes, Interpreter: c.Interpreter, Families: storage.Families()}
}

// Preload asks for a module's code to be fetched from the cache while the host is
// still verifying the cartridge.
type Preload struct {
	Config
	Digest [32]byte // of the module
	Table  int64    // the limit on table entries
}

// Kinds of messages.
const (
	kindJob     = 'J'
	kindPreload = 'P'
)

// Job describes one run.
type Job struct {
	Config
	// Path is the cartridge's file, for one too large to be handed over in memory.
	Path string
	// Fingerprint is what the host saw of the archive; a worker that sees another
	// refuses.
	Fingerprint string

	Program string
	Module  string // path in the archive
	Export  string
	Argv    []string
	Env     []string
	Args    json.RawMessage
	Granted []abi.Capability
	Dirs    []Dir
	Limits  abi.Limits
	Seed    []byte
	Epoch   time.Time
	// Storage is where the pixel files and maps are that were granted; nil when none were.
	Storage *storage.Config

	TerminalStdin bool
	CleanStdout   bool
	CleanStderr   bool
}

// Streams are the standard streams of a run.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run makes the run inside this process. begun, when not nil, is called when the
// module is loaded and the guest is about to start.
func (j *Job) Run(ctx context.Context, eng *engine.Engine, a *Archive, s Streams, begun func()) (*abi.RunResult, error) {
	src, err := Source(a, j.Module)
	if err != nil {
		return nil, err
	}
	cfg := &engine.RunConfig{
		Program: j.Program, Export: j.Export, Argv: j.Argv, Env: j.Env, Args: j.Args,
		Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr,
		TerminalStdin: j.TerminalStdin, CleanStdout: j.CleanStdout, CleanStderr: j.CleanStderr,
		Archive: a, Files: a.FS(), Granted: j.Granted, Limits: j.Limits, Seed: j.Seed, Epoch: j.Epoch,
	}
	for _, d := range j.Dirs {
		root, err := os.OpenRoot(d.Host)
		if err != nil {
			return nil, &engine.Error{Type: abi.ErrDenied, Msg: "granted directory cannot be opened: " + err.Error(),
				Hint: "grant a directory that exists", Err: err}
		}
		defer root.Close()
		cfg.Dirs = append(cfg.Dirs, engine.Dir{Guest: d.Guest, Root: root, ReadOnly: d.ReadOnly})
	}
	var stored *storage.Session
	if j.Storage != nil {
		if stored, err = j.Storage.Open(); err != nil {
			return nil, err
		}
		defer stored.Close()
		cfg.Services, cfg.Mounts, cfg.Ending = stored.Services(), stored.Mounts(), stored.End
	}
	started := time.Now()
	m, err := eng.Load(ctx, src, j.Limits)
	if err != nil {
		return nil, err
	}
	loaded := time.Since(started)
	if begun != nil {
		begun()
	}
	res, err := m.Run(ctx, cfg)
	if res != nil {
		res.LoadTime = loaded.Seconds()
	}
	if stored != nil {
		if cerr := stored.Close(); cerr != nil && res != nil {
			notKept(res, cerr)
		}
	}
	return res, err
}

// notKept turns the result of a program that did not close its files and maps into a
// failure when closing them for it failed.
func notKept(res *abi.RunResult, err error) {
	msg := "what the program left open could not be kept: " + err.Error()
	if !res.Success {
		res.Hint = msg // it failed already, and says how
		return
	}
	res.Success, res.ErrorType, res.Error = false, abi.ErrInternal, msg
	res.Hint = "files and maps have what was committed last; a program that closes them itself sees the error"
}
