package verity_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/verity"
)

// TestVerifyNamesTheBlock turns one bit round in every region of an image of
// three levels: 129 blocks of data more than two of them could hold.
func TestVerifyNamesTheBlock(t *testing.T) {
	t.Parallel()
	const (
		count               = 128*128 + 129 // data blocks; 130 hash blocks over them, 2, 1
		top                 = 1 * blockSize // where each level begins
		level2, level1, end = 2 * blockSize, 4 * blockSize, 134 * blockSize
	)
	data := random(1, count+1)
	d := newDevice(t, params(t).Salt, data[:count*blockSize])
	d.data = flipped{d.data, nil}
	for name, test := range map[string]struct {
		data, hash int64 // where; 0 for the one that stays
		want       *verity.BlockError
	}{
		"first byte but one":        {data: 1, want: &verity.BlockError{}},
		"end of the first block":    {data: blockSize - 1, want: &verity.BlockError{}},
		"second block":              {data: blockSize, want: &verity.BlockError{Block: 1}},
		"last of a piece":           {data: 32*blockSize - 1, want: &verity.BlockError{Block: 31}},
		"last of a hash block":      {data: 128*blockSize - 1, want: &verity.BlockError{Block: 127}},
		"first of a hash block":     {data: 128 * blockSize, want: &verity.BlockError{Block: 128}},
		"first of a unit":           {data: 256 * blockSize, want: &verity.BlockError{Block: 256}},
		"last of a level 2 block":   {data: 16384*blockSize - 1, want: &verity.BlockError{Block: 16383}},
		"first of a level 2 block":  {data: 16384 * blockSize, want: &verity.BlockError{Block: 16384}},
		"last block":                {data: count*blockSize - 1, want: &verity.BlockError{Block: count - 1}},
		"level 1, first":            {hash: level1, want: &verity.BlockError{Level: 1}},
		"level 1, second":           {hash: level1 + blockSize, want: &verity.BlockError{Level: 1, Block: 1}},
		"level 1, under the second": {hash: level1 + 128*blockSize, want: &verity.BlockError{Level: 1, Block: 128}},
		"level 1, last digest":      {hash: end - blockSize, want: &verity.BlockError{Level: 1, Block: 129}},
		"level 1, padding":          {hash: end - 1, want: &verity.BlockError{Level: 1, Block: 129}},
		"level 2, first":            {hash: level2, want: &verity.BlockError{Level: 2}},
		"level 2, last digest":      {hash: level2 + blockSize + 32, want: &verity.BlockError{Level: 2, Block: 1}},
		"level 2, padding":          {hash: level1 - 1, want: &verity.BlockError{Level: 2, Block: 1}},
		"level 3":                   {hash: top, want: &verity.BlockError{Level: 3}},
		"level 3, padding":          {hash: level2 - 1, want: &verity.BlockError{Level: 3}},
		"the superblock":            {hash: 100},
		"behind the superblock":     {hash: top - 1},
		"behind the tree":           {hash: end},
		"behind the data":           {data: count * blockSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := d
			if test.data != 0 {
				d.data = flipped{d.data, []int64{test.data}}
			} else {
				d.hash = flipped{d.hash, []int64{test.hash}}
			}
			for _, workers := range []int{0, 1} {
				sameBlock(t, d.verify(t, workers), test.want)
			}
		})
	}
}

// sameBlock wants err to be the error of that block, or nil.
func sameBlock(t *testing.T, err error, want *verity.BlockError) {
	t.Helper()
	got, ok := errors.AsType[*verity.BlockError](err)
	if err != nil && !ok {
		t.Errorf("not a block, but %v", err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestVerifyFirst verifies trees of all shapes with several bytes wrong, with
// as many workers as you like, and wants the block that a plain walk finds.
func TestVerifyFirst(t *testing.T) {
	t.Parallel()
	large := random(2, 128*128+1)
	for _, count := range []int{1, 2, 3, 127, 128, 129, 255, 256, 257, 128 * 128, 128*128 + 1} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(uint64(count), 1))
			rounds := 6
			if count > 1000 {
				rounds = 2
			}
			for round := range rounds {
				salt := make([]byte, []int{32, 0, 256, chance.IntN(257), chance.IntN(257), chance.IntN(257)}[round])
				fill(uint64(round), salt)
				d := newDevice(t, salt, large[:count*blockSize])
				sameBlock(t, d.verify(t, 0), nil)
				for range rounds {
					bad := d.flip(chance, count)
					want := bad.judge(t)
					if want == nil {
						t.Fatal("whatever was flipped, the second opinion is that nothing is wrong")
					}
					for _, workers := range []int{1, 2, 3, 100} {
						sameBlock(t, bad.verify(t, workers), want)
					}
				}
			}
		})
	}
}

// flip returns d with one to five bytes wrong, in data or tree.
func (d device) flip(chance *rand.Rand, count int) device {
	var data, hash []int64
	for range 1 + chance.IntN(5) {
		if tree := int64(d.super.HashBlocks()) * blockSize; tree > 0 && chance.IntN(4) == 0 {
			hash = append(hash, blockSize+chance.Int64N(tree))
		} else {
			data = append(data, chance.Int64N(int64(count)*blockSize))
		}
	}
	d.data, d.hash = flipped{d.data, data}, flipped{d.hash, hash}
	return d
}

// TestVerifyOtherTree gives Verify a tree that is right, for something else.
func TestVerifyOtherTree(t *testing.T) {
	t.Parallel()
	data := random(3, 300)
	whole := newDevice(t, params(t).Salt, data)
	top := &verity.BlockError{Level: 2}
	for name, test := range map[string]struct {
		change func(d *device)
		want   *verity.BlockError
	}{
		"root":          {func(d *device) { d.root[31] ^= 1 }, top},
		"salt":          {func(d *device) { d.super.Salt = make([]byte, 32) }, top},
		"salt short":    {func(d *device) { d.super.Salt = d.super.Salt[:31] }, top},
		"other tree":    {func(d *device) { d.hash = newDevice(t, nil, data).hash }, top},
		"a higher tree": {func(d *device) { d.super.DataBlocks = 128*128 + 1 }, &verity.BlockError{Level: 3, Long: true}},
		// Nothing says how high a tree is; but then its top is no data.
		"no tree":          {func(d *device) { d.super.DataBlocks = 1 }, &verity.BlockError{}},
		"one block fewer":  {func(d *device) { d.super.DataBlocks = 299 }, &verity.BlockError{Level: 1, Block: 2, Long: true}},
		"as many as fit":   {func(d *device) { d.super.DataBlocks = 384; d.data = padded{d.data} }, &verity.BlockError{Block: 300}},
		"without the last": {func(d *device) { d.super.DataBlocks = 257 }, &verity.BlockError{Level: 1, Block: 2, Long: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := whole
			test.change(&d)
			sameBlock(t, d.verify(t, 0), test.want)
		})
	}
}

// padded is a device that goes on with zeros.
type padded struct{ io.ReaderAt }

func (z padded) ReadAt(p []byte, off int64) (int, error) {
	n, _ := z.ReaderAt.ReadAt(p, off)
	clear(p[n:])
	return len(p), nil
}
