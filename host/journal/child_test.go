package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	childMode = "PXOS_JOURNAL_TEST_CHILD"
	childArg  = "PXOS_JOURNAL_TEST_ARG"
)

// children are what the test binary does instead of testing when it is started
// with a mode in its environment.
var children = map[string]func(dir string) error{
	"append": func(dir string) error {
		j, err := Open(dir, Options{SegmentBytes: 20000})
		if err != nil {
			return err
		}
		for i := range 150 {
			body := map[string]any{"pid": os.Getpid(), "i": i, "pad": strings.Repeat("y", i)}
			if _, err := j.Append(ctx, Draft{Type: "t", Body: body, Sync: i%50 == 0}); err != nil {
				return err
			}
		}
		return j.Close()
	},
	"endless": func(dir string) error {
		j, err := Open(dir, Options{SegmentBytes: 5000})
		if err != nil {
			return err
		}
		for {
			e, err := j.Append(ctx, Draft{Type: "t", Body: map[string]string{"s": strings.Repeat("z", 500)}})
			if err != nil {
				return err
			}
			fmt.Println(e.Seq)
		}
	},
	"killed": func(dir string) error {
		n, err := strconv.Atoi(os.Getenv(childArg))
		if err != nil {
			return err
		}
		_, _, err = script(dir, &stopDisk{left: n, half: true, kill: true})
		return err
	},
	"begin": func(dir string) error {
		j, err := Open(dir, Options{})
		if err != nil {
			return err
		}
		id, err := BeginRun(ctx, j, RunBegin{Name: "child", Program: "main"})
		if err != nil {
			return err
		}
		fmt.Println(id)
		time.Sleep(time.Hour) // until the parent kills it
		return nil
	},
}

func TestMain(m *testing.M) {
	if f := children[os.Getenv(childMode)]; f != nil {
		if err := f(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child prepares the test binary to act on the journal in dir.
func child(mode, dir string, arg ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe, dir)
	cmd.Env = append(os.Environ(), childMode+"="+mode, childArg+"="+strings.Join(arg, " "))
	return cmd
}

func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	const n = 5
	var cmds []*exec.Cmd
	for range n {
		c := child("append", dir)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, c)
	}
	// Readers meet no torn entry while others append.
	for range 50 {
		v, err := OpenView(ctx, dir)
		if err != nil {
			continue // not created yet
		}
		if v.Torn() != 0 {
			t.Errorf("a reader saw %d torn bytes", v.Torn())
		}
		if _, err := v.Verify(ctx, nil); err != nil {
			t.Errorf("while others append: %v", err)
		}
	}
	for _, c := range cmds {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := audit(dir, nil)
	if err != nil || r.Entries != n*150 || len(r.Recovered) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	next := map[int]int{}
	for _, e := range collect(t, view(t, dir).Read(ctx, Range{})) {
		var b struct{ PID, I int }
		if err := e.Decode(&b); err != nil || next[b.PID] != b.I {
			t.Fatalf("entry %d of process %d is number %d, %v", next[b.PID], b.PID, b.I, err)
		}
		next[b.PID]++
	}
	if len(next) != n {
		t.Errorf("%d processes appended", len(next))
	}
}

// A process is killed from outside while it appends; what it reported as
// appended is there.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for round := range 8 {
		c := child("endless", dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if n == 10+7*round {
				c.Process.Kill()
			}
		}
		c.Wait()
		j, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := j.Head(ctx)
		j.Close()
		if err != nil || h.Seq < last {
			t.Fatalf("round %d: head %d, %v; entry %d was reported", round, h.Seq, err, last)
		}
		if _, err := audit(dir, nil); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// A process kills itself at a call to the file system, as a check that the
// stops of TestCrashAtEveryCall are what a kill is.
func TestKilledAtCall(t *testing.T) {
	for _, n := range []int{1, 3, 5, 8, 12, 17, 25, 40, 60, 90} {
		dir := filepath.Join(t.TempDir(), "log")
		if err := child("killed", dir, strconv.Itoa(n)).Run(); err == nil {
			t.Fatalf("call %d was never reached", n)
		}
		checkCrash(t, dir, nil)
	}
}

func TestInterruptedAndRunning(t *testing.T) {
	dir := t.TempDir()
	c := child("begin", dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the child did not begin its run")
	}
	status := func() Status {
		for r, err := range view(t, dir).Runs(ctx, RunQuery{Cartridge: "child"}) {
			if err != nil {
				t.Fatal(err)
			}
			return r.Status
		}
		t.Fatal("no run")
		return ""
	}
	if got := status(); got != StatusRunning {
		t.Errorf("while the child lives its run is %s", got)
	}
	c.Process.Kill()
	c.Wait()
	if got := status(); got != StatusInterrupted {
		t.Errorf("after the child's death its run is %s", got)
	}
}
