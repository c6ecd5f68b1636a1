package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Every run starts this program, most often twice, and whatever a package of ours does
// when it is initialised is done each time, whether it is needed or not. Tables that
// are computed, compiled expressions and files that are read wait for their first use.
func TestNothingIsDoneBeforeMain(t *testing.T) {
	// Bytes that a package may allocate. The table of CRC-32C, which wazero makes in any
	// case, is 9 KiB of the first package that uses it.
	const most = 12 << 10
	cmd := exec.Command(hostBinary(), "version")
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &trace)
	}
	packages := 0
	for lines := bufio.NewScanner(&trace); lines.Scan(); {
		// init PACKAGE @TIME ms, TIME ms clock, N bytes, N allocs
		f := strings.Fields(lines.Text())
		if len(f) != 11 || f[0] != "init" {
			continue
		}
		packages++
		bytes, err := strconv.Atoi(f[7])
		if err != nil {
			t.Fatalf("unexpected line %q", lines.Text())
		}
		if ours := f[1] == "main" || strings.HasPrefix(f[1], "github.com/pxos/pxos/"); ours && bytes > most {
			t.Errorf("initialising %s takes %d bytes in %s allocations; let it wait with sync.OnceValue", f[1], bytes, f[9])
		}
	}
	if packages == 0 {
		t.Errorf("no package was initialised:\n%s", &trace)
	}
}
