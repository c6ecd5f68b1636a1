//go:build unix

package hostile

import "syscall"

// alive reports whether a process exists and is more than a zombie that its parent
// has not looked at yet.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
