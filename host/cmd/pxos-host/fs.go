package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/pixelfs"
	"github.com/pxos/pxos/host/storage"
)

// fsCommand is what the subcommands of fs share.
type fsCommand struct {
	*app
	ctx       context.Context
	namespace string
}

func (a *app) fsCmd() *cobra.Command {
	f := &fsCommand{app: a}
	cmd := a.command("fs COMMAND", "Keep files as pixels",
		`Files that are kept as pixels: each is a picture of the form .pxi, whose colours are
its bytes. What is replaced stays as a version and what is removed goes to the
trash, until you prune it. A write is on the disk when the command ends.

Names are paths with slashes, such as notes/today.txt. They lie in a namespace: your
own is "user", and each lineage of cartridges has one, which --namespace names and
fs namespaces lists. Commands that only read take a FILE.pxi of any directory too.`,
		`  pxos-host fs put report.pdf docs/report.pdf
  pxos-host fs ls -l docs
  pxos-host fs view docs/report.pdf -o report.png     see its bytes as a picture
  pxos-host fs versions docs/report.pdf
  pxos-host fs restore docs/report.pdf --version 1`)
	cmd.PersistentFlags().StringVarP(&f.namespace, "namespace", "n", userNamespace, namespaceUsage)
	cmd.Args = takes(0, 0, "")
	cmd.RunE = func(*cobra.Command, []string) error {
		return usagef("pxos-host fs --help", "fs needs a command such as put, get, ls or cat")
	}
	for _, c := range []*cobra.Command{
		f.putCmd(), f.getCmd(), f.catCmd(), f.lsCmd(), f.statCmd(), f.viewCmd(), f.duCmd(),
		f.verifyCmd(), f.fsckCmd(), f.versionsCmd(), f.restoreCmd(), f.trashCmd(), f.pruneCmd(),
		f.appendCmd(), f.mvCmd(), f.mkdirCmd(), f.namespacesCmd(),
	} {
		if run := c.RunE; run != nil {
			c.RunE = func(cmd *cobra.Command, args []string) error {
				f.ctx = cmd.Context()
				return fsError(run(cmd, args))
			}
		}
		cmd.AddCommand(c)
	}
	return cmd
}

// fsError adds what the user can do about an error of the store.
func fsError(err error) error {
	var exit *exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	var name *pixelfs.NameError
	var corrupt *pxi.CorruptError
	var format *pxi.FormatError
	var newer *pxi.UnsupportedError
	hint := ""
	switch {
	case errors.As(err, &name):
		hint = "names are paths such as notes/today.txt, with parts of at most 200 bytes and no control characters"
	case errors.Is(err, pixelfs.ErrQuota):
		hint = "pxos-host fs prune and fs trash --empty make room; quota in [pixelfs] of pxos.toml raises it"
	case errors.Is(err, pixelfs.ErrBusy):
		hint = "a program is writing it; try again when it has ended"
	case errors.Is(err, pixelfs.ErrIsDir):
		hint = "name a file in it; pxos-host fs ls shows them"
	case errors.Is(err, fs.ErrExist):
		hint = "choose another name, or move what is there away with pxos-host fs trash"
	case errors.As(err, &corrupt):
		hint = "pxos-host fs versions shows contents that may be whole; fs verify says what is damaged"
	case errors.As(err, &format):
		hint = "the file is not a whole .pxi file; get it again, or restore a version of it"
	case errors.As(err, &newer):
		hint = "a newer pxos-host may read it"
	case errors.Is(err, fs.ErrNotExist):
		hint = "pxos-host fs ls shows what there is"
	default:
		return err
	}
	return hinted(err, hint)
}

// store opens the namespace. Without write it is not made when it is missing: the
// store is nil then.
func (f *fsCommand) store(write bool) (*pixelfs.Store, func(), error) {
	var err error
	if f.namespace, err = f.findNamespace(f.ctx, f.namespace); err != nil {
		return nil, nil, err
	}
	home, err := f.home()
	if err != nil {
		return nil, nil, err
	}
	pol, err := f.loadPolicy()
	if err != nil {
		return nil, nil, err
	}
	dir := host.FilesDir(home, f.namespace)
	open := disk.Open
	if write && f.namespace == userNamespace {
		open = disk.Create
	}
	root, err := open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if f.namespace != userNamespace {
			return nil, nil, hinted(fmt.Errorf("there is no namespace %s", f.namespace), namespaceHint(f.namespace))
		}
		return nil, func() {}, nil
	} else if err != nil {
		return nil, nil, err
	}
	p := pol.PixelFS.InForce()
	opt := pixelfs.Options{ReadOnly: !write, Scratch: storage.Scratch, Retention: pixelfs.Retention{Keep: int(p.Keep), MaxAge: p.MaxAge}}
	if f.namespace != userNamespace { // what is one's own is bounded by the disk
		opt.Quota = pixelfs.Quota{Bytes: p.QuotaBytes, Files: p.QuotaFiles}
	}
	if opt.Compression, err = pxi.ParseCompression(p.Compression); err != nil {
		root.Close()
		return nil, nil, err
	}
	s, err := pixelfs.Open(root, opt)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return s, func() { s.Close(); root.Close() }, nil
}

// reading opens the namespace for a command that reads what must be there.
func (f *fsCommand) reading(name string) (*pixelfs.Store, func(), error) {
	s, done, err := f.store(false)
	if err == nil && s == nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s, done, err
}

// clean takes the slashes that people type off a name: /notes/ is notes, and the
// root is ".".
func clean(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "/"), "/")
	if name == "" {
		return "."
	}
	return name
}

// content is a pixel file, of the store or of any directory.
type content struct {
	io.ReaderAt
	io.WriterTo
	info  pixelfs.Info
	close func()
	png   func(w io.Writer, width int) error
}

// isFile says whether an argument means a .pxi file of the host's directories: it ends
// so, and there is one.
func isFile(arg string) bool {
	if !strings.HasSuffix(strings.ToLower(arg), pixelfs.Suffix) {
		return false
	}
	info, err := os.Stat(arg)
	return err == nil && info.Mode().IsRegular()
}

// open opens NAME or FILE.pxi; version 0 is the current one.
func (f *fsCommand) open(arg string, version uint64) (*content, error) {
	if isFile(arg) {
		if version != 0 {
			return nil, usagef("leave --version out, or give a name", "%s is a file of its own and has no versions", arg)
		}
		return openPixelFile(arg)
	}
	s, done, err := f.reading(arg)
	if err != nil {
		return nil, err
	}
	var file *pixelfs.File
	if version != 0 {
		file, err = s.OpenVersion(clean(arg), version)
	} else {
		file, err = s.Open(clean(arg))
	}
	if err != nil {
		done()
		return nil, err
	}
	return &content{ReaderAt: file, WriterTo: file, info: file.Info(), png: file.WritePNG, close: func() { file.Close(); done() }}, nil
}

func openPixelFile(path string) (*content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	r, err := pxi.Open(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	h := r.Header()
	info := pixelfs.Info{Name: path, Modified: st.ModTime(), Size: r.Size(), Digest: h.Sum, Width: h.Width, Height: h.Height, Compression: r.Compressed(), Stored: st.Size()}
	return &content{ReaderAt: r, WriterTo: r, info: info, close: func() { f.Close() }, png: func(w io.Writer, width int) error {
		if width == 0 {
			width = int(max(h.Width, 1))
		}
		return pxi.WritePNG(w, r, r.Size(), width)
	}}, nil
}

// fileJSON is the JSON form of a file, a version of it, or a directory.
type fileJSON struct {
	Name        string     `json:"name"`
	Kind        string     `json:"kind"` // "file" or "directory"
	Size        int64      `json:"size"` // bytes
	Digest      string     `json:"digest,omitempty"`
	Version     uint64     `json:"version,omitempty"`
	Current     *bool      `json:"current,omitempty"`
	Modified    *time.Time `json:"modified,omitempty"`
	Width       uint32     `json:"width"` // pixels
	Height      uint32     `json:"height"`
	Compression string     `json:"compression,omitempty"`
	Stored      int64      `json:"stored_bytes"`
	Editing     bool       `json:"editing,omitempty"`
	Error       string     `json:"error,omitempty"`
}

func toJSON(i pixelfs.Info) fileJSON {
	j := fileJSON{Name: i.Name, Kind: "file", Size: i.Size, Version: i.Version, Width: i.Width, Height: i.Height, Stored: i.Stored, Editing: i.Editing}
	if !i.Modified.IsZero() {
		t := i.Modified.UTC()
		j.Modified = &t
	}
	switch {
	case i.Dir:
		j.Kind = "directory"
	case i.Err != nil:
		j.Error = i.Err.Error()
	default:
		j.Compression = i.Compression.String()
		if i.Digest != [32]byte{} {
			j.Digest = hex.EncodeToString(i.Digest[:])
		}
	}
	return j
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
