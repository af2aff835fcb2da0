// Package inflate reads gzip (RFC 1952) and the DEFLATE data in it (RFC 1951).
// It does what compress/gzip does, to the byte and to the refusal, in less than
// half of the time: a build from a container layer spends most of its time here.
//
// Three things make the difference. Bits are taken from a word of 64 that one
// load refills, so that a whole match, or three literals, pass without looking
// at the input's end. Table entries hold all that is to be known of a code:
// what it stands for, how long it is, and how many bits follow it. And matches
// are copied by words. None of it is unsafe: buffers are arrays, and offsets
// into them are cut to their length, which costs less than comparing.
//
// Left out on purpose: writing, the header's name and comment, single members,
// preset dictionaries, and zlib's wrapping.
package inflate

import (
	"errors"
	"hash/crc32"
	"io"
)

const (
	window  = 32 << 10 // how far back a match may reach
	inSize  = 64 << 10 // of compressed data, read at once
	outSize = 256 << 10

	// One turn of the fast loop reads less than inSlack beyond the place that it
	// begins at, and outFull leaves room for all that it may write: two literals
	// and the longest match, which is copied in words of which the last go over.
	inSlack = 32
	outFull = outSize - 320

	wordSlack = 32 // the longest word at the last offset
)

var (
	// ErrHeader says that there is no gzip header where one must be: at the
	// start, and after each member.
	ErrHeader = errors.New("gzip: there is no header")
	// ErrChecksum says that what was inflated is not what was compressed.
	ErrChecksum = errors.New("gzip: the checksum does not match")
	// ErrCorrupt says that the compressed data cannot be.
	ErrCorrupt = errors.New("gzip: the compressed data is damaged")
)

// Reader inflates a sequence of gzip members as if it were one. It asks its
// source for more only when what it has does not tell the next symbol, and
// holds 340 KiB, whatever comes. It is not for use by several goroutines.
type Reader struct {
	src io.Reader
	bitReader
	codes

	out  *[outSize + wordSlack]byte
	base int // where the member's bytes in out begin, as far as a match may reach
	sum  int // up to where crc and size count
	give int // up to where out was given to the caller
	end  int // up to where out is filled

	step  step
	final bool // this is the member's last block
	left  int  // of a stored block
	crc   uint32
	size  uint32
	err   error
}

// step is what comes next.
type step int

const (
	stepBlock  step = iota // a block's header
	stepStored             // bytes of a stored block
	stepCodes              // codes of a compressed one
	stepMember             // the trailer, and perhaps another member
)

// NewReader returns a Reader of what src holds, whose first header it reads.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src, out: new([outSize + wordSlack]byte)}
	r.bitReader.src = src
	r.prepare()
	r.give, r.end = window, window
	if err := r.member(); err != nil {
		return nil, err
	}
	return r, nil
}

// Read implements io.Reader. What comes before damage is returned before the
// error is; a source that ends too early is io.ErrUnexpectedEOF.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.give == r.end {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.advance()
	}
	n := copy(p, r.out[r.give:r.end])
	r.give += n
	return n, nil
}

// advance fills out as far as it goes without asking the source for more, but
// by something. It may only be called when all of out was given to the caller.
func (r *Reader) advance() error {
	r.slide()
	for r.end < outFull {
		r.hold = r.end > r.give
		here := r.mark()
		var err error
		switch r.step {
		case stepBlock:
			err = r.block()
		case stepStored:
			err = r.stored()
		case stepCodes:
			err = r.inflate()
		case stepMember:
			err = r.trailer()
		}
		if err == errHeld { //nolint:errorlint // it is never wrapped
			if r.step != stepStored && r.step != stepCodes {
				r.back(here)
			}
			break
		}
		if err != nil {
			r.count()
			return err
		}
	}
	r.count()
	return nil
}

// slide moves the last window to the front.
func (r *Reader) slide() {
	gone := r.end - window
	copy(r.out[:window], r.out[gone:r.end])
	r.base = max(0, r.base-gone)
	r.give, r.sum, r.end = window, window, window
}

// count takes what is new in out into the checksum.
func (r *Reader) count() {
	fresh := r.out[r.sum:r.end]
	r.crc = crc32.Update(r.crc, crc32.IEEETable, fresh)
	r.size += uint32(len(fresh))
	r.sum = r.end
}
