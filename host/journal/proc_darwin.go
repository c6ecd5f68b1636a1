package journal

import "golang.org/x/sys/unix"

const zombie = 5 // SZOMB of <sys/proc.h>

// procStart reads the start time of a process in microseconds since 1970.
func procStart(pid int) (micros int64, ok bool) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || p.Proc.P_pid != int32(pid) || p.Proc.P_stat == zombie {
		return 0, false
	}
	return p.Proc.P_starttime.Sec*1e6 + int64(p.Proc.P_starttime.Usec), true
}

func bootID() string {
	s, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return s
}

func pidSpace() string { return "" }
