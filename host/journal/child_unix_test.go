//go:build unix

package journal

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const errNoRoom = syscall.ENOSPC

// dieHard ends this process as kill -9 does.
func dieHard() {
	syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}

func init() {
	children["limited"] = func(dir string) error {
		// With the signal ignored a write beyond the limit is an error.
		signal.Ignore(syscall.SIGXFSZ)
		limit := unix.Rlimit{Cur: 20000, Max: 20000}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		j, err := Open(dir, Options{})
		if err != nil {
			return err
		}
		for range 1000 {
			if _, err = j.Append(ctx, Draft{Type: "t", Body: map[string]string{"s": strings.Repeat("x", 300)}}); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrFull) {
			return errors.New("the limit was not reported as a full disk")
		}
		return j.Close()
	}
}

// The kernel itself refuses half of a write.
func TestFileSizeLimit(t *testing.T) {
	dir := t.TempDir()
	if out, err := child("limited", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(dir + "/" + segmentName(1))
	if err != nil || info.Size() < 19000 || info.Size() > 20000 {
		t.Fatalf("segment of %d bytes, %v", info.Size(), err)
	}
	if v := view(t, dir); v.Torn() != 0 {
		t.Fatalf("%d bytes of the refused entry are left", v.Torn())
	}
	if r, err := audit(dir, nil); err != nil || r.Entries < 40 {
		t.Fatal(r, err)
	}
	add(t, open(t, dir, Options{}), "t", struct{}{})
}
