package journal

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// entry is as big as what a run leaves.
var benchBegin = RunBegin{
	Cartridge: digests[0], Name: "hello", Version: "1.0.0", Program: "main", ArgsDigest: digests[1], Grants: []string{"log"},
	Isolation: "process", Host: "0.1.0", Limits: RunLimits{MemoryBytes: 256 << 20, Fuel: 1e10, TimeoutNS: 3e10},
}

// BenchmarkAppend compares an append with what a program would do that only
// adds a line to a file: the "plain file" peers open, write and close.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		name := map[bool]string{false: "", true: ", fsync"}[sync]
		b.Run("journal"+name, func(b *testing.B) {
			j := open(b, b.TempDir(), Options{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Append(ctx, Draft{Type: TypeBegin, Body: benchBegin, Sync: sync}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("journal, opened each time"+name, func(b *testing.B) {
			dir := b.TempDir()
			open(b, dir, Options{}).Close()
			for b.Loop() {
				j, err := Open(dir, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := j.Append(ctx, Draft{Type: TypeBegin, Body: benchBegin, Sync: sync}); err != nil {
					b.Fatal(err)
				}
				j.Close()
			}
		})
		b.Run("plain file, opened each time"+name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "log")
			line := make([]byte, 600)
			for b.Loop() {
				f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					b.Fatal(err)
				}
				f.Write(line)
				if sync {
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
				}
				f.Close()
			}
		})
	}
}

// bulk makes a log of about size bytes without waiting for the disk.
func bulk(b *testing.B, size int64) (string, int64) {
	b.Helper()
	dir := b.TempDir()
	j := open(b, dir, Options{})
	var total int64
	for id := uint64(1); total < size; id++ {
		if _, err := BeginRun(ctx, j, benchBegin); err != nil {
			b.Fatal(err)
		}
		if err := EndRun(ctx, j, 2*id-1, RunEnd{Result: ResultOK, DurationNS: 5e6, Fuel: 123456, MemoryPeak: 2 << 20, Calls: map[string]uint64{"pxos.log": 3}}); err != nil {
			b.Fatal(err)
		}
		total = int64(j.hdr.segment-1)*j.opt.SegmentBytes + j.tail.end
	}
	return dir, total
}

// BenchmarkLog reads a log of 96 MB in the ways there are; the peer is SHA-256
// over the same files.
func BenchmarkLog(b *testing.B) {
	dir, size := bulk(b, 96<<20)
	v := view(b, dir)
	b.Run("sha256 of the files", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			for n := uint64(1); n <= v.last; n++ {
				f, err := os.Open(filepath.Join(dir, segmentName(n)))
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(sha256.New(), f)
				f.Close()
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(ctx, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read all", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			for _, err := range v.Read(ctx, Range{}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("newest 20 runs", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for _, err := range v.Runs(ctx, RunQuery{Limit: 20}) {
				if n++; err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("runs by name, all", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			for range v.Runs(ctx, RunQuery{Cartridge: "none"}) {
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			j, err := Open(dir, Options{})
			if err != nil {
				b.Fatal(err)
			}
			j.Close()
		}
	})
	b.Run("open view", func(b *testing.B) {
		for b.Loop() {
			if _, err := OpenView(ctx, dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("image", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Image(context.Background(), io.Discard, ImageOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
