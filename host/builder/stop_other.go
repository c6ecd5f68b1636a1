//go:build !unix

package builder

import (
	"os/exec"
	"time"
)

// stopTogether bounds the wait for a cancelled compiler's own children.
func stopTogether(cmd *exec.Cmd) { cmd.WaitDelay = 2 * time.Second }
