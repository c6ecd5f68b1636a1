package abi

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestParseCapability(t *testing.T) {
	long := "/" + strings.Repeat("a", MaxPixelPart)
	for _, tc := range []struct {
		text string
		want Capability // zero: refused
	}{
		{"dir:/data", Capability{Kind: CapDir, Path: "/data", Mode: ModeRead}},
		{"dir:/data:write", Capability{Kind: CapDir, Path: "/data", Mode: ModeWrite}},
		{"dir:/pixelfs:read", Capability{}},
		{"dir:/:read", Capability{}},
		{"dir:/tmp/x:read", Capability{}},
		{"env:HOME", Capability{Kind: CapEnv, Name: "HOME"}},
		{"env:A:read", Capability{}},
		{"pixelfs:/", Capability{Kind: CapPixelFS, Path: "/", Mode: ModeRead}},
		{"pixelfs:/notes:write", Capability{Kind: CapPixelFS, Path: "/notes", Mode: ModeWrite}},
		{"pixelfs:/tmp/ä:read", Capability{Kind: CapPixelFS, Path: "/tmp/ä", Mode: ModeRead}},
		{"pixelfs:" + long + ":read", Capability{Kind: CapPixelFS, Path: long, Mode: ModeRead}},
		{"pixelfs:" + long + "a:read", Capability{}},
		{"pixelfs:" + strings.Repeat("/a", MaxPixelParts) + ":read", Capability{Kind: CapPixelFS, Path: strings.Repeat("/a", MaxPixelParts), Mode: ModeRead}},
		{"pixelfs:" + strings.Repeat("/a", MaxPixelParts+1) + ":read", Capability{}},
		{"pixelfs:" + strings.Repeat("/"+strings.Repeat("b", 100), 11) + ":read", Capability{}},
		{"pixelfs", Capability{}},
		{"pixelfs:", Capability{}},
		{"pixelfs:notes:read", Capability{}},
		{"pixelfs:/notes/:read", Capability{}},
		{"pixelfs://:read", Capability{}},
		{"pixelfs:/a/../b:read", Capability{}},
		{"pixelfs:/a/./b:read", Capability{}},
		{"pixelfs:/a b:read", Capability{}},
		{"pixelfs:/a\\b:read", Capability{}},
		{"pixelfs:/a:b:read", Capability{}},
		{"pixelfs:/a\x00:read", Capability{}},
		{"pixelfs:/\xff:read", Capability{}},
		{"pixelfs:/a\u0308:read", Capability{}}, // not NFC
		{"pixelfs:/a:Write", Capability{}},
		{"pixelfs:/a:", Capability{}},
		{"infinitemap:world", Capability{Kind: CapInfiniteMap, Name: "world", Mode: ModeRead}},
		{"infinitemap:*:write", Capability{Kind: CapInfiniteMap, Name: "*", Mode: ModeWrite}},
		{"infinitemap:w:read:-100,-100,200,200", Capability{Kind: CapInfiniteMap, Name: "w", Mode: ModeRead, Area: "-100,-100,200,200"}},
		{"infinitemap:" + strings.Repeat("w", 64) + ":read", Capability{Kind: CapInfiniteMap, Name: strings.Repeat("w", 64), Mode: ModeRead}},
		{"infinitemap:" + strings.Repeat("w", 65) + ":read", Capability{}},
		{"infinitemap:com10", Capability{Kind: CapInfiniteMap, Name: "com10", Mode: ModeRead}},
		{"infinitemap:lpt9", Capability{}},
		{"infinitemap:nul", Capability{}},
		{"infinitemap:World", Capability{}},
		{"infinitemap:../x", Capability{}},
		{"infinitemap:-w", Capability{}},
		{"infinitemap:**", Capability{}},
		{"infinitemap:w:", Capability{}},
		{"infinitemap:w:read:", Capability{}},
		{"infinitemap:w:0,0,1,1", Capability{}},
		{"infinitemap:w:read:0,0,1", Capability{}},
		{"infinitemap:w:read:0,0,1,1:x", Capability{}},
		{"gpu", Capability{}},
		{"", Capability{}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			got, err := ParseCapability(tc.text)
			if tc.want == (Capability{}) {
				if err == nil {
					t.Fatalf("accepted as %+v", got)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("got %+v, %v", got, err)
			}
			if again, err := ParseCapability(got.String()); err != nil || again != got {
				t.Errorf("%s comes back as %+v, %v", got, again, err)
			}
			data, err := json.Marshal(got)
			var back Capability
			if err != nil || json.Unmarshal(data, &back) != nil || back != got {
				t.Errorf("JSON %s, %v", data, err)
			}
		})
	}
}

func TestCapabilityFaultsAreAll(t *testing.T) {
	_, err := ParseCapability("infinitemap:No:maybe:0,0,0,0")
	for _, want := range []string{"name must be", "mode must be", "area must be"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		have, want string
		covers     bool
	}{
		{"dir:/data:write", "dir:/data:read", true},
		{"dir:/data:read", "dir:/data:write", false},
		{"dir:/data:read", "dir:/data/x:read", false},
		{"env:A", "env:A", true},
		{"env:A", "env:B", false},
		{"pixelfs:/:read", "pixelfs:/:read", true},
		{"pixelfs:/:write", "pixelfs:/a/b:read", true},
		{"pixelfs:/:read", "pixelfs:/a:write", false},
		{"pixelfs:/a:read", "pixelfs:/a:read", true},
		{"pixelfs:/a:read", "pixelfs:/a/b/c:read", true},
		{"pixelfs:/a:read", "pixelfs:/ab:read", false},
		{"pixelfs:/a:read", "pixelfs:/:read", false},
		{"pixelfs:/a/b:read", "pixelfs:/a:read", false},
		{"pixelfs:/data:read", "dir:/data:read", false},
		{"infinitemap:w:write", "infinitemap:w:read", true},
		{"infinitemap:*:read", "infinitemap:w:read", true},
		{"infinitemap:*:read", "infinitemap:*:read", true},
		{"infinitemap:w:read", "infinitemap:*:read", false},
		{"infinitemap:w:read", "infinitemap:v:read", false},
		{"infinitemap:w:read", "infinitemap:w:read:0,0,1,1", true},
		{"infinitemap:w:read:0,0,1,1", "infinitemap:w:read", false},
		{"infinitemap:w:read:0,0,10,10", "infinitemap:w:read:9,9,1,1", true},
		{"infinitemap:w:read:0,0,10,10", "infinitemap:w:read:9,9,2,1", false},
		{"infinitemap:w:read:0,0,10,10", "infinitemap:w:read:-1,0,2,1", false},
		{"infinitemap:*:write:0,0,10,10", "infinitemap:w:read:0,0,10,10", true},
		{"infinitemap:w:read:-9223372036854775808,-9223372036854775808,18446744073709551616,18446744073709551616", "infinitemap:w:read", true},
		{"infinitemap:w:read:-9223372036854775808,-9223372036854775808,18446744073709551616,18446744073709551615", "infinitemap:w:read", false},
		{"infinitemap:w:read:9223372036854775807,0,1,1", "infinitemap:w:read:9223372036854775807,0,1,1", true},
		{"infinitemap:w:read:9223372036854775806,0,1,1", "infinitemap:w:read:9223372036854775807,0,1,1", false},
		{"infinitemap:w:read:-9223372036854775808,0,18446744073709551615,1", "infinitemap:w:read:9223372036854775807,0,1,1", false},
	} {
		t.Run(tc.have+" for "+tc.want, func(t *testing.T) {
			have, err := ParseCapability(tc.have)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ParseCapability(tc.want)
			if err != nil {
				t.Fatal(err)
			}
			if have.Covers(want) != tc.covers {
				t.Errorf("covers is %v", !tc.covers)
			}
		})
	}
	// What was never checked covers nothing.
	bad := Capability{Kind: CapInfiniteMap, Name: "w", Mode: ModeRead, Area: "everything"}
	if bad.Covers(bad) || bad.Covers(Capability{Kind: CapInfiniteMap, Name: "w", Mode: ModeRead}) {
		t.Error("an area that does not parse covers something")
	}
}

func TestArea(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Area // zero: refused
	}{
		{"0,0,1,1", Area{0, 0, 0, 0}},
		{"-5,7,10,2", Area{-5, 7, 4, 8}},
		{"9223372036854775807,-9223372036854775808,1,1", Area{math.MaxInt64, math.MinInt64, math.MaxInt64, math.MinInt64}},
		{"-9223372036854775808,0,18446744073709551616,5", Area{math.MinInt64, 0, math.MaxInt64, 4}},
		{"-9223372036854775808,0,18446744073709551615,5", Area{math.MinInt64, 0, math.MaxInt64 - 1, 4}},
		{"-1,0,9223372036854775809,1", Area{-1, 0, math.MaxInt64, 0}},
		{"0,0,9223372036854775808,1", Area{0, 0, math.MaxInt64, 0}},
		{"0,0,9223372036854775809,1", Area{}},
		{"1,0,9223372036854775808,1", Area{}},
		{"0,0,18446744073709551616,1", Area{}},
		{"0,0,18446744073709551617,1", Area{}},
		{"9223372036854775808,0,1,1", Area{}},
		{"0,0,0,1", Area{}},
		{"0,0,1,-1", Area{}},
		{"0,0,1", Area{}},
		{"0,0,1,1,1", Area{}},
		{"00,0,1,1", Area{}},
		{"-0,0,1,1", Area{}},
		{"+1,0,1,1", Area{}},
		{"0,0,01,1", Area{}},
		{"0, 0,1,1", Area{}},
		{"0x1,0,1,1", Area{}},
		{"", Area{}},
		{",,,", Area{}},
	} {
		t.Run(tc.text, func(t *testing.T) {
			got, err := ParseArea(tc.text)
			if tc.want == (Area{}) && tc.text != "0,0,1,1" {
				if err == nil {
					t.Fatalf("accepted as %+v", got)
				}
				return
			}
			if err != nil || got != tc.want || got.String() != tc.text {
				t.Errorf("got %+v %s, %v", got, got, err)
			}
		})
	}
	if WholePlane.String() != "-9223372036854775808,-9223372036854775808,18446744073709551616,18446744073709551616" {
		t.Error(WholePlane.String())
	}
}

func TestNewArea(t *testing.T) {
	for _, tc := range []struct {
		name string
		x, y int64
		w, h uint64
		ok   bool
	}{
		{"one", 0, 0, 1, 1, true},
		{"empty", 0, 0, 0, 1, false},
		{"last column", math.MaxInt64, 0, 1, 1, true},
		{"one beyond", math.MaxInt64, 0, 2, 1, false},
		{"all but one column", math.MinInt64, 0, math.MaxUint64, 1, true},
		{"from the next one", math.MinInt64 + 1, 0, math.MaxUint64, 1, true},
		{"and the next", math.MinInt64 + 2, 0, math.MaxUint64, 1, false},
		{"rows", 0, math.MaxInt64 - 1, 1, 3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, ok := NewArea(tc.x, tc.y, tc.w, tc.h)
			if ok != tc.ok || ok && (uint64(a.MaxX)-uint64(a.MinX) != tc.w-1 || uint64(a.MaxY)-uint64(a.MinY) != tc.h-1) {
				t.Errorf("got %+v, %v", a, ok)
			}
		})
	}
}

const pixelManifest = `name = "atlas"
version = "1.0.0"
created_at = 2026-01-31T12:00:00Z
notes = "first"
genesis = "1.0"
licence = "MIT"
abi = "1.1"
creator = { kind = "human", name = "Ada" }

[programs.atlas]
module = "atlas.wasm"
kind = "sdk"

[[capabilities]]
kind = "pixelfs"
path = "/notes"
mode = "write"
reason = "keeps notes"

[[capabilities]]
kind = "infinitemap"
name = "world"
area = "-100,-100,200,200"
reason = "looks"
`

func TestManifestAsksForPixels(t *testing.T) {
	m, err := ParseManifest([]byte(pixelManifest))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Capabilities[0].String() + " " + m.Capabilities[1].String(); got != "pixelfs:/notes:write infinitemap:world:read:-100,-100,200,200" {
		t.Error(got)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"relative path", `"/notes"`, `"notes"`, "line 14: capabilities.0: path must be / or an absolute path"},
		{"no path", "path = \"/notes\"\n", "", "line 14: capabilities.0: path must be /"},
		{"no such mode", `"write"`, `"append"`, `line 14: capabilities.0: mode must be "read" or "write"`},
		{"files with a name", `mode = "write"`, `name = "x"`, `line 14: capabilities.0: has keys that do not belong to kind "pixelfs"`},
		{"files with an area", `mode = "write"`, `area = "0,0,1,1"`, `line 14: capabilities.0: has keys that do not belong to kind "pixelfs"`},
		{"map with a path", `name = "world"`, "name = \"world\"\npath = \"/x\"", `line 20: capabilities.1: has keys that do not belong to kind "infinitemap"`},
		{"map without a name", "name = \"world\"\n", "", "line 20: capabilities.1: name must be a map's name"},
		{"map by a path", `"world"`, `"../world"`, "line 20: capabilities.1: name must be a map's name"},
		{"no area", `"-100,-100,200,200"`, `"-100,-100,0,200"`, "line 20: capabilities.1: area must be"},
		{"area as numbers", `"-100,-100,200,200"`, `[-100, -100, 200, 200]`, "line 23: capabilities.1.area: must be a string"},
		{"twice", "[[capabilities]]\nkind = \"infinitemap\"", "[[capabilities]]\nkind = \"pixelfs\"\npath = \"/notes\"\nreason = \"r\"\n\n[[capabilities]]\nkind = \"infinitemap\"", "asks for pixelfs:/notes:read a second time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := strings.Replace(pixelManifest, tc.old, tc.new, 1)
			if src == pixelManifest {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseManifest([]byte(src))
			var me *ManifestError
			if !errors.As(err, &me) || len(me.Faults) != 1 {
				t.Fatalf("want one fault, got %v", err)
			}
			if got := me.Faults[0].String(); !strings.Contains(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	// Another part of the same map is another thing.
	src := pixelManifest + "\n[[capabilities]]\nkind = \"infinitemap\"\nname = \"world\"\nmode = \"write\"\narea = \"0,0,1,1\"\nreason = \"r\"\n"
	if _, err := ParseManifest([]byte(src)); err != nil {
		t.Error(err)
	}
}

// The rows keep what the host relies on.
func TestFamilies(t *testing.T) {
	for _, fam := range Families() {
		for _, row := range fam.Rows {
			if len(row.Params) > 8 || row.Module != fam.Module || row.Since != fam.Since || row.Capability != fam.Capability || row.Since > Minor {
				t.Errorf("%s.%s: %d parameters, since %d, capability %q", row.Module, row.Name, len(row.Params), row.Since, row.Capability)
			}
			if got := Lookup(row.Module, row.Name); got == nil || got.Doc != row.Doc {
				t.Errorf("%s.%s is not found", row.Module, row.Name)
			}
		}
	}
}

func FuzzParseCapability(f *testing.F) {
	for _, s := range []string{"dir:/data:read", "env:HOME", "pixelfs:/a/b:write", "infinitemap:*:read:-1,2,3,4", "infinitemap:w:write:0,0,18446744073709551616,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCapability(s)
		if err != nil {
			return
		}
		if again, err := ParseCapability(c.String()); err != nil || again != c {
			t.Errorf("%q is %+v and comes back as %+v, %v", s, c, again, err)
		}
		if !c.Covers(c) {
			t.Errorf("%s does not cover itself", c)
		}
		read := c
		if CapabilityHas(c.Kind, "mode") {
			read.Mode = ModeRead
		}
		if !c.Covers(read) {
			t.Errorf("%s does not cover reading", c)
		}
	})
}
