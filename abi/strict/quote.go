package strict

import (
	"fmt"
	"strconv"
)

// Quote writes s as a TOML basic string. What TOML cannot hold, such as bytes that are
// not UTF-8, becomes U+FFFD.
func Quote(s string) string {
	out := []byte{'"'}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case strconv.IsPrint(r):
			out = append(out, string(r)...)
		case r > 0xffff:
			out = fmt.Appendf(out, `\U%08X`, r)
		default:
			out = fmt.Appendf(out, `\u%04X`, r)
		}
	}
	return string(append(out, '"'))
}
