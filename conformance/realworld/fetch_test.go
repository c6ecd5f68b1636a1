package realworld

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// goModule downloads a Go module with the go command, which checks it against the
// public checksum database, compares its checksum with the one recorded here, and
// returns the directory of its source.
func goModule(t *testing.T, module, sum string) string {
	t.Helper()
	needDownloads(t)
	out, err := command(toolLimit, goEnv, "go", "mod", "download", "-json", module).stdout()
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Sum != sum {
		t.Fatalf("%s has checksum %s, not %s", module, got.Sum, sum)
	}
	return got.Dir
}

// npmPackage downloads one version of an npm package, compares its tarball with the
// integrity value recorded here, and returns the directory of its files. Nothing of it
// is run.
func npmPackage(t *testing.T, name, version, integrity string) string {
	t.Helper()
	needDownloads(t)
	needTool(t, "npm")
	return unpacked(t, name+"@"+version, func(dir string) ([]byte, error) {
		out, err := command(toolLimit, nil, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", dir, name+"@"+version).stdout()
		if err != nil {
			return nil, err
		}
		// The list begins after anything that npm has to say about itself.
		var list []struct{ Filename string }
		if err := json.Unmarshal(out[max(0, bytes.IndexByte(out, '[')):], &list); err != nil || len(list) != 1 {
			return nil, fmt.Errorf("npm pack says %q: %v", out, err)
		}
		return os.ReadFile(filepath.Join(dir, filepath.Base(list[0].Filename)))
	}, func(tarball []byte) string {
		sum := sha512.Sum512(tarball)
		return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	}, integrity)
}

// debianSource downloads the upstream tarball of a Debian source package with apt,
// which checks its signature, compares it with the SHA-256 recorded here, and returns
// the directory of its files. The machine's own list of sources stays as it is: apt
// works on a copy that names source packages too.
func debianSource(t *testing.T, pkg, tarball, sum string) string {
	t.Helper()
	needDownloads(t)
	if runtime.GOOS != "linux" {
		skip(t, "Debian source packages need a Debian machine")
	}
	needTool(t, "apt-get")
	return unpacked(t, tarball, func(dir string) ([]byte, error) {
		apt, err := aptSources(dir)
		if err != nil {
			return nil, err
		}
		// The name is fixed and the version is not: a security update changes what
		// Debian adds to the upstream tarball, which is all that is used.
		fetch := command(toolLimit, nil, "apt-get", append(apt, "source", "--download-only", pkg)...)
		fetch.Dir = dir
		if _, err := fetch.stdout(); err != nil {
			return nil, err
		}
		return os.ReadFile(filepath.Join(dir, tarball))
	}, func(tarball []byte) string {
		sum := sha256.Sum256(tarball)
		return hex.EncodeToString(sum[:])
	}, sum)
}

// aptSources returns the options that make apt-get use the source packages of this
// machine's release, with every state file in a directory that is kept.
func aptSources(dir string) ([]string, error) {
	state := filepath.Join(workshop.keep, "apt")
	list := filepath.Join(state, "source.sources")
	opts := []string{"-qq", "-o", "APT::Sandbox::User=root", "-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::State::lists=" + filepath.Join(state, "lists"), "-o", "Dir::Cache=" + filepath.Join(state, "cache")}
	stanzas, err := sourceStanzas("/etc/apt")
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(list, []byte(stanzas), 0o644); err != nil {
		return nil, err
	}
	if done, err := filepath.Glob(filepath.Join(state, "lists", "*Sources*")); err == nil && len(done) > 0 {
		return opts, nil
	}
	_, err = command(toolLimit, nil, "apt-get", append(opts, "update")...).stdout()
	return opts, err
}

// sourceStanzas turns the entries below etc that offer this Debian release's binary
// packages into entries for its source packages.
func sourceStanzas(etc string) (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(release), "VERSION_CODENAME=")
	if !ok {
		return "", fmt.Errorf("/etc/os-release names no Debian release")
	}
	codename, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	codename = strings.Trim(codename, `"`)
	var out strings.Builder
	files, _ := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.sources"))
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		for _, stanza := range strings.Split(string(text), "\n\n") {
			field := map[string]string{}
			for _, line := range strings.Split(stanza, "\n") {
				if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
					field[key] = strings.TrimSpace(value)
				}
			}
			if !hasWord(field["Types"], "deb") || !hasWord(field["Suites"], codename) || !hasWord(field["Components"], "main") {
				continue
			}
			fmt.Fprintf(&out, "Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n", field["URIs"], codename)
			if key := field["Signed-By"]; key != "" {
				fmt.Fprintf(&out, "Signed-By: %s\n", key)
			}
			out.WriteString("\n")
		}
	}
	lists, _ := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.list"))
	for _, name := range append(lists, filepath.Join(etc, "sources.list")) {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // both forms are in use; one of them is enough
		}
		for _, line := range strings.Split(string(text), "\n") {
			words := strings.Fields(line)
			if len(words) >= 4 && words[0] == "deb" && words[2] == codename && hasWord(line, "main") {
				fmt.Fprintf(&out, "Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n\n", words[1], codename)
			}
		}
	}
	if out.Len() == 0 {
		return "", fmt.Errorf("apt knows no source of %s packages", codename)
	}
	return out.String(), nil
}

func hasWord(line, word string) bool { return slices.Contains(strings.Fields(line), word) }

// unpacked returns a directory with the files of a tarball, downloading it unless it
// is there. want is compared before anything is unpacked.
func unpacked(t *testing.T, name string, download func(dir string) ([]byte, error), checksum func([]byte) string, want string) string {
	t.Helper()
	id := sha256.Sum256([]byte(want))
	dir := filepath.Join(workshop.keep, "src", strings.NewReplacer("/", "_", "@", "_").Replace(name)+"-"+hex.EncodeToString(id[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	tarball, err := download(t.TempDir())
	if err != nil {
		t.Fatalf("download %s: %v", name, err)
	}
	if got := checksum(tarball); got != want {
		t.Fatalf("%s has checksum %s, not %s", name, got, want)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "unpacking-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	if err := untar(bytes.NewReader(tarball), tmp); err != nil {
		t.Fatalf("unpack %s: %v", name, err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// untar writes the regular files of a .tar.gz below dir, without their first
// directory, which is named after the package.
func untar(r io.Reader, dir string) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(filepath.ToSlash(h.Name), "/")
		if h.Typeflag != tar.TypeReg || !ok {
			continue
		}
		name = filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, tr); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
}
