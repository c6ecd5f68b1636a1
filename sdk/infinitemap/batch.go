package infinitemap

// Batch collects single pixels, anywhere on a map, and writes them 4,096 at a time.
// Reading does not see what it still holds.
type Batch struct {
	m   *Map
	buf []byte
	err error
}

// Batch returns an empty batch.
func (m *Map) Batch() *Batch { return &Batch{m: m, buf: make([]byte, 0, batchSize*pixelBytes)} }

// Set changes one pixel. Of two changes of one pixel the later one counts. An error
// is kept for Flush, and what follows it is not written.
func (b *Batch) Set(x, y int64, c RGB) {
	n := len(b.buf)
	if n == cap(b.buf) {
		b.send()
		n = 0
	}
	b.buf = b.buf[:n+pixelBytes]
	putPixel(b.buf[n:], x, y, c)
}

func (b *Batch) send() {
	if b.err == nil && len(b.buf) > 0 {
		b.err = b.m.done("write", infinitemapSetMany(b.m.id(), b.buf))
	}
	b.buf = b.buf[:0]
}

// Flush writes what is left to the map, and returns the first error since the last
// Flush. It does not make the map durable; Map.Flush does.
func (b *Batch) Flush() error {
	b.send()
	err := b.err
	b.err = nil
	return err
}
