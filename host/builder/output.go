package builder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/abi/pxa"
)

// pngMagic begins every picture, and so every cartridge.
const pngMagic = "\x89PNG\r\n\x1a\n"

// CheckOutput reports whether a picture can be written to the file out, without
// touching it: WriteFile and WritePicture refuse what it refuses. Its errors are
// *Error, or those of the file system.
func CheckOutput(out string) error {
	_, _, err := target(out)
	return err
}

// target says what writing to out means. A plain file, or none, is replaced at real,
// which is where a symbolic link points. A pipe or a terminal is written to as it is:
// direct. Everything else is refused, and so is a file whose content is no picture,
// because it was hardly meant.
func target(out string) (real string, direct bool, err error) {
	info, err := os.Stat(out)
	if errors.Is(err, fs.ErrNotExist) {
		if l, lerr := os.Lstat(out); lerr == nil && l.Mode()&fs.ModeSymlink != 0 {
			return "", false, fail("remove the link, or name another file", "%s is a symbolic link to a file that does not exist", out)
		}
		if dir := filepath.Dir(out); !isDir(dir) {
			return "", false, fail("create it first", "there is no directory %s to write %s into", dir, filepath.Base(out))
		}
		return out, false, nil
	}
	if err != nil {
		return "", false, err
	}
	switch mode := info.Mode(); {
	case info.IsDir():
		return "", false, fail("name a file in it, such as "+filepath.Join(out, "NAME.pxa"), "%s is a directory", out)
	case mode&fs.ModeNamedPipe != 0, mode&fs.ModeCharDevice != 0:
		return out, true, nil
	case !mode.IsRegular():
		return "", false, fail("name a plain file", "%s is %s, which is not written to", out, describe(mode.Type()))
	}
	// Replace what a link points to, not the link.
	if real, err = filepath.EvalSymlinks(out); err != nil {
		return "", false, err
	}
	if info.Size() == 0 {
		return real, false, nil
	}
	f, err := os.Open(real)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	var head [len(pngMagic)]byte
	if _, err := io.ReadFull(f, head[:]); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", false, err
	}
	if string(head[:]) != pngMagic {
		return "", false, fail("choose another name, or remove the file first", "%s exists and is no cartridge or PNG picture, so it is not overwritten", out)
	}
	return real, false, nil
}

// WriteFile packs sources into the file out and returns the cartridge's digest. A
// reader of out sees what was there before or the whole new cartridge; after a
// failure or a cancelled context the old file is untouched and nothing new is left.
// A pipe or a character device is written to as it is, a symbolic link to a file
// stays and its file is replaced. Other things, and files that are no PNG pictures,
// are refused with an *Error.
func WriteFile(ctx context.Context, out string, sources []pxa.Source, opts *pxa.PackOptions) (pxa.Digest, error) {
	real, direct, err := target(out)
	if err != nil {
		return pxa.Digest{}, err
	}
	if !direct {
		return pxa.PackFile(ctx, real, sources, opts)
	}
	var d pxa.Digest
	err = writeDirect(real, func(w io.Writer) error {
		d, err = pxa.Pack(ctx, w, sources, opts)
		return err
	})
	return d, err
}

// WritePicture is WriteFile for a picture that draw writes.
func WritePicture(out string, draw func(io.Writer) error) error {
	real, direct, err := target(out)
	if err != nil {
		return err
	}
	if direct {
		return writeDirect(real, draw)
	}
	return writeWhole(real, draw)
}

func writeDirect(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = buffered(f, write)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// writeWhole writes beside the file and renames when everything is there.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	// os.CreateTemp would ignore the user's umask.
	temp := fmt.Sprintf("%s.%.32s.%016x", filepath.Dir(name)+string(filepath.Separator), filepath.Base(name), rand.Uint64())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temp)
		}
	}()
	if err = buffered(f, write); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
