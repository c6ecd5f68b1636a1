package pxa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/text/unicode/norm"
)

// PackFile packs into a file that appears under its name only when it is
// whole and on disk. An error leaves what was there before.
func PackFile(ctx context.Context, name string, sources []Source, opts *PackOptions) (d Digest, err error) {
	f, temp, err := createBeside(name, 0o666, os.OpenFile)
	if err != nil {
		return d, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temp)
		}
	}()
	if d, err = Pack(ctx, f, sources, opts); err != nil {
		return d, err
	}
	if err = f.Sync(); err != nil {
		return d, err
	}
	if err = f.Close(); err != nil {
		return d, err
	}
	if err = os.Rename(temp, name); err != nil {
		return d, err
	}
	// The rename itself is made durable where directories can be synced.
	if dir, derr := os.Open(filepath.Dir(name)); derr == nil {
		dir.Sync()
		dir.Close()
	}
	return d, nil
}

// createBeside makes a new file with a hidden, random name in the directory of
// another. os.CreateTemp would ignore the user's umask.
func createBeside(name string, mode fs.FileMode, open func(string, int, fs.FileMode) (*os.File, error)) (f *os.File, temp string, err error) {
	dir, base := filepath.Split(name)
	for range 100 {
		temp = fmt.Sprintf("%s.%.32s.%08x", dir, base, rand.Uint32())
		f, err = open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, temp, err
}

// Sources lists the regular files below the root of a file system, in
// Unicode normal form C. Links and devices are errors: an archive has none.
// A file is executable when one of its permission bits says so, which no file
// does on Windows.
func Sources(fsys fs.FS) ([]Source, error) {
	var list []Source
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("pxa: packing %q: it is a link or a device; an archive holds regular files only", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		list = append(list, Source{
			Path:       norm.NFC.String(name),
			Size:       info.Size(),
			Executable: info.Mode()&0o111 != 0,
			Open:       func() (io.ReadCloser, error) { return fsys.Open(name) },
		})
		return nil
	})
	return list, err
}

// UnpackOptions change how [Reader.Unpack] writes. A nil pointer means the
// defaults.
type UnpackOptions struct {
	Overwrite bool // replace files that exist; otherwise they are an error

	// Progress, which may be nil, is called after each file with decoded bytes
	// done and in total.
	Progress func(done, total int64)
}

// Unpack writes all entries below dir, which is made if need be. Nothing
// outside dir is touched, whatever links it holds. Each file is compared with
// its sum and appears under its name only when it is right. Files that cannot
// be decoded or written are reported together after the others are done.
func (r *Reader) Unpack(ctx context.Context, dir string, opts *UnpackOptions) error {
	if opts == nil {
		opts = &UnpackOptions{}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var (
		errs        []error
		done, total int64
	)
	for i := range r.entries {
		total += r.entries[i].Size
	}
	for i := range r.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &r.entries[i]
		if err := r.unpackEntry(root, e, opts.Overwrite); err != nil {
			errs = append(errs, fmt.Errorf("unpacking %q: %w", e.Path, err))
		}
		if done += e.Size; opts.Progress != nil {
			opts.Progress(done, total)
		}
	}
	return errors.Join(errs...)
}

func (r *Reader) unpackEntry(root *os.Root, e *Entry, overwrite bool) (err error) {
	src, err := r.openEntry(e)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := root.MkdirAll(path.Dir(e.Path), 0o755); err != nil {
		return err
	}
	if _, err := root.Lstat(e.Path); err == nil && !overwrite {
		return fmt.Errorf("%w; unpack into an empty directory or allow overwriting", fs.ErrExist)
	}
	mode := fs.FileMode(0o644)
	if e.Executable {
		mode = 0o755
	}
	f, temp, err := createBeside(e.Path, mode, root.OpenFile)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, src)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && !overwrite {
		// Link fails where Rename would replace a file made in the meantime.
		if lerr := root.Link(temp, e.Path); lerr == nil {
			return root.Remove(temp)
		} else if errors.Is(lerr, fs.ErrExist) {
			err = lerr
		}
	}
	if err == nil {
		err = root.Rename(temp, e.Path)
	}
	if err != nil {
		root.Remove(temp)
	}
	return err
}
