package pixelfs

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The limits of names. An encoded part is longer than its name where
// characters are escaped; with the suffix it still fits into the 255 bytes
// that file systems allow.
const (
	MaxPart        = 200  // bytes in one part of a name
	MaxEncodedPart = 240  // bytes of one part in its encoded form, without the suffix
	MaxName        = 1024 // bytes in a whole name
	MaxDepth       = 32   // parts in a name
)

// Suffix ends the names of files on disk, and only of files.
const Suffix = ".pxi"

// meta is the directory that holds what is the store's own. No encoded part
// begins with a dot, so no name can reach it.
const meta = ".pxos"

// NameError says why a name cannot be used. It is invalid input: no store
// takes the name.
type NameError struct {
	Name   string
	Reason string
}

func (e *NameError) Error() string {
	name := e.Name
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return fmt.Sprintf("invalid name %q: %s", name, e.Reason)
}

// CheckName reports whether name can be the name of a file or directory. It
// returns nil or a *[NameError]. "." names the root.
func CheckName(name string) error {
	_, err := encode(name)
	return err
}

// Encode gives the slash-separated place of the directory called name, below
// the directory of the store; that of a file has [Suffix] behind it. The error
// is a *[NameError].
func Encode(name string) (string, error) { return encode(name) }

// Decode is the inverse of [Encode]. It refuses whatever Encode does not
// produce, so that one place never has two names.
func Decode(place string) (string, error) {
	if place == "." {
		return ".", nil
	}
	if len(place) > MaxDepth*(MaxEncodedPart+1) {
		return "", &NameError{place, "it is too long"}
	}
	parts := strings.Split(place, "/")
	for i, p := range parts {
		d, err := decodePart(p)
		if err != nil {
			return "", err
		}
		parts[i] = d
	}
	name := strings.Join(parts, "/")
	if err := CheckName(name); err != nil {
		return "", err
	}
	return name, nil
}

func encode(name string) (string, error) {
	if name == "." {
		return ".", nil
	}
	if len(name) > MaxName {
		return "", &NameError{name, fmt.Sprintf("it has more than %d bytes", MaxName)}
	}
	if name == "" {
		return "", &NameError{name, "it is empty"}
	}
	if strings.Count(name, "/") >= MaxDepth {
		return "", &NameError{name, fmt.Sprintf("it has more than %d parts", MaxDepth)}
	}
	plain := true
	for rest, more := name, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if reason := checkPart(part); reason != "" {
			return "", &NameError{name, reason}
		}
		plain = plain && isPlain(part)
	}
	if plain {
		return name, nil
	}
	parts := strings.Split(name, "/")
	for i, p := range parts {
		e := encodePart(p)
		if len(e) > MaxEncodedPart {
			return "", &NameError{name, fmt.Sprintf("a part of it has more than %d bytes once its special characters are escaped", MaxEncodedPart)}
		}
		parts[i] = e
	}
	return strings.Join(parts, "/"), nil
}

// checkPart gives the reason why part cannot be used, or "".
func checkPart(part string) string {
	switch {
	case part == "":
		return "a part of it is empty; names are relative and have single slashes"
	case part == "." || part == "..":
		return "it has a part \".\" or \"..\""
	case len(part) > MaxPart:
		return fmt.Sprintf("a part of it has more than %d bytes", MaxPart)
	case !utf8.ValidString(part):
		return "it is not UTF-8"
	}
	ascii := true
	for _, r := range part {
		if unicode.IsControl(r) {
			return "it has a control character"
		}
		ascii = ascii && r < utf8.RuneSelf
	}
	if !ascii && !norm.NFC.IsNormalString(part) {
		return "it is not in Unicode normalization form C"
	}
	return ""
}

// isPlain reports quickly that a part needs no escape; false may be wrong.
func isPlain(part string) bool {
	for i := 0; i < len(part); i++ {
		c := part[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return !isDevice(part)
}

const upperHex = "0123456789ABCDEF"

func encodePart(part string) string {
	var b strings.Builder
	escape := func(c byte) {
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	device := isDevice(part)
	suffix := -1
	if n := len(part) - len(Suffix); n >= 0 && strings.EqualFold(part[n:], Suffix) {
		suffix = n
	}
	for i := 0; i < len(part); i++ {
		c := part[i]
		last := i == len(part)-1
		switch {
		case strings.IndexByte(`%\:*?"<>|`, c) >= 0,
			i == 0 && (c == '.' || device),
			last && (c == '.' || c == ' '),
			i == suffix,
			// NTFS answers to short names such as LONGNA~1.PXI.
			c == '~' && !last && '0' <= part[i+1] && part[i+1] <= '9':
			escape(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func decodePart(enc string) (string, error) {
	b := make([]byte, 0, len(enc))
	for i := 0; i < len(enc); i++ {
		if enc[i] != '%' {
			b = append(b, enc[i])
			continue
		}
		if len(enc)-i < 3 {
			return "", &NameError{enc, "it ends within an escape"}
		}
		hi, lo := strings.IndexByte(upperHex, enc[i+1]), strings.IndexByte(upperHex, enc[i+2])
		if hi < 0 || lo < 0 {
			return "", &NameError{enc, "a % is not followed by two hex digits in upper case"}
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	part := string(b)
	if reason := checkPart(part); reason != "" {
		return "", &NameError{enc, reason}
	}
	if strings.Contains(part, "/") || encodePart(part) != enc || len(enc) > MaxEncodedPart {
		return "", &NameError{enc, "it is not the canonical form of a name"}
	}
	return part, nil
}

// isDevice reports whether Windows takes part, whatever follows its first
// dot, for a device.
func isDevice(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.TrimRight(base, " ")
	switch len(base) {
	case 3:
		switch strings.ToUpper(base) {
		case "CON", "PRN", "AUX", "NUL":
			return true
		}
	case 4, 5: // the superscript digits are two bytes long
		head, digit := strings.ToUpper(base[:3]), base[3:]
		if head != "COM" && head != "LPT" {
			return false
		}
		switch digit {
		case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
			return true
		}
	case 6, 7:
		u := strings.ToUpper(base)
		return u == "CONIN$" || u == "CONOUT$"
	}
	return false
}

// filePlace is the place on disk of the file called name.
func filePlace(name string) (string, error) {
	enc, err := encode(name)
	if err != nil {
		return "", err
	}
	if name == "." {
		return "", &NameError{name, "it names the root, not a file"}
	}
	return enc + Suffix, nil
}

// decodeEntry gives the name of a directory entry and whether it belongs to a
// file by its suffix; ok is false for what the store did not name.
func decodeEntry(entry string) (name string, file, ok bool) {
	enc, file := strings.CutSuffix(entry, Suffix)
	name, err := decodePart(enc)
	return name, file, err == nil
}

// parent is the directory that holds name; "." for the root and its entries.
func parent(name string) string { return path.Dir(name) }

// within reports whether name is dir or below it.
func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir) && len(name) > len(dir) && name[len(dir)] == '/'
}

// join appends a part to a directory's name.
func join(dir, part string) string {
	if dir == "." {
		return part
	}
	return dir + "/" + part
}
