package zstd

// RFC 8878, 3.1.1.3.2.1: lengths and offsets are coded as a symbol and bits
// behind it. The last literal length has 16 of these, as has the last match
// length; an offset's symbol is the number of its bits.

const (
	literalSymbols = 36
	matchSymbols   = 53
	offsetSymbols  = 32
)

func literalBits() *[literalSymbols]uint8 {
	return &[literalSymbols]uint8{
		16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	}
}

func matchBits() *[matchSymbols]uint8 {
	return &[matchSymbols]uint8{
		32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	}
}

// shortSymbols maps lengths to symbols, up to where powers of two begin.
type shortSymbols struct {
	literal [64]uint8  // of lengths below 64
	match   [128]uint8 // of lengths less 3, below 128
}

func newShortSymbols() *shortSymbols {
	s := new(shortSymbols)
	fill := func(symbols []uint8, bits []uint8) {
		at := 0
		for symbol, n := range bits {
			for range 1 << n {
				if at < len(symbols) {
					symbols[at] = uint8(symbol)
					at++
				}
			}
		}
	}
	fill(s.literal[:], literalBits()[:])
	fill(s.match[:], matchBits()[:])
	return s
}

func (s *shortSymbols) ofLiterals(n uint32) uint8 {
	if n < uint32(len(s.literal)) {
		return s.literal[n]
	}
	return uint8(log2(n)) + 19
}

func (s *shortSymbols) ofMatch(n uint32) uint8 {
	if n < uint32(len(s.match)) {
		return s.match[n]
	}
	return uint8(log2(n)) + 36
}

// The predefined distributions (3.1.1.3.2.2), out of 64 and, for offsets, 32.

func predefinedLiterals() []int16 {
	return []int16{
		4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
	}
}

func predefinedMatches() []int16 {
	return []int16{
		1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
	}
}

func predefinedOffsets() []int16 {
	return []int16{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1}
}
