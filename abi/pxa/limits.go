package pxa

// Limits bound what a reader accepts and a writer produces. A zero field
// means the default, which [DefaultLimits] gives; none can be switched off.
type Limits struct {
	Entries    int   // files in an archive
	PathBytes  int   // length of one path
	EntrySize  int64 // decoded bytes of one entry
	TotalSize  int64 // decoded bytes of all entries together
	Archive    int64 // archive bytes, which bound the picture's dimensions
	TableBytes int64 // length of the entry table
	Ratio      int64 // decoded bytes per stored byte of one compressed entry, above the first 64 KiB
	Dictionary int64 // xz dictionary bytes
	Chunks     int64 // PNG chunks
	Memory     int64 // archive or pixel bytes kept in memory for a re-encoded picture
}

// DefaultLimits gives the limits of PXA.md section 8.
func DefaultLimits() Limits {
	return Limits{
		Entries:    65536,
		PathBytes:  1024,
		EntrySize:  4 << 30,
		TotalSize:  16 << 30,
		Archive:    8 << 30,
		TableBytes: 16 << 20,
		Ratio:      1000,
		Dictionary: 8 << 20,
		Chunks:     1 << 20,
		Memory:     256 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	def(&l.Entries, d.Entries)
	def(&l.PathBytes, d.PathBytes)
	def(&l.EntrySize, d.EntrySize)
	def(&l.TotalSize, d.TotalSize)
	def(&l.Archive, d.Archive)
	def(&l.TableBytes, d.TableBytes)
	def(&l.Ratio, d.Ratio)
	def(&l.Dictionary, d.Dictionary)
	def(&l.Chunks, d.Chunks)
	def(&l.Memory, d.Memory)
	return l
}

func def[T int | int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func checkLimit(what string, got, limit int64) error {
	if got > limit {
		return &LimitError{What: what, Got: got, Max: limit}
	}
	return nil
}
