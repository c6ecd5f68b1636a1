package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host/term"
)

func (a *app) unpackCmd() *cobra.Command {
	cmd := a.command("unpack X -o DIR", "Write the files of a cartridge into a directory",
		`Writes every file of the cartridge X below DIR, each compared with its digest.
Nothing is written outside DIR. A DIR that does not exist, or is empty, appears
with all files or not at all; with --force files go into a directory that has
others, one after the other, and replace those of the same name.`,
		`  pxos-host unpack hello.pxa -o hello
  pxos-host unpack hello.pxa -o . --force`)
	out := cmd.Flags().StringP("output", "o", "", "the `DIRECTORY` to write (default: the cartridge's name)")
	force := cmd.Flags().Bool("force", false, "write into a directory that has other files, and replace files")
	cmd.Args = takes(1, 1, "a cartridge")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		defer c.close()
		dir := *out
		if dir == "" {
			m, err := c.Manifest()
			if err != nil {
				return usagef("name the directory with -o", "the cartridge has no name to call the directory")
			}
			dir = m.Name
		}
		step, clear := a.progress("unpacking")
		opts := &pxa.UnpackOptions{Overwrite: *force, Progress: step}
		if *force {
			err = c.Archive().Unpack(cmd.Context(), dir, opts)
		} else {
			err = unpackWhole(cmd.Context(), c.Archive(), dir, opts)
		}
		clear()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s: %s\n", term.Line(dir), count(len(c.Archive().Entries()), "file", "files"))
		return err
	}
	return cmd
}

// unpackWhole unpacks beside dir and renames when everything is there.
func unpackWhole(ctx context.Context, r *pxa.Reader, dir string, opts *pxa.UnpackOptions) (err error) {
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return hinted(fmt.Errorf("%s is not empty", dir), "choose another directory, or --force to write into this one")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	existed := err == nil
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if existed {
		if abs, err = filepath.EvalSymlinks(abs); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(abs), ".pxos-unpack-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temp)
		}
	}()
	if err := r.Unpack(ctx, temp, opts); err != nil {
		var unsupported *pxa.UnsupportedError
		if errors.As(err, &unsupported) {
			return hinted(err, "--force writes the files that this version can read")
		}
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if existed {
		if err := os.Remove(abs); err != nil { // empty, or it stays
			return hinted(err, "the directory is in use; choose another one, or --force")
		}
	}
	return os.Rename(temp, abs)
}
