// Package storage is what a guest has of pixel storage: the host functions of the
// families pixelfs and infinitemap, and the directory /pixelfs of programs that know
// nothing of either. It stands between a run and packages pixelfs and infinitemap, holds
// the run's handles, and lets through what was granted to it. STORAGE.md in this
// directory has the rules beyond those of abi/ABI.md.
//
// A [Config] is plain data, so that it travels to a worker process; its [Session] is one
// run's. Nothing is opened and no directory is made before the guest asks for something.
package storage
