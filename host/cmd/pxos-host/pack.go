package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/builder"
)

// maxModule is the largest single module that pack reads.
const maxModule = 1 << 30

func (a *app) packCmd() *cobra.Command {
	var (
		f       outFlags
		meta    builder.Meta
		created string
	)
	cmd := a.command("pack FILE.wasm|DIR [-o OUT.pxa]", "Pack a WebAssembly module or a directory",
		`Packs a directory with a cartridge.toml as it is, without compiling anything, or a
single WebAssembly module, for which it writes the manifest. The same input packs
to the same bytes on every machine.`,
		`  pxos-host pack qjs.wasm -o qjs.pxa
  pxos-host pack qjs.wasm --name quickjs --version 2024.1.13 --creator "Fabrice Bellard"
  pxos-host pack hello -o hello.pxa --xz`)
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&meta.Name, "name", "", "module: the cartridge's `NAME` (default: the file's)")
	fl.StringVar(&meta.Version, "version", "", "module: its semantic `VERSION` (default 0.0.0)")
	fl.StringVar(&meta.Creator, "creator", "", "module: `WHO` made it (default unknown)")
	fl.StringVar(&meta.CreatorKind, "creator-kind", "", "module: what made it, human, llm or hybrid (`KIND`)")
	fl.StringVar(&created, "created-at", "", "module: when, an RFC 3339 `TIME` (default 1980-01-01T00:00:00Z)")
	fl.StringVar(&meta.Notes, "notes", "", "module: why this version exists, a `TEXT`")
	fl.StringVar(&meta.Licence, "licence", "", "module: its `LICENCE` (default unknown)")
	fl.StringVar(&meta.Parent, "parent", "", "module: the `DIGEST` of the version before")
	complete(cmd, "creator-kind", abi.CreatorHuman, abi.CreatorLLM, abi.CreatorHybrid)
	cmd.Args = takes(1, 1, "a .wasm module or a directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, in := cmd.Context(), args[0]
		info, err := os.Stat(in)
		if err != nil {
			return notThere(err, in, "name a .wasm module or a cartridge's directory")
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return &builder.Error{Msg: in + " is not a plain file", Hint: "pack takes a .wasm file or a directory"}
		}
		out, err := f.file(in)
		if err != nil {
			return err
		}
		if info.IsDir() {
			if meta != (builder.Meta{}) || created != "" {
				return usagef("write them into "+filepath.Join(in, abi.ManifestPath), "the metadata of a directory is in its manifest, not in flags")
			}
			tree, err := builder.Collect(ctx, in, out)
			if err != nil {
				return err
			}
			defer tree.Close()
			if missing := tree.Missing(); len(missing) > 0 {
				return &builder.Error{Msg: "the manifest names modules that are not there: " + strings.Join(missing, ", "), Hint: "pxos-host build " + in + " compiles them"}
			}
			if err := a.noteStale(ctx, tree, in); err != nil {
				return err
			}
			return a.write(ctx, out, tree.Sources, tree.Manifest, &f, origin(in, tree))
		}
		if created != "" {
			if meta.CreatedAt, err = time.Parse(time.RFC3339, created); err != nil {
				return usagef("write --created-at 2026-01-31T12:00:00Z", "--created-at %q is no RFC 3339 time", created)
			}
		}
		if info.Size() > maxModule {
			return &builder.Error{Msg: in + " has more than " + abi.FormatBytes(maxModule), Hint: "a module of this size is no program"}
		}
		wasm, err := readModule(in)
		if err != nil {
			return err
		}
		sources, err := builder.Module(in, wasm, meta)
		if err != nil {
			return err
		}
		m, err := manifestOf(sources)
		if err != nil {
			return err
		}
		return a.write(ctx, out, sources, m, &f, "")
	}
	return cmd
}

func readModule(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxModule))
}

// manifestOf reads the manifest back that was generated.
func manifestOf(sources []pxa.Source) (*abi.Manifest, error) {
	for _, s := range sources {
		if s.Path != abi.ManifestPath {
			continue
		}
		r, err := s.Open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		src, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return abi.ParseManifest(src)
	}
	return nil, os.ErrNotExist
}
