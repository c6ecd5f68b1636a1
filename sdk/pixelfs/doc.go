// Package pixelfs gives a cartridge files that are kept as pixels and outlive its
// runs. Every version of a cartridge, and what descends from it, sees the same
// files; nobody else does. It needs the capability "pixelfs" in the manifest:
//
//	[[capabilities]]
//	kind = "pixelfs"
//	path = "/notes"
//	mode = "write"
//	reason = "keeps your notes"
//
// Reading is what package io/fs knows:
//
//	data, err := pixelfs.ReadFile("notes/today.txt")
//	err = fs.WalkDir(pixelfs.FS(), ".", visit)
//
// Writing is atomic and durable: after a crash at any point a file has its old
// content or the new one, whole. What is replaced or moved to the trash stays as a
// version that [Versions] lists and [Restore] brings back.
//
// Names are slash-separated and relative to the root, with or without one slash in
// front: notes/today.txt. Errors are *fs.PathError around a [pxos.Code], so that
// errors.Is(err, fs.ErrNotExist) and its like work, and
// errors.Is(err, pxos.CodeBusy) for what has no counterpart there.
//
// The same files lie in the directory /pixelfs for programs and packages that know
// nothing of this SDK.
package pixelfs
