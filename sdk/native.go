//go:build !wasip1

package pxos

import "github.com/pxos/pxos/sdk/internal/hostapi"

func init() {
	hostapi.Run = func(s hostapi.Stdio) int { return run(s.Argv, s.In, s.Out, s.Err) }
}
