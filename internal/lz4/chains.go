package lz4

const (
	chainBits = 15
	chainSize = 1 << 16 // positions that a distance reaches, as a power of two
)

// chains find earlier positions that go on as one does. They link positions that
// share four bytes. Such chains are long and full of what ends soon, but only
// until something longer is found: see rarest.
type chains struct {
	head [1 << chainBits]uint32 // the newest position plus one, by hash
	back [chainSize]uint16      // from a position to the one before; 0 ends
	next int                    // the first position that is not in yet
}

func (c *chains) reset() {
	clear(c.head[:])
	c.next = 0
}

func hash4(v uint32) uint32 { return v * 2654435761 >> (32 - chainBits) }

// insert puts all positions up to i in and returns the newest of i's chain
// before it, or -1.
func (c *chains) insert(src []byte, i int) (newest int) {
	newest = -1
	for ; c.next <= i; c.next++ {
		h := hash4(load32(src, c.next))
		newest = int(c.head[h]) - 1
		c.head[h] = uint32(c.next + 1)
		distance := c.next - newest
		if newest < 0 || distance > maxDistance {
			newest, distance = -1, 0
		}
		c.back[c.next&(chainSize-1)] = uint16(distance)
	}
	return newest
}

// longest returns the longest match at i that ends at limit at the latest, of
// the depth newest candidates; best if none is longer than that.
func (c *chains) longest(src []byte, i, limit, depth int, best step) step {
	candidate := c.insert(src, i)
	length := max(best.length, minMatch-1)
	if i+length >= limit {
		return best
	}
	// A longer match has these four bytes, of which the last is its new one.
	want := load32(src, i+length-3)
	shift := 0 // it is the chain of candidate+shift that is followed
	for ; depth > 0 && candidate >= 0 && i-candidate <= maxDistance; depth-- {
		if load32(src, candidate+length-3) == want {
			if n := common(src, candidate, i); n > length {
				length = n
				best = step{n, i - candidate}
				if i+n >= limit || n >= longMatch {
					return best
				}
				want = load32(src, i+length-3)
				shift = c.rarest(candidate, min(n-minMatch, i-candidate))
			}
		}
		back := int(c.back[(candidate+shift)&(chainSize-1)])
		if back == 0 {
			return best
		}
		candidate -= back
	}
	return best
}

// rarest returns which of the positions from candidate on, up to the given number
// behind it, has the longest way to the one before it in its chain. What goes on
// like all of them is in the chain of each.
func (c *chains) rarest(candidate, most int) (shift int) {
	farthest := c.back[candidate&(chainSize-1)]
	for k := 1; k <= most; k++ {
		back := c.back[(candidate+k)&(chainSize-1)]
		if back == 0 {
			return k
		}
		if back > farthest {
			farthest, shift = back, k
		}
	}
	return shift
}
