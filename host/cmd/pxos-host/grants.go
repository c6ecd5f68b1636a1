package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/pxos/pxos/abi"
	"github.com/pxos/pxos/host"
	"github.com/pxos/pxos/host/policy"
	"github.com/pxos/pxos/host/term"
)

// grants decides what a run is given: what flags say, then what the policy says,
// then what the user says. It fails with ErrDenied when something is left that
// nobody granted.
func (a *app) grants(ctx context.Context, c *opened, m *abi.Manifest, f *runFlags, pol *policy.Loaded) ([]host.Grant, error) {
	out, err := f.flagGrants(m)
	if err != nil {
		return nil, err
	}
	for _, g := range pol.GrantsFor(c.id, host.Missing(m, out)) {
		out = append(out, hostGrant(g))
	}
	missing := host.Missing(m, out)
	if len(missing) > 0 && a.worthAsking(missing, f.yes) {
		given, err := a.ask(ctx, c, m, missing, f.yes, pol.Policy)
		if err != nil {
			return nil, err
		}
		out = append(out, given...)
	}
	for i := range out {
		if out[i].Kind != abi.CapDir {
			continue
		}
		if out[i].HostPath, err = filepath.Abs(out[i].HostPath); err != nil {
			return nil, err
		}
		if info, err := os.Stat(out[i].HostPath); err != nil || !info.IsDir() {
			return nil, &host.Error{Type: abi.ErrDenied, Msg: fmt.Sprintf("granted %s, and %s is no directory", out[i].Path, out[i].HostPath), Hint: "create it, or grant another one with --dir"}
		}
	}
	return out, nil
}

// hostGrant looks up what a rule of the policy stands for.
func hostGrant(g policy.Grant) host.Grant {
	out := host.Grant{Capability: g.Capability, HostPath: g.HostPath, Value: g.Value}
	if g.Kind == abi.CapEnv && !g.Fixed {
		out.Value = os.Getenv(g.Name) // a variable that is not set is empty
	}
	return out
}

// flagGrants turns --dir, --grant and --env into grants.
func (f *runFlags) flagGrants(m *abi.Manifest) ([]host.Grant, error) {
	var out []host.Grant
	add := func(g host.Grant) error {
		for _, other := range out {
			if other.SameThing(g.Capability) {
				return usagef("", "%s is granted twice", g.Capability)
			}
		}
		out = append(out, g)
		return nil
	}
	for _, s := range f.dirs {
		g, err := parseDir(s, m)
		if err == nil {
			err = add(g)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, s := range f.grants {
		g, err := parseGrant(s)
		if err == nil {
			err = add(g)
		}
		if err != nil {
			return nil, err
		}
	}
	// A variable that the user sets is granted where the manifest asks for it.
	for _, e := range f.env {
		name, value, ok := strings.Cut(e, "=")
		if !ok {
			value = os.Getenv(name)
		}
		want := abi.Capability{Kind: abi.CapEnv, Name: name}
		asked := slices.ContainsFunc(m.Capabilities, func(c abi.Capability) bool { return want.Covers(c) })
		if asked && !slices.ContainsFunc(out, func(g host.Grant) bool { return g.Covers(want) }) {
			out = append(out, host.Grant{Capability: want, Value: value})
		}
	}
	return out, nil
}

// parseDir parses --dir HOST[:GUEST][:read|write].
func parseDir(s string, m *abi.Manifest) (host.Grant, error) {
	const hint = "write --dir HOST:GUEST:read, such as --dir ~/notes:/data:read"
	g := host.Grant{Capability: abi.Capability{Kind: abi.CapDir, Mode: abi.ModeRead}, HostPath: s}
	for _, mode := range []string{abi.ModeRead, abi.ModeWrite} {
		if rest, ok := strings.CutSuffix(g.HostPath, ":"+mode); ok {
			g.HostPath, g.Mode = rest, mode
			break
		}
	}
	// The last colon with a slash behind it, except that of a Windows drive.
	if i := strings.LastIndex(g.HostPath, ":/"); i >= 0 && !(runtime.GOOS == "windows" && i == 1) {
		g.HostPath, g.Path = g.HostPath[:i], g.HostPath[i+1:]
	}
	if g.HostPath == "" {
		return g, usagef(hint, "--dir %q names no directory", s)
	}
	if g.Path == "" {
		g.Path = guestPath(g.HostPath, m)
	}
	if got, err := abi.ParseCapability(g.Capability.String()); err != nil || got != g.Capability {
		return g, usagef(hint, "--dir %q: %q is not an absolute guest path such as /data", s, g.Path)
	}
	return g, nil
}

// guestPath chooses where a directory appears that came without a guest path: where
// the cartridge asks for one, when it asks for a single one, else below its own name.
func guestPath(dir string, m *abi.Manifest) string {
	var asked []string
	for _, c := range m.Capabilities {
		if c.Kind == abi.CapDir {
			asked = append(asked, c.Path)
		}
	}
	if len(asked) == 1 {
		return asked[0]
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return "/" + filepath.Base(dir)
}

// parseGrant parses --grant env:NAME[=VALUE], dir:GUEST[:read|write]=HOST,
// pixelfs:PATH[:read|write] and infinitemap:NAME[:read|write[:X,Y,WIDTH,HEIGHT]].
func parseGrant(s string) (host.Grant, error) {
	text, value, has := strings.Cut(s, "=")
	c, err := abi.ParseCapability(text)
	if err != nil {
		return host.Grant{}, usagef("write --grant env:LANG, --grant dir:/data:read=HOST, --grant pixelfs:/notes:write or --grant infinitemap:world:write", "--grant: %w", err)
	}
	g := host.Grant{Capability: c}
	switch {
	case c.Kind == abi.CapEnv && has:
		g.Value = value
	case c.Kind == abi.CapEnv:
		g.Value = os.Getenv(c.Name)
	case c.Kind == abi.CapDir && value != "":
		g.HostPath = value
	case c.Kind == abi.CapDir:
		return g, usagef("write --grant "+c.String()+"=HOST", "--grant %s does not say which directory of yours", c)
	case has:
		return g, usagef("write --grant "+c.String(), "--grant %s takes no value", c)
	}
	return g, nil
}

// flagFor returns the flag that grants c.
func flagFor(c abi.Capability) string {
	if c.Kind == abi.CapDir {
		return "--dir DIRECTORY:" + c.Path + ":" + c.Mode
	}
	return "--grant " + c.String()
}

// denied is the refusal of a run that lacks capabilities.
func denied(m *abi.Manifest, missing []abi.Capability) error {
	var caps, flags []string
	for _, c := range missing {
		caps = append(caps, c.String())
		flags = append(flags, flagFor(c))
	}
	return &host.Error{
		Type: abi.ErrDenied,
		Msg:  fmt.Sprintf("%s asks for what it was not granted: %s", m.Name, strings.Join(caps, ", ")),
		Hint: "if you trust it, add " + strings.Join(flags, " ") + ", or a grant in pxos.toml; pxos-host inspect shows the reasons it gives",
	}
}

// worthAsking reports whether asking can make a difference: something is needed, or a
// person is there who may want to grant what is optional.
func (a *app) worthAsking(missing []abi.Capability, yes bool) bool {
	if len(host.Required(missing)) > 0 || yes {
		return true
	}
	t := a.terminal()
	if t != nil {
		t.close()
	}
	return t != nil
}

// refuse is the outcome of a no: the run goes on when all that was asked for is
// optional.
func refuse(m *abi.Manifest, missing []abi.Capability, out []host.Grant) ([]host.Grant, error) {
	if need := host.Required(missing); len(need) > 0 {
		return nil, denied(m, need)
	}
	return out, nil
}

// maxShown bounds what one prompt asks for.
const maxShown = 20

// ask asks the user on the terminal, and refuses where there is none. With yes,
// everything is granted that needs no choice.
func (a *app) ask(ctx context.Context, c *opened, m *abi.Manifest, missing []abi.Capability, yes bool, pol policy.Policy) ([]host.Grant, error) {
	var out []host.Grant
	if yes {
		missing = slices.DeleteFunc(missing, func(want abi.Capability) bool {
			if want.Kind == abi.CapDir {
				return false
			}
			out = append(out, hostGrant(policy.Grant{Capability: want}))
			return true
		})
		if len(missing) == 0 {
			return out, nil
		}
	}
	user := a.terminal()
	if user == nil {
		return refuse(m, missing, out)
	}
	defer user.close()
	fmt.Fprintf(user.out, "%s %s asks for more than the sandbox gives.\n", term.Line(m.Name), term.Line(m.Version))
	fmt.Fprintf(user.out, "  made by  %s (%s, in its own words)\n  digest   %s\n", oneLine(m.Creator.Name), term.Line(m.Creator.Kind), c.Digest())
	for i, want := range missing {
		if i == maxShown {
			fmt.Fprintf(user.out, "  and %d more things, which is more than anybody reads\n", len(missing)-i)
			return nil, denied(m, missing)
		}
		fmt.Fprintf(user.out, "  wants    %s\n           because: %s\n", describe(want)+bound(want, pol)+optional(want), oneLine(want.Reason))
	}
	answer, err := user.question(ctx, "Grant this? yes once, always, no [y/a/N] ")
	if err != nil {
		return nil, err
	}
	always := false
	switch strings.ToLower(answer) {
	case "y", "yes":
	case "a", "always":
		always = true
	default:
		return refuse(m, missing, out)
	}
	var rules []policy.Grant
	for _, want := range missing {
		rule := policy.Grant{Subject: policy.Subject{Digest: c.Digest()}, Capability: want, Note: oneLine(m.Name + " " + m.Version)}
		if want.Kind == abi.CapDir {
			dir, err := user.question(ctx, askDir(want))
			if err != nil {
				return nil, err
			}
			if dir == "" && want.Optional {
				continue
			}
			if dir == "" {
				return nil, denied(m, []abi.Capability{want})
			}
			if home, err := os.UserHomeDir(); err == nil && (dir == "~" || strings.HasPrefix(dir, "~/")) {
				dir = home + dir[1:]
			}
			if rule.HostPath, err = filepath.Abs(dir); err != nil {
				return nil, err
			}
		}
		rules = append(rules, rule)
		out = append(out, hostGrant(rule))
	}
	if always {
		return out, a.remember(rules)
	}
	return out, nil
}

// remember keeps grants for this digest.
func (a *app) remember(rules []policy.Grant) error {
	file, err := a.answersFile()
	if err != nil {
		return err
	}
	answers, err := policy.LoadAnswers(file)
	if err != nil {
		return err
	}
	for _, g := range rules {
		answers.Add(g)
	}
	return answers.Save(file)
}

// describe says what a capability is, for a person.
func describe(c abi.Capability) string {
	switch {
	case c.Kind == abi.CapDir && c.Mode == abi.ModeWrite:
		return "a directory of yours to read and write, as " + term.Line(c.Path)
	case c.Kind == abi.CapDir:
		return "a directory of yours to read, as " + term.Line(c.Path)
	case c.Kind == abi.CapEnv:
		return "the environment variable " + term.Line(c.Name)
	case c.Kind == abi.CapPixelFS && c.Mode == abi.ModeWrite:
		return "to keep files as pixels" + where(c.Path)
	case c.Kind == abi.CapPixelFS:
		return "to read files kept as pixels" + where(c.Path)
	case c.Kind == abi.CapInfiniteMap:
		return describeMap(c)
	}
	return term.Line(c.String())
}

func where(path string) string {
	if path == "/" {
		return ""
	}
	return " under " + term.Line(path)
}

func describeMap(c abi.Capability) string {
	what := "to read "
	if c.Mode == abi.ModeWrite {
		what = "to read and change "
	}
	if c.Name == abi.AnyMap {
		what += "all of its maps"
	} else {
		what += "the map \"" + term.Line(c.Name) + "\""
	}
	area, err := c.Extent()
	if err != nil || area == abi.WholePlane {
		return what
	}
	return fmt.Sprintf("%s, from %d,%d to %d,%d", what, area.MinX, area.MinY, area.MaxX, area.MaxY)
}

// bound says how much a capability lets a cartridge keep.
func bound(c abi.Capability, pol policy.Policy) string {
	switch {
	case c.Mode != abi.ModeWrite:
	case c.Kind == abi.CapPixelFS:
		return ", at most " + abi.FormatBytes(pol.PixelFS.InForce().QuotaBytes)
	case c.Kind == abi.CapInfiniteMap:
		return ", at most " + abi.FormatBytes(pol.InfiniteMap.InForce().QuotaBytes) + " of maps"
	}
	return ""
}

// askDir is the question for a directory.
func askDir(c abi.Capability) string {
	may := "read"
	if c.Mode == abi.ModeWrite {
		may = "read and write"
	}
	return fmt.Sprintf("Which directory of yours may it %s, as %s? (empty: none) ", may, term.Line(c.Path))
}

func optional(c abi.Capability) string {
	if c.Optional {
		return " (optional)"
	}
	return ""
}
