package pixelfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi/pxi"
	"github.com/pxos/pxos/host/disk"
)

// prototypeFile is a container as the prototype writes it, without a trailer.
func prototypeFile(data []byte, width int) []byte {
	b := make([]byte, 0, 64)
	b = append(b, "PXIF\x01\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(data)))
	b = binary.BigEndian.AppendUint32(b, uint32(width))
	rows := ((len(data)+2)/3 + width - 1) / width
	b = binary.BigEndian.AppendUint32(b, uint32(rows))
	b = append(b, 0)
	sum := sha256.Sum256(data)
	b = append(b, sum[:]...)
	b = append(b, make([]byte, 9)...)
	b = append(b, data...)
	return append(b, make([]byte, rows*width*3-len(data))...)
}

func TestPrototypeDirectory(t *testing.T) {
	dir := t.TempDir()
	data := []byte(strings.Repeat("from the prototype ", 1000))
	must(t, os.WriteFile(filepath.Join(dir, "old.pxi"), prototypeFile(data, 1024), 0o600))
	var pic bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, 5, 4))
	for i := range img.Pix {
		img.Pix[i] = byte(i) | 3
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	must(t, png.Encode(&pic, img))
	must(t, os.WriteFile(filepath.Join(dir, "weights.pxi"), pic.Bytes(), 0o600))
	d, err := disk.Open(dir)
	must(t, err)
	t.Cleanup(func() { d.Close() })

	ro, err := Open(d, Options{ReadOnly: true})
	must(t, err)
	if get(t, ro, "old") != string(data) || len(get(t, ro, "weights")) != 60 {
		t.Error("the files read otherwise")
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("reading changed the directory: %v %v", list, err)
	}
	s := openOn(t, d, Options{})
	list, err := s.List(".")
	if err != nil || len(list) != 2 || list[0].Name != "old" || list[0].Size != int64(len(data)) || list[1].Size != 60 {
		t.Errorf("%+v %v", list, err)
	}
	put(t, s, "old", "new")
	if vs, err := s.Versions("old"); err != nil || len(vs) != 2 || vs[0].Size != int64(len(data)) {
		t.Errorf("%+v %v", vs, err)
	}
	e := edit(t, s, "weights", os.O_RDWR)
	write(t, e, "changed", 3)
	must(t, e.Close())
	if got := get(t, s, "weights"); len(got) != 60 || got[3:10] != "changed" {
		t.Errorf("%q", got)
	}
	clean(t, s)
	// Without the trailer the prototype reads what is written here: the header is its
	// own, and the pixels are where it looks for them.
	b, err := os.ReadFile(filepath.Join(dir, "old.pxi"))
	must(t, err)
	if want := prototypeFile([]byte("new"), 1024); !bytes.Equal(b[:55], want[:55]) || !bytes.Equal(b[64:len(want)], want[64:]) {
		t.Error("the prototype would not read it")
	}
}

func TestForeignEntries(t *testing.T) {
	s, dir := openDisk(t, Options{})
	put(t, s, "good", "good")
	put(t, s, "d/inner", "inner")
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret.pxi"), prototypeFile([]byte("secret"), 16), 0o600))
	links := map[string]string{
		"link.pxi":      filepath.Join(outside, "secret.pxi"),
		"inlink.pxi":    "good.pxi",
		"linkdir":       outside,
		"indir":         "d",
		"dangling.pxi":  "nowhere",
		"d/again":       "..",
		"metalink":      ".pxos/trash",
		".pxos/strange": outside,
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skipf("this system makes no symbolic links: %v", err)
		}
	}
	for _, name := range []string{"README", "bad%name.pxi", ".hidden.pxi"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("foreign"), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "dir.pxi"), 0o700))
	must(t, os.Mkdir(filepath.Join(dir, "good"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "broken.pxi"), []byte("no pixels"), 0o600))

	for _, name := range []string{"link", "inlink", "dangling", "linkdir/secret", "indir/inner", "d/again/good", "metalink/x"} {
		if _, err := s.Open(name); err == nil {
			t.Errorf("%s was followed", name)
		}
		if _, err := s.Stat(name); err == nil {
			t.Errorf("%s was described", name)
		}
		if _, err := s.Put(context.Background(), name, strings.NewReader("x"), PutOptions{}); err == nil {
			t.Errorf("%s was written", name)
		}
		if _, err := s.Edit(name, os.O_RDWR|os.O_CREATE); err == nil {
			t.Errorf("%s was edited", name)
		}
		if err := s.Remove(name); err == nil {
			t.Errorf("%s was removed", name)
		}
		if err := s.Rename(name, "elsewhere"); err == nil {
			t.Errorf("%s was renamed", name)
		}
		if err := s.Rename("good", name); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	list, err := s.Entries(".")
	if err != nil || len(list) != 3 { // broken, d, good
		t.Errorf("%v %v", list, err)
	}
	rep, err := s.Fsck(context.Background(), nil, true)
	must(t, err)
	found := map[string]string{}
	for _, p := range rep.Problems {
		found[p.Place] = p.Kind
	}
	want := map[string]string{
		"README": Foreign, "bad%name.pxi": Foreign, ".hidden.pxi": Foreign, "dir.pxi": Foreign,
		"good.pxi": Twin, "broken.pxi": BadContent,
	}
	for name := range links {
		want[name] = Foreign
	}
	for p, kind := range want {
		if found[p] != kind {
			t.Errorf("%s was reported as %q, not %q", p, found[p], kind)
		}
	}
	for p, kind := range found {
		if want[p] != kind {
			t.Errorf("%s was reported as %q", p, kind)
		}
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret.pxi")); err != nil || !bytes.Contains(b, []byte("secret")) {
		t.Error("what a link leads to was changed")
	}
}

func TestDamage(t *testing.T) {
	s, dir := openDisk(t, Options{})
	put(t, s, "f", strings.Repeat("some words ", 50000))
	put(t, s, "f", strings.Repeat("other words ", 50000))
	damage := func(t *testing.T, place string, off, n int) {
		f, err := os.OpenFile(filepath.Join(dir, place), os.O_RDWR, 0)
		must(t, err)
		defer f.Close()
		b := make([]byte, n)
		_, err = f.ReadAt(b, int64(off))
		must(t, err)
		for i := range b {
			b[i] ^= 0x55
		}
		_, err = f.WriteAt(b, int64(off))
		must(t, err)
	}
	bit := 64 + 123456
	damage(t, "f.pxi", bit, 1)
	damage(t, versionDir+"/f.pxi/0000000001.pxi", 64+512*300, 512)
	rep, err := s.Verify(context.Background(), "f", nil)
	must(t, err)
	if rep.Err() == nil || rep.Faults[0].Kind != pxi.FaultBlock || rep.Faults[0].Block != int64(bit-64)/4096 {
		t.Errorf("%+v", rep)
	}
	fsck, err := s.Fsck(context.Background(), nil, true)
	must(t, err)
	if fsck.OK() || len(fsck.Problems) != 2 || fsck.Problems[0].Name != "f" || fsck.Problems[1].Version != 1 {
		t.Errorf("%v", fsck.Problems)
	}
	f, err := s.Open("f")
	must(t, err)
	defer f.Close()
	var ce *pxi.CorruptError
	if _, err := f.WriteTo(io.Discard); !errors.As(err, &ce) {
		t.Error(err)
	}
	b := make([]byte, 100)
	if _, err := f.ReadAt(b, 123400); !errors.As(err, &ce) {
		t.Error(err)
	}
	if _, err := f.ReadAt(b, 300000); err != nil {
		t.Errorf("what is not damaged cannot be read: %v", err)
	}
	if _, err := s.RestoreVersion(context.Background(), "f", 1); !errors.As(err, &ce) {
		t.Error(err)
	}
	// What is damaged is replaced, also by the content it should have.
	put(t, s, "f", strings.Repeat("other words ", 50000))
	if rep, err := s.Verify(context.Background(), "f", nil); err != nil || rep.Err() != nil {
		t.Error(err, rep.Err())
	}
	must(t, os.Truncate(filepath.Join(dir, "f.pxi"), 1000))
	if _, err := s.Open("f"); err == nil {
		t.Error("a file that was cut short opens")
	}
	if list, err := s.List("."); err != nil || len(list) != 1 || list[0].Err == nil {
		t.Errorf("%+v %v", list, err)
	}
	must(t, s.Remove("f"))
	if _, err := s.Stat("f"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestMappedFileCutShort: a large file is read through a mapping, and somebody cuts it.
func TestMappedFileCutShort(t *testing.T) {
	s, dir := openDisk(t, Options{})
	put(t, s, "f", strings.Repeat("0123456789abcdef", 1<<18))
	f, err := s.Open("f")
	must(t, err)
	defer f.Close()
	b := make([]byte, 4096)
	_, err = f.ReadAt(b, 3<<20)
	must(t, err)
	must(t, os.Truncate(filepath.Join(dir, "f.pxi"), 1<<20))
	if _, err := f.ReadAt(b, 3<<20); err == nil {
		t.Error("no error behind the end")
	}
}
