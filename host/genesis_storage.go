package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
	"github.com/pxos/pxos/host/pixelfs"
)

// The checks of pixel files and maps are made in a directory of their own, which is gone
// afterwards.

// sample is data of which some repeats and some does not.
func sample() []byte {
	data := make([]byte, 200_000)
	x := uint32(1)
	for i := range data {
		if i%3000 < 1500 {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
	}
	return data
}

// scratch makes a directory for a check.
func scratch(check func(ctx context.Context, dir string) (string, error)) func(context.Context, *Host, *Cartridge) (string, error) {
	return func(ctx context.Context, _ *Host, _ *Cartridge) (evidence string, err error) {
		dir, err := os.MkdirTemp("", "pxos-genesis-*")
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		return check(ctx, dir)
	}
}

// withFiles opens a store of pixel files in a directory.
func withFiles(dir string, f func(s *pixelfs.Store) error) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fsys, err := disk.Open(dir)
	if err != nil {
		return err
	}
	s, err := pixelfs.Open(fsys, pixelfs.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}

// checkFilePixels stores a file, has a common PNG library decode its picture, and takes
// the data from the colours.
func checkFilePixels(ctx context.Context, dir string) (evidence string, err error) {
	want := sample()
	err = withFiles(dir, func(s *pixelfs.Store) error {
		if _, err := s.Put(ctx, "sample", bytes.NewReader(want), pixelfs.PutOptions{}); err != nil {
			return err
		}
		f, err := s.Open("sample")
		if err != nil {
			return err
		}
		defer f.Close()
		var picture bytes.Buffer
		if err := f.WritePNG(&picture, 256); err != nil {
			return err
		}
		img, err := png.Decode(&picture)
		if err != nil {
			return fmt.Errorf("a common PNG decoder refuses the picture: %w", err)
		}
		if got := colours(img); len(got) < len(want) || !bytes.Equal(got[:len(want)], want) {
			return errors.New("the colours of the picture are not the data")
		}
		evidence = fmt.Sprintf("%d bytes read from the colours of a picture of %d × %d pixels", len(want), img.Bounds().Dx(), img.Bounds().Dy())
		return nil
	})
	return evidence, err
}

// colours returns the RGB bytes of a picture, row by row.
func colours(img image.Image) []byte {
	b := img.Bounds()
	out := make([]byte, 0, 3*b.Dx()*b.Dy())
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			out = append(out, byte(r>>8), byte(g>>8), byte(bl>>8))
		}
	}
	return out
}

// checkStoredTwice stores the same data in two stores and two maps, and compares what
// comes back and, of the files, what lies on the disk.
func checkStoredTwice(ctx context.Context, dir string) (string, error) {
	want := sample()
	var stored [2][]byte
	for i := range stored {
		place := filepath.Join(dir, fmt.Sprint("files", i))
		err := withFiles(place, func(s *pixelfs.Store) error {
			if _, err := s.Put(ctx, "sample", bytes.NewReader(want), pixelfs.PutOptions{}); err != nil {
				return err
			}
			f, err := s.Open("sample")
			if err != nil {
				return err
			}
			defer f.Close()
			got, err := io.ReadAll(f)
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("a file came back changed")
			}
			return err
		})
		if err != nil {
			return "", err
		}
		if stored[i], err = os.ReadFile(filepath.Join(place, "sample"+pixelfs.Suffix)); err != nil {
			return "", err
		}
		if err := mapRoundTrip(ctx, filepath.Join(dir, fmt.Sprint("map", i)), want); err != nil {
			return "", err
		}
	}
	if !bytes.Equal(stored[0], stored[1]) {
		return "", errors.New("storing the same file twice gives different pixels")
	}
	return fmt.Sprintf("%d bytes stored twice in the same %d bytes of pixels, and laid out on two maps", len(want), len(stored[0])), nil
}

// mapRoundTrip lays data out across the middle of a map and reads it from a map that was
// opened anew.
func mapRoundTrip(ctx context.Context, dir string, want []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fsys, err := disk.Open(dir)
	if err != nil {
		return err
	}
	m, err := infinitemap.Open(fsys, infinitemap.Options{})
	if err != nil {
		return err
	}
	const x, y = -100, -300
	if _, _, err = m.WriteBytes(x, y, want); err == nil {
		err = m.Flush(ctx)
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return err
	}
	if m, err = infinitemap.Open(fsys, infinitemap.Options{ReadOnly: true}); err != nil {
		return err
	}
	got := make([]byte, len(want))
	err = errors.Join(m.ReadBytes(got, x, y), m.Close())
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("what was laid out on a map came back changed")
	}
	return err
}

// checkFileVersions replaces and removes a file, and finds both contents again.
func checkFileVersions(ctx context.Context, dir string) (string, error) {
	err := withFiles(dir, func(s *pixelfs.Store) error {
		for _, text := range []string{"first", "second"} {
			if _, err := s.Put(ctx, "note", bytes.NewReader([]byte(text)), pixelfs.PutOptions{}); err != nil {
				return err
			}
		}
		if err := s.Remove("note"); err != nil {
			return err
		}
		list, err := s.Trash()
		if err != nil {
			return err
		}
		if len(list) != 1 {
			return fmt.Errorf("%d things are in the trash, want 1", len(list))
		}
		if _, err := s.Restore(list[0].ID, ""); err != nil {
			return err
		}
		for v, want := range []string{"first", "second"} {
			f, err := s.OpenVersion("note", uint64(v+1))
			if err != nil {
				return err
			}
			got, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			if string(got) != want {
				return fmt.Errorf("version %d is %q, want %q", v+1, got, want)
			}
		}
		return nil
	})
	return "two versions found again after the file was replaced, removed and restored", err
}
