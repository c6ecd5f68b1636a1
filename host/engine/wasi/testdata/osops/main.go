// Command osops does what programs do with files, in the directory it is given,
// and prints what came of it. It prints the same natively and as a guest.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	dir := os.Args[1]
	at := func(name string) string { return filepath.Join(dir, name) }
	show := func(what string, err error, values ...any) {
		// The name of an error differs between systems, its kind does not.
		kind := "ok"
		for _, k := range []error{fs.ErrNotExist, fs.ErrExist, syscall.EISDIR, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EINVAL, syscall.ELOOP, syscall.EBADF, fs.ErrPermission} {
			if errors.Is(err, k) {
				kind = strings.ToLower(k.Error())
				break
			}
		}
		if err != nil && kind == "ok" {
			kind = "failed"
		}
		fmt.Println(append([]any{what + ":", kind}, values...)...)
	}

	show("write", os.WriteFile(at("f"), []byte("hello\n"), 0o600))
	b, err := os.ReadFile(at("f"))
	show("read", err, string(b))
	_, err = os.ReadFile(at("missing"))
	show("missing", err)
	f, err := os.OpenFile(at("f"), os.O_APPEND|os.O_WRONLY, 0)
	show("open to append", err)
	_, err = f.WriteString("more\n")
	show("append", err, f.Close())
	show("mkdir", os.MkdirAll(at("d/e/f"), 0o700))
	show("mkdir again", os.Mkdir(at("d"), 0o700))
	_, err = os.OpenFile(at("f"), os.O_CREATE|os.O_EXCL, 0o600)
	show("exclusive", err)
	show("write to a directory", os.WriteFile(at("d"), nil, 0o600))
	_, err = os.Stat(at("f/x"))
	show("file as a directory", err)
	show("remove what is full", os.Remove(at("d")))
	show("link", os.Link(at("f"), at("d/hard")))
	show("symlink", os.Symlink("e", at("d/soft")))
	target, err := os.Readlink(at("d/soft"))
	show("readlink", err, target)
	long := strings.Repeat("t/", 300)
	show("long symlink", os.Symlink(long, at("long")))
	target, err = os.Readlink(at("long"))
	show("long readlink", err, target == long)
	show("through a link", os.WriteFile(at("d/soft/g"), []byte("g"), 0o600))
	show("rename", os.Rename(at("d/e/g"), at("d/g")))
	show("rename over", os.Rename(at("d/g"), at("d/hard")))
	show("rename into itself", os.Rename(at("d"), at("d/e/d")))
	when := time.Unix(1_500_000_000, 123_000_000)
	show("chtimes", os.Chtimes(at("f"), when, when))
	fi, err := os.Stat(at("f"))
	show("stat", err, fi.Size(), fi.ModTime().Equal(when), fi.IsDir(), fi.Mode().Type())
	fi, err = os.Lstat(at("d/soft"))
	show("lstat", err, fi.Mode().Type())
	show("truncate", os.Truncate(at("f"), 3))
	show("grow", os.Truncate(at("f"), 6))
	b, err = os.ReadFile(at("f"))
	show("read", err, fmt.Sprintf("%q", b))

	f, err = os.Create(at("big"))
	show("create", err)
	w := bufio.NewWriter(f)
	for i := range 20_000 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	show("flush", w.Flush())
	pos, err := f.Seek(-12, io.SeekEnd)
	show("seek", err, pos)
	b, err = io.ReadAll(f)
	show("tail", err, string(b))
	n, err := f.ReadAt(make([]byte, 100), 188_880)
	show("read at the end", err, n)
	_, err = f.WriteAt([]byte("LINE"), 0)
	show("write at", err)
	_, err = f.Seek(-1, io.SeekStart)
	show("seek before the start", err)
	show("unlink", os.Remove(at("big")))
	_, err = f.Seek(0, io.SeekStart)
	show("rewind", err)
	line, err := bufio.NewReader(f).ReadString('\n')
	show("read what was unlinked", err, line)
	show("sync", f.Sync())
	show("close", f.Close())
	_, err = f.Write([]byte("x"))
	show("write after close", err)

	for i := range 300 {
		if err := os.WriteFile(at(fmt.Sprintf("d/e/%03d-%s", i, strings.Repeat("n", i%150))), nil, 0o600); err != nil {
			show("many", err)
		}
	}
	entries, err := os.ReadDir(at("d/e"))
	show("many", err, len(entries), entries[299].Name()[:4])
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if !strings.Contains(rel, "-") {
			fmt.Println(filepath.ToSlash(rel), d.Type())
		}
		return err
	})
	show("walk", err)
	show("remove all", os.RemoveAll(at("d")))
	tmp, err := os.CreateTemp(dir, "x*")
	show("temporary file", err, tmp.Close(), os.Remove(tmp.Name()))
	entries, err = os.ReadDir(dir)
	show("left", err, entries)

	in, err := io.ReadAll(os.Stdin)
	show("stdin", err, string(in))
	start := time.Now()
	time.Sleep(5 * time.Millisecond)
	fmt.Println("slept", time.Since(start) >= 5*time.Millisecond, os.Getenv("K"))
	os.Exit(7)
}
