// Package pixelfs keeps files as pixels: a [Store] is a directory in which each
// file is one .pxi picture (package pxi), with earlier versions, a trash, quotas
// and mutable handles beside it. PIXELFS.md in this directory is the format and
// the commit protocol.
//
// A write ([Store.Put], [Store.PutMany], [Store.Append]) that returned without an
// error is on the disk, and a crash at any moment leaves the old content of a name
// or the new, whole. A [File] is one version of one name, whatever happens to the
// name meanwhile. An [Edit] is a handle as programs expect it, with writes in
// place; what its Sync returned for is on the disk too.
//
// Nothing that was stored is lost silently: what is replaced stays as a version,
// what is removed goes to the trash with its versions, and only [Store.Prune] and
// [Store.Empty] remove them, leaving a record. The one exception is what the
// owner of the store declared to be scratch, see [Options].
//
// Any number of processes may use one directory. Within one process use one Store
// for it: handles share their state through the Store.
package pixelfs
