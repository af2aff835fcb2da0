package verity

import "sync"

// cache keeps blocks that were checked, the ones used last: those of two
// generations, the older of which is dropped when the younger is full.
type cache struct {
	mu         sync.Mutex
	most       int // blocks in a generation
	young, old map[uint64][]byte
}

// newCache returns a cache of at most that many blocks.
func newCache(blocks int) cache { return cache{most: blocks / 2} }

// get returns block i, or nil if it is not there.
func (c *cache) get(i uint64) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, found := c.young[i]
	if !found {
		if b, found = c.old[i]; found {
			c.insert(i, b)
		}
	}
	return b
}

// put keeps b, which nobody may write to from now on.
func (c *cache) put(i uint64, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.insert(i, b)
}

func (c *cache) insert(i uint64, b []byte) {
	if c.young == nil || len(c.young) >= c.most {
		c.old, c.young = c.young, make(map[uint64][]byte, c.most)
	}
	c.young[i] = b
}
