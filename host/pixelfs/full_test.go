package pixelfs

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/disk/disktest"
)

// On a disk that is full to the last byte there is a way out: things can be moved to
// the trash, it can be emptied, versions can be pruned, and each leaves its record.
func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	mem := disktest.NewMem()
	mem.SetCapacity(32 << 20)
	s, err := Open(mem, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	noise := make([]byte, 4<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	put := func(name string, n int) error {
		_, err := s.Put(ctx, name, bytes.NewReader(noise[:n]), PutOptions{Plain: true})
		return err
	}
	for _, name := range []string{"old", "old", "old", "going"} {
		if err := put(name, 4<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Remove("going"); err != nil {
		t.Fatal(err)
	}
	// Somebody else fills the disk.
	f, err := mem.OpenFile("filler", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); disk.IsFull(err) {
			n /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := put("new", 1<<20); !disk.IsFull(err) {
		t.Fatalf("put on a full disk: %v", err)
	}
	if err := s.Remove("old"); err != nil {
		t.Errorf("trash on a full disk: %v", err)
	}
	rep, err := s.Empty(ctx)
	if err != nil || len(rep.Trash) != 2 || rep.Bytes < 8<<20 {
		t.Fatalf("empty on a full disk: %+v, %v", rep, err)
	}
	if list, err := s.Removals(); err != nil || len(list) != 1 {
		t.Errorf("records: %v, %v", list, err)
	}
	if err := put("new", 1<<20); err != nil {
		t.Errorf("put after making room: %v", err)
	}
	if err := mem.Remove("filler"); err != nil {
		t.Fatal(err)
	}
	if fsck, err := s.Fsck(ctx, nil, false); err != nil || !fsck.OK() {
		t.Errorf("fsck: %+v, %v", fsck, err)
	}
}
