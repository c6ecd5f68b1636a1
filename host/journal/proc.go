package journal

import (
	"os"
	"sync"
)

// Proc identifies one process for all time, so that a later host can tell
// whether the one that began a run is still there. A process id alone is
// reused.
type Proc struct {
	PID   int    `json:"pid"`
	Start int64  `json:"start,omitempty"` // when it started, in the platform's own unit; 0 if unknown
	Boot  string `json:"boot,omitempty"`  // of the machine; empty if unknown
	Space string `json:"space,omitempty"` // the PID namespace; empty where there are none
}

// Self identifies this process.
var Self = sync.OnceValue(func() Proc {
	pid := os.Getpid()
	start, _ := procStart(pid)
	return Proc{PID: pid, Start: start, Boot: bootID(), Space: pidSpace()}
})

// liveness is what can be said about a process.
type liveness int

const (
	gone liveness = iota
	alive
	unseen // in another PID namespace: cannot be told from here
)

// state says whether p is running now. Where the platform does not tell when a
// process started, any process with the id counts.
func (p Proc) state() liveness {
	self := Self()
	switch {
	case p == self:
		return alive
	case p.PID <= 0 || p.Boot != self.Boot && p.Boot != "" && self.Boot != "":
		return gone
	case p.Space != self.Space:
		return unseen
	}
	start, ok := procStart(p.PID)
	if !ok || start != 0 && p.Start != 0 && start != p.Start {
		return gone
	}
	return alive
}
