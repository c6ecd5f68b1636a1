package storage

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/pixelfs"
)

func hexOf(d [32]byte) string { return hex.EncodeToString(d[:]) }

// past is one content that a name has or had.
type past struct {
	pixelfs.Info
	current bool
	place   string         // in the trash
	disk    disk.FS        // of place
	store   *pixelfs.Store // that has it as a version, of what is hidden in a sandboxed run
}

// old is a content open for reading.
type old interface {
	content
	Close() error
}

// versions lists the contents of a name, oldest first; of one that is in the trash those
// that it had.
func (t *tree) versions(name string) ([]past, error) {
	st, err := t.store()
	if err != nil {
		return nil, err
	}
	list, err := st.Versions(name)
	if missing(err) {
		return t.trashed(name)
	}
	if err != nil {
		return nil, err
	}
	out := make([]past, 0, len(list))
	cur, err := st.Stat(name)
	for i, v := range list {
		out = append(out, past{Info: v, current: err == nil && !cur.Dir && i == len(list)-1})
	}
	return out, nil
}

// version opens a content of a name.
func (t *tree) version(name string, v uint64) (old, error) {
	st, err := t.store()
	if err != nil {
		return nil, err
	}
	f, err := st.OpenVersion(name, v)
	if err == nil {
		return f, nil
	}
	if !missing(err) {
		return nil, err
	}
	if info, e := st.Stat(name); e == nil {
		if info.Dir {
			return nil, pixelfs.ErrIsDir
		}
		return nil, err
	}
	list, err := t.trashed(name)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.Version == v {
			return p.open()
		}
	}
	return nil, fs.ErrNotExist
}

// restore makes an earlier content of a name the current one.
func (t *tree) restore(ctx context.Context, name string, v uint64) error {
	info, err := t.st.Stat(name)
	switch {
	case err == nil && info.Dir:
		return pixelfs.ErrIsDir
	case err == nil:
		_, err = t.st.RestoreVersion(ctx, name, v)
		return err
	case !missing(err):
		return err
	}
	list, err := t.trashed(name)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Version == v {
			return t.put(ctx, name, p)
		}
	}
	return fs.ErrNotExist
}

// put makes an earlier content the current one of a name that has none.
func (t *tree) put(ctx context.Context, name string, p past) error {
	f, err := p.open()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = t.st.Put(ctx, name, io.NewSectionReader(f, 0, f.Size()), pixelfs.PutOptions{Exclusive: true, Hint: f.Size()})
	return err
}

// Where PIXELFS.md puts what is in the trash.
const (
	trashDir     = ".pxos/trash/"
	trashContent = "/content"
	trashOld     = "/versions"
	goneSuffix   = ".gone"
)

// trashed lists the contents of the file that was last removed from a name, oldest
// first.
func (t *tree) trashed(name string) ([]past, error) {
	list, err := t.st.Trash()
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Err() != nil || !within(e.Name, name) || e.Dir == (e.Name == name) {
			continue
		}
		rest := ""
		if e.Dir {
			enc, err := pixelfs.Encode(name[len(e.Name)+1:])
			if err != nil {
				return nil, err
			}
			rest = "/" + enc + pixelfs.Suffix
		}
		content := trashDir + e.ID + trashContent + rest
		if !e.Dir {
			content += pixelfs.Suffix
		}
		for _, d := range t.disks {
			if _, err := d.Lstat(content); err == nil {
				return pastsOf(d, name, content, trashDir+e.ID+trashOld+rest)
			}
		}
	}
	if list := t.hidden(name); len(list) > 0 {
		return list, nil
	}
	return nil, fs.ErrNotExist
}

// open opens a content.
func (p past) open() (old, error) {
	if p.store != nil {
		return p.store.OpenVersion(p.Name, p.Version)
	}
	return openPast(p)
}

// pastsOf lists the contents in a directory of versions, and that which followed them.
func pastsOf(d disk.FS, name, content, dir string) ([]past, error) {
	list, err := d.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []past
	last := uint64(0)
	for _, e := range list {
		num, kept := strings.CutSuffix(e.Name(), pixelfs.Suffix)
		v, err := strconv.ParseUint(strings.TrimSuffix(num, goneSuffix), 10, 64)
		if err != nil {
			continue
		}
		last = max(last, v)
		if kept {
			out = append(out, past{Info: pixelfs.Info{Name: name, Version: v}, place: dir + "/" + e.Name(), disk: d})
		}
	}
	out = append(out, past{Info: pixelfs.Info{Name: name, Version: last + 1}, place: content, disk: d})
	for i := range out {
		if err := out[i].describe(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *past) describe() error {
	f, err := openPast(*p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := f.Header()
	p.Size, p.Digest = f.Size(), h.Sum
	info, err := f.f.Stat()
	if err == nil {
		p.Modified = info.ModTime()
	}
	return err
}

// pastFile is a content in the trash, open for reading.
type pastFile struct {
	*pxi.Reader
	f disk.File
}

func openPast(p past) (*pastFile, error) {
	f, err := p.disk.OpenFile(p.place, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var r *pxi.Reader
	if err == nil {
		r, err = pxi.NewReader(f, info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open version %d of %q in the trash: %w", p.Version, p.Name, err), f.Close())
	}
	return &pastFile{r, f}, nil
}

func (p *pastFile) Close() error { return p.f.Close() }
