package pixelfs

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// PutOptions choose how a file is written. The zero value replaces what is there.
type PutOptions struct {
	// Compression of this file: pxi.RLE, LZ4 or Auto; None means that of the store.
	Compression pxi.Compression
	// Plain stores without compression whatever the store does otherwise.
	Plain bool
	// Width of the picture in pixels; 0 means 1024.
	Width uint32
	// Exclusive fails with fs.ErrExist where the name exists.
	Exclusive bool
	// IfVersion, when not 0, fails with ErrVersion where the file is not at this version.
	IfVersion uint64
	// Hint is the expected number of bytes, 0 when unknown. A wrong one does no harm.
	Hint int64
	// Modified is the time to note for the content; zero means now.
	Modified time.Time
	// Progress, when not nil, is called now and then with the bytes taken so far.
	Progress func(done int64)
}

// Put stores what r gives under name, in one step and durably, and keeps what was
// there as a version. Missing directories are made. When Put returns an error the
// old content is in place, except for an error of the very last sync, after which
// it is open whether a power loss would leave the old or the new. Memory is
// bounded whatever the size.
func (s *Store) Put(ctx context.Context, name string, r io.Reader, opt PutOptions) (Info, error) {
	c, err := s.stageChange(ctx, name, r, opt)
	if err != nil {
		return Info{}, pathError("put", name, err)
	}
	done := make(chan result, 1)
	c.done = func(i Info, err error) { done <- result{i, err} }
	s.submit(c)
	res := <-done
	return res.info, pathError("put", name, res.err)
}

type result struct {
	info Info
	err  error
}

// stageChange writes the new content to a temporary file, synced.
func (s *Store) stageChange(ctx context.Context, name string, r io.Reader, opt PutOptions) (*change, error) {
	place, err := filePlace(name)
	if err != nil {
		return nil, err
	}
	if err := s.writable(); err != nil {
		return nil, err
	}
	st, err := s.stage(ctx, r, opt, 0)
	if err != nil {
		return nil, err
	}
	return &change{name: name, place: place, st: st, opt: opt, parents: true}, nil
}

// staged is whole content on the disk that has no name yet.
type staged struct {
	s      *Store
	temp   string
	header pxi.Header
	stored int64 // length of the file
	held   int64 // bytes that count as in flight
	time   time.Time
}

// drop forgets the content, also after its commit.
func (st *staged) drop(committed bool) {
	if st == nil {
		return
	}
	st.s.inflight.Add(-st.held)
	st.held = 0
	if !committed {
		st.s.fsys.Remove(st.temp)
	}
}

// stage writes and syncs a temporary file. credit is what its commit will free.
func (s *Store) stage(ctx context.Context, r io.Reader, opt PutOptions, credit int64) (st *staged, err error) {
	if err := canceled(ctx); err != nil {
		return nil, err
	}
	comp := opt.Compression
	switch {
	case opt.Plain:
		comp = pxi.None
	case comp == pxi.None:
		comp = s.opt.Compression
	}
	st = &staged{s: s, temp: s.temp(), time: opt.Modified}
	f, err := s.fsys.OpenFile(st.temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil && !st.time.IsZero() {
			err = s.fsys.Chtimes(st.temp, st.time)
		}
		if err != nil {
			st.drop(false)
			st = nil
		}
	}()
	w, err := pxi.NewWriter(&counted{File: f, st: st, credit: credit}, pxi.Options{Width: opt.Width, Compression: comp, Hint: max(opt.Hint, 0)})
	if err != nil {
		return st, err
	}
	_, err = w.ReadFrom(&watched{ctx: ctx, r: r, progress: opt.Progress})
	if err != nil {
		return st, err
	}
	if st.header, err = w.Close(); err != nil {
		return st, err
	}
	if err := f.Sync(); err != nil {
		return st, err
	}
	info, err := f.Stat()
	if err != nil {
		return st, err
	}
	st.stored = info.Size()
	if st.time.IsZero() {
		st.time = info.ModTime()
	}
	return st, nil
}

// counted checks the quota while a file grows.
type counted struct {
	disk.File
	st     *staged
	credit int64
}

func (c *counted) Write(p []byte) (int, error) {
	n := int64(len(p))
	c.st.held += n
	if err := c.st.s.reserve(n, c.credit); err != nil {
		return 0, err
	}
	return c.File.Write(p)
}

// watched stops a copy when its context ends, and reports how far it is.
type watched struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
	n        int64
}

func (w *watched) Read(p []byte) (int, error) {
	if err := canceled(w.ctx); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	w.n += int64(n)
	if w.n > MaxSize {
		return n, ErrTooLarge
	}
	if w.progress != nil && n > 0 {
		w.progress(w.n)
	}
	return n, err
}
