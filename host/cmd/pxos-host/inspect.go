package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine/wasmbin"
	"github.com/pxos/pxos/host/term"
)

// maxInspect is the largest module whose imports and exports are shown.
const maxInspect = 256 << 20

// inspection is the JSON form of inspect. Keys are added, none is removed. Without a
// manifest its keys are empty and problems says so.
type inspection struct {
	File         string           `json:"file"`
	Digest       string           `json:"digest"`
	Name         string           `json:"name"`
	Version      string           `json:"version"`
	Parent       string           `json:"parent"`
	CreatedAt    time.Time        `json:"created_at"`
	Creator      abi.Creator      `json:"creator"`
	Notes        string           `json:"notes"`
	Genesis      string           `json:"genesis"`
	Licence      string           `json:"licence"`
	ABI          string           `json:"abi"`
	Default      string           `json:"default"`
	Programs     []abi.Program    `json:"programs"`
	Capabilities []abi.Capability `json:"capabilities"`
	Limits       []string         `json:"limits"` // name=value, what the manifest lowers
	Compliance   bool             `json:"genesis_compliance"`
	Entries      []entryInfo      `json:"entries"`
	Modules      []moduleInfo     `json:"modules"`
	Problems     []string         `json:"problems"` // why it cannot run, or not wholly
}

type entryInfo struct {
	Path       string `json:"path"`
	Size       int64  `json:"size"`
	Stored     int64  `json:"stored_size"`
	Codec      string `json:"codec"`
	Executable bool   `json:"executable"`
	SHA256     string `json:"sha256"`
}

type moduleInfo struct {
	Path      string       `json:"path"`
	Size      int64        `json:"size"`
	Functions int          `json:"functions"`
	Memory    int64        `json:"memory"` // bytes at the start
	Imports   []linkedItem `json:"imports"`
	Exports   []linkedItem `json:"exports"`
	Error     string       `json:"error,omitempty"`
}

type linkedItem struct {
	Module string `json:"module,omitempty"` // imports only
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Type   string `json:"type,omitempty"` // functions only
}

func (a *app) inspectCmd() *cobra.Command {
	cmd := a.command("inspect X [--json]", "Show what a cartridge is and what it asks for",
		`Shows what X is, who made it, what it asks for, its programs and files, and what
its modules import and export. Everything in the cartridge is checked against the
digest first. Nothing of it runs.`,
		`  pxos-host inspect hello.pxa
  pxos-host inspect --json hello.pxa | jq .capabilities`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "a cartridge, a .wasm module or a directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer c.close()
		info, err := inspect(cmd.Context(), c, args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(info)
		}
		return a.printInspection(info)
	}
	return cmd
}

// newerFormat says that an archive may hold more than this version can see.
func newerFormat(format string) string {
	return fmt.Sprintf("the archive has format %s, this version knows %d.%d: there may be more in it than is shown", format, pxa.VersionMajor, pxa.VersionMinor)
}

func inspect(ctx context.Context, c *opened, file string) (*inspection, error) {
	info := &inspection{
		File: file, Digest: c.Digest(), Programs: []abi.Program{}, Capabilities: []abi.Capability{}, Limits: []string{},
		Entries: []entryInfo{}, Modules: []moduleInfo{}, Problems: []string{},
	}
	r := c.Archive()
	if how, err := r.Inspect(); err == nil && how.Newer {
		info.Problems = append(info.Problems, newerFormat(how.Format))
	}
	for _, e := range r.Entries() {
		info.Entries = append(info.Entries, entryInfo{e.Path, e.Size, e.StoredSize, e.Codec.String(), e.Executable, e.Sum.String()})
		info.Compliance = info.Compliance || e.Path == "GENESIS_COMPLIANCE.md"
	}
	m, err := c.Manifest()
	if err != nil {
		var me *abi.ManifestError
		if errors.As(err, &me) {
			for _, f := range me.Faults {
				info.Problems = append(info.Problems, abi.ManifestPath+": "+f.String())
			}
		} else {
			info.Problems = append(info.Problems, err.Error())
		}
		return info, nil
	}
	info.Name, info.Version, info.Parent, info.CreatedAt, info.Creator = m.Name, m.Version, m.Parent, m.CreatedAt, m.Creator
	info.Notes, info.Genesis, info.Licence, info.ABI, info.Default = m.Notes, m.Genesis, m.Licence, m.ABI, m.Default
	info.Programs = append(info.Programs, m.Programs...)
	info.Capabilities = append(info.Capabilities, m.Capabilities...)
	info.Limits = append(info.Limits, m.Limits.Format()...)
	if err := abi.CheckVersion(m.ABI); err != nil {
		info.Problems = append(info.Problems, err.Error())
	}
	var seen, faulty []string
	for _, p := range m.Programs {
		if slices.Contains(seen, p.Module) {
			continue
		}
		seen = append(seen, p.Module)
		mod := inspectModule(r, p.Module)
		if mod.Error != "" {
			info.Problems = append(info.Problems, p.Module+": "+mod.Error)
			faulty = append(faulty, p.Module)
		}
		info.Modules = append(info.Modules, mod)
	}
	// What can be read may still not run here.
	faults, err := host.CheckPrograms(ctx, m, func(module string) (io.ReadCloser, int64, error) {
		e, ok := r.Lookup(module)
		if !ok {
			return nil, 0, fs.ErrNotExist
		}
		f, err := r.Open(module)
		return f, e.Size, err
	})
	for _, f := range faults {
		text := f.Module + ": " + f.Err.Error()
		if !slices.Contains(faulty, f.Module) && !slices.Contains(info.Problems, text) {
			info.Problems = append(info.Problems, text)
		}
	}
	return info, err
}

func inspectModule(r *pxa.Reader, path string) moduleInfo {
	out := moduleInfo{Path: path, Imports: []linkedItem{}, Exports: []linkedItem{}}
	fail := func(err error) moduleInfo {
		out.Error = err.Error()
		return out
	}
	e, ok := r.Lookup(path)
	if !ok {
		return fail(fmt.Errorf("the archive has no such entry: %w", fs.ErrNotExist))
	}
	if out.Size = e.Size; e.Size > maxInspect {
		return fail(fmt.Errorf("more than %s are not looked into", abi.FormatBytes(maxInspect)))
	}
	b, err := r.ReadFile(path)
	if err != nil {
		return fail(err)
	}
	m, err := wasmbin.Parse(b)
	if err != nil {
		return fail(err)
	}
	out.Functions = m.NumFuncs() - m.NumImportedFuncs()
	if mem := m.Memory(); mem != nil {
		out.Memory = int64(mem.Min) << 16
	}
	for _, i := range m.Imports() {
		item := linkedItem{Module: i.Module, Name: i.Name, Kind: i.Kind.String()}
		if i.Kind == wasmbin.KindFunc {
			item.Type = i.Func.String()
		}
		out.Imports = append(out.Imports, item)
	}
	for _, x := range m.Exports() {
		item := linkedItem{Name: x.Name, Kind: x.Kind.String()}
		if x.Kind == wasmbin.KindFunc {
			item.Type = x.Func.String()
		}
		out.Exports = append(out.Exports, item)
	}
	return out
}

func (a *app) printInspection(info *inspection) error {
	w := &watched{w: a.out}
	if info.Name != "" {
		fmt.Fprintf(w, "%s %s\n", term.Line(info.Name), term.Line(info.Version))
	} else {
		fmt.Fprintf(w, "%s\n", term.Line(info.File))
	}
	t := newTable(w)
	row := func(key, val string) {
		if val != "" {
			t.row("  "+key, oneLine(val))
		}
	}
	row("digest", info.Digest)
	if info.Name != "" {
		row("made by", fmt.Sprintf("%s (%s), %s", info.Creator.Name, info.Creator.Kind, info.CreatedAt.Format(time.RFC3339)))
	}
	row("parent", info.Parent)
	row("licence", info.Licence)
	if info.ABI != "" {
		row("contract", fmt.Sprintf("abi %s, genesis %s", info.ABI, info.Genesis))
	}
	row("limits", strings.Join(info.Limits, " "))
	row("notes", info.Notes)
	if err := t.flush(); err != nil {
		return err
	}
	section := func(title string, rows func(t *table)) {
		fmt.Fprintf(w, "\n%s\n", title)
		t := newTable(w)
		rows(t)
		_ = t.flush() // w keeps the error
	}
	if len(info.Problems) > 0 {
		section("Problems", func(t *table) {
			for _, p := range info.Problems {
				t.row("  " + term.Line(p))
			}
		})
	}
	if info.Name != "" {
		section("Asks for", func(t *table) {
			for _, c := range info.Capabilities {
				t.row("  "+describe(c), "because: "+oneLine(c.Reason))
			}
			if len(info.Capabilities) == 0 {
				t.row("  nothing")
			}
		})
		section("Programs", func(t *table) {
			for _, p := range info.Programs {
				mark := ""
				if p.Name == info.Default {
					mark = "default"
				}
				t.row("  "+term.Line(strings.TrimSuffix(p.Name, ":main")), p.Kind, term.Line(p.Module), mark, oneLine(p.Description))
			}
		})
	}
	section("Entries", func(t *table) {
		for _, e := range info.Entries {
			t.row("  "+abi.FormatBytes(e.Size), e.Codec, term.Line(e.Path))
		}
	})
	for _, m := range info.Modules {
		if m.Error != "" {
			continue
		}
		section(fmt.Sprintf("Module %s: %d functions, %s of memory", term.Line(m.Path), m.Functions, abi.FormatBytes(m.Memory)), func(t *table) {
			groups := map[string][]string{}
			var order []string
			for _, i := range m.Imports {
				if groups[i.Module] == nil {
					order = append(order, i.Module)
				}
				if name := term.Line(i.Name); !slices.Contains(groups[i.Module], name) { // some compilers import twice
					groups[i.Module] = append(groups[i.Module], name)
				}
			}
			for _, g := range order {
				t.row("  imports from "+term.Line(g), strings.Join(groups[g], ", "))
			}
			var names []string
			for _, x := range m.Exports {
				names = append(names, term.Line(x.Name))
			}
			t.row("  exports", strings.Join(names, ", "))
		})
	}
	return w.err
}
