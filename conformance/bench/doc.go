// Package bench measures whole processes beside their peer: pxos-host and the wazero
// command, in turn, on the same program. Its benchmarks build both from this module,
// so that one command on any machine gives comparable figures:
//
//	go test -run '^$' -bench . -benchtime 20x ./conformance/bench
//
// Each benchmark reports medians and the median of the pairwise ratios. BENCHMARKS.md
// holds recorded figures. Nothing here decides a test.
package bench
