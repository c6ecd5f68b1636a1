// Package realworld runs programs that were written for other purposes, by people
// who never heard of pxOS, as cartridges. Each is built from its published source, or
// taken as its authors published it, packed with "pxos-host pack", run with
// "pxos-host run", and compared with the same program built for this machine: standard
// output, exit code and, where it says something, standard error.
//
// Nothing of others is kept here but a name, a version and a checksum. Programs of
// the Go distribution are always built. The rest is downloaded and built only when
// the variable PXOS_TEST_REALWORLD is 1; README.md says where it goes and what it
// needs.
package realworld
