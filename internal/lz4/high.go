package lz4

// The levels of High.
const (
	MinLevel     = 1
	DefaultLevel = 9
	MaxLevel     = 12
)

const (
	// span is how many positions are parsed at once: enough that what is lost
	// where two spans meet does not count, few enough for the second-level cache.
	span = 16 << 10
	// longMatch needs no better one, nor a search at the positions inside of it.
	longMatch = 64
)

// step is what to do at a position: the match that was found there, cut to the
// length that is worth it, or none.
type step struct {
	length   uint32
	distance uint32
}

// parser holds what High needs for one span.
type parser struct {
	chains chains
	steps  [span]step
	price  [span + 1]uint32
}

// High is Fast with a search for the longest match at every position and the
// cheapest way through them, which takes time and gives a smaller block. Levels
// are MinLevel to MaxLevel, others count as the nearest.
func (e *Encoder) High(dst, src []byte, level int) (n, used int) {
	src = src[:min(len(src), MaxSize)]
	if len(src) <= matchMargin || len(dst) <= 2*tailRoom {
		return finish(dst, src, 0, 0)
	}
	if e.high == nil {
		e.high = new(parser)
	}
	p := e.high
	p.chains.reset()
	depth := depthOf(level)
	op, anchor, at := 0, 0, 0
	for at < len(src)-matchMargin {
		// Near the end of the space little of a span would be used.
		end := min(at+min(span, max(256, 3*(len(dst)-op))), len(src))
		p.search(src, at, end, depth)
		p.choose(end - at)
		for i := at; i < end; {
			s := p.steps[i-at]
			if s.length == 0 {
				i++
				continue
			}
			length := fitMatch(dst, op, i-anchor, int(s.length))
			if length < minMatch {
				return finish(dst, src, op, anchor)
			}
			op = putSequence(dst, op, src[anchor:i], int(s.distance), length)
			anchor = i + length
			if length < int(s.length) {
				return finish(dst, src, op, anchor)
			}
			i = anchor
		}
		at = max(end, anchor)
		if op+at-anchor >= len(dst) {
			break // literals alone fill the space
		}
	}
	return finish(dst, src, op, anchor)
}

// depthOf returns how many candidates a level looks at.
func depthOf(level int) int {
	depths := [...]int{2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256}
	return depths[min(max(level, MinLevel), MaxLevel)-MinLevel]
}

// search finds the longest match at each position from start to end.
func (p *parser) search(src []byte, start, end, depth int) {
	limit := len(src) - lastLiterals
	var known step // at the position before, which is good for one byte less here
	for i := start; i < end; i++ {
		if known.length > minMatch {
			known.length--
		} else {
			known = step{}
		}
		switch {
		case i > len(src)-matchMargin:
			known = step{}
		case known.length >= longMatch:
			p.chains.insert(src, i)
		default:
			known = p.chains.longest(src, i, limit, depth, known)
		}
		p.steps[i-start] = known
	}
}

// A byte's price in units of which a sequence costs one besides its bytes:
// of two ways with the same number of bytes, the one with fewer sequences is
// read faster.
const byteCost = 16

// choose finds the cheapest way through n positions, from the last to the
// first. What is left to pay never grows with the position, and every distance
// costs the same; so of a match's lengths only the longest can be best, and the
// longest with a byte less of length.
func (p *parser) choose(n int) {
	p.price[n] = 0
	run := 0 // literals from the next position to the next match
	for i := n - 1; i >= 0; i-- {
		literal := p.price[i+1] + byteCost
		if run+1 >= runMask && (run+1-runMask)%255 == 0 {
			literal += byteCost
		}
		s := &p.steps[i]
		length, best := 0, literal
		if s.length >= minMatch {
			full := int(s.length)
			if c := p.matchPrice(i, full, n); c < best {
				length, best = full, c
			}
			if shorter := full - 1 - (full-minMatch-runMask)%255; full >= minMatch+runMask {
				if c := p.matchPrice(i, shorter, n); c < best {
					length, best = shorter, c
				}
			}
		}
		s.length, p.price[i] = uint32(length), best
		run++
		if length > 0 {
			run = 0
		}
	}
}

// matchPrice is what it costs to take a match of length at i, and all behind it.
func (p *parser) matchPrice(i, length, n int) uint32 {
	return uint32(3+extra(length-minMatch))*byteCost + 1 + p.price[min(i+length, n)]
}
