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
