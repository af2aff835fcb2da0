package verity

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	laneCount = 16
	// leastLanes is from how many blocks on it takes less time to fill all lanes,
	// some of them with nothing new, than to hash two blocks at a time.
	leastLanes = 10
)

// lanes hashes sixteen blocks at once. It is not to be copied.
type lanes struct {
	state             [8][laneCount]uint32
	heads, tails      [laneCount][sha256.BlockSize]byte // as those of a lane
	head, body, after [laneCount]*byte                  // where to find a message's parts
}

func newLanes(salt []byte) *lanes {
	l := new(lanes)
	for i := range laneCount {
		one := newLane(salt)
		l.heads[i], l.tails[i] = one.first, one.last
		l.head[i], l.after[i] = &l.heads[i][0], &l.tails[i][0]
	}
	return l
}

// sum writes the digests of at least one and at most sixteen blocks to dst.
func (l *lanes) sum(dst, blocks []byte) {
	count := len(blocks) / BlockSize
	// FIPS 180-4, section 5.3.3.
	for i, word := range [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {
		for lane := range laneCount {
			l.state[i][lane] = word
		}
	}
	for i := range laneCount {
		b := blocks[min(i, count-1)*BlockSize:][:BlockSize]
		copy(l.heads[i][pairSalt:], b[:headSize])
		copy(l.tails[i][:], b[BlockSize-tailSize:])
		l.body[i] = &b[headSize]
	}
	blocks16(&l.state, &l.head, 1)
	blocks16(&l.state, &l.body, bodyBlocks)
	blocks16(&l.state, &l.after, 1)
	for i := range count {
		for word := range l.state {
			binary.BigEndian.PutUint32(dst[i*DigestSize+4*word:], l.state[word][i])
		}
	}
	clear(l.body[:]) // the caller's memory isn't kept
}
