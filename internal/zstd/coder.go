package zstd

import (
	"errors"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// coder writes blocks.
type coder struct {
	short   *shortSymbols
	huffman huff0.Scratch
	out     []byte // a block that may turn out too large
	symbols []symbols

	literal, match, offset stream
}

const (
	maxSequences = maxBlock / minMatch
	// maxSequence is the most bytes of a sequence, of those that come so often:
	// 26 bits of states, 20 of a distance, and lengths of a few bits.
	maxSequence = 8
)

// symbols are those of a sequence.
type symbols struct{ literal, match, offset uint8 }

// stream is how one of the three kinds of symbols is coded.
type stream struct {
	table      table
	predefined table
	counts     [matchSymbols]uint32
	mode       uint8
	symbol     uint8 // the only one, if mode is modeSingle
}

// How a stream's table is told (3.1.1.3.2.1).
const (
	modePredefined = 0
	modeSingle     = 1
	modeTable      = 2
)

func (c *coder) prepare() {
	if c.short != nil {
		return
	}
	c.short = newShortSymbols()
	c.literal.predefined.build(predefinedLiterals(), 6)
	c.match.predefined.build(predefinedMatches(), 6)
	c.offset.predefined.build(predefinedOffsets(), 5)
	c.huffman.Reuse = huff0.ReusePolicyNone
	c.out = make([]byte, maxSequences*maxSequence+maxBlock)
}

// block writes a compressed block of as much of p as fits, from its start, and
// returns the block's length and how much content it has. A length of 0 means
// that compressing saves nothing, or that nothing fits. The caller expects the
// whole block to take so many bytes, or 0.
func (c *coder) block(dst []byte, p *parsed, expected int) (size, took int) {
	c.prepare()
	// Find how much fits. Each byte of content takes about the same, so that two
	// or three guesses come so close that what is left is not worth another.
	all := len(p.content)
	over, overSize := all+1, max(expected, 1) // what is too much, as far as is known
	for range maxGuesses {
		guess := all
		switch {
		case took > 0 && over <= all:
			guess = took + scale(len(dst)-size, over-took, overSize-size)*15/16
		case took > 0:
			guess = took + scale(len(dst)-size, took, size)*15/16
		case overSize > len(dst):
			guess = scale(over, len(dst), overSize) * 253 / 256
		}
		sequences, literals, content := len(p.sequences), len(p.literals), all
		if guess = min(guess, over-1); guess < all {
			sequences, literals, content = p.cut(guess)
		}
		if content <= took {
			break
		}
		n := c.encode(p.sequences[:sequences], p.literals[:literals])
		if n > len(dst) {
			over, overSize = content, n
			continue
		}
		size, took = copy(dst, c.out[:n]), content
		if took == all || len(dst)-size < slack {
			break
		}
	}
	return size, took
}

const (
	maxGuesses = 5
	slack      = 96 // bytes that are not worth another guess
)

// encode writes a block into c.out and returns its length.
func (c *coder) encode(sequences []sequence, literals []byte) int {
	at := c.putLiterals(blockHeader, literals)
	at = c.putSequences(at, sequences)
	putBlockHeader(c.out, compressedBlock, at-blockHeader)
	return at
}

// The types of a literals section.
const (
	rawLiterals     = 0
	singleLiteral   = 1
	huffmanLiterals = 2
)

// putLiterals writes the literals section (3.1.1.3.1).
func (c *coder) putLiterals(at int, p []byte) int {
	if len(p) < 64 {
		return c.putPlain(at, rawLiterals, p, len(p))
	}
	var out []byte
	var err error
	streams := 1
	if len(p) < 1024 {
		out, _, err = huff0.Compress1X(p, &c.huffman)
	} else {
		streams = 4
		out, _, err = huff0.Compress4X(p, &c.huffman)
	}
	switch {
	case errors.Is(err, huff0.ErrUseRLE):
		return c.putPlain(at, singleLiteral, p[:1], len(p))
	case err != nil || len(out)+5 >= len(p):
		return c.putPlain(at, rawLiterals, p, len(p))
	}
	var format, width, header int
	switch size := max(len(p), len(out)); {
	case streams == 1:
		format, width, header = 0, 10, 3
	case size < 1<<10:
		format, width, header = 1, 10, 3
	case size < 1<<14:
		format, width, header = 2, 14, 4
	default:
		format, width, header = 3, 18, 5
	}
	v := uint64(huffmanLiterals) | uint64(format)<<2 | uint64(len(p))<<4 | uint64(len(out))<<(4+width)
	for i := range header {
		c.out[at+i] = byte(v >> (8 * i))
	}
	at += header
	return at + copy(c.out[at:], out)
}

// putPlain writes a literals section of size bytes for which p stands.
func (c *coder) putPlain(at, kind int, p []byte, size int) int {
	switch {
	case size < 1<<5:
		c.out[at] = byte(kind | size<<3)
		at++
	case size < 1<<12:
		v := kind | 1<<2 | size<<4
		c.out[at], c.out[at+1] = byte(v), byte(v>>8)
		at += 2
	default:
		v := kind | 3<<2 | size<<4
		c.out[at], c.out[at+1], c.out[at+2] = byte(v), byte(v>>8), byte(v>>16)
		at += 3
	}
	return at + copy(c.out[at:], p)
}

// putSequences writes the sequences section (3.1.1.3.2).
func (c *coder) putSequences(at int, sequences []sequence) int {
	switch n := len(sequences); {
	case n == 0:
		c.out[at] = 0
		return at + 1
	case n < 128:
		c.out[at] = byte(n)
		at++
	case n < 0x7f00:
		c.out[at], c.out[at+1] = byte(n>>8)+128, byte(n)
		at += 2
	default:
		c.out[at], c.out[at+1], c.out[at+2] = 255, byte(n-0x7f00), byte((n-0x7f00)>>8)
		at += 3
	}
	c.count(sequences)
	c.literal.choose(len(sequences), 9)
	c.offset.choose(len(sequences), 8)
	c.match.choose(len(sequences), 9)
	c.out[at] = c.literal.mode<<6 | c.offset.mode<<4 | c.match.mode<<2
	at++
	at = c.literal.describe(c.out, at)
	at = c.offset.describe(c.out, at)
	at = c.match.describe(c.out, at)
	return c.putBits(at, sequences)
}

// count finds the sequences' symbols.
func (c *coder) count(sequences []sequence) {
	c.literal.counts, c.match.counts, c.offset.counts = [matchSymbols]uint32{}, [matchSymbols]uint32{}, [matchSymbols]uint32{}
	c.symbols = c.symbols[:0]
	for _, q := range sequences {
		s := symbols{c.short.ofLiterals(q.literals), c.short.ofMatch(q.match - 3), uint8(log2(q.offset))}
		c.symbols = append(c.symbols, s)
		c.literal.counts[s.literal]++
		c.match.counts[s.match]++
		c.offset.counts[s.offset]++
	}
}

// putBits writes the sequences themselves, the last one first.
func (c *coder) putBits(at int, sequences []sequence) int {
	w := bitWriter{out: c.out, at: at}
	literal, match, offset := c.literal.current(), c.match.current(), c.offset.current()
	literalBits, matchBits := literalBits(), matchBits()
	var l, m, o uint32 // states
	for i, q := range slices.Backward(sequences) {
		s := c.symbols[i]
		if i == len(sequences)-1 {
			l, m, o = literal.begin(s.literal), match.begin(s.match), offset.begin(s.offset)
		} else {
			o = offset.put(&w, o, s.offset)
			m = match.put(&w, m, s.match)
			l = literal.put(&w, l, s.literal)
			w.flush()
		}
		n := uint(literalBits[s.literal])
		w.add(uint64(q.literals)&(1<<n-1), n)
		n = uint(matchBits[s.match])
		w.add(uint64(q.match-3)&(1<<n-1), n)
		n = uint(s.offset)
		w.add(uint64(q.offset)&(1<<n-1), n)
		w.flush()
	}
	w.add(uint64(m)&(1<<match.log-1), uint(match.log))
	w.add(uint64(o)&(1<<offset.log-1), uint(offset.log))
	w.add(uint64(l)&(1<<literal.log-1), uint(literal.log))
	return w.close()
}
