package pxa

import "testing"

// TestInspectNewer checks that a cartridge of a newer minor version is told
// from one that this package knows all of.
func TestInspectNewer(t *testing.T) {
	for _, c := range []struct {
		name   string
		minor  byte
		format string
		newer  bool
	}{
		{"same", VersionMinor, "1.0", false},
		{"next", VersionMinor + 1, "1.1", true},
		{"last", 255, "1.255", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			archive := craftArchive(lies{header: func(h []byte) { h[9] = c.minor }}, baseParts()...)
			b := picture(archive, manifest)
			r, err := Open(plain(b), int64(len(b)), nil)
			if err != nil {
				t.Fatal(err)
			}
			i, err := r.Inspect()
			if err != nil || i.Format != c.format || i.Newer != c.newer || len(i.Entries) != 2 {
				t.Errorf("format %s, newer %v, %d entries, %v", i.Format, i.Newer, len(i.Entries), err)
			}
		})
	}
}
