//go:build race

package pxi

const raceEnabled = true
