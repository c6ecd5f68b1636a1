package pxa

import "fmt"

// Info describes a cartridge file as [Open] saw it: nothing in it has been
// compared with a checksum, except the entry table.
type Info struct {
	Format       string   // of the archive, such as "1.0"
	Width        int64    // pixels
	Height       int64    // pixels, cover and archive together
	CoverRows    int64    // rows of the cover
	ArchiveBytes int64    // that the digest covers
	FileBytes    int64    // of the PNG file
	Encoding     string   // "native" for the writer's own layout, otherwise what differs: "re-encoded", with "interlaced" or "rgba"
	ExtraChunks  []string // types of PNG chunks that carry nothing of the cartridge, such as tEXt
	Manifest     bool     // whether there is one; a cartridge without cannot run
	Newer        bool     // Format has a newer minor version than this package: there may be more than it sees, which should be said (PXA.md, section 10)
	Entries      []Entry
}

// Inspect reports how the cartridge is stored and what it holds.
func (r *Reader) Inspect() (Info, error) {
	i := Info{
		Format:       fmt.Sprintf("%d.%d", VersionMajor, r.header.minor),
		Width:        r.ihdr.width,
		Height:       r.ihdr.height,
		CoverRows:    r.geo.coverRows,
		ArchiveBytes: r.header.archiveLen,
		FileBytes:    r.size,
		Encoding:     "native",
		Newer:        r.header.minor > VersionMinor,
		Entries:      r.Entries(),
	}
	_, i.Manifest = r.Lookup(ManifestName)
	if r.own.Load() != nil {
		return i, nil
	}
	g, err := r.general()
	if err != nil {
		return Info{}, err
	}
	i.Encoding = "re-encoded"
	if r.ihdr.interlaced {
		i.Encoding += ", interlaced"
	}
	if r.ihdr.channels == 4 {
		i.Encoding += ", rgba"
	}
	i.ExtraChunks = append(i.ExtraChunks, g.extra...)
	return i, nil
}
