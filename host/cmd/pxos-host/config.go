package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/engine"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

func (a *app) configCmd() *cobra.Command {
	cmd := a.command("config [allow|revoke|check] [FILE]", "Show the policy in force and where it comes from",
		`Shows what pxos.toml decides here: the files that were read and what counts.

A pxos.toml in the working directory may have come with a cartridge from
somebody else. So it can only take away, such as lower a limit, until you have
approved it. An approval is for the content that the file has now.`,
		`  pxos-host config
  pxos-host config allow
  pxos-host config check other/pxos.toml`)
	cmd.Args = takes(0, 0, "")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object")
	cmd.RunE = func(*cobra.Command, []string) error { return a.showPolicy(*asJSON) }

	allow := a.command("allow [FILE]", "Approve a pxos.toml in full", "", "  pxos-host config allow")
	allow.Args = takes(0, 1, "one file")
	allow.RunE = func(_ *cobra.Command, args []string) error { return a.approve(args) }
	revoke := a.command("revoke [FILE]", "End the approval of a pxos.toml", "", "  pxos-host config revoke")
	revoke.Args = takes(0, 1, "one file")
	revoke.RunE = func(_ *cobra.Command, args []string) error { return a.revoke(args) }
	check := a.command("check FILE", "Check a pxos.toml for faults", "", "  pxos-host config check pxos.toml")
	check.Args = takes(1, 1, "a file")
	check.RunE = func(_ *cobra.Command, args []string) error {
		p, err := a.places()
		if err == nil {
			_, err = policy.Load(policy.Places{Explicit: args[0], Home: p.Home})
			err = notThere(err, args[0], "name a pxos.toml")
		}
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s is sound\n", term.Line(args[0]))
		}
		return err
	}
	cmd.AddCommand(allow, revoke, check)
	return cmd
}

// policyInfo is the JSON form of config.
type policyInfo struct {
	Home        string       `json:"home"`
	Files       []policyFile `json:"files"`
	UserFile    string       `json:"user_file"` // where the user's own file is looked for
	Limits      []string     `json:"limits"`
	Isolation   string       `json:"isolation"`
	Interpreter bool         `json:"interpreter"`
	Durability  string       `json:"durability"`
	CacheBytes  int64        `json:"cache_bytes"` // in force
	PixelFS     filesInfo    `json:"pixelfs"`     // in force
	InfiniteMap mapsInfo     `json:"infinitemap"` // in force
	Trusted     []string     `json:"trusted"`
	Grants      []string     `json:"grants"`
	Withheld    []string     `json:"withheld"`
}

// filesInfo and mapsInfo are what holds for the storage of each lineage of cartridges.
type filesInfo struct {
	QuotaBytes  int64  `json:"quota_bytes"`
	Files       int64  `json:"files"`
	Keep        int64  `json:"keep,omitempty"`    // missing: all
	MaxAge      string `json:"max_age,omitempty"` // missing: any
	Compression string `json:"compression"`
}

type mapsInfo struct {
	QuotaBytes int64 `json:"quota_bytes"`
	CacheBytes int64 `json:"cache_bytes"`
}

// rows describes both as pxos.toml states them, NAME=VALUE each.
func (f filesInfo) rows() []string {
	rows := []string{"quota=" + abi.FormatBytes(f.QuotaBytes), fmt.Sprintf("files=%d", f.Files)}
	if f.Keep > 0 {
		rows = append(rows, fmt.Sprintf("keep=%d", f.Keep))
	}
	if f.MaxAge != "" {
		rows = append(rows, "max_age="+f.MaxAge)
	}
	return append(rows, "compression="+f.Compression)
}

func (m mapsInfo) rows() []string {
	return []string{"quota=" + abi.FormatBytes(m.QuotaBytes), "cache=" + abi.FormatBytes(m.CacheBytes)}
}

type policyFile struct {
	Path     string `json:"path"`
	Role     string `json:"role"`
	Approved bool   `json:"approved"`
}

// policyInfo describes the policy in force on a host.
func (a *app) policyInfo(h *host.Host, pol *policy.Loaded) (*policyInfo, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	places, err := a.places()
	if err != nil {
		return nil, err
	}
	files, maps := pol.PixelFS.InForce(), pol.InfiniteMap.InForce()
	info := &policyInfo{
		PixelFS:     filesInfo{QuotaBytes: files.QuotaBytes, Files: files.QuotaFiles, Keep: files.Keep, Compression: files.Compression},
		InfiniteMap: mapsInfo{QuotaBytes: maps.QuotaBytes, CacheBytes: maps.CacheBytes},
		Home:        home, UserFile: places.User, Files: []policyFile{}, Limits: h.Limits(abi.Limits{}, abi.Limits{}).Format(),
		Isolation: pol.Isolation, Interpreter: pol.Interpreter, Durability: pol.Durability, CacheBytes: pol.CacheBytes,
		Trusted: []string{}, Grants: []string{}, Withheld: append([]string{}, pol.Withheld...),
	}
	if info.CacheBytes == 0 {
		info.CacheBytes = engine.DefaultCacheBytes
	}
	if info.Isolation == "" {
		info.Isolation = host.IsolationAuto
	}
	if info.Durability == "" {
		info.Durability = host.DurabilityNone
	}
	if files.MaxAge > 0 {
		info.PixelFS.MaxAge = policy.FormatAge(files.MaxAge)
	}
	for _, f := range pol.Files {
		info.Files = append(info.Files, policyFile{f.Path, string(f.Role), f.Approved})
	}
	for _, s := range pol.Trusted {
		info.Trusted = append(info.Trusted, s.String())
	}
	for _, g := range pol.Grants {
		info.Grants = append(info.Grants, g.Describe())
	}
	return info, nil
}

func (a *app) showPolicy(asJSON bool) error {
	h, pol, err := a.host(false)
	if err != nil {
		return err
	}
	defer h.Close()
	info, err := a.policyInfo(h, pol)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(info)
	}
	t := newTable(a.out)
	t.row("state", term.Line(info.Home))
	t.row("your file", term.Line(info.UserFile))
	for _, f := range info.Files {
		state := ""
		if !f.Approved {
			state = " (not approved: only takes away)"
		}
		t.row("read", term.Line(f.Path)+", "+f.Role+state)
	}
	for _, l := range info.Limits {
		t.row("limit", l)
	}
	t.row("isolation", info.Isolation)
	t.row("interpreter", fmt.Sprint(info.Interpreter))
	t.row("durability", info.Durability)
	for _, s := range info.PixelFS.rows() {
		t.row("pixelfs", s)
	}
	for _, s := range info.InfiniteMap.rows() {
		t.row("infinitemap", s)
	}
	for _, s := range info.Trusted {
		t.row("trusted", term.Line(s))
	}
	for _, s := range info.Grants {
		t.row("grant", term.Line(s))
	}
	for _, s := range info.Withheld {
		t.row("left out", term.Line(s))
	}
	return t.flush()
}

// approve makes a local file count in full, after showing what it then gives.
func (a *app) approve(args []string) error {
	p, err := a.places()
	if err != nil {
		return err
	}
	p.Explicit = ""
	if len(args) > 0 {
		p.Local = args[0]
	}
	if _, err := os.Stat(p.Local); err != nil {
		return notThere(err, p.Local, "name the pxos.toml to approve, or work in its directory")
	}
	l, err := policy.Load(p)
	if err != nil {
		return err
	}
	if len(l.Withheld) == 0 {
		_, err := fmt.Fprintf(a.out, "%s needs no approval: everything in it counts\n", term.Line(p.Local))
		return err
	}
	answers, err := policy.LoadAnswers(p.Answers)
	if err != nil {
		return err
	}
	answers.Approve(l.Local)
	if err := answers.Save(p.Answers); err != nil {
		return err
	}
	out := &watched{w: a.out}
	fmt.Fprintf(out, "approved %s; it now gives\n", term.Line(l.Local.Path))
	for _, w := range l.Withheld {
		fmt.Fprintf(out, "  %s\n", term.Line(w))
	}
	return out.err
}

func (a *app) revoke(args []string) error {
	p, err := a.places()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		p.Local = args[0]
	}
	answers, err := policy.LoadAnswers(p.Answers)
	if err != nil {
		return err
	}
	if !answers.Revoke(p.Local) {
		return hinted(fmt.Errorf("%s was not approved", p.Local), "pxos-host config shows what counts")
	}
	if err := answers.Save(p.Answers); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s is no longer approved\n", term.Line(p.Local))
	return err
}
