package erofs

import "encoding/binary"

const (
	// minZeros is the shortest run of zeros that gets clusters of its own.
	minZeros = 128 << 10

	// zeroCluster is how much of a run goes into one, in bytes. It is as long as
	// mkfs.erofs makes them, so that kernels have seen such; its end may add a
	// little more, to leave no crumb.
	zeroCluster = 4 << 20
	zeroCrumb   = 64 << 10
)

// zeroClusters makes clusters of zeros without looking at any, so that a sparse
// file takes little time and little room.
type zeroClusters struct {
	algorithm Algorithm
	window    uint8
	longest   int64

	last   []byte // made before, for that many zeros
	length int64
}

func newZeroClusters(c Codec, cluster int) zeroClusters {
	z := zeroClusters{algorithm: c.Algorithm(), longest: zeroCluster}
	if z.algorithm == LZ4 {
		// One byte of LZ4 stands for 255 zeros at most.
		z.longest = min(z.longest, int64(cluster-BlockSize/4)*255&^(zeroCrumb-1)-zeroCrumb)
		return z
	}
	z.window = max(c.WindowLog(), minZeroWindow)
	return z
}

// next returns how much of a run of n zeros goes into the next cluster.
func (z *zeroClusters) next(n int64) int64 {
	if n <= z.longest+zeroCrumb {
		return n
	}
	return z.longest
}

// cluster returns a cluster of n zeros. It is valid until the next call.
func (z *zeroClusters) cluster(n int64) []byte {
	if z.length == n {
		return z.last
	}
	var t task
	if z.algorithm == LZ4 {
		t.append(zeroLZ4(n), true)
	} else {
		t.append(zeroZSTD(n, z.window), true)
	}
	z.last, z.length = t.out, n
	return z.last
}

// zeroLZ4 returns an LZ4 block of n zeros: one as a literal, then a match at
// distance one, and the five literals that a block ends with.
func zeroLZ4(n int64) []byte {
	const literals, shortest, inToken = 1, 4, 15
	match := n - literals - 5 - shortest
	b := []byte{literals<<4 | inToken, 0, 1, 0}
	for match -= inToken; match >= 255; match -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(match), 5<<4, 0, 0, 0, 0, 0)
}

// zstd's limits for a block (RFC 8878, 3.1.1.2).
const (
	zstdBlock     = 128 << 10
	minZeroWindow = 17 // for blocks of that length
)

// zeroZSTD returns a zstd frame of n zeros, in blocks that say what to repeat
// (RFC 8878, 3.1.1).
func zeroZSTD(n int64, window uint8) []byte {
	const (
		magic      = 0xfd2fb528
		longLength = 2 << 6 // the frame's content size has 4 bytes
		repeated   = 1 << 1 // a block's type
	)
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = append(b, longLength, (window-10)<<3)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for n > 0 {
		size := min(n, zstdBlock)
		header := uint32(size)<<3 | repeated
		if n -= size; n == 0 {
			header |= 1
		}
		b = append(b, byte(header), byte(header>>8), byte(header>>16), 0)
	}
	return b
}
