package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/builder"
	"github.com/pxos/pxos/host/term"
)

// outFlags are the flags of the commands that write a cartridge.
type outFlags struct {
	out            string
	xz, precompile bool
}

func (f *outFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "output", "o", "", "the `FILE` to write, - for standard output (default: its name with .pxa)")
	fl.BoolVar(&f.xz, "xz", false, "compress: smaller, and slower to open for the first time")
	fl.BoolVar(&f.precompile, "precompile", false, "also compile for this machine, so that the first run is fast")
}

func (a *app) buildCmd() *cobra.Command {
	var f outFlags
	cmd := a.command("build DIR [-o OUT.pxa]", "Compile a cartridge's programs and pack it",
		`Compiles the programs of the cartridge in DIR and packs it. A module that lies in
DIR is taken as it is, with a note when its source is newer. The source of NAME.wasm is the directory NAME, or DIR
itself where there is none: a Go command (compiled with go), or C files (compiled
with clang and its wasm32-wasi target). Nothing is written into DIR.

Everything in DIR goes into the cartridge, sources too, but for hidden files,
other cartridges, directories called third_party, and what .pxaignore names, one
pattern a line.`,
		`  pxos-host build hello -o hello.pxa
  pxos-host build . -o /tmp/hello.pxa --precompile`)
	f.add(cmd)
	cmd.Args = takes(1, 1, "a directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, dir := cmd.Context(), args[0]
		info, err := os.Stat(dir)
		if err != nil {
			return notThere(err, dir, "name a cartridge's directory; pxos-host new begins one")
		}
		if !info.IsDir() {
			return usagef("pxos-host pack "+dir+" packs a single module", "%s is not a directory", dir)
		}
		out, err := f.file(dir)
		if err != nil {
			return err
		}
		tree, err := a.buildTree(ctx, dir, out)
		if err != nil {
			return err
		}
		defer tree.Close()
		return a.write(ctx, out, tree.Sources, tree.Manifest, &f, origin(dir, tree))
	}
	return cmd
}

// file returns what is written: what -o says, or the name of the input in the
// working directory.
func (f *outFlags) file(input string) (string, error) {
	if f.out == "-" && f.precompile {
		return "", usagef("write to a file", "--precompile needs a file")
	}
	out := f.out
	if out == "-" {
		return out, nil
	}
	if out == "" {
		abs, err := filepath.Abs(input)
		if err != nil {
			return "", err
		}
		out = builder.Name(filepath.Base(abs)) + ".pxa"
	}
	return out, builder.CheckOutput(out) // before anything is compiled
}

// origin is the directory of a tree whose programs were compiled from source here, or "".
func origin(dir string, tree *builder.Tree) string {
	if !tree.Compiled() {
		return ""
	}
	return realPath(dir)
}

// write packs and says what it has written; origin is the directory from whose source
// its programs were compiled here, or "". The digest is the last word of the line.
func (a *app) write(ctx context.Context, out string, sources []pxa.Source, m *abi.Manifest, f *outFlags, origin string) error {
	if err := a.warn(ctx, sources, m); err != nil {
		return err
	}
	step, clear := a.progress("packing")
	opts := &pxa.PackOptions{XZ: f.xz, Progress: step}
	if out == "-" {
		return a.writeOut(ctx, sources, opts, clear)
	}
	digest, err := builder.WriteFile(ctx, out, sources, opts)
	clear()
	if err != nil {
		return err
	}
	if f.precompile {
		if err := a.precompile(ctx, out); err != nil {
			return err
		}
	}
	if origin != "" {
		a.recordMade(out, made{digest.String(), origin})
	}
	_, err = fmt.Fprintf(a.out, "%s: %s %s, %d entries, digest %s\n", term.Line(out), m.Name, m.Version, len(sources), digest)
	return err
}

// warn notes which programs this host cannot run. They may be meant for another one,
// so that is no error.
func (a *app) warn(ctx context.Context, sources []pxa.Source, m *abi.Manifest) error {
	faults, err := host.CheckPrograms(ctx, m, func(module string) (io.ReadCloser, int64, error) {
		for _, s := range sources {
			if s.Path == module {
				r, err := s.Open()
				return r, s.Size, err
			}
		}
		return nil, 0, fs.ErrNotExist
	})
	for _, f := range faults {
		a.note("program %s cannot run here: %v", strings.TrimSuffix(f.Program, ":main"), f.Err)
	}
	return err
}

// writeOut packs to standard output.
func (a *app) writeOut(ctx context.Context, sources []pxa.Source, opts *pxa.PackOptions, clear func()) error {
	if isTerminal(a.out) {
		return usagef("write -o OUT.pxa, or pipe it somewhere", "a cartridge is not written to a terminal")
	}
	w := bufio.NewWriterSize(a.out, 1<<20)
	_, err := pxa.Pack(ctx, w, sources, opts)
	clear()
	if err == nil {
		err = w.Flush()
	}
	return err
}

// precompile compiles every program of a cartridge into the cache.
func (a *app) precompile(ctx context.Context, file string) error {
	h, _, err := a.host(false)
	if err != nil {
		return err
	}
	defer h.Close()
	c, err := host.OpenCartridge(ctx, file)
	if err != nil {
		return err
	}
	defer c.Close()
	return h.Precompile(ctx, c)
}

// clang returns the C compiler that the environment names, or "".
func clang() string {
	if c := os.Getenv("PXOS_CLANG"); c != "" {
		return c
	}
	if sdk := os.Getenv("WASI_SDK_PATH"); sdk != "" {
		return filepath.Join(sdk, "bin", "clang")
	}
	return ""
}
