// Command gen writes the files that are derived from the host-function table of
// package abi: the Go and C bindings of the SDK and the reference page. It is run
// by "go generate ./abi" or "go run ./abi/gen", takes no arguments, and finds the
// repository from the working directory.
//
// A further family needs nothing here: its rows appear in every output. Constants
// that its parameters take are listed in constants.go.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pxos/pxos/abi"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen: error:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := repoRoot()
	if err != nil {
		return err
	}
	files, err := outputs(root)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// output is one generated file.
type output struct {
	path string // slash path from the repository's root
	data []byte
}

// outputs generates every file in memory. root is needed because some tables of
// the reference page come from the comments of the Go sources.
func outputs(root string) ([]output, error) {
	var out []output
	type generator struct {
		path string
		make func(root string) ([]byte, error)
	}
	all := []generator{
		{"sdk/codes.go", goCodes},
		{"sdk/internal/hostapi/hostapi.go", goHostAPI},
		{"sdk/c/pxos.h", cHeader},
		{"abi/ABI.md", referencePage},
	}
	for _, fam := range abi.Families() {
		dir, _ := goPackage(fam)
		all = append(all,
			generator{dir + "/raw_wasip1.go", func(string) ([]byte, error) { return goImports(fam) }},
			generator{dir + "/raw_stub.go", func(string) ([]byte, error) { return goStubs(fam) }})
		if constants[fam.Module] != nil {
			all = append(all, generator{dir + "/raw_constants.go", func(string) ([]byte, error) { return goConstants(fam) }})
		}
	}
	for _, g := range all {
		data, err := g.make(root)
		if err != nil {
			return nil, fmt.Errorf("generate %s: %w", g.path, err)
		}
		out = append(out, output{g.path, data})
	}
	return out, nil
}

// repoRoot walks up from the working directory to the folder that holds both
// go.mod and abi/functions.go.
func repoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, errMod := os.Stat(filepath.Join(dir, "go.mod"))
		_, errABI := os.Stat(filepath.Join(dir, "abi", "functions.go"))
		if errMod == nil && errABI == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("the working directory is not inside the repository")
		}
		dir = up
	}
}
