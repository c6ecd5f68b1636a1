package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/storage"
	"github.com/pxos/pxos/host/term"
)

func (a *app) overlayCmd() *cobra.Command {
	cmd := a.command("overlay list|diff|keep|drop", "Decide about what sandboxed runs changed",
		`A run with --sandbox sees the pixel files and maps of its cartridge, and what it
changes goes to an overlay of its own. Look at the changes, then keep them or throw
them away. What keeping replaces stays as a version.`,
		`  pxos-host run notes.pxa --sandbox
  pxos-host overlay list
  pxos-host overlay diff 12
  pxos-host overlay keep 12`)
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(*cobra.Command, []string) error {
		return usagef("pxos-host overlay list", "overlay needs one of list, diff, keep, drop")
	}
	cmd.AddCommand(a.overlayListCmd(), a.overlayDiffCmd(), a.overlayKeepCmd(), a.overlayDropCmd())
	return cmd
}

func (a *app) overlayListCmd() *cobra.Command {
	cmd := a.command("list [--json]", "List the overlays there are", "", "  pxos-host overlay list")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withHost(cmd.Context(), nil, func(h *host.Host, _ *policy.Loaded) error {
			list, err := h.Overlays()
			if err != nil {
				return err
			}
			t := newTable(a.out)
			for _, o := range list {
				if *asJSON {
					if err := a.printJSON(o); err != nil {
						return err
					}
					continue
				}
				t.row(o.ID, when(o.Time), term.Line(o.Name+" "+o.Version), term.Line(o.Program), o.Namespace)
			}
			return t.flush()
		})
	}
	return cmd
}

// changeJSON is the JSON form of one changed file.
type changeJSON struct {
	Kind     string    `json:"kind"` // added, changed, removed or renamed
	Name     string    `json:"name"`
	From     string    `json:"from,omitempty"`
	Before   *fileJSON `json:"before,omitempty"`
	After    *fileJSON `json:"after,omitempty"`
	Conflict string    `json:"conflict,omitempty"`
}

func changesJSON(list []pixelfs.Change) []changeJSON {
	out := []changeJSON{}
	for _, c := range list {
		j := changeJSON{Kind: string(c.Kind), Name: c.Name, From: c.From, Conflict: c.Conflict}
		if c.Before.Name != "" {
			b := toJSON(c.Before)
			j.Before = &b
		}
		if c.After.Name != "" {
			b := toJSON(c.After)
			j.After = &b
		}
		out = append(out, j)
	}
	return out
}

// mapDiffJSON is the JSON form of a changed map.
type mapDiffJSON struct {
	Name     string   `json:"name"`
	New      bool     `json:"new,omitempty"`
	Count    uint64   `json:"tiles"`
	Areas    []string `json:"areas"` // of tiles that differ: x,y,width,height
	Conflict string   `json:"conflict,omitempty"`
}

func (a *app) overlayDiffCmd() *cobra.Command {
	cmd := a.command("diff ID [--json]", "Show what an overlay changes", "", "  pxos-host overlay diff 12")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "an overlay's ID")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHost(cmd.Context(), nil, func(h *host.Host, _ *policy.Loaded) error {
			d, err := h.DiffOverlay(cmd.Context(), args[0])
			if err != nil {
				return overlayError(err)
			}
			if *asJSON {
				maps := []mapDiffJSON{}
				for _, m := range d.Maps {
					j := mapDiffJSON{Name: m.Name, New: m.New, Count: m.Count, Areas: []string{}, Conflict: m.Conflict}
					for _, t := range m.Tiles {
						j.Areas = append(j.Areas, t.Area.String())
					}
					maps = append(maps, j)
				}
				return a.printJSON(struct {
					Files []changeJSON  `json:"files"`
					Maps  []mapDiffJSON `json:"maps"`
				}{changesJSON(d.Files), maps})
			}
			return a.showDiff(d)
		})
	}
	return cmd
}

func (a *app) showDiff(d *storage.Diff) error {
	if d.Empty() {
		_, err := fmt.Fprintln(a.out, "nothing differs")
		return err
	}
	t := newTable(a.out)
	for _, c := range d.Files {
		name := term.Line(c.Name)
		if c.Dir {
			name += "/"
		}
		if c.From != "" {
			name = term.Line(c.From) + " -> " + name
		}
		size := ""
		switch {
		case c.Dir:
		case c.Before.Name != "" && c.After.Name != "":
			size = fmt.Sprintf("%d -> %d bytes", c.Before.Size, c.After.Size)
		case c.After.Name != "":
			size = fmt.Sprintf("%d bytes", c.After.Size)
		case c.Before.Name != "":
			size = fmt.Sprintf("was %d bytes", c.Before.Size)
		}
		t.row(string(c.Kind), name, size, term.Line(c.Conflict))
	}
	for _, m := range d.Maps {
		kind := "changed"
		if m.New {
			kind = "added"
		}
		t.row(kind, "map "+m.Name, count(m.Count, "tile", "tiles"), term.Line(m.Conflict))
	}
	return t.flush()
}

func (a *app) overlayKeepCmd() *cobra.Command {
	cmd := a.command("keep ID [--json]", "Carry the changes over and end the overlay",
		`Carries the changes over to the files and maps of the cartridge. When something
there has changed since, nothing is kept and the conflicts are listed.`,
		"  pxos-host overlay keep 12")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "an overlay's ID")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHost(cmd.Context(), nil, func(h *host.Host, _ *policy.Loaded) error {
			k, err := h.KeepOverlay(cmd.Context(), args[0])
			if err != nil {
				return overlayError(err)
			}
			if *asJSON {
				conflicts, maps := k.Conflicts, k.Maps
				if conflicts == nil {
					conflicts = []string{}
				}
				if maps == nil {
					maps = []string{}
				}
				err = a.printJSON(struct {
					Files     []changeJSON `json:"files"`
					Maps      []string     `json:"maps"`
					Conflicts []string     `json:"conflicts"`
				}{changesJSON(k.Files), maps, conflicts})
			} else if len(k.Conflicts) == 0 {
				_, err = fmt.Fprintf(a.out, "kept: %s, %s\n", count(len(k.Files), "file", "files"), count(len(k.Maps), "map", "maps"))
			}
			if err == nil && len(k.Conflicts) > 0 {
				a.fail(fmt.Sprintf("overlay %s conflicts with what changed since", args[0]),
					"pxos-host overlay diff "+args[0]+" shows both; move what is in the way, or drop the overlay and run again")
				for _, c := range k.Conflicts {
					fmt.Fprintf(a.err, "  %s\n", term.Line(c))
				}
				err = &exitError{code: exitFailed}
			}
			return err
		})
	}
	return cmd
}

func (a *app) overlayDropCmd() *cobra.Command {
	cmd := a.command("drop ID...", "Throw the changes away, for good", "", "  pxos-host overlay drop 12")
	cmd.Args = takes(1, -1, "an overlay's ID")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHost(cmd.Context(), nil, func(h *host.Host, _ *policy.Loaded) error {
			for _, id := range args {
				if err := h.DropOverlay(id); err != nil {
					return overlayError(err)
				}
			}
			return nil
		})
	}
	return cmd
}

func overlayError(err error) error {
	if errors.Is(err, storage.ErrInUse) {
		return hinted(err, "pxos-host log shows what runs")
	}
	var he *host.Error
	if errors.As(err, &he) || !errors.Is(err, fs.ErrNotExist) {
		return fsError(err)
	}
	return &host.Error{Type: abi.ErrInternal, Msg: err.Error(), Hint: "pxos-host overlay list shows them", Err: err}
}

// noteOverlay says where the changes of a sandboxed run are, if there are any.
func (a *app) noteOverlay(h *host.Host, run uint64) {
	list, err := h.Overlays()
	if err != nil {
		a.note("overlays cannot be listed: %v", err)
		return
	}
	id := ""
	for _, o := range list {
		if o.Run == run {
			id = o.ID // the newest of that number is the last
		}
	}
	if id != "" {
		a.note("changes are kept apart: pxos-host overlay diff %s shows them, overlay keep %s or drop %s decides", id, id, id)
	}
}
