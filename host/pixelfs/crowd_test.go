package pixelfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pxos/pxos/host/disk"
)

const (
	crowdNames   = 4
	crowdWriters = 4 // in each of two processes
	crowdReaders = 4
)

// crowdContent is content that proves itself whole: one number all over.
func crowdContent(writer, round int) []byte {
	b := make([]byte, 8*(1000+(writer*977+round*331)%40000))
	for i := 0; i < len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], uint64(writer)<<32|uint64(round))
	}
	return b
}

func crowdCheck(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%d bytes", len(b))
	}
	v := binary.BigEndian.Uint64(b)
	if want := crowdContent(int(v>>32), int(uint32(v))); !bytes.Equal(b, want) {
		return fmt.Errorf("%d bytes that begin with %#x are no version that anybody wrote", len(b), v)
	}
	return nil
}

// crowd runs writers and readers in this process until the writers are done.
func crowd(s *Store, first, rounds int) error {
	var writers, readers sync.WaitGroup
	var mu sync.Mutex
	var bad error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if bad == nil {
			bad = err
		}
	}
	done := make(chan struct{})
	name := func(i int) string { return fmt.Sprintf("shared/%d", i%crowdNames) }
	for w := range crowdWriters {
		writers.Go(func() {
			for r := range rounds {
				id := first + w
				var err error
				switch n := name(id + r); {
				case r%9 == 8:
					if err = s.Remove(n); errors.Is(err, fs.ErrNotExist) {
						err = nil
					}
				case r%9 == 7:
					err = s.Rename(name(id+r), name(id+r+1))
					if errors.Is(err, fs.ErrNotExist) {
						err = nil
					}
				default:
					_, err = s.Put(context.Background(), n, bytes.NewReader(crowdContent(id, r)), PutOptions{})
				}
				if err != nil {
					fail(fmt.Errorf("writer %d, round %d: %w", id, r, err))
					return
				}
			}
		})
	}
	for k := range crowdReaders {
		readers.Go(func() {
			for i := k; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				f, err := s.Open(name(i))
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					fail(fmt.Errorf("open: %w", err))
					return
				}
				b, err := io.ReadAll(f)
				if err == nil {
					err = crowdCheck(b)
				}
				if err == nil && i%16 == 0 {
					_, err = s.List("shared")
				}
				f.Close()
				if err != nil {
					fail(fmt.Errorf("reader: %w", err))
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	return bad
}

func crowdRounds() int {
	if short() {
		return 20
	}
	return 40
}

func crowdChild() {
	rounds, err := strconv.Atoi(os.Getenv("PXOS_ROUNDS"))
	if err != nil {
		panic(err)
	}
	d, err := disk.Open(os.Getenv("PXOS_DIR"))
	if err == nil {
		var s *Store
		if s, err = Open(d, Options{}); err == nil {
			err = errors.Join(crowd(s, 100, rounds), s.Close())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestCrowd has 8 writers and 8 readers in two processes at the same few names. No
// content that was acknowledged may be lost, and no reader may see a mixture.
func TestCrowd(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, dir := openDisk(t, Options{})
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=crowd", "PXOS_DIR="+dir, "PXOS_ROUNDS="+strconv.Itoa(crowdRounds()))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := crowd(s, 1, crowdRounds()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the other process: %v: %s", err, errs.String())
	}
	have, err := everything(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []int{1, 100} {
		for w := range crowdWriters {
			for r := range crowdRounds() {
				if r%9 < 7 && !have[string(crowdContent(first+w, r))] {
					t.Fatalf("what writer %d wrote in round %d is lost", first+w, r)
				}
			}
		}
	}
	clean(t, s)
}

// TestManyAtOnce stores many files in one call, some of which cannot be.
func TestManyAtOnce(t *testing.T) {
	s, _ := openMem(t, Options{})
	const files = 700
	failed := map[string]error{}
	ok := 0
	err := s.PutMany(context.Background(), func(yield func(Source) bool) {
		for i := range files {
			src := Source{Name: fmt.Sprintf("d%d/f%d", i%7, i), Open: func() (io.ReadCloser, error) {
				if i%100 == 50 {
					return nil, errors.New("no such source")
				}
				return io.NopCloser(strings.NewReader(fmt.Sprint("content ", i))), nil
			}}
			if i%100 == 51 {
				src.Name = "../out"
			}
			if !yield(src) {
				return
			}
		}
	}, func(name string, i Info, err error) error {
		if err != nil {
			failed[name] = err
		} else {
			ok++
		}
		return nil
	})
	if err != nil || ok != files-14 || len(failed) != 8 {
		t.Errorf("%d stored, %v, %v", ok, failed, err)
	}
	for i := range files {
		if i%100 == 50 || i%100 == 51 {
			continue
		}
		if got := get(t, s, fmt.Sprintf("d%d/f%d", i%7, i)); got != fmt.Sprint("content ", i) {
			t.Fatalf("file %d has %q", i, got)
		}
	}
	clean(t, s)
	stop := errors.New("stop")
	begun := 0
	err = s.PutMany(context.Background(), func(yield func(Source) bool) {
		for i := 0; yield(Source{Name: fmt.Sprint("x", i)}); i++ {
			begun++
		}
	}, func(string, Info, error) error { return stop })
	if err != stop || begun > 10000 {
		t.Errorf("%v after %d", err, begun)
	}
}
