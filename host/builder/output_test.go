package builder

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestWritePicture(t *testing.T) {
	const picture = pngMagic + "picture"
	draw := func(w io.Writer) error { _, err := io.WriteString(w, picture); return err }
	for _, tc := range []struct {
		name  string
		setup func(dir, out string) error
		fault string // part of the error, empty: it is written
	}{
		{"new", nil, ""},
		{"empty file", func(_, out string) error { return os.WriteFile(out, nil, 0o600) }, ""},
		{"picture", func(_, out string) error { return os.WriteFile(out, []byte(pngMagic+"old"), 0o600) }, ""},
		{"text", func(_, out string) error { return os.WriteFile(out, []byte("old"), 0o600) }, "no cartridge or PNG picture"},
		{"directory", func(_, out string) error { return os.Mkdir(out, 0o700) }, "is a directory"},
		{"no directory", func(dir, _ string) error { return os.Remove(dir) }, "there is no directory"},
		{"link", func(dir, out string) error {
			target := filepath.Join(dir, "target")
			return errors.Join(os.WriteFile(target, []byte(pngMagic), 0o600), os.Symlink(target, out))
		}, ""},
		{"link to text", func(dir, out string) error {
			target := filepath.Join(dir, "target")
			return errors.Join(os.WriteFile(target, []byte("old"), 0o600), os.Symlink(target, out))
		}, "no cartridge or PNG picture"},
		{"link to nothing", func(dir, out string) error { return os.Symlink(filepath.Join(dir, "none"), out) }, "symbolic link"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(tc.name, "link") {
				t.Skip("links need a privilege on Windows")
			}
			dir := filepath.Join(t.TempDir(), "dir")
			out := filepath.Join(dir, "out.png")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if tc.setup != nil {
				if err := tc.setup(dir, out); err != nil {
					t.Fatal(err)
				}
			}
			kind := func() os.FileMode {
				info, err := os.Lstat(out)
				if err != nil {
					return 0
				}
				return info.Mode().Type()
			}
			before := kind()
			err := WritePicture(out, draw)
			if after := kind(); after != before {
				t.Errorf("a %v became a %v", before, after)
			}
			if tc.fault != "" {
				var hinted *Error
				if !errors.As(err, &hinted) || hinted.Hint == "" || !strings.Contains(err.Error(), tc.fault) {
					t.Errorf("got %v, want an error with a hint about %q", err, tc.fault)
				}
				return
			}
			if got, rerr := os.ReadFile(out); err != nil || rerr != nil || string(got) != picture {
				t.Errorf("got %q, %v, %v", got, err, rerr)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestWritePictureFails(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.png")
	if err := os.WriteFile(out, []byte(pngMagic+"old"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := errors.New("cannot draw")
	if err := WritePicture(out, func(io.Writer) error { return want }); err != want {
		t.Errorf("got %v", err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != pngMagic+"old" {
		t.Errorf("got %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
