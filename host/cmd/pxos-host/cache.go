package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/term"
)

func (a *app) cacheCmd() *cobra.Command {
	cmd := a.command("cache list|prune|clear|verify", "Look after the cache of compiled code",
		`Compiled code is kept under $PXOS_HOME/cache, so that a second run starts fast, and
beside it a note of each cartridge file that passed its check. Both are checked before
each use, and what is removed is made again when needed.`,
		`  pxos-host cache list
  pxos-host cache prune --size 500MiB
  pxos-host cache verify`)
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return usagef("pxos-host cache list", "cache needs one of list, prune, clear, verify")
	}

	list := a.command("list [--json]", "List what is cached, last used first", "", "  pxos-host cache list")
	list.Args = takes(0, 0, "")
	asJSON := list.Flags().Bool("json", false, "one JSON object a line")
	list.RunE = func(*cobra.Command, []string) error { return a.cacheList(*asJSON, false) }

	verify := a.command("verify [--json]", "Read and check everything that is cached", "", "  pxos-host cache verify")
	verify.Args = takes(0, 0, "")
	verifyJSON := verify.Flags().Bool("json", false, "one JSON object a line")
	verify.RunE = func(*cobra.Command, []string) error { return a.cacheList(*verifyJSON, true) }

	prune := a.command("prune [--size SIZE]", "Remove what was not used for longest", "", "  pxos-host cache prune --size 500MiB")
	prune.Args = takes(0, 0, "")
	size := prune.Flags().String("size", "", "keep at most this `SIZE` (default: the bound in pxos.toml)")
	prune.RunE = func(*cobra.Command, []string) error {
		limit := int64(engine.DefaultCacheBytes)
		if *size != "" {
			var l abi.Limits
			if err := l.Set("output", *size); err != nil {
				return usagef("write --size 500MiB", "invalid --size %q", *size)
			}
			limit = l.Output
		} else if pol, err := a.loadPolicy(); err != nil {
			return err
		} else if pol.CacheBytes > 0 {
			limit = pol.CacheBytes
		}
		return a.cachePrune(limit)
	}

	clear := a.command("clear", "Remove everything", "", "  pxos-host cache clear")
	clear.Args = takes(0, 0, "")
	clear.RunE = func(*cobra.Command, []string) error { return a.cachePrune(0) }
	cmd.AddCommand(list, prune, clear, verify)
	return cmd
}

func (a *app) cacheList(asJSON, verify bool) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	entries, err := engine.CacheList(host.CacheDir(home), verify)
	if err != nil {
		return err
	}
	t := newTable(a.out)
	var total int64
	modules, faults := 0, 0
	for _, e := range entries {
		total += e.Size
		state := "checked cartridge"
		if e.Kind == engine.KindCode {
			modules++
			state = ""
		}
		if e.Fault != "" {
			faults++
			state = term.Line(e.Fault)
		}
		if asJSON {
			if err := a.printJSON(e); err != nil {
				return err
			}
			continue
		}
		source := e.Source
		if len(source) > 16 {
			source = source[:16]
		}
		t.row(source, abi.FormatBytes(e.Size), e.Used.Format(time.RFC3339), state)
	}
	if !asJSON {
		if err := t.flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "%d modules, %d checked cartridges, %s\n", modules, len(entries)-modules, abi.FormatBytes(total)); err != nil {
			return err
		}
	}
	if verify && faults > 0 {
		return hinted(fmt.Errorf("%d of %d cache entries are damaged", faults, len(entries)), "they are never used; pxos-host cache clear removes them")
	}
	return nil
}

func (a *app) cachePrune(limit int64) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	freed, err := engine.CachePrune(host.CacheDir(home), limit)
	if err != nil {
		return errors.Join(errors.New("not everything could be removed"), err)
	}
	_, err = fmt.Fprintf(a.out, "freed %s\n", abi.FormatBytes(freed))
	return err
}
