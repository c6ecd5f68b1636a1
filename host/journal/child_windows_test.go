package journal

import (
	"os"

	"golang.org/x/sys/windows"
)

const errNoRoom = windows.ERROR_DISK_FULL

// dieHard ends this process without running anything that it deferred.
func dieHard() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		p.Kill()
	}
	select {}
}
