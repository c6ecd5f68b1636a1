package realworld

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// subjectNamed makes one of the programs.
func subjectNamed(t *testing.T, name string) program {
	t.Helper()
	for _, s := range subjects {
		if s.name == name {
			p, _ := s.make(t)
			return p
		}
	}
	t.Fatalf("there is no program %s", name)
	return program{}
}

// bank is a database whose sum never changes, and a log of transactions.
const bank = `create table account(id integer primary key, balance int);
create table log(n integer primary key);
with recursive c(x) as (select 1 union all select x+1 from c where x<200) insert into account select x, 1000 from c;
`

// transactions move money in transactions numbered from first on. Each says when it is
// committed, on a line that is longer than any buffer between here and the guest.
func transactions(first, n int, random *rand.Rand) string {
	var b strings.Builder
	for k := first; k < first+n; k++ {
		fmt.Fprintf(&b, "begin; update account set balance=balance-%d where id=%d; update account set balance=balance+%[1]d where id=%[3]d; insert into log values(%[4]d); commit; select 'done %[4]d ' || hex(zeroblob(4096));\n",
			1+random.IntN(50), 1+random.IntN(200), 1+random.IntN(200), k)
	}
	return b.String()
}

// An unmodified SQLite keeps its database as pixels, and loses nothing that it said was
// committed when the host is killed at any moment.
//
// It is told to take no locks: for WASI they are directories beside the database, and one
// that was killed leaves them. Two runs that write are kept apart by /pixelfs itself.
func TestSQLiteInPixels(t *testing.T) {
	p := subjectNamed(t, "sqlite3")
	cartridge := pack(t, "sqlite3-pixels", p.module)
	run := func(isolation string) []string {
		return []string{"run", "--isolation", isolation, "--grant", "pixelfs:/:write", cartridge, "--", "-vfs", "unix-none", "-batch", "/pixelfs/bank.db"}
	}
	query := func(sql string) string {
		t.Helper()
		o := host(t, []byte(sql), run("inline")...)
		// A worker notices within moments that its host was killed, and has its files open
		// until then.
		for begin := time.Now(); o.code != 0 && bytes.Contains(o.stderr, []byte("locked")) && time.Since(begin) < time.Minute; {
			time.Sleep(20 * time.Millisecond)
			o = host(t, []byte(sql), run("inline")...)
		}
		if o.code != 0 {
			t.Fatalf("%s: exit code %d\n%s", sql, o.code, tail(o.stderr))
		}
		return strings.TrimSpace(string(o.stdout))
	}
	query(bank)

	random := rand.New(rand.NewPCG(1, 2))
	acknowledged, killed := 0, 0
	for round := range 40 {
		isolation := []string{"process", "inline"}[round%2]
		c := command(runLimit, []string{"PXOS_HOME=" + workshop.home, "XDG_CONFIG_HOME=" + workshop.dir, "HOME=" + workshop.dir}, workshop.host, run(isolation)...)
		c.Dir = workshop.dir
		c.Stdin = strings.NewReader(transactions(acknowledged+1, 400, random))
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed after some transactions, and then at any point of the next.
		after, wait := acknowledged+1+random.IntN(20), time.Duration(random.IntN(30000))*time.Microsecond
		stop := time.AfterFunc(runLimit, func() { c.Process.Kill() })
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
			word, rest, _ := strings.Cut(line, " ")
			k, err := strconv.Atoi(strings.Fields(rest + " ")[0])
			if word != "done" || err != nil {
				t.Fatalf("round %d: SQLite says %.100q", round, line)
			}
			acknowledged = k
			if k == after {
				time.AfterFunc(wait, func() { c.Process.Kill() })
			}
		}
		if err := c.Wait(); err != nil && !c.ProcessState.Exited() {
			killed++
		} else {
			t.Fatalf("round %d ended before it was killed: %v\n%s", round, err, tail(stderr.Bytes()))
		}
		stop.Stop()

		got := strings.Split(query("pragma integrity_check; select sum(balance) from account; select count(*), max(n) from log;"), "\n")
		if len(got) != 3 || got[0] != "ok" || got[1] != "200000" {
			t.Fatalf("round %d: after the kill %q", round, got)
		}
		count, last, _ := strings.Cut(got[2], "|")
		n, err := strconv.Atoi(count)
		if err != nil || count != last {
			t.Fatalf("round %d: the log has %s", round, got[2])
		}
		// The one under way may have been committed without having been able to say so.
		if n < acknowledged || n > acknowledged+1 {
			t.Fatalf("round %d: %d transactions were acknowledged, %d are there", round, acknowledged, n)
		}
		acknowledged = n
	}
	t.Logf("%d kills, %d transactions, none lost", killed, acknowledged)

	// The database is one picture, and its journal has left nothing behind: a kill may
	// have left an empty one, which the next transaction takes.
	query("insert into log values(1000000);")
	var files []string
	err := filepath.WalkDir(filepath.Join(workshop.home, "pixelfs"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "edits" || d.Name() == "versions" || d.Name() == "leases" || d.Name() == "removed" || d.Name() == "tmp") {
			return filepath.SkipDir
		}
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), "bank.db") {
			files = append(files, d.Name())
		}
		return err
	})
	if err != nil || len(files) != 1 || files[0] != "bank.db.pxi" {
		t.Errorf("pixel files %q, %v", files, err)
	}
	o := host(t, nil, "run", "--grant", "pixelfs:/:read", cartridge, "--", "-vfs", "unix-none", "-batch", "-readonly", "/pixelfs/bank.db", "select count(*) from account")
	if o.code != 0 || strings.TrimSpace(string(o.stdout)) != "200" {
		t.Errorf("granted for reading only: exit code %d, %q\n%s", o.code, o.stdout, tail(o.stderr))
	}
}
