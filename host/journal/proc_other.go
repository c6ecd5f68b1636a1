//go:build unix && !linux && !darwin

package journal

// procStart cannot tell start times here: any process with the id counts.
func procStart(pid int) (int64, bool) { return 0, signalable(pid) }

func bootID() string   { return "" }
func pidSpace() string { return "" }
