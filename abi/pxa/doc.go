// Package pxa reads and writes .pxa cartridges: PNG pictures whose RGB pixels
// carry an archive of files below a cover. PXA.md in this directory is the
// format; ids such as PXA-H4 in errors and comments point into it.
//
// The identity of a cartridge is its [Digest], SHA-256 over the archive bytes
// in the pixels, so a losslessly re-encoded picture is the same cartridge.
// [Open] needs only the header and the table, and reads entries at random: for
// files written by [Pack] every archive byte sits at an offset that arithmetic
// gives. Any other lossless PNG encoding of the same pixels is decoded as a
// stream. [OpenVerified] and [Reader.Check] establish the digest; entry
// contents are compared with their own SHA-256 whenever they are read whole.
//
// The package keeps no global state, prints nothing, and is safe to use on
// hostile files: every count is checked against [Limits] and against the size
// of the file before memory is taken for it. A [Reader] may be used by many
// goroutines at once.
package pxa
