package lz4

import (
	"encoding/binary"
	"math/bits"
)

const (
	// 64 KiB of positions. A quarter of that, which is what C takes, is 6 % faster
	// and makes programs 5 % larger.
	fastBits = 14
	// The search strides by one byte more for each so many (as a power of two)
	// bytes without a match.
	fastPatience = 6
)

type fastTable [1 << fastBits]uint32

// hash5 hashes the lower five bytes of v.
func hash5(v uint64) uint64 { return (v << 24) * 889523592379 >> (64 - fastBits) }

func load64(p []byte, i int) uint64 { return binary.LittleEndian.Uint64(p[i:]) }

func load32(p []byte, i int) uint32 { return binary.LittleEndian.Uint32(p[i:]) }

// Fast writes as much of src as fits to dst, in one block, and returns the
// lengths of the block and of the input it stands for. It takes the first match
// it comes across.
func (e *Encoder) Fast(dst, src []byte) (n, used int) {
	src = src[:min(len(src), MaxSize)]
	if len(src) <= matchMargin || len(dst) <= 2*tailRoom {
		return finish(dst, src, 0, 0)
	}
	if e.fast == nil {
		e.fast = new(fastTable)
	}
	clear(e.fast[:])
	return fill(dst, src, e.fast)
}

// fill is Fast for a src and a dst that are not too short for a match.
//
//nolint:gocognit // one loop over sequences of some ten bytes: a call in it costs what it does
func fill(dst, src []byte, table *fastTable) (n, used int) {
	lastStart := len(src) - matchMargin // no match begins behind it
	op, anchor, ip := 0, 0, 1
	for {
		// Find a match. An empty entry is a candidate like any other: byte 0.
		var candidate int
		for {
			if ip >= lastStart {
				return finish(dst, src, op, anchor)
			}
			v := load64(src, ip)
			h0, h1 := hash5(v), hash5(v>>8)
			candidate = int(table[h0])
			second := int(table[h1])
			table[h0] = uint32(ip)
			table[h1] = uint32(ip + 1)
			if load32(src, candidate) == uint32(v) && ip-candidate <= maxDistance {
				break
			}
			if h0 == h1 {
				second = ip
			}
			if load32(src, second) == uint32(v>>8) && ip+1-second <= maxDistance {
				ip++
				candidate = second
				break
			}
			ip += 2 + (ip-anchor)>>fastPatience
		}
		for ip > anchor && candidate > 0 && src[ip-1] == src[candidate-1] {
			ip--
			candidate--
		}
		for {
			length := minMatch + common(src, candidate+minMatch, ip+minMatch)
			run := ip - anchor
			distance := ip - candidate
			if run < runMask && length < minMatch+runMask && op+1+16+2+tailRoom <= len(dst) && anchor+16 <= len(src) {
				// Most sequences: a token alone has both lengths, and sixteen bytes
				// are copied faster than the right number of them.
				dst[op] = byte(run<<4 + length - minMatch)
				*(*[16]byte)(dst[op+1:]) = *(*[16]byte)(src[anchor:])
				op += run + 1
				binary.LittleEndian.PutUint16(dst[op:], uint16(distance))
				op += 2
			} else {
				if op+run+(run+length)/255+4+tailRoom+16 > len(dst) {
					length = fitMatch(dst, op, run, length)
					if length < minMatch {
						return finish(dst, src, op, anchor)
					}
				}
				op = putSequence(dst, op, src[anchor:ip], distance, length)
			}
			ip += length
			anchor = ip
			if ip > lastStart {
				return finish(dst, src, op, anchor)
			}
			v := load64(src, ip-2)
			table[hash5(v)] = uint32(ip - 2)
			h := hash5(v >> 16)
			candidate = int(table[h])
			table[h] = uint32(ip)
			if load32(src, candidate) != uint32(v>>16) || ip-candidate > maxDistance {
				break
			}
		}
		ip++
	}
}

// common counts the bytes that src has in common at a and at b, which lies
// behind a, up to the last literals.
func common(src []byte, a, b int) int {
	start, end := b, len(src)-lastLiterals
	for b+8 <= end {
		if x := load64(src, a) ^ load64(src, b); x != 0 {
			return b - start + bits.TrailingZeros64(x)>>3
		}
		a += 8
		b += 8
	}
	for b < end && src[a] == src[b] {
		a++
		b++
	}
	return b - start
}
