package journaltest

import (
	"testing"
	"time"

	"github.com/pxos/pxos/host/journal"
)

func TestFiles(t *testing.T) {
	for name, size := range map[string]int64{"one segment": 0, "many segments": 900} {
		t.Run(name, func(t *testing.T) {
			Run(t, func(t *testing.T, now func() time.Time) journal.Log {
				j, err := journal.Open(t.TempDir(), journal.Options{Now: now, SegmentBytes: size})
				if err != nil {
					t.Fatal(err)
				}
				return j
			})
		})
	}
}

func TestMemory(t *testing.T) {
	Run(t, func(_ *testing.T, now func() time.Time) journal.Log { return journal.NewMemory(now) })
}
