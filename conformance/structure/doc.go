// Package structure holds the shape of this repository as tests: the rooms at the top
// level, the import law between them, and who may touch the process (flags,
// environment, exit). It has no code of its own; the law is in structure_test.go, and
// ARCHITECTURE.md says why it is so.
package structure
