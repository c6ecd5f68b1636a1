package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host/term"
	"github.com/pxos/pxos/sdk/templates"
)

func (a *app) newCmd() *cobra.Command {
	cmd := a.command("new [--lang go|c] NAME", "Begin a cartridge",
		`Writes a directory with a manifest, a first program, a README and all that the
build needs. NAME is the directory; its last element is the cartridge's name.`,
		`  pxos-host new hello
  pxos-host new --lang c tools/count
  pxos-host run hello`)
	fl := cmd.Flags()
	lang := fl.String("lang", "go", "the `LANGUAGE`: "+strings.Join(templates.Langs(), " or "))
	creator := fl.String("creator", "", "who makes it, a `NAME` (default: your user name)")
	kind := fl.String("creator-kind", abi.CreatorHuman, "what makes it: human, llm or hybrid (`KIND`)")
	licence := fl.String("licence", "MIT", "its `LICENCE`")
	complete(cmd, "lang", templates.Langs()...)
	complete(cmd, "creator-kind", abi.CreatorHuman, abi.CreatorLLM, abi.CreatorHybrid)
	cmd.Args = takes(1, 1, "the name of a directory")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if !slices.Contains(templates.Langs(), *lang) {
			return usagef("the languages are "+strings.Join(templates.Langs(), " and "), "there is no template for --lang %q", *lang)
		}
		switch *kind {
		case abi.CreatorHuman, abi.CreatorLLM, abi.CreatorHybrid:
		default:
			return usagef("the kinds are human, llm and hybrid", "there is no --creator-kind %q", *kind)
		}
		dir := filepath.Clean(args[0])
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		opt := templates.Options{
			Name: filepath.Base(abs), Lang: *lang, Creator: *creator, CreatorKind: *kind,
			CreatedAt: time.Now().UTC().Truncate(time.Second), Licence: *licence,
		}
		if opt.Creator == "" {
			opt.Creator = userName()
		}
		if err := templates.Write(dir, opt); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "began the cartridge %s in %s\nnext: pxos-host run %[2]s\n", term.Line(opt.Name), term.Line(dir))
		return err
	}
	return cmd
}

func userName() string {
	for _, key := range []string{"USER", "USERNAME", "LOGNAME"} {
		if s := os.Getenv(key); s != "" {
			return s
		}
	}
	return "unknown"
}
