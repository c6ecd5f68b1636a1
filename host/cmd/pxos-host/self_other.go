//go:build !linux

package main

// sameProgram is empty: what lies where this program was started is started again.
const sameProgram = ""
