package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pxos/pxos/abi"
)

// The committed files are exactly what the table yields.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	root, err := repoRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := outputs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.path, func(t *testing.T) {
			got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.path)))
			if err != nil {
				t.Fatal(err)
			}
			// A checkout on Windows may have carriage returns.
			got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
			if !bytes.Equal(got, f.data) {
				t.Errorf("%s differs from the table: run go generate ./abi", f.path)
			}
		})
	}
}

var knownKeys = regexp.MustCompile(`unknown key; known here: (.*)$`)

// The validator itself says which keys each table has; the page must list the same.
func TestManifestKeysAreDocumented(t *testing.T) {
	const unknown = "zzzzzzzzzzzzzzzzzzzzzzzz"
	src := unknown + " = 1\n[creator]\n" + unknown + " = 1\n[programs.x]\n" + unknown + " = 1\n[[capabilities]]\n" + unknown + " = 1\n[limits]\n" + unknown + " = 1\n"
	_, err := abi.ParseManifest([]byte(src))
	var me *abi.ManifestError
	if !errors.As(err, &me) {
		t.Fatal(err)
	}
	documented := map[string][]string{"limits": abi.LimitNames()}
	for _, k := range manifestKeys {
		documented[k.table] = append(documented[k.table], k.name)
	}
	tables := map[string]string{unknown: "", "creator." + unknown: "creator", "programs.x." + unknown: "programs.*", "capabilities.0." + unknown: "capabilities", "limits." + unknown: "limits"}
	seen := 0
	for _, f := range me.Faults {
		table, ok := tables[f.Key]
		if !ok {
			continue
		}
		m := knownKeys.FindStringSubmatch(f.Msg)
		if m == nil {
			t.Fatalf("fault of %s does not list the known keys: %s", f.Key, f.Msg)
		}
		seen++
		got, want := documented[table], strings.Split(m[1], ", ")
		sort.Strings(got)
		sort.Strings(want)
		if !slices.Equal(got, want) {
			t.Errorf("table %q: documented %v, the validator knows %v", table, got, want)
		}
	}
	if seen != len(tables) {
		t.Errorf("saw %d of %d tables in %v", seen, len(tables), err)
	}
}

// A key is documented as required exactly when a manifest without it is refused for
// that key.
func TestRequiredKeys(t *testing.T) {
	_, err := abi.ParseManifest([]byte("[creator]\n[programs.x]\n[[capabilities]]\n"))
	var me *abi.ManifestError
	if !errors.As(err, &me) {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, f := range me.Faults {
		if f.Msg == "is missing" {
			missing[f.Key] = true
		}
	}
	at := map[string]string{"": "", "creator": "creator.", "programs.*": "programs.x.", "capabilities": "capabilities.0."}
	for _, k := range manifestKeys {
		name := at[k.table] + k.name
		if name == "creator" || name == "programs" {
			continue // present above
		}
		if missing[name] != k.required {
			t.Errorf("%s: documented as required %v, the validator says %v", name, k.required, missing[name])
		}
	}
}

func TestEveryRowIsDocumented(t *testing.T) {
	for _, name := range abi.LimitNames() {
		if limitDocs[name] == "" {
			t.Errorf("limit %s has no meaning", name)
		}
	}
	if len(limitDocs) != len(abi.LimitNames()) {
		t.Error("limitDocs names a limit that does not exist")
	}
	for _, kind := range abi.CapabilityKinds() {
		if _, _, doc := capabilityDoc(kind); doc == "" {
			t.Errorf("capability %s has no meaning", kind)
		}
	}
	documented := map[abi.Kind]bool{}
	for _, k := range kindDocs {
		documented[k.kind] = true
	}
	for _, f := range abi.Functions() {
		for _, p := range f.Params {
			if !documented[p.Kind] {
				t.Errorf("kind %s of %s.%s has no meaning", p.Kind, f.Module, f.Name)
			}
		}
	}
}

// A family that does not exist yet, with every kind and with names that are
// reserved words, goes through the generators of Go as they are.
func TestNames(t *testing.T) {
	f := abi.Function{Module: "pixelfs", Name: "io_status_ok", Params: []abi.Param{
		{Name: "type", Kind: abi.Text}, {Name: "file_id", Kind: abi.U32}, {Name: "scale", Kind: abi.F64},
		{Name: "data", Kind: abi.Bytes}, {Name: "out_data", Kind: abi.Part}, {Name: "digest", Kind: abi.OutDigest},
	}}
	if got, want := rawName(f)+goSignature(f, "Code"),
		"pixelfsIOStatusOK(type_ string, fileId uint32, scale float64, data []byte, outData []byte) (outDataLen uint32, digest [32]byte, code Code)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := cName(f)+"("+cDecls(cParams(f, false))+")",
		"pxos_pixelfs_io_status_ok(const char *type, uint32_t type_length, uint32_t file_id, double scale, const void *data, uint32_t data_length, void *out_data, uint32_t out_data_capacity, uint32_t *out_data_length, uint8_t digest[32])"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
