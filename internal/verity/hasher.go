package verity

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// hasher computes salted digests without allocating.
type hasher struct {
	salt []byte
	h    hash.Hash
	// Each is nil where so many blocks at once are no faster.
	pair  *pair
	lanes *lanes
}

// ways are the ways to hash several blocks at once that a processor is good at.
type ways struct{ two, sixteen bool }

// waysHere asks the processor, which takes microseconds in a virtual machine.
func waysHere() ways { return ways{two: pairFits(), sixteen: lanesFit()} }

// newHasher returns a hasher that takes several blocks at once.
func newHasher(salt []byte, w ways) hasher {
	h := hasher{salt: salt, h: sha256.New()}
	if w.two && len(salt) == pairSalt {
		h.pair = newPair(salt)
	}
	if w.sixteen && len(salt) == pairSalt {
		h.lanes = newLanes(salt)
	}
	return h
}

// sum writes the digest of block to dst, which has room for just that.
func (h hasher) sum(dst, block []byte) {
	h.h.Reset()
	h.h.Write(h.salt)
	h.h.Write(block)
	h.h.Sum(dst[:0])
}

// sums writes the digests of all of the blocks to dst, which has room for them.
func (h hasher) sums(dst, blocks []byte) {
	for h.lanes != nil && len(blocks) >= leastLanes*BlockSize {
		n := min(laneCount, len(blocks)/BlockSize)
		h.lanes.sum(dst, blocks[:n*BlockSize])
		dst, blocks = dst[n*DigestSize:], blocks[n*BlockSize:]
	}
	for h.pair != nil && len(blocks) >= 2*BlockSize {
		h.pair.sum(dst[:2*DigestSize], blocks[:2*BlockSize])
		dst, blocks = dst[2*DigestSize:], blocks[2*BlockSize:]
	}
	for len(blocks) > 0 {
		h.sum(dst[:DigestSize], blocks[:BlockSize])
		dst, blocks = dst[DigestSize:], blocks[BlockSize:]
	}
}

// pairSalt is the length of salt that pair and lanes are made for: what inlay and
// systemd-repart use. Salt and block then take half a message block more than
// the block alone, and the padding the other half.
const pairSalt = 32

// A message is the salt and headSize bytes of the block, bodyBlocks message
// blocks of it, and tailSize bytes of it with the padding.
const (
	headSize   = sha256.BlockSize - pairSalt
	tailSize   = (BlockSize - headSize) % sha256.BlockSize
	bodyBlocks = (BlockSize - headSize - tailSize) / sha256.BlockSize
)

// lane is one side of a pair.
type lane struct {
	state [8]uint32
	first [sha256.BlockSize]byte // the salt, and the start of a block
	last  [sha256.BlockSize]byte // the end of a block, and the padding
}

// pair hashes two blocks at once.
type pair struct {
	a, b lane
}

func newPair(salt []byte) *pair { return &pair{newLane(salt), newLane(salt)} }

// newLane returns a lane with what is in every message.
func newLane(salt []byte) lane {
	var l lane
	copy(l.first[:], salt)
	l.last[tailSize] = 0x80
	binary.BigEndian.PutUint64(l.last[sha256.BlockSize-8:], (pairSalt+BlockSize)*8)
	return l
}

// sum writes the digests of two blocks to dst.
func (p *pair) sum(dst, blocks []byte) {
	a, b := blocks[:BlockSize], blocks[BlockSize:2*BlockSize]
	p.a.begin(a[:headSize], a[BlockSize-tailSize:])
	p.b.begin(b[:headSize], b[BlockSize-tailSize:])
	blocks2(&p.a.state, &p.b.state, &p.a.first[0], &p.b.first[0], 1)
	blocks2(&p.a.state, &p.b.state, &a[headSize], &b[headSize], bodyBlocks)
	blocks2(&p.a.state, &p.b.state, &p.a.last[0], &p.b.last[0], 1)
	p.a.digest(dst[:DigestSize])
	p.b.digest(dst[DigestSize : 2*DigestSize])
}

func (l *lane) begin(head, tail []byte) {
	// FIPS 180-4, section 5.3.3, in the order of blocks2: F E B A, H G D C.
	l.state = [8]uint32{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}
	copy(l.first[pairSalt:], head)
	copy(l.last[:], tail)
}

func (l *lane) digest(dst []byte) {
	for i, word := range [8]int{3, 2, 7, 6, 1, 0, 5, 4} {
		binary.BigEndian.PutUint32(dst[4*i:], l.state[word])
	}
}
