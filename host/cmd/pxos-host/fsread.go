package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/pxos/pxos/host/term"
)

func (f *fsCommand) lsCmd() *cobra.Command {
	cmd := f.command("ls [DIR|NAME] [-l] [-R] [--json]", "List files and directories", "",
		`  pxos-host fs ls
  pxos-host fs ls -l docs
  pxos-host fs ls -R --json`)
	fl := cmd.Flags()
	long := fl.BoolP("long", "l", false, "with size, time, version and picture")
	deep := fl.BoolP("recursive", "R", false, "with everything below")
	asJSON := fl.Bool("json", false, "one JSON object a line")
	cmd.Args = takes(0, 1, "a directory")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = clean(args[0])
		}
		s, done, err := f.store(false)
		if err != nil {
			return err
		}
		defer done()
		if s == nil {
			if dir != "." {
				return &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
			}
			return nil
		}
		t := newTable(f.out)
		show := func(i pixelfs.Info, name string) error {
			if *asJSON {
				return f.printJSON(toJSON(i))
			}
			if i.Dir {
				name += "/"
			}
			switch name = term.Line(name); {
			case !*long:
				t.row(name)
			case i.Dir:
				t.row("-", when(i.Modified), "-", "-", name)
			case i.Err != nil:
				t.row("?", when(i.Modified), "-", "damaged", name)
			default:
				t.row(strconv.FormatInt(i.Size, 10), when(i.Modified), "v"+strconv.FormatUint(i.Version, 10), fmt.Sprintf("%dx%d %s", i.Width, i.Height, i.Compression), name)
			}
			return nil
		}
		if *deep {
			err = s.Walk(dir, func(i pixelfs.Info) error {
				if i.Name == dir && i.Dir {
					return nil
				}
				return show(i, i.Name)
			})
		} else {
			err = f.list(s, dir, show)
		}
		if e := t.flush(); err == nil {
			err = e
		}
		return err
	}
	return cmd
}

// list shows a directory, or one file.
func (f *fsCommand) list(s *pixelfs.Store, dir string, show func(pixelfs.Info, string) error) error {
	info, err := s.Stat(dir)
	if err != nil {
		return err
	}
	if !info.Dir {
		return show(info, info.Name)
	}
	list, err := s.List(dir)
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := show(i, path.Base(i.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fsCommand) statCmd() *cobra.Command {
	cmd := f.command("stat NAME|FILE.pxi [--json]", "Describe a file", "", "  pxos-host fs stat docs/report.pdf --json")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "a name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		info, err := f.stat(args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return f.printJSON(toJSON(info))
		}
		t := newTable(f.out)
		t.row("name", term.Line(info.Name))
		if info.Dir {
			t.row("kind", "directory")
			return t.flush()
		}
		t.row("size", fmt.Sprintf("%d bytes", info.Size))
		t.row("sha-256", hex.EncodeToString(info.Digest[:]))
		if info.Version != 0 {
			t.row("version", strconv.FormatUint(info.Version, 10))
		}
		t.row("written", when(info.Modified))
		t.row("picture", fmt.Sprintf("%d x %d pixels, compression %s", info.Width, info.Height, info.Compression))
		t.row("on disk", abi.FormatBytes(info.Stored))
		if info.Editing {
			t.row("state", "being edited by a program")
		}
		return t.flush()
	}
	return cmd
}

func (f *fsCommand) stat(arg string) (pixelfs.Info, error) {
	if isFile(arg) {
		c, err := openPixelFile(arg)
		if err != nil {
			return pixelfs.Info{}, err
		}
		defer c.close()
		return c.info, nil
	}
	s, done, err := f.reading(arg)
	if err != nil {
		return pixelfs.Info{}, err
	}
	defer done()
	return s.Stat(clean(arg))
}

func (f *fsCommand) catCmd() *cobra.Command {
	cmd := f.command("cat NAME|FILE.pxi [--version N] [--offset N] [--length N]", "Write a file to standard output",
		`Writes the content to standard output. A whole content is compared with its SHA-256
on the way, a part with the checksums of the blocks it lies in; when they differ the
command fails.`,
		`  pxos-host fs cat notes/today.txt
  pxos-host fs cat notes/today.txt --version 2
  pxos-host fs cat disk.img --offset 1048576 --length 512 | xxd`)
	fl := cmd.Flags()
	version := fl.Uint64("version", 0, "the `NUMBER` of an earlier version")
	offset := fl.Int64("offset", 0, "the first `BYTE`")
	length := fl.Int64("length", -1, "at most so many `BYTES`")
	cmd.Args = takes(1, 1, "a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *offset < 0 {
			return usagef("count from 0", "--offset %d is before the file", *offset)
		}
		c, err := f.open(args[0], *version)
		if err != nil {
			return err
		}
		defer c.close()
		out := cancellable{cmd.Context(), f.out}
		if *offset == 0 && *length < 0 {
			_, err = c.WriteTo(out)
			return err
		}
		n := max(c.info.Size-*offset, 0)
		if *length >= 0 {
			n = min(n, *length)
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{out}, io.NewSectionReader(c, *offset, n), make([]byte, 256<<10))
		return err
	}
	return cmd
}

// cancellable is a writer that fails once its context has ended.
type cancellable struct {
	ctx context.Context
	w   io.Writer
}

func (c cancellable) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// counted tells progress what went through it.
type counted struct {
	w    io.Writer
	done *int64
	tell func(done int64)
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.done += int64(n)
	if c.tell != nil {
		c.tell(*c.done)
	}
	return n, err
}

func (f *fsCommand) getCmd() *cobra.Command {
	cmd := f.command("get NAME LOCAL [--version N] [--force]", "Copy a file or directory out",
		`Copies NAME to the file LOCAL, or into it when it is a directory; - is standard
output. A directory is copied with all that it holds. The copy appears when it is
whole and compared with its SHA-256.`,
		`  pxos-host fs get docs/report.pdf report.pdf
  pxos-host fs get docs backup
  pxos-host fs get docs/report.pdf old.pdf --version 1`)
	fl := cmd.Flags()
	version := fl.Uint64("version", 0, "the `NUMBER` of an earlier version")
	force := fl.Bool("force", false, "replace LOCAL when it exists")
	cmd.Args = takes(2, 2, "a name and a local file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, local := clean(args[0]), args[1]
		if isFile(args[0]) || *version != 0 {
			c, err := f.open(args[0], *version)
			if err != nil {
				return err
			}
			defer c.close()
			return f.copyOut(cmd.Context(), c, into(local, filepath.Base(args[0])), *force, nil)
		}
		s, done, err := f.reading(args[0])
		if err != nil {
			return err
		}
		defer done()
		info, err := s.Stat(name)
		if err != nil {
			return err
		}
		if info.Dir && local == "-" {
			return usagef("name a directory to copy into", "%s is a directory and cannot go to standard output", args[0])
		}
		usage, err := s.Usage(name)
		if err != nil {
			return err
		}
		step, clear := f.progress("copying")
		defer clear()
		var whole int64
		tell := func(n int64) {
			if step != nil {
				step(n, usage.Size)
			}
		}
		base := path.Base(name)
		if name == "." {
			base = f.namespace
		}
		target := into(local, base)
		files := 0
		err = s.Walk(name, func(i pixelfs.Info) error {
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			rel := "."
			if name == "." {
				rel = i.Name
			} else if len(i.Name) > len(name) {
				rel = i.Name[len(name)+1:]
			}
			place := target
			if rel != "." {
				if !filepath.IsLocal(filepath.FromSlash(rel)) {
					return hinted(fmt.Errorf("%q cannot be the name of a local file", i.Name), "copy it by itself and choose its name")
				}
				place = filepath.Join(target, filepath.FromSlash(rel))
			}
			if i.Dir {
				return os.MkdirAll(place, 0o755)
			}
			file, err := s.Open(i.Name)
			if err != nil {
				return err
			}
			defer file.Close()
			files++
			before := whole
			err = f.copyOut(cmd.Context(), &content{WriterTo: file, info: file.Info()}, place, *force, func(n int64) { tell(before + n) })
			whole = before + i.Size
			return err
		})
		if err == nil && info.Dir {
			clear()
			_, err = fmt.Fprintf(f.out, "%s: %s, %s\n", term.Line(target), count(files, "file", "files"), abi.FormatBytes(whole))
		}
		return err
	}
	return cmd
}

// into is the file that a copy becomes: local, or base in it when it is a directory.
func into(local, base string) string {
	if info, err := os.Stat(local); err == nil && info.IsDir() {
		return filepath.Join(local, base)
	}
	return local
}

// copyOut writes a content to a local file, which appears whole or not at all.
func (f *fsCommand) copyOut(ctx context.Context, c *content, local string, force bool, tell func(int64)) (err error) {
	if local == "-" {
		_, err := c.WriteTo(cancellable{ctx, f.out})
		return err
	}
	if _, err := os.Lstat(local); err == nil && !force {
		return hinted(fmt.Errorf("%s exists", local), "choose another name, or --force to replace it")
	}
	return writeWhole(local, func(w io.Writer) error {
		var n int64
		_, err := c.WriteTo(counted{cancellable{ctx, w}, &n, tell})
		return err
	})
}

// writeWhole makes or replaces a local file in one step.
func writeWhole(local string, write func(io.Writer) error) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(local), ".pxos-get-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if err := write(temp); err != nil {
		return err
	}
	if err := temp.Chmod(0o644); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), local)
}

func (f *fsCommand) viewCmd() *cobra.Command {
	cmd := f.command("view NAME|FILE.pxi [-o OUT.png] [--width PIXELS] [--version N]", "Make a picture of a file's bytes",
		`Writes a PNG picture in which each pixel is three bytes of the content, red, green
and blue, row by row. Without -o it goes to standard output.`,
		`  pxos-host fs view docs/report.pdf -o report.png
  pxos-host fs view model.bin -o model.png --width 512`)
	fl := cmd.Flags()
	out := fl.StringP("output", "o", "", "the `FILE` to write")
	width := fl.Int("width", 0, "`PIXELS` in a row (default: as the file is laid out)")
	version := fl.Uint64("version", 0, "the `NUMBER` of an earlier version")
	cmd.Args = takes(1, 1, "a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *width < 0 || *width > 1<<16 {
			return usagef("give 1 to 65536 pixels", "--width %d cannot be", *width)
		}
		if *out == "" && isTerminal(f.out) {
			return usagef("add -o picture.png", "a picture does not go to a terminal")
		}
		c, err := f.open(args[0], *version)
		if err != nil {
			return err
		}
		defer c.close()
		if c.info.Size == 0 {
			return hinted(fmt.Errorf("%s is empty: there is no pixel to show", args[0]), "put something into it")
		}
		if *out == "" || *out == "-" {
			return c.png(cancellable{cmd.Context(), f.out}, *width)
		}
		return writeWhole(*out, func(w io.Writer) error { return c.png(cancellable{cmd.Context(), w}, *width) })
	}
	return cmd
}

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
