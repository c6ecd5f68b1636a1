package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/pxos/pxos/host/term"
)

func (f *fsCommand) duCmd() *cobra.Command {
	cmd := f.command("du [DIR|NAME] [--json]", "Add up what files take",
		`Adds up a file or directory: the contents, what they take on the disk, earlier
versions, and what the trash has of it.`,
		`  pxos-host fs du
  pxos-host fs du docs --json`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(0, 1, "a name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		name := "."
		if len(args) > 0 {
			name = clean(args[0])
		}
		s, done, err := f.store(false)
		if err != nil {
			return err
		}
		defer done()
		var u pixelfs.Usage
		if s != nil {
			u, err = s.Usage(name)
		} else if name != "." {
			err = &fs.PathError{Op: "du", Path: name, Err: fs.ErrNotExist}
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return f.printJSON(struct {
				Name        string `json:"name"`
				Files       int64  `json:"files"`
				Dirs        int64  `json:"directories"`
				Size        int64  `json:"size"`
				Stored      int64  `json:"stored_bytes"`
				Versions    int64  `json:"versions"`
				OldStored   int64  `json:"versions_stored_bytes"`
				Trash       int64  `json:"trash_files"`
				TrashStored int64  `json:"trash_stored_bytes"`
				Damaged     int64  `json:"damaged"`
			}{name, u.Files, u.Dirs, u.Size, u.Stored, u.Versions, u.OldStored, u.Trash, u.TrashStored, u.Damaged})
		}
		t := newTable(f.out)
		t.row("contents", count(uint64(u.Files), "file", "files"), abi.FormatBytes(u.Size), abi.FormatBytes(u.Stored)+" on disk")
		t.row("earlier versions", count(uint64(u.Versions), "file", "files"), "", abi.FormatBytes(u.OldStored)+" on disk")
		t.row("in the trash", count(uint64(u.Trash), "file", "files"), "", abi.FormatBytes(u.TrashStored)+" on disk")
		if u.Damaged > 0 {
			t.row("damaged", count(uint64(u.Damaged), "file", "files"))
		}
		return t.flush()
	}
	return cmd
}

// checkedJSON is the JSON form of one verified pixel file.
type checkedJSON struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	Size   int64    `json:"size"`
	Blocks int64    `json:"blocks"`
	Bad    int64    `json:"bad_blocks"`
	Digest string   `json:"digest,omitempty"`
	Faults []string `json:"faults"`
}

func (f *fsCommand) verifyCmd() *cobra.Command {
	cmd := f.command("verify NAME|FILE.pxi... [--json]", "Check files bit by bit",
		`Reads each file to the last byte and names every fault: which bytes, and which rows
of pixels. It fails when one is damaged. A path to a .pxi file works too.`,
		`  pxos-host fs verify docs/report.pdf
  pxos-host fs verify ~/.local/share/pxos/pixelfs/user/docs/report.pdf.pxi`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(1, -1, "a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		bad := 0
		for _, arg := range args {
			rep, err := f.verify(cmd.Context(), arg)
			c := checkedJSON{Name: arg, Faults: []string{}}
			switch {
			case errors.Is(err, context.Canceled):
				return err
			case err != nil && (!*asJSON || errors.Is(err, fs.ErrNotExist)):
				return fmt.Errorf("%w", err)
			case err != nil:
				c.Faults = append(c.Faults, err.Error())
			default:
				c.OK, c.Size, c.Blocks, c.Bad = rep.Err() == nil, rep.Size, rep.Blocks, rep.Bad
				if rep.Digest != [32]byte{} {
					c.Digest = hex.EncodeToString(rep.Digest[:])
				}
				for _, fault := range rep.Faults {
					c.Faults = append(c.Faults, fault.String())
				}
			}
			if !c.OK {
				bad++
			}
			if *asJSON {
				if err := f.printJSON(c); err != nil {
					return err
				}
				continue
			}
			if c.OK {
				if _, err := fmt.Fprintf(f.out, "%s: ok, %s, sha-256 %s\n", term.Line(arg), abi.FormatBytes(c.Size), c.Digest); err != nil {
					return err
				}
				continue
			}
			f.fail(fmt.Sprintf("%s is damaged", arg), "pxos-host fs versions shows earlier contents; fs restore brings one back")
			const shown = 20
			for i, fault := range c.Faults {
				if i == shown {
					fmt.Fprintf(f.err, "  and %d more; --json lists them all\n", len(c.Faults)-shown)
					break
				}
				fmt.Fprintf(f.err, "  %s\n", term.Line(fault))
			}
		}
		if bad > 0 {
			return &exitError{code: exitFailed}
		}
		return nil
	}
	return cmd
}

func (f *fsCommand) verify(ctx context.Context, arg string) (*pxi.Report, error) {
	step, clear := f.progress("verifying")
	defer clear()
	if isFile(arg) {
		file, err := os.Open(arg)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		rep, err := pxi.Check(ctx, file, info.Size(), step)
		if err != nil && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%s: %w", arg, err)
		}
		return rep, err
	}
	s, done, err := f.reading(arg)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Verify(ctx, clean(arg), step)
}

func (f *fsCommand) fsckCmd() *cobra.Command {
	cmd := f.command("fsck [--repair] [--json]", "Check a whole namespace",
		`Reads every file, version and thing in the trash to the last byte, and names what
is damaged, what a crash left and what does not belong there. --repair completes or
clears away what crashes left; it never removes content.`,
		`  pxos-host fs fsck
  pxos-host fs fsck --repair`)
	fl := cmd.Flags()
	repair := fl.Bool("repair", false, "mend what can be mended without losing anything")
	asJSON := fl.Bool("json", false, "one JSON object")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, done, err := f.store(*repair)
		if err != nil {
			return err
		}
		defer done()
		rep := &pixelfs.Report{}
		if s != nil {
			step, clear := f.progress("checking")
			var tell func(done, total int64, name string)
			if step != nil {
				tell = func(done, total int64, _ string) { step(done, total) }
			}
			rep, err = s.Fsck(cmd.Context(), tell, *repair)
			clear()
			if err != nil {
				return err
			}
		}
		if *asJSON {
			type problem struct {
				Kind     string `json:"kind"`
				Place    string `json:"place"`
				Name     string `json:"name,omitempty"`
				Version  uint64 `json:"version,omitempty"`
				Detail   string `json:"detail"`
				Harmless bool   `json:"harmless"`
				Repaired bool   `json:"repaired"`
			}
			list := []problem{}
			for _, p := range rep.Problems {
				list = append(list, problem{p.Kind, p.Place, p.Name, p.Version, p.String(), p.Harmless(), p.Repaired})
			}
			err = f.printJSON(struct {
				OK       bool      `json:"ok"`
				Files    int64     `json:"files"`
				Versions int64     `json:"versions"`
				Trash    int64     `json:"trash_files"`
				Bytes    int64     `json:"bytes"`
				Problems []problem `json:"problems"`
			}{rep.OK(), rep.Files, rep.Versions, rep.Trash, rep.Bytes, list})
		} else {
			for _, p := range rep.Problems {
				fmt.Fprintln(f.err, term.Line(p.String()))
			}
			_, err = fmt.Fprintf(f.out, "%s, %s, %s in the trash, %s read: %s\n", count(uint64(rep.Files), "file", "files"),
				count(uint64(rep.Versions), "earlier version", "earlier versions"), count(uint64(rep.Trash), "file", "files"), abi.FormatBytes(rep.Bytes), verdict(rep))
		}
		if err == nil && !rep.OK() {
			err = &exitError{code: exitFailed}
		}
		return err
	}
	return cmd
}

func verdict(rep *pixelfs.Report) string {
	switch {
	case !rep.OK():
		return "something is damaged or in doubt"
	case len(rep.Problems) > 0:
		return "nothing is lost"
	}
	return "all is well"
}

func (f *fsCommand) versionsCmd() *cobra.Command {
	cmd := f.command("versions NAME [--json]", "List the contents that a file has had", "",
		`  pxos-host fs versions docs/report.pdf
  pxos-host fs cat docs/report.pdf --version 1`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.Args = takes(1, 1, "a name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, done, err := f.reading(args[0])
		if err != nil {
			return err
		}
		defer done()
		name := clean(args[0])
		list, err := s.Versions(name)
		if err != nil {
			return err
		}
		now, err := s.Stat(name)
		held := err == nil && !now.Dir
		t := newTable(f.out)
		for _, i := range list {
			current := held && i.Version == now.Version
			if *asJSON {
				j := toJSON(i)
				j.Current = &current
				if err := f.printJSON(j); err != nil {
					return err
				}
				continue
			}
			mark := ""
			if current {
				mark = "current"
			}
			if i.Err != nil {
				mark += " damaged"
			}
			t.row(strconv.FormatUint(i.Version, 10), strconv.FormatInt(i.Size, 10), when(i.Modified), hex.EncodeToString(i.Digest[:8]), mark)
		}
		return t.flush()
	}
	return cmd
}
