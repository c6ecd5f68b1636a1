package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/abi/pxa"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/term"
)

// verified is the JSON form of one verified file.
type verified struct {
	File        string   `json:"file"`
	OK          bool     `json:"ok"`
	Digest      string   `json:"digest,omitempty"`
	Name        string   `json:"name,omitempty"`
	Version     string   `json:"version,omitempty"`
	Entries     int      `json:"entries"`
	Content     int64    `json:"content_bytes"`
	Archive     int64    `json:"archive_bytes"`
	Unsupported []string `json:"unsupported"` // entries whose codec this host does not know
	Error       string   `json:"error,omitempty"`

	err error
}

func (a *app) verifyCmd() *cobra.Command {
	cmd := a.command("verify X... [--digest DIGEST]", "Check cartridges bit by bit",
		`Reads each cartridge whole: the picture and its checksums, the cover, the digest,
every entry against its own digest, and the manifest. It fails when one is faulty.`,
		`  pxos-host verify hello.pxa
  pxos-host verify *.pxa --json
  pxos-host verify hello.pxa --digest 5f1c…  (all 64 digits)`)
	fl := cmd.Flags()
	asJSON := fl.Bool("json", false, "one JSON object a line")
	want := fl.String("digest", "", "the `DIGEST` that the cartridge must have")
	precompile := fl.Bool("precompile", false, "also compile for this machine, so that the first run is fast")
	cmd.Args = takes(1, -1, "a cartridge")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *want != "" && (len(args) != 1 || !abi.ValidDigest(*want)) {
			return usagef("pxos-host inspect shows digests", "--digest takes the 64 hex digits of one cartridge")
		}
		failed := 0
		for _, file := range args {
			v := a.verifyFile(cmd.Context(), file, *want)
			if errors.Is(v.err, context.Canceled) {
				return v.err
			}
			if v.OK && *precompile {
				v.err = a.precompile(cmd.Context(), file)
				v.OK = v.err == nil
			}
			if !v.OK {
				failed++
				v.Error = v.err.Error()
			}
			switch {
			case *asJSON:
				if err := a.printJSON(v); err != nil {
					return err
				}
			case v.OK:
				_, err := fmt.Fprintf(a.out, "%s: ok, %s %s, %d entries, %s, digest %s\n", term.Line(file), v.Name, v.Version, v.Entries, abi.FormatBytes(v.Content), v.Digest)
				if err != nil {
					return err
				}
				for _, p := range v.Unsupported {
					a.note("%s: entry %s has a codec that this version cannot read; it was not checked", file, p)
				}
			default:
				a.failVerify(file, v.err)
			}
		}
		if failed > 0 {
			return &exitError{code: exitFailed}
		}
		return nil
	}
	return cmd
}

// failVerify says what is wrong with a file, naming it once.
func (a *app) failVerify(file string, err error) {
	msg := message(err)
	if !errors.Is(err, fs.ErrNotExist) {
		msg = file + ": " + msg
	}
	a.fail(msg, hintOf(err))
}

func (a *app) verifyFile(ctx context.Context, file, want string) *verified {
	v := &verified{File: file, Unsupported: []string{}}
	v.err = a.verifyInto(ctx, v, want)
	v.OK = v.err == nil
	return v
}

func (a *app) verifyInto(ctx context.Context, v *verified, want string) error {
	// Looked at before it is opened, because opening a pipe waits for its writer.
	info, err := os.Stat(v.File)
	if err != nil {
		return notThere(err, v.File, "name a .pxa cartridge")
	}
	if !info.Mode().IsRegular() {
		return hinted(errors.New("not a regular file"), "give a .pxa cartridge; a directory is checked when it is built")
	}
	f, err := os.Open(v.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	r, err := pxa.Open(f, info.Size(), nil)
	if err != nil {
		return host.CartridgeError(err)
	}
	if how, err := r.Inspect(); err == nil && how.Newer {
		a.note("%s: %s", v.File, newerFormat(how.Format))
	}
	step, clear := a.progress("verifying")
	rep, err := r.Verify(ctx, step)
	clear()
	if err != nil {
		return host.CartridgeError(err)
	}
	v.Digest, v.Entries, v.Content, v.Archive = rep.Digest.String(), rep.Entries, rep.Content, rep.ArchiveBytes
	v.Unsupported = append(v.Unsupported, rep.Unsupported...)
	if want != "" && v.Digest != want {
		return hinted(fmt.Errorf("the digest is %s: this is another cartridge", v.Digest), "get the one that you want from its author, or check the digest that you expect")
	}
	const mend = "its author must mend the manifest and pack it again"
	src, err := r.Manifest()
	if errors.Is(err, fs.ErrNotExist) {
		return hinted(fmt.Errorf("the archive is sound but has no %s", abi.ManifestPath), "it can be listed and unpacked, not run")
	}
	if err != nil {
		return err
	}
	m, err := abi.ParseManifest(src)
	if err != nil {
		return hinted(err, mend)
	}
	v.Name, v.Version = m.Name, m.Version
	var missing []string
	for _, p := range m.Programs {
		if _, ok := r.Lookup(p.Module); !ok {
			missing = append(missing, p.Module)
		}
	}
	if len(missing) > 0 {
		return hinted(fmt.Errorf("the manifest names modules that are not in the archive: %s", strings.Join(missing, ", ")), mend)
	}
	return nil
}
