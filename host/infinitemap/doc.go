// Package infinitemap keeps an unbounded, sparse plane of RGB pixels, addressed by
// signed 64-bit coordinates, in tiles that are pixel files. INFINITEMAP.md in this
// directory is the format and says what is durable when.
//
// A [Map] is one plane in one directory. It has one writer and any number of readers,
// in one process or many. Unwritten space is black and costs nothing. Changes stay in
// memory, or in a scratch file when there are many, until [Map.Flush] makes all of them
// durable in one step; [Map.Snapshot] keeps a flushed state under a name.
//
// Beside the pixels themselves a map keeps a pyramid of smaller levels, so that
// [Map.Render] draws any rectangle at any zoom in time proportional to the picture.
package infinitemap
