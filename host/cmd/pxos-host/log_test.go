package main

import (
	"testing"
	"time"

	"github.com/pxos/pxos/host/journal"
)

// The log shows a program's own time where it is known, and never takes loading for it.
func TestLoggedTimes(t *testing.T) {
	for _, tc := range []struct {
		name            string
		end             journal.RunEnd
		own             time.Duration
		load, execution float64 // -1: null
	}{
		{"ran", journal.RunEnd{DurationNS: 1_700_000_000, LoadNS: 1_600_000_000, ExecutionNS: 8_000_000}, 8 * time.Millisecond, 1.6, 0.008},
		{"never started", journal.RunEnd{DurationNS: 5_000_000, Result: journal.ResultError}, 5 * time.Millisecond, -1, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ownTime(&tc.end); got != tc.own {
				t.Errorf("own time %v, want %v", got, tc.own)
			}
			l := logged(journal.Run{End: &tc.end})
			value := func(p *float64) float64 {
				if p == nil {
					return -1
				}
				return *p
			}
			if value(l.Load) != tc.load || value(l.Execution) != tc.execution || value(l.Duration) != time.Duration(tc.end.DurationNS).Seconds() {
				t.Errorf("load %v, execution %v, duration %v", value(l.Load), value(l.Execution), value(l.Duration))
			}
		})
	}
}
