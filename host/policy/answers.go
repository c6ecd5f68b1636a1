package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/strict"
)

// Answers is what the user answered at prompts, kept in a file of the same form as
// a policy file that holds only [[grants]] and [[approved]]. It belongs to the
// user's state, out of reach of cartridges.
type Answers struct {
	Grants []Grant
	// Approved are local policy files that count in full, each for one content.
	Approved []Approval
}

// Approval is one approved content of one local policy file.
type Approval struct {
	File   string // absolute path
	Digest string // SHA-256 of the content
}

func (a *Answers) approved(f File) bool {
	return slices.Contains(a.Approved, Approval{realPath(f.Path), f.Digest})
}

// Approve makes a local policy file count in full as long as its content stays the
// same. An earlier approval of another content of the file ends.
func (a *Answers) Approve(f File) {
	a.Revoke(f.Path)
	a.Approved = append(a.Approved, Approval{realPath(f.Path), f.Digest})
}

// Revoke ends the approval of a local policy file and reports whether there was
// one.
func (a *Answers) Revoke(path string) bool {
	n := len(a.Approved)
	a.Approved = slices.DeleteFunc(a.Approved, func(x Approval) bool { return x.File == realPath(path) })
	return len(a.Approved) < n
}

// Add adds a grant, in place of one for the same thing to the same cartridge.
func (a *Answers) Add(g Grant) {
	a.Grants = slices.DeleteFunc(a.Grants, func(x Grant) bool {
		return x.Subject == g.Subject && x.SameThing(g.Capability)
	})
	a.Grants = append(a.Grants, g)
}

// LoadAnswers reads the file at path. A file that does not exist holds no answers.
func LoadAnswers(path string) (*Answers, error) {
	a := &Answers{}
	if path == "" {
		return a, nil
	}
	src, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	return parseAnswers(src, path)
}

func parseAnswers(src []byte, path string) (*Answers, error) {
	a := &Answers{}
	doc, fault := strict.Parse(src, MaxFile)
	if fault != nil {
		return nil, &Error{path, []strict.Fault{*fault}}
	}
	root := doc.Root()
	a.Grants = takeGrants(root, Base{File: path, Dir: filepath.Dir(path)})
	for _, t := range root.Tables("approved") {
		x := Approval{File: t.Text("file", true), Digest: t.Text("sha256", true)}
		if x.Digest != "" && !abi.ValidDigest(x.Digest) {
			t.Fault("sha256", "must be 64 hex digits in lower case")
		}
		t.Done()
		a.Approved = append(a.Approved, x)
	}
	root.Done()
	if faults := doc.Faults(); len(faults) > 0 {
		return nil, &Error{path, faults}
	}
	return a, nil
}

// Save writes the answers to path, readable by the user only. A reader sees the
// old file or the new one. Of two processes that save at the same time one loses
// its answer, and its user is asked again.
func (a *Answers) Save(path string) error {
	var b bytes.Buffer
	b.WriteString("# Answers given at prompts of pxos-host. Delete an entry to be asked again.\n")
	line := func(key, val string) {
		if val != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, strict.Quote(val))
		}
	}
	for _, g := range a.Grants {
		b.WriteString("\n[[grants]]\n")
		line("cartridge", g.Subject.String())
		line("note", g.Note)
		line("kind", g.Kind)
		line("path", g.Path)
		line("host", g.HostPath)
		line("mode", g.Mode)
		line("name", g.Name)
		line("area", g.Area)
		if g.Fixed {
			fmt.Fprintf(&b, "value = %s\n", strict.Quote(g.Value))
		}
	}
	for _, x := range a.Approved {
		b.WriteString("\n[[approved]]\n")
		line("file", x.File)
		line("sha256", x.Digest)
	}
	if b.Len() > MaxFile {
		return fmt.Errorf("answers would need %d bytes, at most %d are kept: delete some of %s", b.Len(), MaxFile, path)
	}
	// What cannot be read back as it is, such as a path that is not text, must not
	// become a grant of something else.
	back, err := parseAnswers(b.Bytes(), path)
	if err != nil {
		return err
	}
	if !slices.Equal(back.Grants, a.plain()) || !slices.Equal(back.Approved, a.Approved) {
		return fmt.Errorf("answers hold a path or value that is not plain text, and cannot be kept in %s", path)
	}
	return writeFile(path, b.Bytes())
}

// plain returns the grants without what is not stored.
func (a *Answers) plain() []Grant {
	out := slices.Clone(a.Grants)
	for i := range out {
		out[i].Reason = ""
	}
	return out
}

func writeFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".answers-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
