package verity_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"inlay/internal/verity"
)

// leaves hashes data block by block with the standard library.
func leaves(salt, data []byte) []byte {
	var digests []byte
	for block := range slices.Chunk(data, verity.BlockSize) {
		sum := sha256.Sum256(append(bytes.Clone(salt), block...))
		digests = append(digests, sum[:]...)
	}
	return digests
}

// treeLeaves hashes data as a Tree does, in pieces of at most step blocks, and
// returns the digests from the tree's lowest level.
func treeLeaves(t *testing.T, salt, data []byte, step int) []byte {
	t.Helper()
	tree := verity.NewTree(verity.Params{Salt: salt})
	n := len(data) / verity.BlockSize
	for first := 0; first < n; first += step {
		last := min(first+step, n)
		tree.HashBlocks(uint64(first), data[first*verity.BlockSize:last*verity.BlockSize])
	}
	if _, err := tree.Finish(uint64(n)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	// With up to 128 leaves there is one hash block, behind the superblock's.
	return out.Bytes()[verity.BlockSize:][:n*verity.DigestSize]
}

// TestLeavesAreSHA256 holds hashing two and sixteen blocks at once to the
// standard library: for numbers of blocks that leave any rest, at any address, for a salt of the
// usual length and for others, which are hashed one by one.
func TestLeavesAreSHA256(t *testing.T) {
	t.Parallel()
	memory := blocks(130)
	for _, saltLength := range []int{0, 1, 31, 32, 33, 64, 256} {
		salt := memory[7:][:saltLength]
		for _, n := range []int{2, 3, 4, 5, 9, 10, 15, 16, 17, 25, 26, 33, 127, 128} {
			for offset := range 3 {
				data := memory[offset*5:][:n*verity.BlockSize]
				for _, step := range []int{1, 2, 3, 11, 16, 128} {
					if !bytes.Equal(treeLeaves(t, salt, data, step), leaves(salt, data)) {
						t.Errorf("salt of %d bytes, %d blocks at offset %d, in steps of %d: other digests than crypto/sha256", saltLength, n, offset*5, step)
					}
				}
			}
		}
	}
}

func FuzzLeaves(f *testing.F) {
	f.Add([]byte("salt"), []byte("data"), uint8(3))
	f.Add(make([]byte, 32), bytes.Repeat([]byte{0xff}, 9000), uint8(2))
	f.Add(make([]byte, 32), []byte("sixteen"), uint8(14))
	f.Add(make([]byte, 32), []byte("twelve"), uint8(10))
	f.Fuzz(func(t *testing.T, salt, seed []byte, n uint8) {
		if len(salt) > verity.MaxSalt || len(seed) == 0 {
			return
		}
		count := 2 + int(n)%35
		data := bytes.Repeat(seed, count*verity.BlockSize/len(seed)+1)[:count*verity.BlockSize]
		if !bytes.Equal(treeLeaves(t, salt, data, count), leaves(salt, data)) {
			t.Error("other digests than crypto/sha256")
		}
	})
}
