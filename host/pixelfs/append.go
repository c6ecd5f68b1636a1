package pixelfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"

	"github.com/pxos/pxos/host/disk"
)

// Append adds what r gives to the end of a file, in one step: a crash, or an error of r,
// leaves the file as it was. A missing file is made, also its directories. The whole
// file is written anew; to add often, keep an [Edit] open. It waits for no other process
// that edits the file, and fails with ErrBusy.
func (s *Store) Append(ctx context.Context, name string, r io.Reader) (Info, error) {
	i, err := s.append(ctx, name, r)
	return i, pathError("append", name, err)
}

func (s *Store) append(ctx context.Context, name string, r io.Reader) (Info, error) {
	place, err := filePlace(name)
	if err == nil {
		err = s.writable()
	}
	if err != nil {
		return Info{}, err
	}
	// The new bytes are here before the file is touched, so that it is held only for
	// the time of the copy, and a source that fails changes nothing.
	add, n, err := s.spool(ctx, r)
	if err != nil {
		return Info{}, err
	}
	defer s.fsys.Remove(add.Name())
	defer add.Close()
	if n := s.node(name); n != nil && n.leased() {
		return s.appendOpen(name, add)
	}
	var lease io.Closer
	err = s.locked(func() error {
		if err := s.dirFor(parent(name), makeDirs); err != nil {
			return err
		}
		if err := s.settle(name, place); err != nil {
			return err
		}
		lease, err = s.lease(place)
		return err
	})
	if err != nil {
		return Info{}, err
	}
	defer func() {
		s.fsys.Remove(leaseDir + "/" + place)
		lease.Close()
	}()
	opt := PutOptions{Hint: n}
	src := io.Reader(io.NewSectionReader(add, 0, n))
	f, err := s.open(name)
	switch {
	case err == nil:
		defer f.Close()
		opt.Compression, opt.Width, opt.Hint = f.r.Header().Compression, f.info.Width, n+f.info.Size
		src = io.MultiReader(f.whole(ctx), src)
	case !errors.Is(err, fs.ErrNotExist):
		return Info{}, err
	}
	st, err := s.stage(ctx, src, opt, 0)
	if err != nil {
		return Info{}, err
	}
	var i Info
	err = s.locked(func() error {
		if n := s.node(name); n != nil && n.leased() {
			st.drop(false)
			return ErrBusy
		}
		i, err = s.commitOne(&change{name: name, place: place, st: st, settled: true})
		return err
	})
	return i, err
}

// appendOpen appends through the handle that this process has open.
func (s *Store) appendOpen(name string, add disk.File) (i Info, err error) {
	e, err := s.Edit(name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return i, err
	}
	defer func() {
		if ce := e.Close(); err == nil {
			err = ce
		}
		if err == nil {
			i, err = s.Stat(name)
		}
	}()
	if _, err = io.CopyBuffer(struct{ io.Writer }{e}, struct{ io.Reader }{add}, make([]byte, 256<<10)); err != nil {
		return i, err
	}
	return i, e.Sync()
}

// spool copies a stream to a temporary file, at its start again.
func (s *Store) spool(ctx context.Context, r io.Reader) (f disk.File, n int64, err error) {
	f, err = s.fsys.OpenFile(s.temp(), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, 0, err
	}
	buf := make([]byte, 256<<10)
	src := &watched{ctx: ctx, r: r}
	for err == nil {
		var k int
		k, err = src.Read(buf)
		if k > 0 {
			n += int64(k)
			e := s.early(s.inflight.Load()+n, 0)
			if e == nil {
				_, e = f.Write(buf[:k])
			}
			if e != nil {
				err = e
			}
		}
	}
	if err == io.EOF {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		s.fsys.Remove(f.Name())
		return nil, 0, err
	}
	return f, n, nil
}

// Source is one file for [Store.PutMany].
type Source struct {
	Name    string
	Open    func() (io.ReadCloser, error) // called once, from any goroutine
	Options PutOptions
}

// How many files PutMany has under way: those being written and synced, which is waiting
// more than working, and those that only wait for their commit.
const (
	manyWriters = 24
	manyWaiting = 512
)

// PutMany is Put for many files: each is atomic and durable by itself, and they share
// the cost of syncing. done, when not nil, is called for each file, from one goroutine
// at a time and in no order; it gets the result, and when it returns an error no
// further file is begun and PutMany returns that error. Without done, the first file
// that fails ends it.
func (s *Store) PutMany(ctx context.Context, sources iter.Seq[Source], done func(name string, i Info, err error) error) error {
	if err := s.writable(); err != nil {
		return pathError("put", ".", err)
	}
	if done == nil {
		done = func(_ string, _ Info, err error) error { return err }
	}
	var (
		mu    sync.Mutex
		stop  error
		wg    sync.WaitGroup
		todo  = make(chan Source)
		slots = make(chan struct{}, manyWaiting)
	)
	stopped := func() error {
		mu.Lock()
		defer mu.Unlock()
		return stop
	}
	finish := func(name string, i Info, err error) {
		mu.Lock()
		defer mu.Unlock()
		if e := done(name, i, pathError("put", name, err)); e != nil && stop == nil {
			stop = e
		}
	}
	for range manyWriters {
		wg.Go(func() {
			for src := range todo {
				slots <- struct{}{}
				c, err := s.stageSource(ctx, src)
				if err != nil {
					finish(src.Name, Info{}, err)
					<-slots
					continue
				}
				wg.Add(1)
				c.done = func(i Info, err error) {
					finish(src.Name, i, err)
					<-slots
					wg.Done()
				}
				s.submit(c)
			}
		})
	}
	for src := range sources {
		if stopped() != nil || canceled(ctx) != nil {
			break
		}
		todo <- src
	}
	close(todo)
	wg.Wait()
	if err := stopped(); err != nil {
		return err
	}
	return canceled(ctx)
}

func (s *Store) stageSource(ctx context.Context, src Source) (c *change, err error) {
	r := io.NopCloser(io.Reader(strings.NewReader("")))
	if src.Open != nil {
		if r, err = src.Open(); err != nil {
			return nil, err
		}
	}
	c, err = s.stageChange(ctx, src.Name, r, src.Options)
	if e := r.Close(); err == nil && e != nil {
		c.st.drop(false)
		return nil, e
	}
	return c, err
}
