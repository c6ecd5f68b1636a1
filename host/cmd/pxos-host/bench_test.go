package main

import (
	"os/exec"
	"testing"
)

// The command tree is made at each start, so a run pays for it.
func BenchmarkRoot(b *testing.B) {
	for _, bc := range []struct {
		name string
		args []string
	}{{"run", []string{"run"}}, {"all", nil}} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				newApp().root(bc.args)
			}
		})
	}
}

// BenchmarkVersion is a whole process that does nothing but start.
func BenchmarkVersion(b *testing.B) {
	for b.Loop() {
		if err := exec.Command(hostBinary(), "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
