package lz4

import (
	"encoding/binary"
	"math/bits"
)

const (
	// 8192 positions stay in the first-level cache of any processor of today
	// beside the input; 4096, as many as C takes, find less.
	fastBits = 13
	// After so many misses (as a power of two) the search strides by one byte more.
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
	if len(src) > MaxSize {
		src = src[:MaxSize]
	}
	if len(src) <= matchMargin || len(dst) <= 2*tailRoom {
		return finish(dst, src, 0, 0)
	}
	if e.fast == nil {
		e.fast = new(fastTable)
	}
	table := e.fast
	clear(table[:])
	return fast(dst, src, table)
}

func fast(dst, src []byte, table *fastTable) (n, used int) {
	lastStart := len(src) - matchMargin // no match begins behind it
	op, anchor, ip := 0, 0, 1
	for {
		// Find a match. An empty entry is a candidate like any other: byte 0.
		var v uint64
		var candidate int
		next, misses := ip, 1<<fastPatience
		for {
			ip = next
			next += misses >> fastPatience
			misses++
			if ip > lastStart {
				return finish(dst, src, op, anchor)
			}
			v = load64(src, ip)
			h := hash5(v)
			candidate = int(table[h])
			table[h] = uint32(ip)
			if load32(src, candidate) == uint32(v) && ip-candidate <= maxDistance {
				break
			}
		}
		for ip > anchor && candidate > 0 && src[ip-1] == src[candidate-1] {
			ip--
			candidate--
		}
		for {
			length := minMatch + common(src, candidate+minMatch, ip+minMatch)
			run := ip - anchor
			if op+run+(run+length)/255+4+tailRoom+16 > len(dst) {
				length = fitMatch(dst, op, run, length)
				if length < minMatch {
					return finish(dst, src, op, anchor)
				}
			}
			op = putSequence(dst, op, src[anchor:ip], ip-candidate, length)
			ip += length
			anchor = ip
			if ip > lastStart {
				return finish(dst, src, op, anchor)
			}
			v = load64(src, ip-2)
			table[hash5(v)] = uint32(ip - 2)
			v = load64(src, ip)
			h := hash5(v)
			candidate = int(table[h])
			table[h] = uint32(ip)
			if load32(src, candidate) != uint32(v) || ip-candidate > maxDistance {
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
