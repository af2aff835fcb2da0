package zstd

import "encoding/binary"

// bitWriter writes bits from the lowest on, into a buffer that has room for
// what comes and eight bytes more.
type bitWriter struct {
	out  []byte
	at   int
	bits uint64
	n    uint
}

// add appends the n lowest bits of v, which has no others. At most 57 bits fit
// between two flushes.
func (w *bitWriter) add(v uint64, n uint) {
	w.bits |= v << (w.n & 63)
	w.n += n
}

func (w *bitWriter) flush() {
	binary.LittleEndian.PutUint64(w.out[w.at:], w.bits)
	w.at += int(w.n >> 3)
	w.bits >>= w.n &^ 7 & 63
	w.n &= 7
}

// close writes the bit that marks the end and returns the length.
func (w *bitWriter) close() int {
	w.add(1, 1)
	w.flush()
	if w.n > 0 {
		w.at++
	}
	return w.at
}
