package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pxos/pxos/abi"
)

// key documents one manifest key. A test compares the list with the keys that the
// validator knows.
type key struct {
	table    string // TOML table, empty for the top level; * stands for a name
	name     string
	typ      string
	required bool
	doc      string
}

var manifestKeys = []key{
	{"", "name", "string", true, "1 to 64 characters of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit"},
	{"", "version", "string", true, "semantic version without a leading `v`, such as `1.0.0`"},
	{"", "parent", "string", false, "digest of the cartridge this one was made from, 64 hex digits; empty or absent for a founding cartridge"},
	{"", "created_at", "time", true, "with its offset, such as `2026-01-31T12:00:00Z`"},
	{"", "notes", "string", true, "why this version exists, for a person"},
	{"", "genesis", "string", true, "version of the Genesis principles it declares, such as `1.0`"},
	{"", "licence", "string", true, "SPDX expression such as `MIT`, or a name"},
	{"", "abi", "string", false, "contract version it was written against; default `1.0`"},
	{"", "default", "string", false, "program that runs when none is named; otherwise the only one, then `main`, then the one named like the cartridge"},
	{"", "creator", "table", true, "who made it"},
	{"", "programs", "table", true, "at least one program"},
	{"", "capabilities", "array of tables", false, "what it asks for; nothing is granted by asking"},
	{"", "limits", "table", false, "lower limits than the host's defaults"},
	{"creator", "kind", "string", true, "`human`, `llm` or `hybrid`"},
	{"creator", "name", "string", true, "the person, the model, or both"},
	{"programs.*", "module", "string", true, "path of the WebAssembly module in the archive, such as `hello.wasm`"},
	{"programs.*", "export", "string", false, "exported function to call; default `_start`, and names beginning with `pxos:` are reserved"},
	{"programs.*", "kind", "string", true, "`wasi` for a plain command, `sdk` for a program with JSON arguments and result"},
	{"programs.*", "description", "string", false, "one line for the person who looks for a program"},
	{"capabilities", "kind", "string", true, "a capability kind, see below"},
	{"capabilities", "path", "string", false, "kind `dir`: absolute path under which the guest sees the directory, not `/` and not `/tmp`; kind `pixelfs`: `/` for all files, or an absolute path such as `/notes` for what lies at or below it"},
	{"capabilities", "mode", "string", false, "kinds `dir`, `pixelfs` and `infinitemap`: `read` (default) or `write`, which includes reading"},
	{"capabilities", "name", "string", false, "kind `env`: name of the variable; kind `infinitemap`: name of the map, or `*` for all maps"},
	{"capabilities", "area", "string", false, "kind `infinitemap`: `x,y,width,height` in whole numbers such as `-100,-100,200,200`; without it the whole plane"},
	{"capabilities", "reason", "string", true, "why it is needed, for the person who decides"},
	{"capabilities", "optional", "bool", false, "`true` when the cartridge runs without it as well; otherwise it runs only when it is granted"},
}

// limitDocs says what each limit counts; a test compares its keys with
// abi.LimitNames.
var limitDocs = map[string]string{
	"memory":  "bytes of linear memory; growth beyond it fails inside the guest",
	"fuel":    "units of work: roughly one a WebAssembly instruction",
	"time":    "wall clock of the whole run, instantiation included",
	"stack":   "bytes of estimated call frames",
	"table":   "entries of all tables together",
	"output":  "bytes written to standard output and standard error together",
	"handles": "files and directories open at once",
	"tmp":     "bytes in the private `/tmp`",
	"log":     "bytes of log lines and JSON result together",
}

var kindDocs = []struct {
	kind abi.Kind
	doc  string
}{
	{abi.U32, "a number, read as unsigned"},
	{abi.U64, "a number, read as unsigned"},
	{abi.S64, "a number, read as signed"},
	{abi.F64, "a number"},
	{abi.Bytes, "pointer, length: data that the host reads"},
	{abi.Text, "pointer, length: UTF-8 text that the host reads; anything else is `invalid`"},
	{abi.Fill, "pointer, length: memory that the host fills completely"},
	{abi.Buffer, "pointer, capacity, pointer to a u32: receives data of unknown length. The u32 receives the length of the data in any case; data longer than the capacity is not written at all and the code is `too_small`"},
	{abi.Part, "pointer, capacity, pointer to a u32: receives a part of longer data. The u32 receives the count of bytes written, fewer than the capacity only at the end"},
	{abi.OutU32, "pointer to a u32 that the host stores"},
	{abi.OutU64, "pointer to a u64 that the host stores"},
	{abi.OutDigest, "pointer to 32 bytes that the host stores"},
}

func capabilityDoc(kind string) (keys, short, doc string) {
	switch kind {
	case abi.CapDir:
		return "`path`, `mode`", "`dir:/data:read`", "a directory of the host, seen by the guest under `path`"
	case abi.CapEnv:
		return "`name`", "`env:LANG`", "one environment variable of the host"
	case abi.CapInfiniteMap:
		return "`name`, `mode`, `area`", "`infinitemap:world:write`, `infinitemap:world:read:-100,-100,200,200`", "one map of the cartridge's lineage, or every map with the name `*`; with an area only that part. Covers requests for a map, an area and a mode that lie within"
	case abi.CapPixelFS:
		return "`path`, `mode`", "`pixelfs:/notes:write`", "the files that the cartridge's lineage keeps as pixels, at `path` and below: through the family `pixelfs`, and as the directory `/pixelfs`. Covers requests for paths and modes that lie within"
	}
	return "", "", ""
}

// plainDocs serves keys whose declaration in package abi has no comment because the
// name says it in Go. The page gives every row a meaning; a key that is in neither
// place stops the generator.
var plainDocs = map[string]string{
	"RunResult.success":           "the program ended with exit code 0 and did not call `pxos.fail`",
	"LogLine.message":             "the line, control characters escaped",
	"SelfInfo.modules_loaded":     "compiled modules in memory",
	"SelfInfo.sandbox_active":     "whether runs are confined now",
	"SelfInfo.isolation":          `"auto", "process" or "inline"`,
	"SelfInfo.gpu_available":      "whether tensors can compute on a GPU",
	"SelfInfo.genesis_version":    "of the principles this host checks",
	"SelfInfo.policy":             "the policy in force",
	"GenesisReport.violations":    "one line for each check that failed",
	"GenesisReport.tests_passed":  "count",
	"GenesisReport.tests_failed":  "count",
	"GenesisReport.checks":        "every check that ran",
	"GenesisCheck.name":           "what is checked",
	"GenesisCheck.passed":         "whether it holds",
	"ErrorType.invalid_cartridge": "the cartridge cannot be read, is damaged, or has no valid manifest",
	"ErrorType.internal":          "a fault of the host",
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func typeList(list []abi.ValType) string {
	var out []string
	for _, t := range list {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

func referencePage(root string) ([]byte, error) {
	src, err := parseContract(root)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<!-- Code generated by abi/gen from package abi; DO NOT EDIT. -->

# The pxOS contract, version %s

What a host and a cartridge agree on: the host functions, their codes, the
manifest, the limits, and the results. Package `+"`abi`"+` is the source; this page,
the Go SDK and the C header are generated from it.

- [How versions meet](#how-versions-meet)
- [Calling a host function](#calling-a-host-function)
- [Codes](#codes)
`, abi.Version())
	for _, fam := range abi.Families() {
		fmt.Fprintf(&b, "- [Family `%s`](#family-%s)\n", fam.Module, fam.Module)
	}
	b.WriteString(`- [Programs](#programs)
- [Manifest](#manifest)
- [Capabilities](#capabilities)
- [Limits](#limits)
- [Results](#results)
- [Error types](#error-types)

## How versions meet

`)
	fmt.Fprintf(&b, `The contract has a version MAJOR.MINOR. Within a major version it only grows:
functions, codes, optional manifest keys and result fields are added, none is
removed, and none changes its meaning. The column *since* names the version that
brought a function.

A cartridge names the version it was written against (manifest key `+"`abi`"+`).

| cartridge asks for | host %[1]s |
| --- | --- |
| %[2]d.N with N at most %[3]d | runs it |
| %[2]d.N with a greater N | refuses it before compilation: the host is too old |
| another major version | refuses it before compilation |

A program that imports a function which the host does not have is refused as well,
with every missing import named.

`, abi.Version(), abi.Major, abi.Minor)

	b.WriteString(`## Calling a host function

A family is a WebAssembly import module and a function is an import of it. Every
function has one result, an i32 [code](#codes). Each parameter of the tables below
becomes one to three WebAssembly parameters, in this order; everything in memory
is little-endian and needs no alignment.

| kind | WebAssembly | meaning |
| --- | --- | --- |
`)
	for _, k := range kindDocs {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", k.kind, typeList(k.kind.Lower()), cell(k.doc))
	}
	b.WriteString("\nThe host checks every pointer before it does anything else. The order of the\nchecks is: capability (`denied`), pointers (`fault`), text (`invalid`), then the\nfunction's own. A call that does not return `ok` stores nothing, except the length\nthat comes with `too_small`.\n\n## Codes\n\nThe numbers never change their meaning. Treat one that you do not know as `internal`.\n\n| code | name | meaning |\n| --- | --- | --- |\n")
	for _, c := range abi.Codes() {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", int(c), c.String(), cell(c.Doc()))
	}
	for _, fam := range abi.Families() {
		fmt.Fprintf(&b, "\n## Family `%s`\n\n%s\n", fam.Module, fam.Doc)
		for _, f := range fam.Rows {
			cap := "none"
			if f.Capability != "" {
				cap = "`" + f.Capability + "`"
			}
			fmt.Fprintf(&b, "\n### `%s.%s`\n\n%s\n\n`(%s) -> i32` · capability: %s · since %d.%d\n", f.Module, f.Name, f.Doc, typeList(f.Lower()), cap, abi.Major, f.Since)
			if len(f.Params) > 0 {
				b.WriteString("\n| parameter | kind | meaning |\n| --- | --- | --- |\n")
			}
			for _, p := range f.Params {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, p.Kind, cell(p.Doc))
			}
		}
	}
	programsSection(&b)
	manifestSection(&b)
	limitsSection(&b)
	resultsSection(&b, src)
	return b.Bytes(), nil
}

func programsSection(b *bytes.Buffer) {
	b.WriteString(`
## Programs

A program is named ` + "`module:function`" + `; ` + "`module`" + ` alone means ` + "`module:main`" + `.
Running it instantiates its module and calls its export, which for a command is
` + "`_start`" + `. Several programs may share a module and an export: the module then asks
` + "`pxos.program_name`" + ` which one was meant.

- Kind ` + "`wasi`" + `: a plain WASI preview 1 command. Arguments, standard input and
  output, and the exit code work as under any runtime.
- Kind ` + "`sdk`" + `: the same, and in addition JSON arguments, a JSON result and typed
  errors through the family ` + "`pxos`" + `. A program that failed calls ` + "`pxos.fail`" + `
  and exits with code 1.
`)
}

func manifestSection(b *bytes.Buffer) {
	fmt.Fprintf(b, `
## Manifest

The file `+"`%s`"+` in the root of the archive, TOML, at most %s. Unknown keys are
errors, and all faults are reported together with their lines.

`, abi.ManifestPath, abi.FormatBytes(abi.MaxManifest))
	table := "-"
	for _, k := range manifestKeys {
		if k.table != table {
			table = k.table
			switch table {
			case "":
				b.WriteString("Top level:\n\n")
			case "capabilities":
				b.WriteString("\n`[[capabilities]]`, one table for each thing asked for:\n\n")
			case "programs.*":
				b.WriteString("\n`[programs.NAME]`, where NAME is the program's name; quote it when it contains a\ncolon: `[programs.\"hello:greet\"]`.\n\n")
			default:
				fmt.Fprintf(b, "\n`[%s]`:\n\n", table)
			}
			b.WriteString("| key | type | required | meaning |\n| --- | --- | --- | --- |\n")
		}
		req := "no"
		if k.required {
			req = "yes"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, k.typ, req, cell(k.doc))
	}
	b.WriteString("\n`[limits]`: any of the names under [Limits](#limits), as a number or as text with a\nunit such as `\"64MiB\"`, `\"500M\"` or `\"10s\"`.\n\n## Capabilities\n\nNothing is granted by default. The short form is what flags, prompts and the journal\nuse.\n\n| kind | keys | short form | what it gives |\n| --- | --- | --- | --- |\n")
	for _, kind := range abi.CapabilityKinds() {
		keys, short, doc := capabilityDoc(kind)
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", kind, keys, short, doc)
	}
}

func limitsSection(b *bytes.Buffer) {
	b.WriteString("\n## Limits\n\nThey bound one run. A manifest can only lower the default; the policy of the\nmachine's owner and flags can also raise it, up to the highest value.\n\n| limit | default | highest | what it counts |\n| --- | --- | --- | --- |\n")
	def, top := split(abi.DefaultLimits().Format()), split(abi.MaxLimits().Format())
	for _, name := range abi.LimitNames() {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, def[name], top[name], cell(limitDocs[name]))
	}
}

func split(pairs []string) map[string]string {
	out := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		out[name] = value
	}
	return out
}

func resultsSection(b *bytes.Buffer, src *contract) {
	b.WriteString("\n## Results\n\nThe JSON forms of what the four methods of a hypervisor return. Keys are added in\nlater versions, none is removed.\n")
	for _, s := range src.structs {
		fmt.Fprintf(b, "\n`%s`: %s\n\n| key | Go type | meaning |\n| --- | --- | --- |\n", s.name, s.doc)
		for _, f := range s.fields {
			fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", f.key, f.typ, cell(f.doc))
		}
	}
	b.WriteString("\n## Error types\n\nThe values of `error_type`. An error of the program's own, set by `pxos.fail`,\ncarries its identifier with the prefix `program.`.\n\n| error type | meaning |\n| --- | --- |\n")
	for _, e := range src.errors {
		fmt.Fprintf(b, "| `%s` | %s |\n", e.key, cell(e.doc))
	}
}
