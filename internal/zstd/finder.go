package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	longBits  = 17 // of positions by their first eight bytes
	shortBits = 16 // of positions by their first five bytes
	minMatch  = 4
	// searchMargin is how far before its end a block's search stops, so that
	// whole words can be read.
	searchMargin = 12
	patience     = 7
)

// sequence is a run of literals and a match behind it.
type sequence struct {
	literals uint32
	match    uint32
	// offset as it is coded: 1 for the most recent distance (the second most
	// recent, if there are no literals), else the distance plus 3.
	offset uint32
}

// parsed is a block's content as sequences, and literals that belong to none.
type parsed struct {
	content   []byte
	literals  []byte // of all sequences, and those behind the last one
	sequences []sequence
}

// cut returns how many sequences and literals stand for the first n bytes of
// the content, or a little less: a match is not cut.
func (p *parsed) cut(n int) (sequences, literals, content int) {
	for _, s := range p.sequences {
		if content+int(s.literals+s.match) > n {
			break
		}
		sequences++
		literals += int(s.literals)
		content += int(s.literals + s.match)
	}
	more := len(p.literals) - literals
	if sequences < len(p.sequences) {
		more = int(p.sequences[sequences].literals)
	}
	more = min(more, n-content)
	return sequences, literals + more, content + more
}

// finder looks for matches, back to the start of the frame.
type finder struct {
	long   [1 << longBits]uint32
	short  [1 << shortBits]uint32
	recent [2]int // distances
	out    parsed

	literals [maxBlock + 16]byte
	run      int // bytes of them
}

// reset prepares for a new frame.
func (f *finder) reset() {
	clear(f.long[:])
	clear(f.short[:])
	f.recent = [2]int{1, 4}
}

func load64(p []byte, i int) uint64 { return binary.LittleEndian.Uint64(p[i:]) }

func load32(p []byte, i int) uint32 { return binary.LittleEndian.Uint32(p[i:]) }

func hash8(v uint64) uint64 { return v * 0xcf1bbcdcb7a56463 >> (64 - longBits) }

func hash5(v uint64) uint64 { return (v << 24) * 889523592379 >> (64 - shortBits) }

// parse finds the sequences of src[start:end]. What it returns is valid until
// the next call.
func (f *finder) parse(src []byte, start, end int) *parsed {
	f.out.sequences, f.run = f.out.sequences[:0], 0
	f.out.content = src[start:end]
	src = src[:end]
	limit := end - searchMargin
	anchor, ip := start, max(start, 1)
	first, second := f.recent[0], f.recent[1]
	for ip < limit {
		v := load64(src, ip)
		h, s := hash8(v), hash5(v)
		long, short := int(f.long[h]), int(f.short[s])
		f.long[h], f.short[s] = uint32(ip), uint32(ip)
		var from, offset int
		at := ip
		switch {
		case ip+1 > first && load32(src, ip+1-first) == uint32(v>>8):
			at, from, offset = ip+1, ip+1-first, 1
		case load64(src, long) == v:
			from = long
		case load32(src, short) == uint32(v):
			from = short
			w := load64(src, ip+1)
			h := hash8(w)
			next := int(f.long[h])
			f.long[h] = uint32(ip + 1)
			if load64(src, next) == w {
				from, at = next, ip+1
			}
		default:
			ip += 1 + (ip-anchor)>>patience
			continue
		}
		length := minMatch + common(src, from+minMatch, at+minMatch)
		for at > anchor && from > 0 && src[at-1] == src[from-1] {
			at--
			from--
			length++
		}
		if distance := at - from; offset == 0 {
			offset = distance + 3
			if distance == first && at > anchor {
				offset = 1
			} else {
				first, second = distance, first
			}
		} else if at == anchor {
			// Without literals the code for the most recent means another.
			offset = first + 3
			second = first
		}
		f.put(src, anchor, at, length, offset)
		v = load64(src, at+1)
		f.long[hash8(v)], f.short[hash5(v)] = uint32(at+1), uint32(at+1)
		ip = at + length
		anchor = ip
		if ip >= limit {
			break
		}
		f.long[hash8(load64(src, ip-1))] = uint32(ip - 1)
		v = load64(src, ip-2)
		f.long[hash8(v)], f.short[hash5(v)] = uint32(ip-2), uint32(ip-2)
		if ip >= second && load32(src, ip) == load32(src, ip-second) {
			ip, first, second = f.again(src, ip, first, second)
			anchor = ip
		}
	}
	f.recent = [2]int{first, second}
	f.out.literals = append(f.literals[:f.run], src[anchor:end]...)
	return &f.out
}

// again takes matches that follow at once, at the distance before the last.
func (f *finder) again(src []byte, ip, first, second int) (after, newFirst, newSecond int) {
	limit := len(src) - searchMargin
	for ip < limit && ip >= second && load32(src, ip) == load32(src, ip-second) {
		length := minMatch + common(src, ip-second+minMatch, ip+minMatch)
		v := load64(src, ip)
		f.long[hash8(v)], f.short[hash5(v)] = uint32(ip), uint32(ip)
		f.put(src, ip, ip, length, 1)
		first, second = second, first
		ip += length
	}
	return ip, first, second
}

// put takes down the literals src[anchor:at] and a match.
func (f *finder) put(src []byte, anchor, at, match, offset int) {
	if n := at - anchor; n <= 16 && anchor+16 <= len(src) {
		// Sixteen bytes are copied faster than the right number of them.
		*(*[16]byte)(f.literals[f.run:]) = *(*[16]byte)(src[anchor:])
	} else {
		copy(f.literals[f.run:], src[anchor:at])
	}
	f.run += at - anchor
	f.out.sequences = append(f.out.sequences, sequence{uint32(at - anchor), uint32(match), uint32(offset)})
}

// common counts the bytes that src has in common at a and at b, which lies
// behind a.
func common(src []byte, a, b int) int {
	start := b
	for b+8 <= len(src) {
		if x := load64(src, a) ^ load64(src, b); x != 0 {
			return b - start + bits.TrailingZeros64(x)>>3
		}
		a += 8
		b += 8
	}
	for b < len(src) && src[a] == src[b] {
		a++
		b++
	}
	return b - start
}
