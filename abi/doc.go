// Package abi is the contract between a pxOS host and a cartridge: the
// [Hypervisor] interface with its results, the table of host functions
// ([Functions]) with their parameters and capabilities, the error codes, and
// the manifest schema. It imports no other package of this module, so that a
// host, a guest SDK, a generator and a conformance suite can all stand on it.
//
// # Versions
//
// The contract has a version, [Major].[Minor]. Within one major version the
// contract only grows: functions, error codes, optional manifest keys and
// result fields are added, none is removed and none changes its meaning. A
// function row says in Since which minor version introduced it.
//
// A cartridge states the version it was written against (manifest key "abi",
// default 1.0). It runs on a host of the same major version and of the same or
// a newer minor version; on any other host it is refused before compilation
// with both versions named. A later major version would register its families
// under other module names, so that one host can serve both.
package abi

import (
	"fmt"
	"strconv"
	"strings"
)

// Major and Minor are the version of the contract in this package.
const (
	Major = 1
	Minor = 1
)

// GenesisVersion is the version of the Genesis principles this contract knows.
const GenesisVersion = "1.0"

// Version returns the contract version as "major.minor".
func Version() string { return strconv.Itoa(Major) + "." + strconv.Itoa(Minor) }

// CheckVersion reports whether a cartridge written against the contract version
// want ("major.minor") can run on this host. The error is a *VersionError when
// it cannot, and names what to do.
func CheckVersion(want string) error {
	major, minor, err := parseVersion(want)
	if err != nil {
		return err
	}
	if major != Major || minor > Minor {
		return &VersionError{Want: want}
	}
	return nil
}

// VersionError says that a cartridge needs a contract this host does not speak.
type VersionError struct {
	Want string // the version the cartridge asks for, "major.minor"
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("cartridge needs abi %s, this host speaks %s", e.Want, Version())
}

// parseVersion parses "major.minor", both without sign or leading zero.
func parseVersion(s string) (major, minor int, err error) {
	a, b, ok := strings.Cut(s, ".")
	if ok {
		if major, err = parseNumber(a); err == nil {
			minor, err = parseNumber(b)
		}
	}
	if !ok || err != nil {
		return 0, 0, fmt.Errorf("invalid version %q: want MAJOR.MINOR such as %q", s, Version())
	}
	return major, minor, nil
}

func parseNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && len(s) > 1 && s[0] == '0' {
		err = strconv.ErrSyntax
	}
	return int(n), err
}
