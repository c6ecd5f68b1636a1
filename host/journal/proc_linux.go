package journal

import (
	"bytes"
	"os"
	"strconv"
)

// procStart reads the start time of a process in clock ticks since boot; ok is
// false when there is no such process or only its exit status is left.
func procStart(pid int) (ticks int64, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		// A kernel without /proc cannot tell; a missing directory in a mounted
		// one can.
		if _, e := os.Stat("/proc/self/stat"); e == nil {
			return 0, false
		}
		return 0, signalable(pid)
	}
	// The second field is the command in parentheses and may hold anything.
	_, rest, _ := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte{' '})
	field := bytes.Fields(rest)
	if len(field) < 20 || field[0][0] == 'Z' || field[0][0] == 'X' {
		return 0, false
	}
	ticks, err = strconv.ParseInt(string(field[19]), 10, 64)
	return ticks, err == nil
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

func pidSpace() string {
	s, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return s
}
