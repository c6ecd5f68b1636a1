// Package c holds the C header of the SDK, pxos.h, for tools that hand it out. C
// programs include the file itself.
package c

import _ "embed"

// Header is the content of pxos.h.
//
//go:embed pxos.h
var Header []byte
