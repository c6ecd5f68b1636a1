package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/term"
)

// userNamespace is the namespace of the person at the keyboard.
const userNamespace = host.UserNamespace

// namespaceUsage describes the flag that names a namespace.
const namespaceUsage = "the `NAMESPACE`, or the cartridge whose namespace it is: a .pxa, or its directory such as ./notes"

// findNamespace says which namespace a person means: by its name, or by a cartridge
// that has it.
func (a *app) findNamespace(ctx context.Context, s string) (string, error) {
	if !strings.ContainsAny(s, `/\`) && !strings.HasSuffix(s, ".pxa") {
		if !host.ValidNamespace(s) {
			return "", usagef("pxos-host fs namespaces lists them", "%q cannot be a namespace", s)
		}
		return s, nil
	}
	info, err := os.Stat(s)
	if err != nil {
		return "", notThere(err, s, "name a namespace, a cartridge or a cartridge's directory")
	}
	m := a.madeHere(s)
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(s, abi.ManifestPath)); err != nil {
			return "", notThere(err, filepath.Join(s, abi.ManifestPath), "name a namespace, a cartridge or a cartridge's directory")
		}
		return host.OriginNamespace(m.origin), nil
	}
	c, err := a.open(ctx, s)
	if err != nil {
		return "", err
	}
	defer c.close()
	h, _, err := a.host(false)
	if err != nil {
		return "", err
	}
	defer h.Close()
	ns, err := h.NamespaceOf(c.Cartridge, m.originOf(c, s))
	if err == nil && ns == "" {
		err = hinted(fmt.Errorf("%s names a parent, and it was not decided yet whose files it has", s), "pxos-host run with --lineage parent or --lineage own decides it")
	}
	return ns, err
}

// namespaceHint says what may have been meant by the name of no namespace.
func namespaceHint(name string) string {
	if _, err := os.Stat(filepath.Join(name, abi.ManifestPath)); err == nil {
		return "for the namespace of the cartridge in that directory write ./" + name
	}
	return "pxos-host fs namespaces lists them"
}

func (f *fsCommand) namespacesCmd() *cobra.Command {
	cmd := f.command("namespaces [--json]", "List the namespaces there are",
		`Lists the namespaces of this machine that hold pixel files or maps, with the
cartridge that was first to use each.`,
		`  pxos-host fs namespaces
  pxos-host fs ls -R --namespace cartridges/ledger`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(*cobra.Command, []string) error {
		h, _, err := f.host(false)
		if err != nil {
			return err
		}
		defer h.Close()
		list, err := h.Namespaces()
		if err != nil {
			return err
		}
		t := newTable(f.out)
		for _, n := range list {
			if *asJSON {
				if err := f.printJSON(n); err != nil {
					return err
				}
				continue
			}
			what := count(len(n.Maps), "map", "maps")
			if n.Files {
				what = "files, " + what
			}
			whose := n.Program
			if n.Name == userNamespace {
				whose = "your own"
			}
			t.row(n.Name, what, term.Line(whose), term.Line(n.Origin))
		}
		return t.flush()
	}
	return cmd
}
