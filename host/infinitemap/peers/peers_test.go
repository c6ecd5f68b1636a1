package peers

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/pxos/pxos/host/disk"
	"github.com/pxos/pxos/host/infinitemap"
)

const (
	side  = 256
	count = 24 // tiles a side
)

// tiles are pictures as a drawn map has them: runs of few colours.
func tiles() [][]byte {
	r := rand.New(rand.NewPCG(1, 1))
	out := make([][]byte, count*count)
	for i := range out {
		b := make([]byte, 3*side*side)
		for p := 0; p < side*side; {
			c := [3]byte{byte(40 + r.IntN(60)), byte(90 + r.IntN(80)), byte(30 + r.IntN(40))}
			for n := 1 + r.IntN(48); n > 0 && p < side*side; n-- {
				copy(b[3*p:], c[:])
				p++
			}
		}
		out[i] = b
	}
	return out
}

// store is what all three can do: write all tiles durably, and read one back as RGB.
type store interface {
	write(all [][]byte) error
	read(i int, dst []byte) error
	close() error
}

type plane struct {
	fsys disk.FS
	m    *infinitemap.Map
}

func newPlane(dir string) (store, error) {
	fsys, err := disk.Open(dir)
	if err != nil {
		return nil, err
	}
	m, err := infinitemap.Open(fsys, infinitemap.Options{})
	return &plane{fsys, m}, err
}

func (p *plane) write(all [][]byte) error {
	for i, b := range all {
		if err := p.m.WriteRegion(b, 3*side, int64(i%count)*side, int64(i/count)*side, side, side); err != nil {
			return err
		}
	}
	if err := errors.Join(p.m.Flush(context.Background()), p.m.Close()); err != nil {
		return err
	}
	// Reading is with the smallest cache, so that it does not come from memory of ours.
	m, err := infinitemap.Open(p.fsys, infinitemap.Options{ReadOnly: true, CacheBytes: 1})
	p.m = m
	return err
}

func (p *plane) read(i int, dst []byte) error {
	return p.m.ReadRegion(dst, 3*side, int64(i%count)*side, int64(i/count)*side, side, side)
}

func (p *plane) close() error { return p.m.Close() }

func encode(rgb []byte) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		copy(img.Pix[4*i:], rgb[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	err := e.Encode(&b, img)
	return b.Bytes(), err
}

func decode(file, dst []byte) error {
	img, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return err
	}
	switch img := img.(type) {
	case *image.RGBA:
		for i := range side * side {
			copy(dst[3*i:3*i+3], img.Pix[4*i:])
		}
	case *image.NRGBA:
		for i := range side * side {
			copy(dst[3*i:3*i+3], img.Pix[4*i:])
		}
	default:
		return fmt.Errorf("a %T", img)
	}
	return nil
}

// folder is one PNG file for each tile, each synced, as a store without a flush must.
type folder struct{ dir string }

func newFolder(dir string) (store, error) { return &folder{dir}, nil }

func (f *folder) write(all [][]byte) error {
	for i, b := range all {
		data, err := encode(b)
		if err != nil {
			return err
		}
		file, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%d_%d.png", i%count, i/count)))
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *folder) read(i int, dst []byte) error {
	b, err := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%d_%d.png", i%count, i/count)))
	if err != nil {
		return err
	}
	return decode(b, dst)
}

func (f *folder) close() error { return nil }

// mbtiles is the MBTiles table in SQLite, one transaction for all tiles. With raw the
// blobs are bare pixels, which no MBTiles reader shows: it is the database at its best.
type mbtiles struct {
	db  *sql.DB
	raw bool
}

func newMBTiles(raw bool) func(dir string) (store, error) {
	return func(dir string) (store, error) {
		db, err := sql.Open("sqlite", filepath.Join(dir, "map.mbtiles")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(1)
		_, err = db.Exec(`CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB);
			CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row);`)
		return &mbtiles{db, raw}, err
	}
}

func (s *mbtiles) write(all [][]byte) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	put, err := tx.Prepare("INSERT OR REPLACE INTO tiles VALUES (0, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i, b := range all {
		data := b
		if !s.raw {
			if data, err = encode(b); err != nil {
				return err
			}
		}
		if _, err := put.Exec(i%count, i/count, data); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *mbtiles) read(i int, dst []byte) error {
	var b []byte
	err := s.db.QueryRow("SELECT tile_data FROM tiles WHERE zoom_level = 0 AND tile_column = ? AND tile_row = ?", i%count, i/count).Scan(&b)
	if err != nil {
		return err
	}
	if s.raw {
		copy(dst, b)
		return nil
	}
	return decode(b, dst)
}

func (s *mbtiles) close() error { return s.db.Close() }

func BenchmarkTiles(b *testing.B) {
	all := tiles()
	for _, c := range []struct {
		name string
		open func(dir string) (store, error)
	}{
		{"infinitemap", newPlane},
		{"png files", newFolder},
		{"mbtiles", newMBTiles(false)},
		{"sqlite of bare pixels", newMBTiles(true)},
	} {
		b.Run("write/"+c.name, func(b *testing.B) {
			for b.Loop() {
				s, err := c.open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				if err := s.write(all); err != nil {
					b.Fatal(err)
				}
				if err := s.close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "tiles/s")
		})
		b.Run("read/"+c.name, func(b *testing.B) {
			s, err := c.open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			if err := s.write(all); err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(2, 2))
			dst := make([]byte, len(all[0]))
			n := 0
			for b.Loop() {
				for range 500 {
					i := r.IntN(len(all))
					if err := s.read(i, dst); err != nil || !bytes.Equal(dst, all[i]) {
						b.Fatal("other pixels came back: ", err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tiles/s")
			if err := s.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
