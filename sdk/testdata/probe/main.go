// Command probe is a guest that uses the whole SDK; wasm_test.go builds it for
// wasip1 and runs it under WebAssembly against the fake host.
package main

import (
	"fmt"
	"io/fs"
	"strings"

	pxos "github.com/pxos/pxos/sdk"
)

type args struct {
	Word  string `json:"word"`
	Times int    `json:"times"`
}

func init() {
	pxos.Register("probe:all", all)
	pxos.Register("probe:fail", func(*pxos.Context, args) (int, error) { return 0, pxos.Errorf("too_bad", "no luck: %d", 7) })
	pxos.Register("probe:panic", func(*pxos.Context, args) (int, error) { panic("ouch") })
	pxos.RegisterRaw("probe:large", func(_ *pxos.Context, args []byte) ([]byte, error) { return args, nil })
}

func all(ctx *pxos.Context, in args) (map[string]any, error) {
	pxos.Warn("probing", "word", in.Word)
	major, minor, err := pxos.HostABI()
	if err != nil {
		return nil, err
	}
	now, err := pxos.Now()
	if err != nil {
		return nil, err
	}
	elapsed, err := pxos.Elapsed()
	if err != nil {
		return nil, err
	}
	random := make([]byte, 4)
	if err := pxos.Random(random); err != nil {
		return nil, err
	}
	caps, err := pxos.Capabilities()
	if err != nil {
		return nil, err
	}
	var files []string
	err = fs.WalkDir(pxos.Archive(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(pxos.Archive(), path)
		if err != nil {
			return err
		}
		digest, err := pxos.Digest(path)
		files = append(files, fmt.Sprintf("%s %d %x", path, len(data), digest[:4]))
		return err
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(ctx.Stdout, ctx.Program, ctx.Argv)
	return map[string]any{
		"abi": fmt.Sprintf("%d.%d", major, minor), "now": now, "elapsed": elapsed.String(), "random": random,
		"caps": caps, "files": files, "words": strings.Repeat(in.Word, in.Times),
	}, nil
}

func main() { pxos.Main() }
