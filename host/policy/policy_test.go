package policy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi"
)

const digestA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var testBase = Base{File: "pxos.toml", Dir: filepath.FromSlash("/work"), Home: filepath.FromSlash("/home/ada")}

// The example at the top of the repository must stay true: with every key taken
// into use it parses, and it names the values that apply anyway.
func TestExampleFile(t *testing.T) {
	src, err := os.ReadFile("../../pxos.toml")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Parse(src, testBase); err != nil || p.Limits != (abi.Limits{}) || p.Grants != nil {
		t.Errorf("as it is: %+v, %v", p, err)
	}
	lines := strings.Split(string(src), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "# ") {
			lines[i] = l[1:]
		}
	}
	p, err := Parse([]byte(strings.Join(lines, "\n")), testBase)
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits != abi.DefaultLimits() {
		t.Errorf("limits are\n%v, the defaults\n%v", p.Limits.Format(), abi.DefaultLimits().Format())
	}
	if p.Isolation != IsolationAuto || p.Interpreter || p.Durability != DurabilityNone || p.CacheBytes != 2<<30 {
		t.Errorf("got %+v", p)
	}
	if files := (PixelFS{Keep: p.PixelFS.Keep, MaxAge: p.PixelFS.MaxAge}).InForce(); p.PixelFS != files || files.Keep == 0 || files.MaxAge == 0 {
		t.Errorf("pixelfs %+v", p.PixelFS)
	}
	if p.InfiniteMap != (InfiniteMap{}).InForce() {
		t.Errorf("infinitemap %+v", p.InfiniteMap)
	}
	if len(p.Trusted) != 1 || len(p.Grants) != 4 || !p.Grants[1].Fixed {
		t.Errorf("lists %+v", p)
	}
}

func TestParseFaults(t *testing.T) {
	grant := "[[grants]]\ncartridge = '" + digestA + "'\n"
	for _, tc := range []struct{ name, src, want string }{
		{"unknown table", "[limit]\nmemory = 1", `line 1: limit: unknown key; did you mean "limits"?`},
		{"unknown limit", "[limits]\nmemroy = 1", `line 2: limits.memroy: unknown key; did you mean "memory"?`},
		{"limit too high", "[limits]\nmemory = '5GiB'", "line 2: limits.memory: is at most 4095MiB"},
		{"isolation", "[run]\nisolation = 'none'", `line 2: run.isolation: must be "auto", "process" or "inline"`},
		{"durability", "[journal]\ndurability = 'x'", `line 2: journal.durability: must be "full", "end" or "none"`},
		{"cache size", "[cache]\nsize = 'big'", "line 2: cache.size: invalid size"},
		{"cache zero", "[cache]\nsize = 0", "line 2: cache.size: must be greater than 0"},
		{"trust in a name", "[[trusted]]\ncartridge = 'hello'", "line 2: trusted.0.cartridge: must be a digest"},
		{"no home", "[[trusted]]\ncartridge = '~/x'", "line 2: trusted.0.cartridge: uses ~"},
		{"grant of nothing", grant, "grants.0.kind: is missing"},
		{"grant without host", grant + "kind = 'dir'\npath = '/data'", "grants.0.host: is missing"},
		{"grant of the root", grant + "kind = 'dir'\npath = '/'\nhost = '/x'", "line 4: grants.0.path: path must be an absolute guest path"},
		{"grant of a climbing path", grant + "kind = 'dir'\npath = '/a/../b'\nhost = '/x'", "line 4: grants.0.path: path must be"},
		{"grant with a colon in its path", grant + "kind = 'dir'\npath = '/a:read'\nhost = '/x'", "line 4: grants.0.path: path must be"},
		{"grant of a bad variable", grant + "kind = 'env'\nname = 'A=B'", "line 4: grants.0.name: name must be"},
		{"env with a path", grant + "kind = 'env'\nname = 'A'\npath = '/x'", "line 5: grants.0.path: unknown key"},
		{"value of a wrong type", grant + "kind = 'env'\nname = 'A'\nvalue = 1", "line 5: grants.0.value: must be a string"},
		{"quota", "[pixelfs]\nquota = 'much'", "line 2: pixelfs.quota: invalid size"},
		{"no files", "[pixelfs]\nfiles = 0", "line 2: pixelfs.files: must be greater than 0"},
		{"files as text", "[pixelfs]\nfiles = '7'", "line 2: pixelfs.files: must be a whole number"},
		{"keep less than nothing", "[pixelfs]\nkeep = -1", "line 2: pixelfs.keep: must be greater than 0"},
		{"age without unit", "[pixelfs]\nmax_age = '90'", `line 2: pixelfs.max_age: must be a time such as "90d"`},
		{"age of no days", "[pixelfs]\nmax_age = '0d'", "line 2: pixelfs.max_age: must be"},
		{"age beyond counting", "[pixelfs]\nmax_age = '106752d'", "line 2: pixelfs.max_age: must be"},
		{"age below nothing", "[pixelfs]\nmax_age = '-1d'", "line 2: pixelfs.max_age: must be"},
		{"compression", "[pixelfs]\ncompression = 'zip'", `line 2: pixelfs.compression: must be "auto", "none", "rle" or "lz4"`},
		{"unknown key of pixelfs", "[pixelfs]\nquotas = 1", `line 2: pixelfs.quotas: unknown key; did you mean "quota"?`},
		{"map cache", "[infinitemap]\ncache = 0", "line 2: infinitemap.cache: must be greater than 0"},
		{"files without a path", grant + "kind = 'pixelfs'", "grants.0.path: is missing"},
		{"files on a relative path", grant + "kind = 'pixelfs'\npath = 'notes'", "line 4: grants.0.path: path must be / or an absolute path"},
		{"files with a slash at the end", grant + "kind = 'pixelfs'\npath = '/notes/'", "line 4: grants.0.path: path must be /"},
		{"files with a colon", grant + "kind = 'pixelfs'\npath = '/a:write'", "line 4: grants.0.path: path must be /"},
		{"files in a host directory", grant + "kind = 'pixelfs'\npath = '/a'\nhost = '/x'", "line 5: grants.0.host: unknown key"},
		{"map without a name", grant + "kind = 'infinitemap'", "grants.0.name: is missing"},
		{"map with a mode in its name", grant + "kind = 'infinitemap'\nname = 'a:write'", "line 4: grants.0.name: "},
		{"map of a device's name", grant + "kind = 'infinitemap'\nname = 'com1'", "line 4: grants.0.name: name must be a map's name"},
		{"map and a path", grant + "kind = 'infinitemap'\nname = '*'\npath = '/x'", "line 5: grants.0.path: unknown key"},
		{"empty area", grant + "kind = 'infinitemap'\nname = 'w'\narea = '0,0,0,1'", "line 5: grants.0.area: must be x,y,width,height"},
		{"area beyond the plane", grant + "kind = 'infinitemap'\nname = 'w'\narea = '1,0,9223372036854775808,1'", "line 5: grants.0.area: must be"},
		{"not toml", "[run]\nisolation = ", "line 2: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base := testBase
			base.Home = ""
			_, err := Parse([]byte(tc.src), base)
			var pe *Error
			if !errors.As(err, &pe) || len(pe.Faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if got := pe.Faults[0].String(); !strings.Contains(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.pxa")
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	read := abi.Capability{Kind: abi.CapDir, Path: "/data", Mode: abi.ModeRead, Reason: "asked"}
	write := read
	write.Mode = abi.ModeWrite
	rule := func(s Subject, mode string) Grant {
		return Grant{Subject: s, Capability: abi.Capability{Kind: abi.CapDir, Path: "/data", Mode: mode}, HostPath: dir}
	}
	byDigest, byPath := Subject{Digest: digestA}, Subject{Path: file}
	here := Identity{Digest: digestA, Path: file}
	pixels := func(path, mode string) abi.Capability {
		return abi.Capability{Kind: abi.CapPixelFS, Path: path, Mode: mode}
	}
	gives := func(c abi.Capability) Grant { return Grant{Subject: byDigest, Capability: c, HostPath: dir} }
	plane := func(name, mode, area string) abi.Capability {
		return abi.Capability{Kind: abi.CapInfiniteMap, Name: name, Mode: mode, Area: area}
	}
	for _, tc := range []struct {
		name  string
		rule  Grant
		id    Identity
		asked abi.Capability
		want  bool
	}{
		{"files below", gives(pixels("/notes", "write")), here, pixels("/notes/a", "read"), true},
		{"files above", gives(pixels("/notes/a", "write")), here, pixels("/notes", "read"), false},
		{"files of a longer name", gives(pixels("/notes", "write")), here, pixels("/notes2", "read"), false},
		{"part of a map", gives(plane("*", "write", "0,0,9,9")), here, plane("w", "read", "8,8,1,1"), true},
		{"more than the part", gives(plane("w", "write", "0,0,9,9")), here, plane("w", "read", ""), false},
		{"digest", rule(byDigest, "read"), here, read, true},
		{"other digest", rule(byDigest, "read"), Identity{Digest: strings.Repeat("b", 64), Path: file}, read, false},
		{"wider than asked", rule(byDigest, "write"), here, read, true},
		{"narrower than asked", rule(byDigest, "read"), here, write, false},
		{"path", rule(byPath, "read"), here, read, true},
		{"path through a link", rule(byPath, "read"), Identity{Digest: digestA, Path: filepath.Join(link, "a.pxa")}, read, true},
		{"rule through a link", rule(Subject{Path: filepath.Join(link, "a.pxa")}, "read"), here, read, true},
		{"other path", rule(byPath, "read"), Identity{Digest: digestA, Path: filepath.Join(dir, "b.pxa")}, read, false},
		{"directory above", rule(Subject{Path: dir}, "read"), here, read, false},
		{"from memory", rule(byPath, "read"), Identity{Digest: digestA}, read, false},
		{"empty subject", rule(Subject{}, "read"), Identity{}, read, false},
		{"other guest path", rule(byDigest, "read"), here, abi.Capability{Kind: abi.CapDir, Path: "/dat", Mode: "read"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := Policy{Grants: []Grant{tc.rule}, Trusted: []Subject{tc.rule.Subject}}
			got := p.GrantsFor(tc.id, []abi.Capability{tc.asked})
			if len(got) == 1 != tc.want {
				t.Fatalf("got %v", got)
			}
			if tc.want && (got[0].Capability != tc.asked || got[0].HostPath != dir) {
				t.Errorf("gave %v for %v", got[0], tc.asked)
			}
		})
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const giving = `[limits]
memory = "1GiB"
time = "1s"
[run]
isolation = "inline"
[journal]
durability = "none"
[cache]
size = "1MiB"
[pixelfs]
quota = "2GiB"
files = 5
keep = 1
max_age = "36h"
compression = "none"
[infinitemap]
quota = "2GiB"
cache = "1GiB"
[[trusted]]
cartridge = "` + digestA + `"
[[grants]]
cartridge = "` + digestA + `"
kind = "dir"
path = "/home"
host = "/"
mode = "write"
[[grants]]
cartridge = "./x.pxa"
kind = "env"
name = "TOKEN"
[[grants]]
cartridge = "` + digestA + `"
kind = "pixelfs"
path = "/"
mode = "write"
[[grants]]
cartridge = "` + digestA + `"
kind = "infinitemap"
name = "*"
area = "0,0,9,9"
`

// A local file from a stranger can take away and not give, until it is approved.
func TestLocalFile(t *testing.T) {
	dir := t.TempDir()
	p := Places{
		User:    write(t, filepath.Join(dir, "user.toml"), "[limits]\nmemory = '512MiB'\nfuel = 1000\n[journal]\ndurability = 'end'\n"),
		Local:   write(t, filepath.Join(dir, "pxos.toml"), giving),
		Answers: filepath.Join(dir, "state", "answers.toml"),
	}
	l, err := Load(p)
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{Limits: abi.Limits{Memory: 512 << 20, Fuel: 1000, Time: time.Second}}
	if l.Limits != want.Limits || l.Isolation != "" || l.Durability != DurabilityEnd || l.CacheBytes != 0 || l.PixelFS != (PixelFS{QuotaFiles: 5}) || l.InfiniteMap != (InfiniteMap{}) || l.Grants != nil || l.Trusted != nil {
		t.Errorf("unapproved: %+v", l.Policy)
	}
	wantHeld := []string{
		"limit memory=1GiB", "isolation inline", "durability none", "cache size 1MiB",
		"pixelfs quota 2GiB", "pixelfs keep 1", "pixelfs max_age 36h0m0s", "pixelfs compression none", "infinitemap quota 2GiB", "infinitemap cache 1GiB", "trust in " + digestA,
		"grant of / as /home (write) to " + digestA, "grant of the variable TOKEN to " + filepath.Join(dir, "x.pxa"),
		"grant of pixel files under / (write) to " + digestA, "grant of map * (read) within 0,0,9,9 to " + digestA,
	}
	if !slices.Equal(l.Withheld, wantHeld) {
		t.Errorf("withheld\n%s", strings.Join(l.Withheld, "\n"))
	}

	a, err := LoadAnswers(p.Answers)
	if err != nil {
		t.Fatal(err)
	}
	a.Approve(l.Local)
	if err := a.Save(p.Answers); err != nil {
		t.Fatal(err)
	}
	if l, err = Load(p); err != nil || l.Limits.Memory != 1<<30 || len(l.Grants) != 4 || l.Isolation != IsolationInline || l.Withheld != nil || l.PixelFS.Keep != 1 || l.PixelFS.MaxAge != 36*time.Hour || l.InfiniteMap != (InfiniteMap{QuotaBytes: 2 << 30, CacheBytes: 1 << 30}) {
		t.Errorf("approved: %+v, %v", l, err)
	}

	// One byte more, and it has to be approved again.
	write(t, p.Local, giving+"\n")
	if l, err = Load(p); err != nil || l.Grants != nil || len(l.Withheld) != len(wantHeld) {
		t.Errorf("changed: %+v, %v", l, err)
	}
	// The same content elsewhere is another file.
	write(t, p.Local, giving)
	other := p
	other.Local = write(t, filepath.Join(dir, "other.toml"), giving)
	if l, err = Load(other); err != nil || l.Grants != nil {
		t.Errorf("copied: %+v, %v", l, err)
	}
	if !a.Revoke(p.Local) || a.Revoke(p.Local) || a.Save(p.Answers) != nil {
		t.Error("revoke")
	}
	if l, err = Load(p); err != nil || l.Grants != nil {
		t.Errorf("revoked: %+v, %v", l, err)
	}

	// Named by the user, it counts, and nothing else does.
	p.Explicit = p.Local
	if l, err = Load(p); err != nil || len(l.Grants) != 4 || l.Limits.Fuel != 0 || l.Withheld != nil {
		t.Errorf("explicit: %+v, %v", l, err)
	}
	// In the configuration directory as well.
	p.Explicit, p.User = "", p.Local
	if l, err = Load(p); err != nil || len(l.Grants) != 4 || len(l.Files) != 1 {
		t.Errorf("working in the configuration directory: %+v, %v", l, err)
	}
}

func TestLocalTightens(t *testing.T) {
	dir := t.TempDir()
	p := Places{
		User:  write(t, filepath.Join(dir, "user.toml"), "[run]\nisolation = 'inline'\n[journal]\ndurability = 'none'\n[infinitemap]\ncache = '32MiB'\n"),
		Local: write(t, filepath.Join(dir, "pxos.toml"), "[run]\nisolation = 'process'\ninterpreter = true\n[journal]\ndurability = 'end'\n[limits]\nmemory = '1MiB'\n[infinitemap]\nquota = '1MiB'\n"),
	}
	l, err := Load(p)
	if err != nil || l.Withheld != nil {
		t.Fatal(l, err)
	}
	if l.Isolation != IsolationProcess || !l.Interpreter || l.Durability != DurabilityEnd || l.Limits != (abi.Limits{Memory: 1 << 20}) || l.InfiniteMap != (InfiniteMap{QuotaBytes: 1 << 20, CacheBytes: 32 << 20}) {
		t.Errorf("got %+v", l.Policy)
	}
}

func TestLoadFaults(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad.toml"), "x = 1")
	for _, tc := range []struct {
		name string
		p    Places
		want string
	}{
		{"no files", Places{User: filepath.Join(dir, "none"), Local: filepath.Join(dir, "none2")}, ""},
		{"explicit is missing", Places{Explicit: filepath.Join(dir, "none")}, "no such file"},
		{"user", Places{User: bad}, "bad.toml: 1 fault: line 1: x: unknown key"},
		{"local", Places{Local: bad}, "bad.toml: 1 fault"},
		{"answers", Places{Answers: bad}, "bad.toml: 1 fault"},
		{"local is a directory", Places{Local: dir}, "is not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(tc.p)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "answers.toml")
	dirGrant := Grant{
		Subject:    Subject{Digest: digestA},
		Capability: abi.Capability{Kind: abi.CapDir, Path: "/data", Mode: abi.ModeRead, Reason: "because"},
		HostPath:   filepath.FromSlash("/home/\"ada\"\\\u00e9\u202e"),
		Note:       "line one\nline two",
	}
	a := &Answers{}
	a.Add(dirGrant)
	dirGrant.Mode = abi.ModeWrite
	a.Add(dirGrant)
	a.Add(Grant{Subject: Subject{Path: filepath.FromSlash("/x")}, Capability: abi.Capability{Kind: abi.CapEnv, Name: "A"}, Fixed: true})
	for _, area := range []string{"", "0,0,1,1", "0,0,2,2", "0,0,2,2"} {
		a.Add(Grant{Subject: Subject{Digest: digestA}, Capability: abi.Capability{Kind: abi.CapInfiniteMap, Name: "w", Mode: abi.ModeRead, Area: area}})
	}
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadAnswers(path)
	if err != nil || len(got.Grants) != 5 {
		t.Fatal(got, err)
	}
	dirGrant.Reason = ""
	if got.Grants[0] != dirGrant || !got.Grants[1].Fixed {
		t.Errorf("got %+v", got.Grants)
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		t.Errorf("mode %v", info.Mode())
	}
	before, _ := os.ReadFile(path)
	for _, host := range []string{"/home/\xff", "/home/\x1b[2J"} {
		a := &Answers{}
		dirGrant.HostPath = filepath.FromSlash(host)
		a.Add(dirGrant)
		if err := a.Save(path); err == nil {
			t.Errorf("saved %q", host)
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("a refused save changed the file")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".answers-*")); left != nil {
		t.Errorf("left behind %v", left)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(giving))
	example, err := os.ReadFile("../../pxos.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(strings.ReplaceAll(string(example), "\n#", "\n")))
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := Parse(src, testBase)
		var pe *Error
		if err != nil {
			if !errors.As(err, &pe) || len(pe.Faults) == 0 {
				t.Errorf("error without faults: %v", err)
			}
			return
		}
		for _, g := range p.Grants {
			if (g.Subject.Digest == "") == (g.Subject.Path == "") {
				t.Errorf("grant to nobody in %q", src)
			}
			if g.Kind == abi.CapDir && !filepath.IsAbs(g.HostPath) {
				t.Errorf("host path %q", g.HostPath)
			}
		}
	})
}
