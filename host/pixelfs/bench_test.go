package pixelfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// noise is a reader of bytes that no compression shortens, made at the speed of memory.
type noise struct {
	left  int64
	block []byte
	at    int
}

var noiseBlock = func() []byte {
	b := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}()

func newNoise(n int64) *noise { return &noise{left: n, block: noiseBlock} }

func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	k := copy(p[:min(int64(len(p)), n.left)], n.block[n.at:])
	n.at = (n.at + k) % len(n.block)
	n.left -= int64(k)
	return k, nil
}

// plainWrite is the peer of Put: write, SHA-256 and fsync of an ordinary file.
func plainWrite(b testing.TB, name string, r io.Reader) {
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h)}, r, make([]byte, 256<<10)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	h.Sum(nil)
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// beside runs ours and the peer in turns and reports both and their ratio.
func beside(b *testing.B, bytes int64, peer, ours func()) {
	b.Helper()
	var tp, to time.Duration
	for b.Loop() {
		t := time.Now()
		peer()
		tp += time.Since(t)
		t = time.Now()
		ours()
		to += time.Since(t)
	}
	b.ReportMetric(0, "ns/op")
	if bytes > 0 {
		mb := float64(bytes) * float64(b.N) / 1e6
		b.ReportMetric(mb/tp.Seconds(), "peer-MB/s")
		b.ReportMetric(mb/to.Seconds(), "MB/s")
	} else {
		b.ReportMetric(tp.Seconds()/float64(b.N), "peer-s")
		b.ReportMetric(to.Seconds()/float64(b.N), "s")
	}
	b.ReportMetric(100*tp.Seconds()/to.Seconds(), "%of-peer")
}

const quarter = 256 << 20

// BenchmarkPut: 256 MiB, durable, beside write + SHA-256 + fsync of a plain file.
func BenchmarkPut(b *testing.B) {
	s, dir := openDisk(b, Options{Scratch: func(string) bool { return true }})
	beside(b, quarter, func() {
		plainWrite(b, filepath.Join(dir, "plain"), newNoise(quarter))
	}, func() {
		if _, err := s.Put(context.Background(), "f", newNoise(quarter), PutOptions{Hint: quarter}); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkRead: 256 MiB, whole, verified, beside read + SHA-256 of a plain file.
func BenchmarkRead(b *testing.B) {
	s, dir := openDisk(b, Options{})
	plain := filepath.Join(dir, "plain")
	plainWrite(b, plain, newNoise(quarter))
	if _, err := s.Put(context.Background(), "f", newNoise(quarter), PutOptions{}); err != nil {
		b.Fatal(err)
	}
	beside(b, quarter, func() {
		f, err := os.Open(plain)
		if err != nil {
			b.Fatal(err)
		}
		h := sha256.New()
		if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
			b.Fatal(err)
		}
		f.Close()
		h.Sum(nil)
	}, func() {
		f, err := s.Open("f")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := f.WriteTo(io.Discard); n != quarter || err != nil {
			b.Fatal(n, err)
		}
		f.Close()
	})
}

// BenchmarkRandomRead: 4 KiB at random places of 1 GiB, each verified, beside pread.
func BenchmarkRandomRead(b *testing.B) {
	const size = 1 << 30
	s, dir := openDisk(b, Options{})
	plain := filepath.Join(dir, "plain")
	plainWrite(b, plain, newNoise(size))
	if _, err := s.Put(context.Background(), "f", newNoise(size), PutOptions{Hint: size}); err != nil {
		b.Fatal(err)
	}
	pf, err := os.Open(plain)
	if err != nil {
		b.Fatal(err)
	}
	defer pf.Close()
	f, err := s.Open("f")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, aligned := range []bool{true, false} {
		b.Run(fmt.Sprintf("aligned=%v", aligned), func(b *testing.B) {
			const reads = 100000
			read := func(r io.ReaderAt, seed uint64) {
				rng := rand.New(rand.NewPCG(seed, 1))
				buf := make([]byte, 4096)
				for range reads {
					off := rng.Int64N(size - 4096)
					if aligned {
						off &^= 4095
					}
					if _, err := r.ReadAt(buf, off); err != nil {
						b.Fatal(err)
					}
				}
			}
			seed := uint64(0)
			beside(b, reads*4096, func() { seed++; read(pf, seed) }, func() { read(f, seed) })
		})
	}
}

// BenchmarkManySmall: 10,000 files of 1 KiB, durable, and read back, beside the same as
// plain files with an fsync each.
func BenchmarkManySmall(b *testing.B) {
	const files = 10000
	data := noiseBlock[:1024]
	for _, part := range []string{"write", "read"} {
		b.Run(part, func(b *testing.B) {
			round := 0
			s, dir := openDisk(b, Options{})
			plain := func(i int) string { return filepath.Join(dir, "plain", fmt.Sprint(round), fmt.Sprint(i)) }
			name := func(i int) string { return fmt.Sprintf("r%d/%d", round, i) }
			writePlain := func() {
				d := filepath.Join(dir, "plain", fmt.Sprint(round))
				os.MkdirAll(d, 0o700)
				for i := range files {
					plainWrite(b, plain(i), strings.NewReader(string(data)))
				}
				f, _ := os.Open(d)
				f.Sync()
				f.Close()
			}
			writeOurs := func() {
				err := s.PutMany(context.Background(), func(yield func(Source) bool) {
					for i := range files {
						if !yield(Source{Name: name(i), Open: func() (io.ReadCloser, error) {
							return io.NopCloser(strings.NewReader(string(data))), nil
						}}) {
							return
						}
					}
				}, nil)
				if err != nil {
					b.Fatal(err)
				}
			}
			if part == "write" {
				beside(b, 0, func() { round++; writePlain() }, writeOurs)
				return
			}
			writePlain()
			writeOurs()
			beside(b, 0, func() {
				for i := range files {
					data, err := os.ReadFile(plain(i))
					if err != nil {
						b.Fatal(err)
					}
					sha256.Sum256(data)
				}
			}, func() {
				for i := range files {
					f, err := s.Open(name(i))
					if err != nil {
						b.Fatal(err)
					}
					if n, err := f.WriteTo(io.Discard); n != 1024 || err != nil {
						b.Fatal(n, err)
					}
					f.Close()
				}
			})
		})
	}
}

// BenchmarkVerify: 256 MiB beside SHA-256 of the same bytes from a plain file.
func BenchmarkVerify(b *testing.B) {
	s, _ := openDisk(b, Options{})
	if _, err := s.Put(context.Background(), "f", newNoise(quarter), PutOptions{}); err != nil {
		b.Fatal(err)
	}
	beside(b, quarter, func() {
		h := sha256.New()
		for range quarter >> 20 {
			h.Write(noiseBlock)
		}
		h.Sum(nil)
	}, func() {
		if rep, err := s.Verify(context.Background(), "f", nil); err != nil || rep.Err() != nil {
			b.Fatal(rep, err)
		}
	})
}

// BenchmarkEditSync: what one transaction of a database costs: a page written at a random
// place of 64 MiB and synced, beside pwrite + fsync.
func BenchmarkEditSync(b *testing.B) {
	s, dir := openDisk(b, Options{})
	const size = 64 << 20
	plain := filepath.Join(dir, "plain")
	plainWrite(b, plain, newNoise(size))
	if _, err := s.Put(context.Background(), "db", newNoise(size), PutOptions{}); err != nil {
		b.Fatal(err)
	}
	pf, err := os.OpenFile(plain, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer pf.Close()
	e, err := s.Edit("db", os.O_RDWR)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	work := func(w interface {
		io.WriterAt
		Sync() error
	}) {
		for range 100 {
			if _, err := w.WriteAt(noiseBlock[:4096], rand.Int64N(size/4096)*4096); err != nil {
				b.Fatal(err)
			}
			if err := w.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	beside(b, 0, func() { work(pf) }, func() { work(e) })
}

// TestMemoryOfAStream streams 1 GiB through Put, Edit and WriteTo and watches the heap.
func TestMemoryOfAStream(t *testing.T) {
	size := int64(1 << 30)
	if short() {
		size = 64 << 20
	}
	s, _ := openDisk(t, Options{Scratch: func(string) bool { return true }})
	const most = 64 << 20
	watch := func(what string, fn func()) {
		runtime.GC()
		var base runtime.MemStats
		runtime.ReadMemStats(&base)
		stop := make(chan struct{})
		var peak uint64
		var wg sync.WaitGroup
		wg.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse+m.StackInuse)
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		})
		fn()
		close(stop)
		wg.Wait()
		t.Logf("%s of %d MiB: at most %.1f MiB in use, %.1f before", what, size>>20, float64(peak)/(1<<20), float64(base.HeapInuse)/(1<<20))
		if peak > most+base.HeapInuse {
			t.Errorf("%s took %d bytes of memory", what, peak)
		}
	}
	watch("put", func() {
		if _, err := s.Put(context.Background(), "f", newNoise(size), PutOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	watch("read", func() {
		f, err := s.Open("f")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if n, err := f.WriteTo(io.Discard); n != size || err != nil {
			t.Fatal(n, err)
		}
	})
	watch("edit", func() {
		e, err := s.Edit("f", os.O_RDWR|os.O_TRUNC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{e}, newNoise(size), make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if i, err := s.Stat("f"); err != nil || i.Size != size {
		t.Error(i, err)
	}
}
