package builder

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/abi/pxa"
)

// WriteFile packs sources into the file out and returns the cartridge's digest. A
// reader of out sees what was there before or the whole new cartridge; after a
// failure or a cancelled context the old file is untouched and nothing new is left.
// An existing out that is not a plain file, such as a pipe, is written to directly.
func WriteFile(ctx context.Context, out string, sources []pxa.Source, opts *pxa.PackOptions) (pxa.Digest, error) {
	if info, err := os.Stat(out); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return pxa.Digest{}, &Error{Msg: out + " is a directory", Hint: "name the file to write: -o " + filepath.Join(out, "NAME.pxa")}
		}
		f, err := os.OpenFile(out, os.O_WRONLY, 0)
		if err != nil {
			return pxa.Digest{}, err
		}
		d, err := pxa.Pack(ctx, f, sources, opts)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return d, err
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pxa.Digest{}, err
	}
	if dir := filepath.Dir(out); !isDir(dir) {
		return pxa.Digest{}, &Error{Msg: "there is no directory " + dir + " to write " + filepath.Base(out) + " into", Hint: "create it first"}
	}
	if real, err := filepath.EvalSymlinks(out); err == nil {
		out = real // replace what a link points to, not the link
	}
	return pxa.PackFile(ctx, out, sources, opts)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
