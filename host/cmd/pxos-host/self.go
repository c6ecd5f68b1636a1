package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

func (a *app) selfCmd() *cobra.Command {
	cmd := a.command("inspect-self [X] [--json]", "Describe this host",
		`Describes the host: versions, engine, what it can grant, host functions, limits.
With X, a cartridge, that one is current.`,
		`  pxos-host inspect-self
  pxos-host inspect-self --json | jq .limits`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(0, 1, "one cartridge")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHost(cmd.Context(), args, func(h *host.Host, pol *policy.Loaded) error {
			info, err := h.InspectSelf(cmd.Context())
			if err != nil {
				return err
			}
			inForce, err := a.policyInfo(h, pol)
			if err != nil {
				return err
			}
			if info.Policy, err = json.Marshal(inForce); err != nil {
				return err
			}
			if *asJSON {
				return a.printJSON(info)
			}
			t := newTable(a.out)
			t.row("version", info.Version)
			t.row("abi", info.ABI)
			t.row("genesis", info.GenesisVersion)
			t.row("engine", info.Engine)
			t.row("isolation", info.Isolation)
			t.row("sandbox", yesNo(info.SandboxActive))
			t.row("gpu", yesNo(info.GPUAvailable))
			t.row("grants", strings.Join(info.Capabilities, ", "))
			t.row("host functions", strings.Join(info.Families, ", "))
			t.row("limits", strings.Join(info.Limits.Format(), " "))
			t.row("log entries", fmt.Sprint(info.JournalSeq))
			if info.Cartridge != "" {
				t.row("cartridge", term.Line(info.Name)+" "+info.Cartridge)
			}
			return t.flush()
		})
	}
	return cmd
}

func (a *app) genesisCmd() *cobra.Command {
	cmd := a.command("validate-genesis [X] [--json]", "Check the Genesis principles on this host",
		`Runs the checks of the Genesis principles that can be made now, on this host and,
with X, on a cartridge. It fails when one of them fails.`,
		`  pxos-host validate-genesis
  pxos-host validate-genesis hello.pxa --json`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(0, 1, "one cartridge")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHost(cmd.Context(), args, func(h *host.Host, _ *policy.Loaded) error {
			rep, err := h.ValidateGenesis(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				err = a.printJSON(rep)
			} else {
				err = a.printGenesis(rep)
			}
			if err == nil && !rep.Compliant {
				err = hinted(fmt.Errorf("%d of %d checks failed", rep.TestsFailed, rep.TestsFailed+rep.TestsPassed), "")
			}
			return err
		})
	}
	return cmd
}

func (a *app) printGenesis(rep *abi.GenesisReport) error {
	t := newTable(a.out)
	for _, c := range rep.Checks {
		state := "passed"
		if !c.Passed {
			state = "FAILED"
		}
		t.row(c.Clause, state, term.Line(c.Name), oneLine(c.Evidence))
	}
	if err := t.flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "Genesis %s: %d passed, %d failed; no check yet for %s\n", rep.Version, rep.TestsPassed, rep.TestsFailed, strings.Join(rep.NotChecked, ", "))
	return err
}

// withHost calls f with a host on which the cartridge in args, if there is one, is
// current.
func (a *app) withHost(ctx context.Context, args []string, f func(*host.Host, *policy.Loaded) error) error {
	h, pol, err := a.host(false)
	if err != nil {
		return err
	}
	defer h.Close()
	if len(args) > 0 {
		c, err := a.open(ctx, args[0])
		if err != nil {
			return err
		}
		defer c.close()
		h.Use(c.Cartridge, host.RunRequest{})
	}
	return f(h, pol)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
