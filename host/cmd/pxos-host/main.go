// Command pxos-host runs cartridges: WebAssembly programs packed in pictures.
//
// It is the only place of the module that reads flags, the environment and
// pxos.toml, and the only one that ends the process.
//
// # Exit codes
//
//	0    it worked
//	1    it failed; for run also: the program failed without an exit code of its
//	     own (a typed error, a trap, a limit, its deadline)
//	2    the command line is wrong
//	125  run: the host could not run the program: not a cartridge, refused or
//	     invalid module, missing imports, no such program, capability denied,
//	     worker crashed, journal not writable
//	130  interrupted (143: terminated)
//
// Any other code of run is the program's own, and so is 1, 2 or 125 when the program
// exits with it; codes above 255, which a shell cannot see, become 255.
//
// # Environment
//
//	PXOS_HOME      state: journal, cache, answers to prompts
//	               (default: pxos in the XDG data directory)
//	PXOS_CONFIG    the policy file, as --config
//	PXOS_GO        the go command that compiles Go programs
//	PXOS_CLANG     the clang that compiles C programs; without it the wasi-sdk that
//	               WASI_SDK_PATH names is used, then clang in PATH
package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/pxos/pxos/host/engine/worker"
)

func main() {
	growStack()
	if len(os.Args) == 2 && os.Args[1] == workerCommand {
		os.Exit(worker.Main(context.Background()))
	}
	os.Exit(run(os.Args[1:]))
}

// growStack makes the stack of this goroutine as large as a run needs it. Otherwise it
// grows in steps, and each copies what is already deep: a twentieth of a small run.
//
//go:noinline
func growStack() byte {
	var room [60 << 10]byte
	return touch(&room)
}

//go:noinline
func touch(room *[60 << 10]byte) byte { return room[len(os.Args)] }

// workerCommand is the hidden command that the host starts itself again with. It has
// no flags, so it does without the command tree.
const workerCommand = "worker"

func run(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var caught atomic.Int32
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s, _ := (<-signals).(syscall.Signal)
		caught.Store(int32(s))
		signal.Stop(signals) // a second one ends the process at once
		cancel()
	}()
	code := newApp().main(ctx, args)
	if s := caught.Load(); s != 0 && code != 0 {
		return 128 + int(s)
	}
	return code
}
