package inflate

import "math/bits"

// A table is looked up by as many bits as it is wide. Longer codes have an
// entry that points to a table of their own behind it.
const (
	literalBits  = 11
	distanceBits = 8
	lengthBits   = 7
	maxCode      = 15

	// How long the tables can become, whatever the codes: the most that 288
	// codes of up to 15 bits take with a table 11 bits wide, and 32 with one of 8.
	literalSize  = 1<<literalBits + 1<<literalBits
	distanceSize = 1<<distanceBits + 1<<distanceBits
)

// An entry says what a code stands for:
//
//	bits 0 to 5    how many bits it takes, with those that follow the code
//	bits 8 to 11   how many of them are the code
//	bits 12 to 15  what it is
//	bits 16 to 31  the literal, the least length or distance, or where in the
//	               table the codes with this beginning are
//
// Of an entry that points into the table, bits 8 to 11 say how wide that part is.
const (
	isLiteral = 1 << 15
	isOther   = 1 << 14 // one of the two below, or a pointer
	isEnd     = 1 << 13
	isInvalid = 1 << 12
)

// codes are the tables of a block, and what they are made of.
type codes struct {
	literals  [literalSize]uint32
	distances [distanceSize]uint32
	lengths   [1 << lengthBits]uint32

	// What each symbol's entry holds besides the length of its code.
	literalEntries, distanceEntries, lengthEntries [288]uint32

	sorted [288]uint16 // scratch
}

// prepare makes the entries of all symbols (RFC 1951, section 3.2.5).
func (c *codes) prepare() {
	for i := range c.lengthEntries {
		c.lengthEntries[i] = uint32(i) << 16
		c.literalEntries[i], c.distanceEntries[i] = isOther|isInvalid, isOther|isInvalid
		if i < 256 {
			c.literalEntries[i] = isLiteral | uint32(i)<<16
		}
	}
	c.literalEntries[256] = isOther | isEnd
	length := uint32(3)
	for i := range 28 {
		extra := max(0, i/4-1)
		c.literalEntries[257+i] = length<<16 | uint32(extra)
		length += 1 << extra
	}
	c.literalEntries[285] = 258 << 16
	distance := uint32(1)
	for i := range maxDistances {
		extra := max(0, i/2-1)
		c.distanceEntries[i] = distance<<16 | uint32(extra)
		distance += 1 << extra
	}
}

// fixed sets the codes that need no telling.
func (c *codes) fixed() {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	c.build(c.literals[:], literalBits, lengths[:], &c.literalEntries)
	for i := range 32 {
		lengths[i] = 5
	}
	c.build(c.distances[:], distanceBits, lengths[:32], &c.distanceEntries)
}

// build makes the table of the symbols whose codes have these lengths, 0 for
// none. It is false if there are no such codes: they must use up all that can
// be told in their lengths, but there may be none at all, or one of one bit.
func (c *codes) build(table []uint32, width int, lengths []uint8, entries *[288]uint32) bool {
	var count, next [maxCode + 2]int
	for _, n := range lengths {
		count[n&maxCode]++
	}
	count[0] = 0
	used := 0 // of 1<<maxCode
	for n := 1; n <= maxCode; n++ {
		used += count[n] << (maxCode - n)
		next[n+1] = next[n] + count[n]
	}
	total := next[maxCode+1]
	lone := total == 1 && count[1] == 1
	if used != 1<<maxCode && !lone && total != 0 {
		return false
	}
	for symbol, n := range lengths {
		if n != 0 {
			c.sorted[next[n&maxCode]] = uint16(symbol)
			next[n&maxCode]++
		}
	}

	// Codes come in the order of their lengths, each one more than the last as
	// a number that is read from its highest bit. Here that bit is the lowest.
	// The table is as wide as the codes so far, and doubles with each length.
	table[0] = isOther | isInvalid | 0x101
	sorted := c.sorted[:total]
	code, n := 0, 1
	for ; n <= width; n++ {
		half := 1 << (n - 1)
		copy(table[half:2*half], table[:half])
		for _, symbol := range sorted[:count[n]] {
			table[code] = entries[symbol] + uint32(n)*0x101
			code = after(code, n)
		}
		sorted = sorted[count[n]:]
	}
	if len(sorted) > 0 {
		build2(table, width, code, sorted, count[:], entries)
	}
	return true
}

// build2 adds the codes that are longer than the table is wide.
func build2(table []uint32, width, code int, sorted []uint16, count []int, entries *[288]uint32) {
	mask := 1<<width - 1
	end := 1 << width // of the table so far
	start, prefix, wide := 0, -1, 0
	for n := width + 1; len(sorted) > 0; n++ {
		for ; count[n] > 0; count[n]-- {
			if code&mask != prefix {
				prefix = code & mask
				start, wide = end, n-width
				// As wide as it takes for the codes with this beginning, which
				// are the next ones, to use it up.
				for used := count[n]; used < 1<<wide && width+wide < maxCode; {
					wide++
					used = used<<1 + count[width+wide]
				}
				end += 1 << wide
				table[prefix] = isOther | uint32(start)<<16 | uint32(wide)<<8 | uint32(width)
			}
			e := entries[sorted[0]] + uint32(n-width)*0x101
			for i := code >> width; i < 1<<wide; i += 1 << (n - width) {
				table[start+i] = e
			}
			sorted = sorted[1:]
			code = after(code, n)
		}
	}
}

// after returns the code of n bits that follows code: the highest bits that are
// set are cleared, and the next one is set.
func after(code, n int) int {
	rest := code ^ (1<<n - 1)
	if rest == 0 {
		return 0
	}
	bit := 1 << (bits.Len(uint(rest)) - 1)
	return code&(bit-1) | bit
}
