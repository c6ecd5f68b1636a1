// Package pxi reads and writes .pxi files: bytes kept as the RGB values of a
// picture, in the PXIF container. PXI.md in this directory is the format; ids
// such as PXI-H4 in errors and comments point into it.
//
// A [Writer] streams data of any length into a fresh file with bounded memory.
// A [Reader] gives them back and never hands out a byte it did not check:
// whole reads are compared with the SHA-256 in the header, partial reads with
// the CRC-32C of each block they touch, which stands in the trailer behind the
// pixels. Files without a trailer, as earlier programs wrote them, are hashed
// once, before the first partial read. [Open] also takes plain PNG pictures,
// whose RGB bytes are the data.
//
// The package keeps no global state, prints nothing, and is safe to use on
// hostile files: no memory is taken for a count before the count was compared
// with the length of the file and with the limits in PXI.md.
package pxi
