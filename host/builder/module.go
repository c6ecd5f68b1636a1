package builder

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/abi/strict"
	"github.com/pxos/pxos/host/engine/wasmbin"
)

// Meta is what the manifest of a single module says; empty fields have stated
// defaults, which depend on nothing but the module's file name and content.
type Meta struct {
	Name        string    // default: from the file name
	Version     string    // default: 0.0.0
	Creator     string    // default: unknown
	CreatorKind string    // default: abi.CreatorHuman
	CreatedAt   time.Time // default: 1980-01-01, the same everywhere
	Notes       string    // default: says that the manifest was generated
	Licence     string    // default: unknown
	Parent      string    // default: none
}

// epoch stands for an unknown time.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Module returns the files of a cartridge that holds a single module: the module
// itself and a manifest for it. fileName gives the program its name. A module that
// imports the pxos family is an SDK program, any other one a WASI command. Only the
// module's magic number is checked here; whether it can run shows when it is run.
func Module(fileName string, wasm []byte, meta Meta) ([]pxa.Source, error) {
	base := filepath.Base(fileName)
	if len(wasm) < 4 || string(wasm[:4]) != "\x00asm" {
		return nil, fail("pack takes a .wasm file, or a directory with a "+abi.ManifestPath, "%s is not a WebAssembly module", base)
	}
	program := Name(base)
	kind := abi.KindWASI
	if m, err := wasmbin.Parse(wasm); err == nil {
		for _, imp := range m.Imports() {
			if imp.Module == "pxos" {
				kind = abi.KindSDK
			}
		}
	}
	manifest, err := meta.manifest(program, kind)
	if err != nil {
		return nil, err
	}
	return []pxa.Source{
		pxa.BytesSource(abi.ManifestPath, manifest),
		pxa.BytesSource(program+".wasm", wasm),
	}, nil
}

func (m Meta) manifest(program, kind string) ([]byte, error) {
	def := func(s *string, val string) {
		if *s == "" {
			*s = val
		}
	}
	def(&m.Name, program)
	def(&m.Version, "0.0.0")
	def(&m.Creator, "unknown")
	def(&m.CreatorKind, abi.CreatorHuman)
	def(&m.Notes, "Packed from a single WebAssembly module. This manifest was generated; it says nothing about where the module came from.")
	def(&m.Licence, "unknown")
	if m.CreatedAt.IsZero() {
		m.CreatedAt = epoch
	}
	var b strings.Builder
	key := func(k, v string) { fmt.Fprintf(&b, "%s = %s\n", k, strict.Quote(v)) }
	key("name", m.Name)
	key("version", m.Version)
	if m.Parent != "" {
		key("parent", m.Parent)
	}
	fmt.Fprintf(&b, "created_at = %s\n", m.CreatedAt.UTC().Format(time.RFC3339))
	key("notes", m.Notes)
	key("genesis", abi.GenesisVersion)
	key("licence", m.Licence)
	fmt.Fprintf(&b, "\n[creator]\nkind = %s\nname = %s\n", strict.Quote(m.CreatorKind), strict.Quote(m.Creator))
	fmt.Fprintf(&b, "\n[programs.%s]\nmodule = %s\nkind = %s\n", strict.Quote(program), strict.Quote(program+".wasm"), strict.Quote(kind))
	src := []byte(b.String())
	if _, err := abi.ParseManifest(src); err != nil {
		return nil, fmt.Errorf("manifest for %s: %w", program, err)
	}
	return src, nil
}

// Name makes the name of a cartridge out of a file name: its lower-case letters,
// digits, - and _ without the suffix, other characters replaced by -; "program" when
// nothing is left.
func Name(fileName string) string {
	s := strings.TrimSuffix(strings.ToLower(fileName), ".wasm")
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			out = append(out, byte(r))
		} else if n := len(out); n > 0 && out[n-1] != '-' {
			out = append(out, '-')
		}
	}
	name := strings.Trim(string(out), "-_")
	if len(name) > 64 {
		name = strings.Trim(name[:64], "-_")
	}
	if name == "" {
		return "program"
	}
	return name
}

// WrapWasm returns the cartridge that packing a single module with default metadata
// makes, as the bytes of its picture.
func WrapWasm(ctx context.Context, fileName string, wasm []byte) ([]byte, error) {
	sources, err := Module(fileName, wasm, Meta{})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(wasm) + len(wasm)/64 + 256<<10)
	_, err = pxa.Pack(ctx, &b, sources, nil)
	return b.Bytes(), err
}
