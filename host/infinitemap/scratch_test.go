package infinitemap

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/pxos/pxos/host/disk/disktest"
)

func TestPackTile(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, side := range []int{16, 32, 256} {
		n := 3 * side * side
		for _, tc := range []struct {
			name     string
			painted  int // bytes
			shortest int
			longest  int
		}{
			{"black", 0, n / stretch / 8, n / stretch / 8},
			{"one byte", 1, n/stretch/8 + stretch, n/stretch/8 + stretch},
			{"a few", 9, n/stretch/8 + stretch, n/stretch/8 + 9*stretch},
			{"full", 20 * n, n, n},
		} {
			data := make([]byte, n)
			for range tc.painted {
				data[r.IntN(n)] = byte(1 + r.IntN(255))
			}
			b := packTile(nil, data)
			if len(b) < min(tc.shortest, n) || len(b) > min(tc.longest, n) {
				t.Errorf("side %d, %s: %d bytes of %d", side, tc.name, len(b), n)
			}
			got := bytes.Repeat([]byte{7}, n)
			if err := unpackTile(got, b); err != nil || !bytes.Equal(got, data) {
				t.Errorf("side %d, %s: it does not come back: %v", side, tc.name, err)
			}
			if len(b) < n && len(b) > 0 {
				if err := unpackTile(got, b[:len(b)-1]); err == nil {
					t.Errorf("side %d, %s: a short one passes", side, tc.name)
				}
			}
		}
	}
}

// A tile that grows gets another place, what it leaves is used again, and nobody's pixels
// are lost on the way.
func TestScratchPlaces(t *testing.T) {
	mem := disktest.NewMem()
	const n = 3 * 256 * 256
	var s scratch
	r := rand.New(rand.NewPCG(5, 6))
	data := make([][]byte, 12)
	changes := make([]*change, len(data))
	for i := range data {
		data[i], changes[i] = make([]byte, n), &change{slot: -1}
	}
	sum := int64(0)
	for range 400 {
		i := r.IntN(len(data))
		for range 1 << r.IntN(11) {
			data[i][r.IntN(n)] = byte(r.Uint32())
		}
		if r.IntN(8) == 0 {
			clear(data[i])
		}
		if err := s.write(mem, data[i], changes[i]); err != nil {
			t.Fatal(err)
		}
		k := r.IntN(len(data))
		if changes[k].slot >= 0 {
			got := make([]byte, n)
			if err := s.read(got, changes[k]); err != nil || !bytes.Equal(got, data[k]) {
				t.Fatalf("tile %d does not come back: %v", k, err)
			}
		}
		sum = 0
		for _, ch := range changes {
			sum += int64(ch.room)
		}
		if s.end > 3*sum+int64(len(data))*unit {
			t.Fatalf("the file has %d bytes for %d", s.end, sum)
		}
	}
	if sum < n {
		t.Errorf("the tiles take %d bytes: they did not grow", sum)
	}
	if err := errors.Join(s.close(mem)); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSpill(b *testing.B) {
	for name, painted := range map[string]int{"one pixel": 1, "full": 20 * 3 * 256 * 256} {
		b.Run(name, func(b *testing.B) {
			data := make([]byte, 3*256*256)
			r := rand.New(rand.NewPCG(1, 1))
			for range painted {
				data[r.IntN(len(data))] = byte(1 + r.IntN(255))
			}
			var s scratch
			mem := disktest.NewMem()
			ch := &change{slot: -1}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := s.write(mem, data, ch); err != nil {
					b.Fatal(err)
				}
				if err := s.read(data, ch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
