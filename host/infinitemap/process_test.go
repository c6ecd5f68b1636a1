package infinitemap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// Children of the tests below are this test program with PXOS_MAP_CHILD set.
func TestMain(m *testing.M) {
	if job := os.Getenv("PXOS_MAP_CHILD"); job != "" {
		if err := child(job, os.Getenv("PXOS_MAP_DIR"), os.Getenv("PXOS_MAP_N")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, job, dir string, n int) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), "PXOS_MAP_CHILD="+job, "PXOS_MAP_DIR="+dir, "PXOS_MAP_N="+strconv.Itoa(n))
	c.Stderr = os.Stderr
	return c
}

// fill changes the same 40 pixels to a colour that names the round.
func fill(m *Map, round int) error {
	for i := range int64(40) {
		if err := m.Set(i%8*16, i/8*16, RGB{byte(round), byte(round >> 8), 1}); err != nil {
			return err
		}
	}
	return nil
}

// roundOf returns the one round whose colour all pixels have.
func roundOf(m *Map) (int, error) {
	buf := make([]byte, 3*128*80)
	if err := m.ReadRegion(buf, 3*128, 0, 0, 128, 80); err != nil {
		return 0, err
	}
	first := -1
	for i := range 40 {
		b := buf[3*(i/8*16*128+i%8*16):]
		round := int(b[0]) | int(b[1])<<8
		if first < 0 {
			first = round
		}
		if round != first {
			return 0, fmt.Errorf("a mix of rounds %d and %d", first, round)
		}
	}
	return first, nil
}

func child(job, dir, arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	root, err := disk.Open(dir)
	if err != nil {
		return err
	}
	fsys := disk.FS(root)
	opt := Options{TileSize: 16, CacheBytes: 3 * 768}
	ctx := context.Background()
	switch job {
	case "killed": // ends at operation n
		fsys = disktest.KillAt(fsys, n)
		m, err := Open(fsys, opt)
		if err != nil {
			return err
		}
		last, err := roundOf(m)
		if err != nil {
			return err
		}
		for round := last + 1; round <= last+2; round++ {
			if err := fill(m, round); err != nil {
				return err
			}
			if err := m.Flush(ctx); err != nil {
				return err
			}
			fmt.Println(round)
		}
		return m.Close()
	case "hold": // is the writer until its input ends
		m, err := Open(fsys, opt)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		_, err = io.ReadAll(os.Stdin)
		return errors.Join(err, m.Close())
	case "write": // n rounds, each flushed
		m, err := Open(fsys, opt)
		if err != nil {
			return err
		}
		for round := 1; round <= n; round++ {
			if err := fill(m, round); err != nil {
				return err
			}
			if err := m.Flush(ctx); err != nil {
				return err
			}
		}
		return m.Close()
	}
	return fmt.Errorf("no job %q", job)
}

// A writer that is killed at any operation leaves the last flush it reported, or the
// one on its way, and a map that the next writer goes on with.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	last, kills, clean := 0, 0, 0
	for n := 1; clean < 1; n++ {
		if n > 400 {
			t.Fatal("the child never gets to its end")
		}
		out, err := start(t, "killed", dir, n).Output()
		told := last
		for _, f := range strings.Fields(string(out)) {
			if told, err = strconv.Atoi(f); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(dir + "/" + manifestName); errors.Is(err, os.ErrNotExist) && told == 0 {
			kills++
			continue // killed before there was a map
		}
		m, err := Open(fsys, Options{ReadOnly: true})
		if err != nil {
			t.Fatalf("killed at %d: %v", n, err)
		}
		got, err := roundOf(m)
		if err != nil {
			t.Fatalf("killed at %d: %v", n, err)
		}
		if got != told && got != told+1 {
			t.Fatalf("killed at %d: round %d, but %d was flushed", n, got, told)
		}
		rep, err := m.Verify(context.Background(), nil)
		if err != nil || !rep.OK() {
			t.Fatalf("killed at %d: %v %+v", n, err, rep)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if told == last+2 {
			clean++ // it came to its end
		} else {
			kills++
		}
		last = got
	}
	if kills < 40 {
		t.Errorf("only %d kills", kills)
	}
	// What the killed ones left is cleared away by the next writer.
	m := mustOpen(t, fsys, Options{})
	if err := errors.Join(fill(m, 7), m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	list, err := fsys.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if disk.IsTemp(e.Name()) || e.Name() == scratchName {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	if len(list) > 40 {
		t.Errorf("%d files are left", len(list))
	}
}

// One writer in all processes; its lock goes with it, however it ends.
func TestTwoWriters(t *testing.T) {
	dir := t.TempDir()
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, "hold", dir, 0)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := Open(fsys, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if m, err := Open(fsys, Options{ReadOnly: true}); err != nil {
		t.Errorf("a reader beside the writer: %v", err)
	} else if err := m.Set(0, 0, RGB{1, 1, 1}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a reader writes: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	m := mustOpen(t, fsys, Options{})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// Readers beside a writer in another process see whole flushes only, never fewer than
// before, and find every file of the state they show.
func TestReadersBesideWriter(t *testing.T) {
	dir := t.TempDir()
	fsys, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, fsys, Options{TileSize: 16}).Close(); err != nil {
		t.Fatal(err)
	}
	const rounds = 120
	c := start(t, "write", dir, rounds)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	r := rand.New(rand.NewPCG(1, 1))
	readers := make([]*Map, 4)
	seen := make([]int, 4)
	for i := range readers {
		readers[i] = mustOpen(t, fsys, Options{ReadOnly: true, CacheBytes: 2 * 768})
	}
	running := true
	for running {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		i := r.IntN(len(readers))
		if r.IntN(3) == 0 {
			if _, err := readers[i].Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := roundOf(readers[i])
		if err != nil {
			t.Fatal(err)
		}
		if got < seen[i] {
			t.Fatalf("a reader went back from %d to %d", seen[i], got)
		}
		seen[i] = got
	}
	for _, m := range readers {
		if _, err := m.Refresh(); err != nil {
			t.Fatal(err)
		}
		if got, err := roundOf(m); err != nil || got != rounds {
			t.Errorf("at the end a reader sees round %d, %v", got, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// With no reader left the next flush clears away what they held.
	m := mustOpen(t, fsys, Options{})
	if err := errors.Join(fill(m, 1), m.Flush(context.Background()), m.Close()); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, dir, "seg-")); n > 20 {
		t.Errorf("%d segments are left", n)
	}
}
