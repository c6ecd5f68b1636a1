// Command tool is the guest of the script tests: a plain WASI program that does what
// its first argument says.
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"args"}
	}
	switch args[0] {
	case "args": // its arguments, one a line
		for _, a := range os.Args {
			fmt.Println(a)
		}
	case "cat": // files, or standard input
		in := []io.Reader{os.Stdin}
		if len(args) > 1 {
			in = nil
		}
		for _, name := range args[1:] {
			f, err := os.Open(name)
			check(err)
			in = append(in, f)
		}
		for _, r := range in {
			_, err := io.Copy(os.Stdout, r)
			check(err)
		}
	case "write": // a file
		check(os.WriteFile(args[1], []byte(args[2]), 0o644))
	case "env": // every variable
		env := os.Environ()
		sort.Strings(env)
		for _, e := range env {
			fmt.Println(e)
		}
	case "exit":
		code, err := strconv.Atoi(args[1])
		check(err)
		fmt.Fprintln(os.Stderr, "going with", code)
		os.Exit(code)
	case "loop":
		fmt.Println("looping")
		for {
		}
	case "escape":
		fmt.Println("\x1b]0;title\x07\x1b[2Jtext")
	case "panic":
		panic("as asked")
	default:
		check(fmt.Errorf("tool: what is %q?", args[0]))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}
