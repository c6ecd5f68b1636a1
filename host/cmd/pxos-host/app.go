package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine/worker"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/storage"
)

// app is what the subcommands share: the streams, the environment and the policy.
type app struct {
	in       *os.File
	out, err *os.File

	config  string // --config
	started bool   // flags and arguments were accepted
	policy  *policy.Loaded
	oneRun  bool // this process ends with the one run that it makes
	opener  func(ctx context.Context, path string) (*host.Cartridge, error)
}

func newApp() *app {
	return &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, opener: host.OpenCartridge}
}

// main runs the command line and returns the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := a.root(args)
	root.SetArgs(negatives(root, args))
	out := &watched{w: a.out}
	root.SetOut(out)
	a.addHelp(root)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err == nil {
		return 0
	}
	if err == nil {
		return a.report(out.err)
	}
	if !a.started && out.err == nil {
		err = usageError(err)
	}
	return a.report(err)
}

// watched remembers the first error of a writer whose user, cobra's help, drops it.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

func isTerminal(f *os.File) bool { return xterm.IsTerminal(int(f.Fd())) }

// home returns the state directory.
func (a *app) home() (string, error) {
	dir, err := a.homePath()
	if err != nil {
		return "", err
	}
	switch info, err := os.Stat(dir); {
	case err == nil && !info.IsDir(), errors.Is(err, syscall.ENOTDIR):
		return "", hinted(fmt.Errorf("the state directory %s is not a directory", dir), "set PXOS_HOME to a directory; one that does not exist is created")
	}
	return dir, nil
}

func (a *app) homePath() (string, error) {
	if dir := os.Getenv("PXOS_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pxos"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", hinted(errors.New("there is no home directory to keep state in"), "set PXOS_HOME to a directory")
	}
	switch runtime.GOOS {
	case "windows":
		if dir := os.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "pxos"), nil
		}
	case "darwin":
		return filepath.Join(user, "Library", "Application Support", "pxos"), nil
	}
	return filepath.Join(user, ".local", "share", "pxos"), nil
}

func (a *app) answersFile() (string, error) {
	home, err := a.home()
	return filepath.Join(home, "answers.toml"), err
}

// places says where policy files are looked for.
func (a *app) places() (policy.Places, error) {
	p := policy.Places{Explicit: a.config, Local: policy.FileName}
	if p.Explicit == "" {
		p.Explicit = os.Getenv("PXOS_CONFIG")
	}
	if dir, err := os.UserConfigDir(); err == nil {
		p.User = filepath.Join(dir, "pxos", policy.FileName)
	}
	p.Home, _ = os.UserHomeDir()
	var err error
	p.Answers, err = a.answersFile()
	return p, err
}

// loadPolicy reads pxos.toml once.
func (a *app) loadPolicy() (*policy.Loaded, error) {
	if a.policy != nil {
		return a.policy, nil
	}
	p, err := a.places()
	if err != nil {
		return nil, err
	}
	a.policy, err = policy.Load(p)
	if err != nil {
		hint := hintOf(err)
		if hint == "" {
			hint = "check --config and PXOS_CONFIG"
		}
		return nil, hinted(err, hint)
	}
	return a.policy, nil
}

// host returns a host with the policy in force.
func (a *app) host(interpreter bool) (*host.Host, *policy.Loaded, error) {
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	pol, err := a.loadPolicy()
	if err != nil {
		return nil, nil, err
	}
	cfg := host.Config{
		Home:        home,
		Limits:      pol.Limits,
		Isolation:   pol.Isolation,
		CacheBytes:  pol.CacheBytes,
		Durability:  pol.Durability,
		Interpreter: pol.Interpreter || interpreter,
		Confine:     a.oneRun,
		Storage: storage.Policy{
			QuotaBytes: pol.PixelFS.QuotaBytes, QuotaFiles: pol.PixelFS.QuotaFiles,
			Keep: pol.PixelFS.Keep, MaxAge: pol.PixelFS.MaxAge,
			Compression:   pol.PixelFS.Compression,
			MapQuotaBytes: pol.InfiniteMap.QuotaBytes, CacheBytes: pol.InfiniteMap.CacheBytes,
		},
	}
	if exe, err := os.Executable(); err == nil {
		cfg.Worker = worker.Command{Path: sameProgram, Argv: []string{exe, workerCommand}}
	}
	h, err := host.New(cfg)
	return h, pol, err
}

// command fills in what every subcommand has.
func (a *app) command(use, short, long, example string) *cobra.Command {
	return &cobra.Command{
		Use:                   use,
		Short:                 short,
		Long:                  long,
		Example:               strings.TrimRight(example, "\n"),
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
	}
}

// root returns the command tree. A command line that begins with a command's name
// needs that command only, which keeps the start of run short.
func (a *app) root(args []string) *cobra.Command {
	root := a.command("pxos-host COMMAND", "Run programs that live in pictures",
		`pxos-host runs cartridges: WebAssembly programs packed in the pixels of a
picture. A cartridge runs in a sandbox, gets only what you grant it, and
everything it did is in the log.`,
		`  pxos-host new --lang go hello          begin a cartridge
  pxos-host build hello -o hello.pxa     compile and pack it
  pxos-host run hello.pxa                run it
  pxos-host inspect hello.pxa            see what it is and what it asks for
  pxos-host log                          see what ran here`)
	// Not SetVersionTemplate: with a template of one's own the linker keeps every method of
	// every type, and the start of each process takes a tenth longer.
	root.Version = host.Version
	root.PersistentFlags().StringVar(&a.config, "config", "", "use this pxos.toml `FILE` and no other")
	root.PersistentPreRun = func(*cobra.Command, []string) { a.started = true }
	root.SetErr(a.err)
	cobra.EnableCommandSorting = false // the order below is the order of use
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)

	all := []struct {
		name string
		make func() *cobra.Command
	}{
		{"run", a.runCmd}, {"new", a.newCmd}, {"build", a.buildCmd}, {"pack", a.packCmd},
		{"unpack", a.unpackCmd}, {"inspect", a.inspectCmd}, {"verify", a.verifyCmd}, {"log", a.logCmd},
		{"fs", a.fsCmd}, {"overlay", a.overlayCmd}, {"map", a.mapCmd}, {"cache", a.cacheCmd}, {"config", a.configCmd}, {"inspect-self", a.selfCmd},
		{"validate-genesis", a.genesisCmd}, {"version", a.versionCmd},
	}
	for _, c := range all {
		if len(args) > 0 && args[0] == c.name {
			root.AddCommand(c.make())
			root.CompletionOptions.DisableDefaultCmd = true
			return root
		}
	}
	for _, c := range all {
		root.AddCommand(c.make())
	}
	return root
}
