package zstd

// choose decides how n symbols are coded, by tables of 1<<most states at most.
func (s *stream) choose(n, most int) {
	used, kinds := 0, 0
	for symbol, count := range s.counts {
		if count > 0 {
			used = symbol + 1
			kinds++
		}
	}
	switch {
	case kinds == 1:
		s.mode, s.symbol = modeSingle, uint8(used-1)
		s.table.single()
	case n < 64 && used <= s.predefined.used:
		// Telling a table takes some thirty bytes.
		s.mode = modePredefined
	default:
		s.mode = modeTable
		var norm [matchSymbols]int16
		log := tableLogFor(n, used, most)
		normalize(norm[:used], s.counts[:used], uint32(n), log)
		s.table.build(norm[:used], log)
	}
}

// current is the table to code with.
func (s *stream) current() *table {
	if s.mode == modePredefined {
		return &s.predefined
	}
	return &s.table
}

// describe writes what a decoder needs to make the table.
func (s *stream) describe(dst []byte, at int) int {
	switch s.mode {
	case modeSingle:
		dst[at] = s.symbol
		return at + 1
	case modeTable:
		return s.table.putDistribution(dst, at)
	default:
		return at
	}
}
