package wasi

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/tetratelabs/wazero"
)

// FuzzCalls makes a series of calls that the input describes, in one guest, on
// memory that holds the input. Whatever comes, each call returns an error number.
func FuzzCalls(f *testing.F) {
	f.Add([]byte("\x1f\x04\x01\x00\x00\x05\x09\x02\x00\x00 hello"))
	f.Add(bytes.Repeat([]byte{26, 4, 0, 1, 8, 20, 4, 0, 1, 8}, 5))
	f.Add(bytes.Repeat([]byte{37, 0, 64, 1, 200}, 3))
	for i := range table {
		f.Add(bytes.Repeat([]byte{byte(i), 4, 16, 32, 1, 7, 9, 0, 64, 5}, 2))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ctx := context.Background()
		stop := make(chan struct{})
		close(stop)
		for _, module := range []string{Preview1, Unstable} {
			r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
			run := &Run{Stop: stop, Stdin: NewStdin(bytes.NewReader(in), stop)}
			g := newGuest(t, r, module, run, newConfig(t, run).WithStdin(run.Stdin))
			names := all(module)
			for rest := in; len(rest) > 0; {
				name := names[int(rest[0])%len(names)]
				rest = rest[1:]
				if name == "proc_exit" {
					continue
				}
				copy(g.mem()[16:], in)
				args := make([]uint64, len(table[Index(name)].args))
				for i := range args {
					if len(rest) == 0 {
						break
					}
					b := rest[0]
					rest = rest[1:]
					switch {
					case b < 0xc0:
						args[i] = uint64(b)
					case b < 0xe0:
						args[i] = hostile[int(b)%len(hostile)]
					case len(rest) >= 8:
						args[i] = binary.LittleEndian.Uint64(rest)
						rest = rest[8:]
						if table[Index(name)].args[i] != 'l' {
							args[i] &= 1<<32 - 1
						}
					}
				}
				before := Cost(Index(name), g.mod, args)
				if errno := g.call(name, args...); errno > 76 {
					t.Fatalf("%s(%#x) = %d", name, args, errno)
				}
				if size := uint64(g.mod.Memory().Size()); before > maxIovecs*size {
					t.Fatalf("%s(%#x) costs %d", name, args, before)
				}
			}
			r.Close(ctx)
			if open := run.Guard.Open(); open != 0 {
				t.Fatalf("%d handles open after the guest was closed", open)
			}
		}
	})
}
