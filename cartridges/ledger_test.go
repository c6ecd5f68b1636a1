package cartridges_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pxos/pxos/abi/pxi"
)

// requireSQLite skips a test where SQLite's source was not fetched. Where tests may
// use the network it is fetched, and where none may be skipped the test fails.
func requireSQLite(t *testing.T) {
	t.Helper()
	const source = "ledger/third_party/sqlite/sqlite3-binding.c"
	if _, err := os.Stat(source); err == nil {
		return
	}
	if os.Getenv("PXOS_TEST_REALWORLD") == "1" {
		if text, err := exec.Command("go", "run", "./ledger/fetch").CombinedOutput(); err != nil {
			t.Fatalf("fetch SQLite: %v\n%s", err, text)
		}
		return
	}
	if os.Getenv("PXOS_TEST_FORBID_SKIP") == "1" {
		t.Fatal("SQLite's source is missing: go run ./cartridges/ledger/fetch")
	}
	t.Skip("needs SQLite's source: go run ./cartridges/ledger/fetch")
}

// ledgerDir returns a copy of the cartridge ledger with its module compiled. The
// compilation takes a minute, so that its result is kept for the next time, under a name
// that changes with the source and the compiler, in PXOS_TEST_CACHE or the user's cache.
func ledgerDir(t *testing.T) string {
	t.Helper()
	requireClang(t)
	requireSQLite(t)
	dir := filepath.Join(t.TempDir(), "ledger")
	if err := os.CopyFS(dir, os.DirFS("ledger")); err != nil {
		t.Fatal(err)
	}
	id := sha256.New()
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	id.Write(version)
	for _, name := range []string{"main.c", "sqlite.c", "third_party/sqlite/sqlite3-binding.c"} {
		id.Write(read(t, filepath.Join(dir, name)))
	}
	module := filepath.Join(dir, "ledger.wasm")
	keep := os.Getenv("PXOS_TEST_CACHE")
	if keep == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = t.TempDir() // a user without a home keeps nothing
		}
		keep = filepath.Join(base, "pxos-test")
	}
	kept := filepath.Join(keep, "bin", fmt.Sprintf("%x-ledger.wasm", id.Sum(nil)[:8]))
	if data, err := os.ReadFile(kept); err == nil {
		if err := os.WriteFile(module, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	// As host/builder does it.
	cmd := exec.Command("clang", "--target=wasm32-wasi", "-O2", "-Wl,--strip-all", "-o", "ledger.wasm", "./main.c", "./sqlite.c")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	part := fmt.Sprintf("%s.%d", kept, os.Getpid())
	if err := os.WriteFile(part, read(t, module), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, kept); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ledger runs the cartridge with the host as it is shipped.
type ledger struct {
	host, cartridge string
	env             []string
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{host: hostBinary(t), cartridge: filepath.Join(t.TempDir(), "ledger.pxa")}
	l.env = append(os.Environ(), "PXOS_HOME="+t.TempDir(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	if text, err := l.command("build", ledgerDir(t), "-o", l.cartridge).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return l
}

func (l *ledger) command(args ...string) *exec.Cmd {
	cmd := exec.Command(l.host, args...)
	cmd.Env = l.env
	return cmd
}

func (l *ledger) start(args ...string) *exec.Cmd {
	return l.command(append([]string{"run", "--yes", l.cartridge, "--"}, args...)...)
}

// run returns what a run prints and fails the test when it fails.
func (l *ledger) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := l.start(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ledger %v: %v\n%s%s", args, err, out, stderr.Bytes())
	}
	return string(out)
}

// An unmodified SQLite whose host is killed again and again loses nothing that it
// acknowledged, and its database stays whole, in pixels.
func TestLedgerSurvivesKills(t *testing.T) {
	l := newLedger(t)
	if out := l.run(t, "init"); out != "began a ledger\n" {
		t.Fatalf("init: %q", out)
	}
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	rng := rand.New(rand.NewPCG(3, 6))
	acknowledged, offered := 0, 0
	for round := range rounds {
		cmd := l.start("add", "-")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Entries are there for the taking all the time, so that the kill comes in the
		// middle of one.
		const stock = 400
		go func() {
			for i := range stock {
				if _, err := fmt.Fprintf(stdin, "2026-02-01 bank food:bread 0.%02d round %d entry %d\n", 1+i%99, round, i); err != nil {
					return // killed
				}
			}
		}()
		lines := bufio.NewScanner(stdout)
		last := acknowledged
		for range 1 + rng.IntN(12) {
			if !lines.Scan() {
				t.Fatalf("round %d ended by itself: %v\n%s", round, cmd.Wait(), stderr.Bytes())
			}
			n, err := strconv.Atoi(lines.Text())
			if err != nil || n <= last {
				t.Fatalf("round %d: entry %q after %d", round, lines.Text(), last)
			}
			last = n
		}
		time.Sleep(time.Duration(rng.IntN(6000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had acknowledged when it died
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = n
			}
		}
		cmd.Wait()
		acknowledged, offered = last, offered+stock

		out := l.run(t, "sql", "SELECT count(*) AS entries, max(id) AS last FROM entry; PRAGMA integrity_check")
		var count, highest int
		if _, err := fmt.Sscanf(out, "entries\tlast\n%d\t%d\nintegrity_check\nok\n", &count, &highest); err != nil {
			t.Fatalf("round %d: %v in %q", round, err, out)
		}
		// Numbers are given in order and none is left out: as many entries as the
		// highest number says, and at most the one that was being kept is on top.
		if count != highest || highest < acknowledged || highest > acknowledged+1 {
			t.Fatalf("round %d: %d entries, the last is %d, and %d were acknowledged", round, count, highest, acknowledged)
		}
		acknowledged = highest
		if out := l.run(t, "check"); out != fmt.Sprintf("ok: %d entries\n", count) {
			t.Fatalf("round %d: check: %q", round, out)
		}
	}
	if acknowledged == 0 || acknowledged == offered {
		t.Fatalf("%d of %d entries were kept: no kill came in between", acknowledged, offered)
	}
	checkPixels(t, l, acknowledged)
}

// checkPixels looks at the database on the disk: it is a pixel file, and inside is what
// any SQLite reads.
func checkPixels(t *testing.T, l *ledger, entries int) {
	t.Helper()
	var home string
	for _, e := range l.env {
		if v, ok := strings.CutPrefix(e, "PXOS_HOME="); ok {
			home = v
		}
	}
	var database []byte
	err := filepath.WalkDir(filepath.Join(home, "pixelfs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".pxi" {
			return err
		}
		file := read(t, path)
		if len(file) > 0 && pxi.Sniff(file) != pxi.Container {
			t.Errorf("%s is no pixel file", path)
		}
		if d.Name() == "ledger.db.pxi" {
			data, err := pxi.Decode(file)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			database = data
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(database, []byte("SQLite format 3\x00")) {
		t.Fatalf("the database on the disk begins with %.16q", database)
	}
	if text, err := l.command("fs", "verify", "--namespace", l.cartridge, "ledger/ledger.db").CombinedOutput(); err != nil {
		t.Errorf("fs verify: %v\n%s", err, text)
	}
	sqlite, err := exec.LookPath("sqlite3")
	if err != nil {
		return // nothing is compared with: the checks above stand for themselves
	}
	exported := filepath.Join(t.TempDir(), "ledger.db")
	if text, err := l.command("fs", "get", "--namespace", l.cartridge, "ledger/ledger.db", exported).CombinedOutput(); err != nil {
		t.Fatalf("fs get: %v\n%s", err, text)
	}
	out, err := exec.Command(sqlite, exported, "PRAGMA integrity_check; SELECT count(*) FROM posting").CombinedOutput()
	if err != nil || string(out) != fmt.Sprintf("ok\n%d\n", 2*entries) {
		t.Errorf("another SQLite says: %v\n%s", err, out)
	}
}

// Two runs at once: the second one is told, and nothing is lost.
func TestLedgerTwoWriters(t *testing.T) {
	l := newLedger(t)
	l.run(t, "init")
	first := l.start("add", "-")
	stdin, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(stdin, "2026-02-01 a b 1\n")
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "1\n" {
		t.Fatalf("first entry: %q, %v", line, err)
	}
	out, err := l.start("add", "2026-02-01", "a", "c", "2").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another run is writing the ledger; try again when it is done") {
		t.Errorf("second writer: %v\n%s", err, out)
	}
	stdin.Close()
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	if out := l.run(t, "add", "2026-02-01", "a", "c", "2"); out != "2\n" {
		t.Errorf("after the first one ended: %q", out)
	}
	if out := l.run(t, "check"); out != "ok: 2 entries\n" {
		t.Error(out)
	}
}

// Without SQLite's source a build says what to do.
func TestLedgerWithoutSQLite(t *testing.T) {
	requireClang(t)
	dir := filepath.Join(t.TempDir(), "ledger")
	if err := os.CopyFS(dir, os.DirFS("ledger")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "third_party")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(hostBinary(t), "build", dir, "-o", filepath.Join(t.TempDir(), "ledger.pxa"))
	cmd.Env = append(os.Environ(), "PXOS_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Bring it with: go run ./cartridges/ledger/fetch") {
		t.Errorf("%v\n%s", err, out)
	}
}

// It gets its own files when it is granted them, and nothing else.
func TestLedgerGrants(t *testing.T) {
	l := newLedger(t)
	out, err := l.command("run", "--yes", "--json", l.cartridge, "--", "init").Output()
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Granted []struct{ Kind, Path, Mode string }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(result.Granted) != "[{pixelfs /ledger write}]" {
		t.Errorf("granted %v", result.Granted)
	}
	text, err := l.command("run", l.cartridge, "--", "balance").CombinedOutput()
	if err == nil || !strings.Contains(string(text), "pixelfs:/ledger:write") {
		t.Errorf("without a grant: %v\n%s", err, text)
	}
}
