//go:build unix

package builder

import (
	"os/exec"
	"syscall"
	"time"
)

// stopTogether makes a cancelled compiler end with the processes that it started.
func stopTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
}
