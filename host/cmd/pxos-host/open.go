package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

// inMemory is the size up to which a directory is packed in memory to be run.
const inMemory = 64 << 20

// opened is a cartridge that the user named.
type opened struct {
	*host.Cartridge
	id      policy.Identity
	cleanup func()
}

func (o *opened) close() {
	o.Close()
	o.cleanup()
}

// open opens a cartridge file, a WebAssembly module, or a directory, which is built
// first.
func (a *app) open(ctx context.Context, x string) (*opened, error) {
	info, err := os.Stat(x)
	if err != nil {
		return nil, notThere(err, x, hintAny)
	}
	o := &opened{cleanup: func() {}}
	if info.IsDir() {
		err = a.openDir(ctx, x, o)
	} else {
		o.Cartridge, err = a.opener(ctx, x)
	}
	if err != nil {
		o.cleanup()
		return nil, err
	}
	o.id = policy.Identity{Digest: o.Digest(), Path: x}
	return o, nil
}

func (a *app) openDir(ctx context.Context, dir string, o *opened) error {
	tree, err := a.buildTree(ctx, dir)
	if err != nil {
		return err
	}
	defer tree.Close()
	var size int64
	for _, s := range tree.Sources {
		size += s.Size
	}
	if size <= inMemory {
		var b bytes.Buffer
		if _, err := pxa.Pack(ctx, &b, tree.Sources, nil); err != nil {
			return err
		}
		o.Cartridge, err = host.OpenCartridgeBytes(ctx, b.Bytes())
		return err
	}
	f, err := os.CreateTemp("", "pxos-run-*.pxa")
	if err != nil {
		return err
	}
	o.cleanup = func() { os.Remove(f.Name()) }
	f.Close()
	step, clear := a.progress("packing")
	_, err = builder.WriteFile(ctx, f.Name(), tree.Sources, &pxa.PackOptions{Progress: step})
	clear()
	if err != nil {
		return err
	}
	o.Cartridge, err = host.OpenCartridge(ctx, f.Name())
	return err
}

// buildTree collects a cartridge directory and compiles what is missing.
func (a *app) buildTree(ctx context.Context, dir string, skip ...string) (*builder.Tree, error) {
	tree, err := builder.Collect(ctx, dir, skip...)
	if err != nil {
		return nil, err
	}
	tc := builder.Toolchain{Go: os.Getenv("PXOS_GO"), Clang: clang(), Env: os.Environ()}
	if isTerminal(a.err) {
		tc.Step = func(module, compiler string) {
			fmt.Fprintf(a.err, "compiling %s with %s\n", term.Line(module), term.Line(compiler))
		}
	}
	if err := tree.Compile(ctx, tc); err != nil {
		tree.Close()
		return nil, err
	}
	if err := a.noteStale(ctx, tree, dir); err != nil {
		tree.Close()
		return nil, err
	}
	return tree, nil
}

// noteStale says which modules lie there although their source has changed since.
func (a *app) noteStale(ctx context.Context, tree *builder.Tree, dir string) error {
	stale, err := tree.Stale(ctx)
	for _, s := range stale {
		a.note("%s is older than its source %s and is taken as it is; delete it, and pxos-host build and run compile it anew",
			filepath.Join(dir, filepath.FromSlash(s.Module)), filepath.Join(dir, filepath.FromSlash(s.Source)))
	}
	return err
}
