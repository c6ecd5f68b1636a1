package main

import (
	"strings"
	"testing"
)

// A terminal with colours gets a picture that fits it, one without gets told what else
// there is.
func TestMapViewOnTerminal(t *testing.T) {
	dir := newMap(t)
	for _, tc := range []struct {
		name string
		env  []string
		want string
	}{
		{"24 bits", []string{"TERM=xterm", "COLORTERM=truecolor", "NO_COLOR="}, "\x1b[38;2;255;136;0m"},
		{"256 colours", []string{"TERM=xterm-256color", "COLORTERM=", "NO_COLOR="}, "\x1b[38;5;208m"},
		{"colours are not wanted", []string{"TERM=xterm-256color", "COLORTERM=truecolor", "NO_COLOR=1"}, "no terminal with colours\nhint: write it with -o"},
		{"dumb", []string{"TERM=dumb", "COLORTERM=truecolor", "NO_COLOR="}, "no terminal with colours"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd, _ := hostCommand(t, "map", "view", dir, "-5", "-7", "2", "2")
			cmd.Env = append(cmd.Env, tc.env...)
			screen := onTerminal(t, cmd)
			if !strings.Contains(screen, tc.want) {
				t.Errorf("the screen shows %q, want %q", screen, tc.want)
			}
			if strings.Contains(tc.want, "\x1b") && (!strings.HasSuffix(screen, " -5 -7 2 2\n") || strings.Count(screen, "\n") != 23) {
				t.Errorf("the screen shows %d lines, %q", strings.Count(screen, "\n"), screen)
			}
		})
	}
}
