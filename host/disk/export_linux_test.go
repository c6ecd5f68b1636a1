package disk

import "testing"

// SlowOpen does without openat2 for the rest of a test.
func SlowOpen(t *testing.T) bool {
	before := noOpenat2.Swap(true)
	t.Cleanup(func() { noOpenat2.Store(before) })
	return true
}
