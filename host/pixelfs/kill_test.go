package pixelfs

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// A test binary that finds this in its environment is a child that does one job.
const childEnv = "PXOS_PIXELFS_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "kill":
		killedChild()
	case "crowd":
		crowdChild()
	}
}

const killSteps = 45

func killedChild() {
	n, err := strconv.Atoi(os.Getenv("PXOS_AT"))
	if err != nil {
		panic(err)
	}
	seed, err := strconv.ParseUint(os.Getenv("PXOS_SEED"), 10, 64)
	if err != nil {
		panic(err)
	}
	d, err := disk.Open(os.Getenv("PXOS_DIR"))
	if err != nil {
		panic(err)
	}
	s, err := Open(disktest.KillAt(d, n), Options{})
	if err != nil {
		panic(err)
	}
	w := newWorld(nil, s, seed)
	for i := range killSteps {
		if desc, err := w.step(); err != nil {
			panic(fmt.Sprintf("step %d, %s: %v", i, desc, err))
		}
		fmt.Println(i)
	}
	w.closeEdit()
	s.Close()
	fmt.Println("end")
}

func (w *world) closeEdit() {
	if w.edit != nil {
		w.edit.Close()
	}
}

// TestKill kills a process before each of its operations, as kill -9 does.
func TestKill(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stride, seeds := 17, uint64(1)
	switch {
	case short():
		stride = 61
	case long():
		stride, seeds = 1, 3
	}
	kills := 0
	for seed := range seeds {
		// The same history on a file system of its own tells what to expect.
		s, _ := openMem(t, Options{})
		w := newWorld(t, s, seed)
		states := []model{{}}
		evers := []map[string]bool{{}}
		for i := range killSteps {
			if desc, err := w.step(); err != nil {
				t.Fatalf("step %d, %s: %v", i, desc, err)
			}
			states = append(states, w.now.clone())
			evers = append(evers, maps.Clone(w.ever))
		}
		w.closeEdit()
		last, err := snapshot(s)
		if err != nil {
			t.Fatal(err)
		}
		for at := 1; ; at += stride {
			dir := t.TempDir()
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), childEnv+"=kill", "PXOS_DIR="+dir, "PXOS_AT="+strconv.Itoa(at), "PXOS_SEED="+strconv.FormatUint(seed, 10))
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			runErr := cmd.Run()
			steps, ended := 0, false
			for sc := bufio.NewScanner(&out); sc.Scan(); {
				if sc.Text() == "end" {
					ended = true
					break
				}
				steps++
			}
			if !ended && cmd.ProcessState.ExitCode() != -1 && runErr != nil && errs.Len() > 0 {
				t.Fatalf("the child failed by itself at %d: %v\n%s", at, runErr, errs.String())
			}
			if ended {
				break
			}
			kills++
			d, err := disk.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			allowed := []model{states[steps]}
			if steps+1 < len(states) {
				allowed = append(allowed, states[steps+1])
			} else {
				allowed = append(allowed, last)
			}
			w.ever = evers[steps]
			ok := w.inspect(d, fmt.Sprintf("seed %d, killed at operation %d after %d steps", seed, at, steps), allowed...)
			d.Close()
			if !ok {
				return
			}
			os.RemoveAll(dir)
		}
	}
	t.Logf("%d kills", kills)
}
