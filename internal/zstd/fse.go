package zstd

// Finite state entropy, RFC 8878, 4.1.

const (
	maxTableLog = 9
	minTableLog = 5
)

// table encodes one kind of symbol.
type table struct {
	log   int
	next  [1 << maxTableLog]uint16 // states, in the order of symbols
	moves [matchSymbols]move
	norm  [matchSymbols]int16 // the distribution that it was made for
	used  int                 // symbols in it
}

// move says how a symbol changes the state: how many bits go out, and from
// where in next the new state comes.
type move struct {
	bits  uint32 // in the upper half, less what makes a smaller state one bit less
	first int32
}

// build makes the table for the distribution of 1<<log in norm.
func (t *table) build(norm []int16, log int) {
	t.log, t.used = log, copy(t.norm[:], norm)
	size := 1 << log
	var symbols [1 << maxTableLog]uint8
	var start [matchSymbols + 1]int
	high := size - 1
	for s, n := range norm {
		start[s+1] = start[s] + int(max(n, -n))
		if n == -1 {
			symbols[high] = uint8(s)
			high--
		}
	}
	at, step := 0, size>>1+size>>3+3
	for s, n := range norm {
		for range n {
			symbols[at] = uint8(s)
			at = (at + step) & (size - 1)
			for at > high {
				at = (at + step) & (size - 1)
			}
		}
	}
	place := start
	for i, s := range symbols[:size] {
		t.next[place[s]] = uint16(size + i)
		place[s]++
	}
	for s, n := range norm {
		switch n {
		case 0:
			t.moves[s] = move{}
		case 1, -1:
			t.moves[s] = move{uint32(log<<16 - size), int32(start[s] - 1)}
		default:
			out := log - log2(uint32(n-1))
			t.moves[s] = move{uint32(out<<16 - int(n)<<out), int32(start[s] - int(n))}
		}
	}
}

// single makes a table that has one symbol, which takes no bits at all.
func (t *table) single() {
	t.log = 0
	t.next[0] = 0
	t.moves = [matchSymbols]move{}
}

// begin returns the state from which reading symbol s ends.
func (t *table) begin(s uint8) uint32 {
	m := t.moves[s]
	out := (m.bits + 1<<15) >> 16
	return uint32(t.next[int32((out<<16-m.bits)>>out)+m.first])
}

// put writes what gets from the state after symbol s to the one before.
func (t *table) put(w *bitWriter, state uint32, s uint8) uint32 {
	m := t.moves[s]
	out := (state + m.bits) >> 16
	w.add(uint64(state&(1<<out-1)), uint(out))
	return uint32(t.next[int32(state>>out)+m.first])
}

// normalize spreads 1<<log over symbols as counts, which total, say; whoever
// occurs has one at least.
func normalize(norm []int16, counts []uint32, total uint32, log int) {
	left, largest := 1<<log, 0
	for s, c := range counts {
		norm[s] = 0
		if c == 0 {
			continue
		}
		n := int((uint64(c)<<(log+1) + uint64(total)) / (2 * uint64(total)))
		norm[s] = int16(max(n, 1))
		left -= int(norm[s])
		if c > counts[largest] {
			largest = s
		}
	}
	// Rounding is paid by the largest, or if that is too little by all in turn.
	if int(norm[largest])+left > int(norm[largest])/2 {
		norm[largest] += int16(left)
		return
	}
	for left < 0 {
		for s := range norm {
			if norm[s] > 1 && left < 0 {
				norm[s]--
				left++
			}
		}
	}
}

// tableLogFor returns how fine a distribution of n symbols is worth being.
func tableLogFor(n, symbols, most int) int {
	log := min(most, log2(uint32(n-1))-2)
	return min(max(log, minTableLog, log2(uint32(symbols))+1), most)
}

// putDistribution writes the table's distribution (4.1.1) and returns the end.
func (t *table) putDistribution(dst []byte, at int) int {
	w := bitWriter{out: dst, at: at}
	w.add(uint64(t.log-minTableLog), 4)
	left, threshold, width := 1<<t.log+1, 1<<t.log, uint(t.log+1)
	for s := 0; left > 1; s++ {
		n := int(t.norm[s])
		// A value has a bit less if that cannot be mistaken.
		short := 2*threshold - 1 - left
		left -= max(n, -n)
		v := n + 1
		if v >= threshold {
			v += short
		}
		size := width
		if v < short {
			size--
		}
		w.add(uint64(v), size)
		for left < threshold {
			width--
			threshold >>= 1
		}
		if n == 0 {
			// How many more have none, three at a time.
			zeros := 0
			for t.norm[s+1+zeros] == 0 {
				zeros++
			}
			s += zeros
			for ; zeros >= 3; zeros -= 3 {
				w.add(3, 2)
				w.flush()
			}
			w.add(uint64(zeros), 2)
		}
		w.flush()
	}
	if w.n > 0 {
		w.at++
	}
	return w.at
}
