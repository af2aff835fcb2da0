// Package zstd makes Zstandard frames (RFC 8878) of a given size: it fills a
// space and says how much input that took, as EROFS wants it, whose physical
// clusters are whole blocks. Encoders for streams take a fixed input, and what
// their output leaves of its last block is lost.
//
// A frame is a single segment that states its size; it has no checksum and no
// dictionary, and its blocks hold literals coded by Huffman's way, for which a
// library is used, and sequences coded by tables of their own, predefined ones
// or one symbol. Left out are treeless literals, repeated tables, the third
// recent distance, and decoding.
//
// The bytes depend on the input and the space alone.
package zstd

import (
	"encoding/binary"
	"math/bits"
)

// Version changes whenever the same input gives other bytes than before.
const Version = 1

const (
	magic      = 0xfd2fb528
	headerSize = 4 + 1 + 4
	// One segment, whose size takes four bytes.
	descriptor = 2<<6 | 1<<5

	// maxBlock is the most content of a block.
	maxBlock = 128 << 10

	// MaxInput is the most content of a frame: the tables hold positions that
	// tell no more, and who reads a byte of the frame unpacks all before it.
	MaxInput = 1 << 20
)

// The types of a block.
const (
	rawBlock        = 0
	compressedBlock = 2
)

// Encoder keeps the tables between calls. Its zero value is ready; it is not for
// use by several goroutines at once.
type Encoder struct {
	finder finder
	coder  coder
}

// Fill writes as much of src as fits to dst, as one frame, and returns the
// lengths of the frame and of the content that it stands for; zeros if not even
// a small part fits.
func (e *Encoder) Fill(dst, src []byte) (n, used int) {
	src = src[:min(len(src), MaxInput)]
	if len(dst) < headerSize+blockHeader || len(src) == 0 {
		return 0, 0
	}
	e.finder.reset()
	op, last := headerSize, 0 // last is the last block's header
	for used < len(src) {
		// What doesn't fit is searched in vain: after the first block it is known
		// about how much will.
		want := min(maxBlock, len(src)-used)
		expected := 0
		if room := len(dst) - op; used > 0 {
			want = min(want, scale(room, used, op)*17/16+1024)
			expected = scale(want, op, used)
		}
		recent := e.finder.recent
		p := e.finder.parse(src, used, used+want)
		size, took := e.coder.block(dst[op:], p, expected)
		if took == 0 || size >= took+blockHeader || size > maxBlock {
			// Nothing saved: the block is stored as it is, as far as there is room.
			e.finder.recent = recent
			took = min(want, len(dst)-op-blockHeader)
			if took <= 0 {
				break
			}
			putBlockHeader(dst[op:], rawBlock, took)
			copy(dst[op+blockHeader:], src[used:used+took])
			size = blockHeader + took
		}
		last = op
		op += size
		used += took
		if took < want {
			break
		}
	}
	if used == 0 {
		return 0, 0
	}
	binary.LittleEndian.PutUint32(dst, magic)
	dst[4] = descriptor
	binary.LittleEndian.PutUint32(dst[5:], uint32(used))
	dst[last] |= 1 // the frame's last block
	return op, used
}

const blockHeader = 3

func putBlockHeader(dst []byte, kind, size int) {
	v := kind<<1 | size<<3
	dst[0], dst[1], dst[2] = byte(v), byte(v>>8), byte(v>>16)
}

// scale returns a times b through c, or a little more than any frame if that is
// more. What comes between may take more than the 32 bits of an int.
func scale(a, b, c int) int { return int(min(int64(a)*int64(b)/int64(c), 2*MaxInput)) }

// log2 returns the position of v's highest bit; v is not 0.
func log2(v uint32) int { return bits.Len32(v) - 1 }
