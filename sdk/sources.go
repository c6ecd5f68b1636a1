//go:build !wasip1

package pxos

import "embed"

// Sources holds the Go files of this SDK and its licence, so that a new cartridge can
// carry its own copy and build without a network. Tests are among them. It is not
// part of guests.
//
//go:embed LICENSE *.go internal/*/*.go pxostest/*.go pixelfs/*.go infinitemap/*.go
var Sources embed.FS
