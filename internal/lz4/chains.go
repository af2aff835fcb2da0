package lz4

const (
	chainBits = 15
	chainSize = 1 << 16 // positions that a distance reaches, as a power of two
	shortBits = 14
)

// chains find earlier positions that go on as one does. Chains link positions
// that share six bytes: four would make them long and full of what ends soon.
// For shorter matches the newest position with the same four bytes will do,
// since every distance costs the same.
type chains struct {
	head  [1 << chainBits]uint32 // the newest position plus one, by hash
	back  [chainSize]uint16      // from a position to the one before; 0 ends
	short [1 << shortBits]uint32 // as head, of four bytes
	next  int                    // the first position that is not in yet
}

func (c *chains) reset() {
	clear(c.head[:])
	clear(c.short[:])
	c.next = 0
}

func hash4(v uint64) uint64 { return uint64(uint32(v)*2654435761) >> (32 - shortBits) }

func hash6(v uint64) uint64 { return (v << 16) * 227718039650203 >> (64 - chainBits) }

// insert puts all positions up to i in and returns the newest of i's chain
// before it and the newest that shares its first four bytes, or -1.
func (c *chains) insert(src []byte, i int) (long, short int) {
	long, short = -1, -1
	for ; c.next <= i; c.next++ {
		v := load64(src, c.next)
		h, s := hash6(v), hash4(v)
		long, short = int(c.head[h])-1, int(c.short[s])-1
		c.head[h], c.short[s] = uint32(c.next+1), uint32(c.next+1)
		distance := c.next - long
		if long < 0 || distance > maxDistance {
			long, distance = -1, 0
		}
		c.back[c.next&(chainSize-1)] = uint16(distance)
	}
	return long, short
}

// longest returns the longest match at i that ends at limit at the latest, of
// the depth newest candidates; best if none is longer than that.
func (c *chains) longest(src []byte, i, limit, depth int, best step) step {
	candidate, short := c.insert(src, i)
	length := max(int(best.length), minMatch-1)
	if i+length >= limit {
		return best
	}
	// A longer match has these four bytes, of which the last is its new one.
	want := load32(src, i+length-3)
	if short >= 0 && i-short <= maxDistance && load32(src, short+length-3) == want {
		if n := common(src, short, i); n > length {
			length = n
			best = step{uint32(n), uint32(i - short)}
			if i+n >= limit || n >= longMatch {
				return best
			}
			want = load32(src, i+length-3)
		}
	}
	if candidate < 0 {
		return best
	}
	for ; depth > 0; depth-- {
		if load32(src, candidate+length-3) == want {
			if n := common(src, candidate, i); n > length {
				length = n
				best = step{uint32(n), uint32(i - candidate)}
				if i+n >= limit || n >= longMatch {
					return best
				}
				want = load32(src, i+length-3)
			}
		}
		back := int(c.back[candidate&(chainSize-1)])
		candidate -= back
		if back == 0 || i-candidate > maxDistance {
			return best
		}
	}
	return best
}
