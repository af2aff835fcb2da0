package erofs

import (
	"encoding/binary"
	"math/bits"
)

// filterSeed is what the filter's hash begins with.
const filterSeed = 0x25bbe08f

// filterBit returns the bit of a name, its prefix left out, in the filter of an
// inode's attributes. It is set where the name is not among them.
func filterBit(index byte, name string) uint32 {
	return 1 << (xxh32([]byte(name), filterSeed+uint32(index)) % 32)
}

// xxh32 is the hash XXH32 (the xxHash specification 0.1.1, section 1).
func xxh32(p []byte, seed uint32) uint32 {
	const (
		prime1 = 0x9e3779b1
		prime2 = 0x85ebca77
		prime3 = 0xc2b2ae3d
		prime4 = 0x27d4eb2f
		prime5 = 0x165667b1
	)
	le := binary.LittleEndian
	h, size := seed+prime5, uint32(len(p))
	if len(p) >= 16 {
		lanes := [4]uint32{seed, seed, seed, seed}
		lanes[0] += prime1
		lanes[0] += prime2
		lanes[1] += prime2
		lanes[3] -= prime1
		for ; len(p) >= 16; p = p[16:] {
			for i := range lanes {
				lanes[i] = bits.RotateLeft32(lanes[i]+le.Uint32(p[4*i:])*prime2, 13) * prime1
			}
		}
		h = bits.RotateLeft32(lanes[0], 1) + bits.RotateLeft32(lanes[1], 7) + bits.RotateLeft32(lanes[2], 12) + bits.RotateLeft32(lanes[3], 18)
	}
	h += size
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+le.Uint32(p)*prime3, 17) * prime4
	}
	for _, b := range p {
		h = bits.RotateLeft32(h+uint32(b)*prime5, 11) * prime1
	}
	h = (h ^ h>>15) * prime2
	h = (h ^ h>>13) * prime3
	return h ^ h>>16
}
