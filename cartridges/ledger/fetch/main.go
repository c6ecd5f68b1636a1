// Command fetch brings SQLite's source to the cartridge ledger, which is compiled with
// it and does not contain it:
//
//	go run ./cartridges/ledger/fetch
//	go run fetch/main.go                 # in an unpacked cartridge
//
// It takes the amalgamation, all of SQLite in one C file, out of a Go module that
// carries it, because whoever builds pxOS can fetch Go modules already, and compares
// it with a digest.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The module, and the files that are taken from it.
const module = "github.com/mattn/go-sqlite3@v1.14.32" // SQLite 3.50.4

var files = []struct{ name, sha256 string }{
	{"sqlite3-binding.c", "ff5f3fb4a741b4959304753058c31e875c0fb4886c9e909d476941962a11aa63"},
	{"sqlite3-binding.h", "e06ea0a25b8b98f9de6659668d8ed3759775fab2f36095b61acbf3480a2cf2ac"},
}

func main() {
	where, err := fetch()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
	fmt.Println("SQLite's source is in", where)
}

// fetch puts the files where the build looks for them and says where that is.
func fetch() (string, error) {
	dir, err := cartridge()
	if err != nil {
		return "", err
	}
	target := filepath.Join(dir, "third_party", "sqlite")
	missing := false
	for _, f := range files {
		missing = missing || check(filepath.Join(target, f.name), f.sha256) != nil
	}
	if !missing {
		return target, nil
	}
	source, err := download()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return "", err
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(source, f.name))
		if err != nil {
			return "", err
		}
		part := filepath.Join(target, f.name+".part")
		if err := os.WriteFile(part, data, 0o644); err != nil {
			return "", err
		}
		if err := check(part, f.sha256); err != nil {
			return "", errors.Join(err, os.Remove(part))
		}
		if err := os.Rename(part, filepath.Join(target, f.name)); err != nil {
			return "", err
		}
	}
	return target, nil
}

// cartridge finds the directory of the cartridge: this one, or its place in the
// repository.
func cartridge() (string, error) {
	candidates := []string{".", ".."}
	if out, err := exec.Command("go", "env", "GOMOD").Output(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "cartridges", "ledger"))
	}
	for _, dir := range candidates {
		manifest, err := os.ReadFile(filepath.Join(dir, "cartridge.toml"))
		if err == nil && bytes.Contains(manifest, []byte(`name = "ledger"`)) {
			return filepath.Abs(dir)
		}
	}
	return "", errors.New("the cartridge ledger is not here: run it in the repository or in the cartridge's directory")
}

// download makes the go command fetch the module, which verifies it against the
// checksum database, and returns the directory that it is in.
func download() (string, error) {
	temp, err := os.MkdirTemp("", "ledger-fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := os.WriteFile(filepath.Join(temp, "go.mod"), []byte("module fetch\n"), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir, cmd.Stderr = temp, os.Stderr
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, runErr := cmd.Output()
	var got struct{ Dir, Error string }
	if err := json.Unmarshal(out, &got); err != nil && runErr == nil {
		return "", fmt.Errorf("read what go mod download says: %w", err)
	}
	switch {
	case got.Error != "":
		return "", fmt.Errorf("download %s: %s", module, got.Error)
	case runErr != nil:
		return "", fmt.Errorf("download %s: %w", module, runErr)
	}
	return got.Dir, nil
}

func check(file, want string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", file)
	}
	if err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, want %s", file, got, want)
	}
	return nil
}
