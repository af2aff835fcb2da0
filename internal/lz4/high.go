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
	// longMatch is taken where it is found: no other way can be much cheaper.
	longMatch = 64
	// maxPath is the most matches of a span: one in four positions, and a long one.
	maxPath = (span+longMatch)/minMatch + 1
)

// step is a match, or none if its length is 0.
type step struct {
	length   int
	distance int
}

// match is a step and where it begins.
type match struct {
	at int
	step
}

// way is the cheapest one to a position: what it costs, how many literals are at
// its end, and, if there are none, the match that is.
type way struct {
	price            uint32
	run              uint32
	length, distance uint16
}

// parser holds what High needs for one span.
type parser struct {
	chains   chains
	known    step // found last: it is good for what is left of it
	knownEnd int
	ways     [span + longMatch]way
	path     [maxPath]match
}

// High is Fast with a search for the longest match, wherever one could pay, and
// the cheapest way through them, which takes time and gives a smaller block.
// Levels are MinLevel to MaxLevel, others count as the nearest.
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
	p.knownEnd = 0
	depth := depthOf(level)
	op, anchor, at := 0, 0, 0
	for at < len(src)-matchMargin {
		// Near the end of the space little of a span would be used.
		end := min(at+min(span, max(256, 3*(len(dst)-op))), len(src))
		var path []match
		path, at = p.parse(src, at, end, at-anchor, depth)
		for _, m := range path {
			length := fitMatch(dst, op, m.at-anchor, m.length)
			if length < minMatch {
				return finish(dst, src, op, anchor)
			}
			op = putSequence(dst, op, src[anchor:m.at], m.distance, length)
			anchor = m.at + length
			if length < m.length {
				return finish(dst, src, op, anchor)
			}
		}
		if op+at-anchor >= len(dst) {
			break // literals alone fill the space
		}
	}
	return finish(dst, src, op, anchor)
}

// depthOf returns how many candidates a level looks at.
func depthOf(level int) int {
	depths := [...]int{4, 6, 9, 14, 20, 28, 38, 50, 64, 96, 192, 384}
	return depths[min(max(level, MinLevel), MaxLevel)-MinLevel]
}

// A byte's price in units of which a sequence costs one besides its bytes:
// of two ways with the same number of bytes, the one with fewer sequences is
// read faster.
const (
	byteCost  = 16
	matchCost = 3*byteCost + 1 // without the bytes of a long length
	unknown   = 1 << 30
)

// parse finds the cheapest way from start, where run literals wait, to end or a
// little farther, or to a long match before that. It returns the matches, until
// the next call, and how far they and the literals between them go.
func (p *parser) parse(src []byte, start, end, run, depth int) (path []match, next int) {
	p.ways[0] = way{run: uint32(run)}
	last := len(src) - matchMargin - start // no match begins behind it
	n, reach := end-start, 0               // to positions up to reach there is a way
	for i := range n {
		w := p.ways[i]
		if price := w.price + literalPrice(w.run); i == reach || price < p.ways[i+1].price {
			p.ways[i+1] = way{price: price, run: w.run + 1}
			reach = max(reach, i+1)
		}
		if i > last || p.pointless(i, reach) {
			continue
		}
		m := p.search(src, start+i, depth)
		if m.length >= longMatch {
			return p.trace(start, i, m)
		}
		if m.length > 0 {
			p.offer(i, reach, m)
			reach = max(reach, i+m.length)
		}
	}
	for n < reach && p.ways[n+1].price <= p.ways[n].price {
		n++ // what remains of a match costs nothing
	}
	return p.trace(start, n, step{})
}

// literalPrice is what one more costs after run of them.
func literalPrice(run uint32) uint32 {
	if run+1 >= runMask && (run+1-runMask)%255 == 0 {
		return 2 * byteCost
	}
	return byteCost
}

// pointless tells whether a match that begins at i could not beat what is known:
// most positions are inside of matches, where what begins a byte later reaches as
// far for no byte more.
func (p *parser) pointless(i, reach int) bool {
	price, near := p.ways[i].price, min(i+minMatch, reach)
	return p.ways[i+1].price < price+byteCost && p.ways[near].price+uint32(i+minMatch-near)*byteCost < price+matchCost
}

// search returns the longest match at i.
func (p *parser) search(src []byte, i, depth int) step {
	var best step
	if left := p.knownEnd - i; left >= minMatch {
		best = step{left, p.known.distance}
	}
	best = p.chains.longest(src, i, len(src)-lastLiterals, depth, best)
	if best.length > 0 {
		p.known, p.knownEnd = best, i+best.length
	}
	return best
}

// offer has the ways to behind i use the match m at i, or a shorter one at its
// distance, where that is cheaper. Up to reach there are ways.
func (p *parser) offer(i, reach int, m step) {
	for j := reach + 1; j < i+minMatch; j++ {
		p.ways[j].price = unknown // as far as literals have not come yet
	}
	price := p.ways[i].price + matchCost
	for length := m.length; length >= minMatch; length-- {
		c := price + uint32(extra(length-minMatch))*byteCost
		to := &p.ways[i+length]
		if i+length > reach || c < to.price {
			*to = way{price: c, length: uint16(length), distance: uint16(m.distance)}
		} else if length < minMatch+runMask {
			return // nor will it be for what is nearer
		}
	}
}

// trace follows the cheapest way to position n back to the span's start, and
// has the match m go on from there.
func (p *parser) trace(start, n int, m step) (path []match, next int) {
	k := len(p.path)
	if m.length > 0 {
		k--
		p.path[k] = match{start + n, m}
	}
	for i := n; i > 0; {
		w := p.ways[i]
		if w.length == 0 {
			i -= min(int(w.run), i)
			continue
		}
		i -= int(w.length)
		k--
		p.path[k] = match{start + i, step{int(w.length), int(w.distance)}}
	}
	return p.path[k:], start + n + m.length
}
