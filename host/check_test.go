package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
)

// Only an archive of a newer format makes the hint speak of a newer host.
func TestUnsupportedHint(t *testing.T) {
	for file, want := range map[string]string{
		"png-alpha-128":          "saved again with transparency, or is a picture and no cartridge",
		"png-transparent-colour": "saved again with transparency, or is a picture and no cartridge",
		"copy-palette":           "saved again in another way",
		"copy-16-bit":            "saved again in another way",
		"header-newer-major":     "a newer pxos-host",
	} {
		t.Run(file, func(t *testing.T) {
			_, err := OpenCartridge(context.Background(), "../abi/pxa/testdata/vectors/"+file+".pxa")
			var e *Error
			if !errors.As(err, &e) || e.Type != abi.ErrUnsupported || !strings.Contains(e.Hint, want) {
				t.Errorf("got %v, want the hint to say %q", err, want)
			} else if newer := strings.Contains(e.Hint, "newer"); newer != strings.HasPrefix(file, "header-") {
				t.Errorf("the hint is %q", e.Hint)
			}
		})
	}
}

func TestHostileHint(t *testing.T) {
	for file, want := range map[string]string{
		"name-parent.pxa":        "hostile",
		"name-parent-inside.pxa": "hostile",
	} {
		_, err := OpenCartridge(context.Background(), "../abi/pxa/testdata/vectors/"+file)
		var e *Error
		if !errors.As(err, &e) || e.Type != abi.ErrCartridge || !strings.Contains(e.Hint, want) || strings.Contains(e.Hint, "damaged") {
			t.Errorf("%s: got %v, want the hint to say %q", file, err, want)
		}
	}
	if _, err := OpenCartridge(context.Background(), "../abi/pxa/testdata/vectors/none.pxa"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestCheckPrograms(t *testing.T) {
	sound := probeResult()
	m := &abi.Manifest{Programs: []abi.Program{
		{Name: "a:main", Module: "sound.wasm", Export: "_start"},
		{Name: "a:other", Module: "sound.wasm", Export: "other"},
		{Name: "cut:main", Module: "cut.wasm", Export: "_start"},
		{Name: "gone:main", Module: "gone.wasm", Export: "_start"},
		{Name: "large:main", Module: "large.wasm", Export: "_start"},
	}}
	if probe, err := probeCartridge(context.Background(), "p", sound); err != nil {
		t.Fatal(err)
	} else if c, err := OpenCartridgeBytes(context.Background(), probe); err != nil {
		t.Fatal(err)
	} else if man, err := c.Manifest(); err != nil {
		t.Fatal(err)
	} else {
		m.Programs[0].Export = man.Programs[0].Export
	}
	files := map[string][]byte{"sound.wasm": sound, "cut.wasm": sound[:len(sound)-3], "large.wasm": nil}
	faults, err := CheckPrograms(context.Background(), m, func(module string) (io.ReadCloser, int64, error) {
		b, ok := files[module]
		switch {
		case !ok:
			return nil, 0, fs.ErrNotExist
		case b == nil:
			return io.NopCloser(bytes.NewReader(nil)), maxChecked + 1, nil
		}
		return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.Program)
	}
	if s := strings.Join(got, " "); s != "a:other cut:main gone:main" {
		t.Errorf("faults in %s: %v", s, faults)
	}
}

// What a run would be offered is what the check knows, storage included.
func TestCheckProgramsKnowsStorage(t *testing.T) {
	wasm := []byte("\x00asm\x01\x00\x00\x00" + "\x01\x09\x02\x60\x01\x7f\x01\x7f\x60\x00\x00" +
		"\x02\x15\x01\x0binfinitemap\x05flush\x00\x00" + "\x03\x02\x01\x01" + "\x05\x03\x01\x00\x01" +
		"\x07\x0a\x01\x06_start\x00\x01" + "\x0a\x04\x01\x02\x00\x0b")
	m := &abi.Manifest{Programs: []abi.Program{{Name: "a:main", Module: "a.wasm", Export: "_start"}}}
	faults, err := CheckPrograms(context.Background(), m, func(string) (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(wasm)), int64(len(wasm)), nil
	})
	if err != nil || len(faults) > 0 {
		t.Errorf("%v, %v", faults, err)
	}
}
