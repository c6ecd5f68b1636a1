package mapview

import (
	"container/list"
	"sync"
)

// place names a tile of the page.
type place struct {
	level  int
	vx, vy int64
}

// pngCache keeps encoded tiles up to a number of bytes and lets the one go that was not
// asked for the longest. A tile whose ETag changed replaces its predecessor.
type pngCache struct {
	mu    sync.Mutex
	limit int64
	bytes int64
	order list.List // of *cached, the newest in front
	at    map[place]*list.Element
}

type cached struct {
	place place
	etag  string
	png   []byte
}

// overhead is about what an entry costs beside its bytes.
const overhead = 256

func newPNGCache(limit int64) *pngCache {
	return &pngCache{limit: limit, at: make(map[place]*list.Element)}
}

func (c *pngCache) get(p place, etag string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.at[p]
	if el == nil || el.Value.(*cached).etag != etag {
		return nil
	}
	c.order.MoveToFront(el)
	return el.Value.(*cached).png
}

func (c *pngCache) put(p place, etag string, png []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.at[p]; el != nil {
		c.drop(el)
	}
	c.at[p] = c.order.PushFront(&cached{p, etag, png})
	c.bytes += int64(len(png)) + overhead
	for c.bytes > c.limit && c.order.Len() > 0 {
		c.drop(c.order.Back())
	}
}

func (c *pngCache) drop(el *list.Element) {
	v := c.order.Remove(el).(*cached)
	delete(c.at, v.place)
	c.bytes -= int64(len(v.png)) + overhead
}
