package inflate

import (
	"errors"
	"io"
)

// bitReader gives out bits, the lowest of each byte first.
type bitReader struct {
	src  io.Reader
	in   [inSize + wordSlack]byte
	at   int // in[at:fill] is not in bits yet
	fill int
	bits uint64 // the low n bits are valid, all others zero
	n    uint
	hold bool // don't ask src: errHeld
}

// errHeld says that what was inflated is to be given out before src is asked
// for more, which may take long.
var errHeld = errors.New("more input is needed")

// mark is a place that the bitReader can go back to as long as it was held.
type mark struct {
	bits uint64
	n    uint
	at   int
}

func (b *bitReader) mark() mark { return mark{b.bits, b.n, b.at} }

func (b *bitReader) back(m mark) { b.bits, b.n, b.at = m.bits, m.n, m.at }

// byteMore takes one more byte into bits, of which at most 56 may be in use.
func (b *bitReader) byteMore() error {
	if b.at == b.fill {
		if err := b.refill(); err != nil {
			return err
		}
	}
	b.bits |= uint64(b.in[b.at]) << b.n
	b.at++
	b.n += 8
	return nil
}

// refill reads more input, of which all was used. The end is io.EOF.
func (b *bitReader) refill() error {
	if b.hold {
		return errHeld
	}
	for range 100 {
		n, err := b.src.Read(b.in[:inSize])
		if n > 0 {
			// An error that came with it comes again.
			b.at, b.fill = 0, n
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// need sees to it that there are n bits, at most 56.
func (b *bitReader) need(n uint) error {
	for b.n < n {
		if err := b.byteMore(); err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// take returns n bits, which must be there.
func (b *bitReader) take(n uint) uint64 {
	v := b.bits & (1<<n - 1)
	b.bits >>= n
	b.n -= n
	return v
}

// get returns the next n bits, at most 32.
func (b *bitReader) get(n uint) (uint64, error) {
	if err := b.need(n); err != nil {
		return 0, err
	}
	return b.take(n), nil
}

// align drops the rest of a byte.
func (b *bitReader) align() { b.take(b.n % 8) }

// unexpected is for a source that ends where it must not.
func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // an error that wraps io.EOF is one of the source
		return io.ErrUnexpectedEOF
	}
	return err
}
