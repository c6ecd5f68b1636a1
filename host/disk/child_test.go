package disk_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// A child is this test binary with a job in its environment.
const childVar, dirVar = "DISK_TEST_CHILD", "DISK_TEST_DIR"

func TestMain(m *testing.M) {
	job := os.Getenv(childVar)
	if job == "" {
		os.Exit(m.Run())
	}
	d, err := disk.Open(os.Getenv(dirVar))
	if err == nil {
		err = child(d, job)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(d *disk.Dir, job string) error {
	what, arg, _ := strings.Cut(job, " ")
	switch what {
	case "work": // until operation arg, or, with "+half", into the middle of it
		n, half := strings.CutSuffix(arg, "+half")
		at, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		fsys := disktest.KillAt(d, at)
		if half {
			fsys = disktest.Inject(d, disktest.Plan{At: at, Kill: true, Short: true})
		}
		return work(fsys)
	case "hold": // a lock, until standard input ends
		mode, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		if _, err := d.Lock("lock", disk.LockMode(mode)); err != nil {
			return err
		}
		fmt.Println("locked")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("no job %q", job)
}

// work replaces a file twice under a lock.
func work(fsys disk.FS) error {
	l, err := fsys.Lock("lock", disk.Exclusive)
	if err != nil {
		return err
	}
	for _, content := range []string{"first", "second"} {
		if err := disk.MakeDirs(fsys, "d"); err != nil {
			return err
		}
		err := disk.WriteFile(fsys, "d/a", func(f disk.File) error {
			_, err := io.WriteString(f, content)
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.Close()
}

func command(dir, job string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVar+"="+job, dirVar+"="+dir)
	return c
}

// A process killed at any operation leaves old or new, whole, and no lock.
func TestKillAtEach(t *testing.T) {
	for _, suffix := range []string{"", "+half"} {
		seen := map[string]int{}
		for n := 1; ; n++ {
			dir := t.TempDir()
			out, err := command(dir, fmt.Sprintf("work %d%s", n, suffix)).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || len(out) > 0) {
				t.Fatalf("operation %d: %v: %s", n, err, out)
			}
			d, e := disk.Open(dir)
			if e != nil {
				t.Fatal(e)
			}
			got := "nothing"
			if f, e := d.OpenFile("d/a", os.O_RDONLY); e == nil {
				b, e := io.ReadAll(f)
				if e := errors.Join(e, f.Close()); e != nil {
					t.Fatal(e)
				}
				got = string(b)
			}
			seen[got]++
			if l, e := d.Lock("lock", disk.Exclusive); e != nil {
				t.Errorf("operation %d: the lock of the dead: %v", n, e)
			} else if e := l.Close(); e != nil {
				t.Error(e)
			}
			if e := d.Close(); e != nil {
				t.Fatal(e)
			}
			if err == nil {
				if got != "second" {
					t.Errorf("the child that lived left %q", got)
				}
				break
			}
		}
		// lock, mkdir, syncdir, create, write, sync, rename, syncdir; then the
		// same again without mkdir; then the child that lives.
		want := map[string]int{"nothing": 7, "first": 6, "second": 2}
		for got, n := range seen {
			if want[got] != n {
				t.Errorf("%s: %d children left %q, want %d", suffix, n, got, want[got])
			}
		}
	}
}

// Locks hold between processes, and end with them.
func TestLockBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	hold := func(how disk.LockMode) (*exec.Cmd, io.Closer) {
		t.Helper()
		c := command(dir, fmt.Sprintf("hold %d", how))
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
			t.Fatalf("the child says %q, %v", line, err)
		}
		return c, in
	}
	try := func(how disk.LockMode, want error) {
		t.Helper()
		l, err := d.Lock("lock", how)
		if !errors.Is(err, want) {
			t.Errorf("lock %#x: %v, want %v", how, err, want)
		}
		if err == nil {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	c, in := hold(disk.Shared)
	try(disk.Shared, nil)
	try(disk.Exclusive, disk.ErrLocked)
	if err := errors.Join(in.Close(), c.Wait()); err != nil {
		t.Fatal(err)
	}
	try(disk.Exclusive, nil)

	c, _ = hold(disk.Exclusive)
	try(disk.Shared, disk.ErrLocked)
	waited := make(chan error)
	go func() {
		l, err := d.Lock("lock", disk.Exclusive|disk.Wait)
		if err == nil {
			err = l.Close()
		}
		waited <- err
	}()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("waiting for the lock of a process that is killed: %v", err)
	}
	if err := c.Wait(); err == nil {
		t.Error("the killed child ended well")
	}
}
