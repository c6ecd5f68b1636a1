package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/pxos/pxos/host/term"
)

func (f *fsCommand) putCmd() *cobra.Command {
	cmd := f.command("put LOCAL NAME [--compression HOW] [--width PIXELS] [--json]", "Store a file or directory as pixels",
		`Stores the local file under NAME; - is standard input, and a pipe is read to its end.
A directory is stored with every plain file in it, each below NAME. What was there
stays as a version. When the command ends it is on the disk; a crash on the way leaves
the old content.`,
		`  pxos-host fs put report.pdf docs/report.pdf
  tar c src | pxos-host fs put - backup/src.tar
  pxos-host fs put photos pictures`)
	fl := cmd.Flags()
	how := fl.String("compression", "", "`HOW` it is stored: auto, none, rle or lz4 (default: pxos.toml's, else auto)")
	width := fl.Uint32("width", 0, "`PIXELS` in a row of the picture (default 1024)")
	asJSON := fl.Bool("json", false, "one JSON object a line")
	complete(cmd, "compression", "auto", "none", "rle", "lz4")
	cmd.Args = takes(2, 2, "a local file and a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opt := pixelfs.PutOptions{Width: *width}
		if *width > pxi.MaxWidth {
			return usagef(fmt.Sprintf("give at most %d pixels", pxi.MaxWidth), "--width %d is too wide", *width)
		}
		if *how != "" {
			c, err := pxi.ParseCompression(*how)
			if err != nil {
				return usagef("the ways are auto, none, rle and lz4", "there is no compression %q", *how)
			}
			opt.Compression, opt.Plain = c, c == pxi.None
		}
		local, name := args[0], clean(args[1])
		if err := pixelfs.CheckName(name); err != nil {
			return err
		}
		if local == "-" {
			return f.putStream(cmd.Context(), f.in, name, opt, *asJSON)
		}
		info, err := os.Stat(local)
		if err != nil {
			return notThere(err, local, "name a file or directory of this machine")
		}
		if !info.IsDir() && strings.HasSuffix(args[1], "/") || name == "." && !info.IsDir() {
			name = path.Join(name, filepath.Base(local))
		}
		if !info.IsDir() && !info.Mode().IsRegular() { // a pipe, such as a shell's <(...)
			in, err := os.Open(local)
			if err != nil {
				return err
			}
			defer in.Close()
			return f.putStream(cmd.Context(), in, name, opt, *asJSON)
		}
		return f.putFiles(cmd.Context(), local, name, opt, *asJSON)
	}
	return cmd
}

func (f *fsCommand) putStream(ctx context.Context, in io.Reader, name string, opt pixelfs.PutOptions, asJSON bool) error {
	s, done, err := f.store(true)
	if err != nil {
		return err
	}
	defer done()
	info, err := s.Put(ctx, name, in, opt)
	if err != nil {
		return err
	}
	return f.stored(info, asJSON)
}

func (f *fsCommand) stored(i pixelfs.Info, asJSON bool) error {
	if asJSON {
		return f.printJSON(toJSON(i))
	}
	_, err := fmt.Fprintf(f.out, "%s: %d bytes as %dx%d pixels, version %d\n", term.Line(i.Name), i.Size, i.Width, i.Height, i.Version)
	return err
}

// putFiles stores a file, or a directory with everything in it.
func (f *fsCommand) putFiles(ctx context.Context, local, name string, opt pixelfs.PutOptions, asJSON bool) error {
	var total, taken int64
	var found, dirs []string
	filled := map[string]bool{} // directories that something is stored in
	err := filepath.WalkDir(local, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if p == local && !d.IsDir() {
			d = resolved{d, p} // what the user names may be a link
		}
		switch {
		case d.IsDir():
			dirs = append(dirs, p)
			filled[filepath.Dir(p)] = true
			return nil
		case !d.Type().IsRegular():
			f.note("%s is no plain file and is left out", p)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(local, p)
		if err != nil {
			return err
		}
		if err := pixelfs.CheckName(path.Join(name, filepath.ToSlash(rel))); err != nil {
			return err
		}
		found, total = append(found, p), total+info.Size()
		filled[filepath.Dir(p)] = true
		return nil
	})
	if err != nil {
		return err
	}
	s, done, err := f.store(true)
	if err != nil {
		return err
	}
	defer done()
	for _, d := range dirs { // the others come with their files
		if filled[d] {
			continue
		}
		rel, err := filepath.Rel(local, d)
		if err != nil {
			return err
		}
		if err := s.MkdirAll(path.Join(name, filepath.ToSlash(rel))); err != nil {
			return err
		}
	}
	step, clear := f.progress("storing")
	defer clear()
	one := len(found) == 1
	var bytes int64
	files := 0
	err = s.PutMany(ctx, f.sources(local, name, found, opt, func(before, n int64) {
		if step != nil {
			taken += n - before
			step(taken, total)
		}
	}), func(_ string, i pixelfs.Info, err error) error {
		if err != nil {
			return err
		}
		files++
		bytes += i.Size
		if asJSON || one {
			clear()
			return f.stored(i, asJSON)
		}
		return nil
	})
	if err == nil && !asJSON && !one {
		clear()
		_, err = fmt.Fprintf(f.out, "%s: %s, %s\n", term.Line(name), count(files, "file", "files"), abi.FormatBytes(bytes))
	}
	return err
}

// resolved is a directory entry whose link was followed.
type resolved struct {
	fs.DirEntry
	path string
}

func (r resolved) Info() (fs.FileInfo, error) { return os.Stat(r.path) }

func (r resolved) Type() fs.FileMode {
	info, err := r.Info()
	if err != nil {
		return fs.ModeIrregular
	}
	return info.Mode().Type()
}

// sources are the local files for PutMany. tell gets, for each, the bytes taken
// before and now.
func (f *fsCommand) sources(local, name string, found []string, opt pixelfs.PutOptions, tell func(before, now int64)) iter.Seq[pixelfs.Source] {
	return func(yield func(pixelfs.Source) bool) {
		for _, p := range found {
			rel, _ := filepath.Rel(local, p) // it was made from local
			o := opt
			if info, err := os.Stat(p); err == nil {
				o.Hint, o.Modified = info.Size(), info.ModTime()
			}
			if len(found) == 1 { // files run side by side; one tells how far it is
				var before int64
				o.Progress = func(done int64) { tell(before, done); before = done }
			}
			open := func() (io.ReadCloser, error) { return os.Open(p) }
			if !yield(pixelfs.Source{Name: path.Join(name, filepath.ToSlash(rel)), Open: open, Options: o}) {
				return
			}
			if len(found) > 1 {
				tell(0, o.Hint)
			}
		}
	}
}

func (f *fsCommand) appendCmd() *cobra.Command {
	cmd := f.command("append LOCAL NAME", "Add to the end of a file",
		`Adds the local file, or standard input for -, to the end of NAME, in one step. What
was there stays as a version.`,
		`  date | pxos-host fs append - notes/log.txt`)
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.Args = takes(2, 2, "a local file and a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var in io.Reader = f.in
		if args[0] != "-" {
			file, err := os.Open(args[0])
			if err != nil {
				return notThere(err, args[0], "name a file of this machine")
			}
			defer file.Close()
			in = file
		}
		s, done, err := f.store(true)
		if err != nil {
			return err
		}
		defer done()
		info, err := s.Append(cmd.Context(), clean(args[1]), in)
		if err != nil {
			return err
		}
		return f.stored(info, *asJSON)
	}
	return cmd
}

func (f *fsCommand) mvCmd() *cobra.Command {
	cmd := f.command("mv FROM TO", "Rename a file or directory",
		`Renames a file with its versions, or a directory with all it holds, in one step. A
file at the new name is replaced and stays as a version.`,
		`  pxos-host fs mv notes/today.txt notes/2026-01-31.txt`)
	cmd.Args = takes(2, 2, "two names")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, done, err := f.store(true)
		if err != nil {
			return err
		}
		defer done()
		from, to := clean(args[0]), clean(args[1])
		if info, err := s.Stat(to); err == nil && info.Dir || strings.HasSuffix(args[1], "/") {
			to = path.Join(to, path.Base(from))
		}
		return s.Rename(from, to)
	}
	return cmd
}

func (f *fsCommand) mkdirCmd() *cobra.Command {
	cmd := f.command("mkdir DIR...", "Make directories", "", "  pxos-host fs mkdir notes/2026")
	cmd.Args = takes(1, -1, "a name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, done, err := f.store(true)
		if err != nil {
			return err
		}
		defer done()
		for _, arg := range args {
			if err := s.MkdirAll(clean(arg)); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (f *fsCommand) trashCmd() *cobra.Command {
	cmd := f.command("trash [NAME...] [--empty [ID...]]", "Remove files to the trash, list it, empty it",
		`Moves files and directories to the trash, with their versions. Without a name it
lists what is there. pxos-host fs restore brings things back. --empty removes things
for good, all of them or those with the IDs given, and leaves a record of what they
were, which fs prune --list shows.`,
		`  pxos-host fs trash notes/old.txt
  pxos-host fs trash
  pxos-host fs restore notes/old.txt
  pxos-host fs trash --empty`)
	fl := cmd.Flags()
	empty := fl.Bool("empty", false, "remove things from the trash for good")
	asJSON := fl.Bool("json", false, "one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list := len(args) == 0 && !*empty
		s, done, err := f.store(!list)
		if err != nil {
			return err
		}
		defer done()
		switch {
		case *empty:
			rep, err := s.Empty(cmd.Context(), args...)
			if err != nil {
				return err
			}
			return f.removed(rep, *asJSON)
		case list && s == nil:
			return nil
		case list:
			return f.trashList(s, *asJSON)
		}
		for _, arg := range args {
			if err := s.Remove(clean(arg)); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (f *fsCommand) trashList(s *pixelfs.Store, asJSON bool) error {
	list, err := s.Trash()
	if err != nil {
		return err
	}
	t := newTable(f.out)
	for _, x := range list {
		if asJSON {
			if err := f.printJSON(x); err != nil {
				return err
			}
			continue
		}
		name := x.Name
		if x.Dir {
			name += "/"
		}
		if x.Err() != nil {
			name = "(its record is damaged)"
		}
		t.row(x.ID, when(x.Time), abi.FormatBytes(x.Stored), count(uint64(x.Files), "file", "files"), term.Line(name))
	}
	return t.flush()
}

func (f *fsCommand) removed(rep pixelfs.PruneReport, asJSON bool) error {
	if asJSON {
		return f.printJSON(rep)
	}
	_, err := fmt.Fprintf(f.out, "removed for good: %s, %s from the trash, %s\n", count(len(rep.Versions), "version", "versions"),
		count(len(rep.Trash), "thing", "things"), abi.FormatBytes(rep.Bytes))
	return err
}

func (f *fsCommand) restoreCmd() *cobra.Command {
	cmd := f.command("restore NAME|ID [--version N] [--as NAME]", "Bring something back",
		`With --version, makes an earlier content of NAME the current one; what was current
stays as a version. Without it, brings back what was last removed from NAME, or the
thing with that ID, from the trash.`,
		`  pxos-host fs restore docs/report.pdf --version 1
  pxos-host fs restore notes/old.txt
  pxos-host fs restore notes/old.txt --as notes/again.txt`)
	fl := cmd.Flags()
	version := fl.Uint64("version", 0, "the `NUMBER` of an earlier version")
	as := fl.String("as", "", "the `NAME` it gets")
	asJSON := fl.Bool("json", false, "one JSON object")
	cmd.Args = takes(1, 1, "a name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *version != 0 && *as != "" {
			return usagef("pxos-host fs cat NAME --version N | pxos-host fs put - OTHER makes a copy", "--as goes with the trash, not with --version")
		}
		s, done, err := f.store(true)
		if err != nil {
			return err
		}
		defer done()
		var info pixelfs.Info
		if *version != 0 {
			info, err = s.RestoreVersion(cmd.Context(), clean(args[0]), *version)
		} else {
			info, err = f.restoreTrash(s, args[0], *as)
		}
		switch {
		case err != nil:
			return err
		case info.Dir && *asJSON:
			return f.printJSON(toJSON(info))
		case info.Dir:
			_, err := fmt.Fprintf(f.out, "%s/\n", term.Line(info.Name))
			return err
		}
		return f.stored(info, *asJSON)
	}
	return cmd
}

func (f *fsCommand) restoreTrash(s *pixelfs.Store, what, as string) (pixelfs.Info, error) {
	list, err := s.Trash()
	if err != nil {
		return pixelfs.Info{}, err
	}
	if as != "" {
		as = clean(as)
	}
	for _, x := range list { // newest first
		if x.ID == what || x.Err() == nil && x.Name == clean(what) {
			return s.Restore(x.ID, as)
		}
	}
	return pixelfs.Info{}, hinted(fmt.Errorf("the trash has nothing called %q", what), "pxos-host fs trash lists it; for an earlier content of a file add --version")
}

func (f *fsCommand) pruneCmd() *cobra.Command {
	cmd := f.command("prune [--keep N] [--age TIME] [--list] [--json]", "Remove earlier versions for good",
		`Removes earlier versions of all files that go beyond --keep or --age, or beyond what
[pixelfs] of pxos.toml says when neither is given. It says what went and leaves a
record of it, which --list shows; nothing else ever removes a version, but for a
write that would go over the quota and does the same, with the same record.`,
		`  pxos-host fs prune --keep 5
  pxos-host fs prune --age 720h
  pxos-host fs prune --list`)
	fl := cmd.Flags()
	keep := fl.Int("keep", 0, "leave the newest `N` versions of each file")
	age := fl.Duration("age", 0, "leave what is younger than this `TIME`")
	list := fl.Bool("list", false, "show what was removed in the past")
	asJSON := fl.Bool("json", false, "one JSON object a line")
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *keep < 0 || *age < 0 || fl.Changed("keep") && *keep == 0 || fl.Changed("age") && *age == 0 {
			return usagef("write --keep 5 or --age 720h", "--keep and --age must be greater than 0")
		}
		s, done, err := f.store(!*list)
		if err != nil {
			return err
		}
		defer done()
		if *list {
			if s == nil {
				return nil
			}
			return f.removals(s, *asJSON)
		}
		r := pixelfs.Retention{Keep: *keep, MaxAge: *age}
		if r == (pixelfs.Retention{}) {
			pol, err := f.loadPolicy()
			if err != nil {
				return err
			}
			r = pixelfs.Retention{Keep: int(pol.PixelFS.Keep), MaxAge: pol.PixelFS.MaxAge}
			if r == (pixelfs.Retention{}) {
				return usagef("write --keep 5 or --age 720h", "pxos.toml keeps all versions, so there is nothing to prune")
			}
		}
		rep, err := s.Prune(cmd.Context(), r)
		if err != nil {
			return err
		}
		return f.removed(rep, *asJSON)
	}
	return cmd
}

func (f *fsCommand) removals(s *pixelfs.Store, asJSON bool) error {
	list, err := s.Removals()
	for _, rep := range list {
		if asJSON {
			err = errors.Join(err, f.printJSON(rep))
			continue
		}
		fmt.Fprintf(f.out, "%s %s, %s\n", rep.Time.Local().Format(time.DateTime), rep.Why, abi.FormatBytes(rep.Bytes))
		for _, v := range rep.Versions {
			fmt.Fprintf(f.out, "  %s version %d, %s, %s\n", term.Line(v.Name), v.Version, abi.FormatBytes(v.Size), v.Digest)
		}
		for _, x := range rep.Trash {
			fmt.Fprintf(f.out, "  %s from the trash, %s\n", term.Line(x.Name), abi.FormatBytes(x.Stored))
		}
	}
	return err
}
