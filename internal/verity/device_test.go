package verity_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"inlay/internal/verity"
)

const blockSize = verity.BlockSize

// device is data and the hash partition over it. Tests change neither: what is
// wrong with them is laid over them, by flipped and cut.
type device struct {
	super verity.Superblock
	root  [32]byte
	data  io.ReaderAt
	hash  io.ReaderAt
}

func newDevice(t testing.TB, salt, data []byte) device {
	t.Helper()
	count := uint64(len(data) / blockSize)
	tree := verity.NewTree(verity.Params{Salt: salt, UUID: params(t).UUID})
	tree.HashBlocks(0, data)
	root, err := tree.Finish(count)
	if err != nil {
		t.Fatal(err)
	}
	var hash bytes.Buffer
	if _, err := tree.WriteTo(&hash); err != nil {
		t.Fatal(err)
	}
	super, err := verity.ParseSuperblock(hash.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return device{super, root, bytes.NewReader(data), bytes.NewReader(hash.Bytes())}
}

func (d device) verify(t testing.TB, workers int) error {
	t.Helper()
	return verity.Verify(t.Context(), d.super, d.root, d.data, d.hash, verity.VerifyOptions{Workers: workers})
}

func (d device) reader() *verity.Reader { return verity.NewReader(d.super, d.root, d.data, d.hash) }

// random returns n blocks that are the same in every run.
func random(seed uint64, n int) []byte {
	b := make([]byte, n*blockSize)
	fill(seed, b)
	return b
}

func fill(seed uint64, b []byte) {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	if _, err := rand.NewChaCha8(key).Read(b); err != nil {
		panic(err) // it has none
	}
}

// flipped is a device of which a bit of each of the bytes at is the other way
// round.
type flipped struct {
	io.ReaderAt
	at []int64
}

func (f flipped) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	for _, at := range f.at {
		if at >= off && at < off+int64(n) {
			p[at-off] ^= 0x10
		}
	}
	return n, err
}

// short returns a device that ends after n bytes.
func short(r io.ReaderAt, n int64) io.ReaderAt { return io.NewSectionReader(r, 0, n) }

// broken is a device on which no byte from at on can be read.
type broken struct {
	io.ReaderAt
	at  int64
	err error
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= b.at {
		return b.ReaderAt.ReadAt(p, off)
	}
	n, _ := b.ReaderAt.ReadAt(p[:max(0, b.at-off)], off)
	return n, b.err
}

// judge is the second opinion on a device: it goes through the tree from the
// root, in the order of the data, with the standard library alone, and returns
// the first block that is wrong, or nil. It can't read devices that are short.
type judge struct {
	t testing.TB
	device
	counts []uint64
}

func (d device) judge(t testing.TB) *verity.BlockError {
	t.Helper()
	j := judge{t, d, []uint64{d.super.DataBlocks}}
	for last := d.super.DataBlocks; last > 1; j.counts = append(j.counts, last) {
		last = (last-1)/128 + 1
	}
	return j.below(len(j.counts)-1, 0, d.root[:])
}

func (j judge) below(level int, i uint64, want []byte) *verity.BlockError {
	block := make([]byte, blockSize)
	var err error
	if level == 0 {
		_, err = j.data.ReadAt(block, int64(i)*blockSize)
	} else {
		// The superblock, the levels above this one, the blocks before this one.
		before := 1 + i
		for _, count := range j.counts[level+1:] {
			before += count
		}
		_, err = j.hash.ReadAt(block, int64(before)*blockSize)
	}
	if err != nil {
		j.t.Fatal(err)
	}
	if got := sha256.Sum256(slices.Concat(j.super.Salt, block)); !bytes.Equal(got[:], want) {
		return &verity.BlockError{Level: level, Block: i}
	}
	if level == 0 {
		return nil
	}
	for child := range min(128, j.counts[level-1]-i*128) {
		if e := j.below(level-1, i*128+child, block[child*32:][:32]); e != nil {
			return e
		}
	}
	return nil
}

// cancelled returns a context that is.
func cancelled(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
