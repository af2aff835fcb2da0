package verify

import (
	"context"
	"fmt"
	"io"
	"sync"

	"inlay/internal/hint"
	"inlay/internal/verity"
)

// checkTree reads the data and compares it with the hash tree.
func (c *course) checkTree(ctx context.Context) (State, string, error) {
	vol := &c.volume
	switch {
	case !vol.protected:
		return Nothing, "no hash tree: nothing tells whether the data was changed", nil
	case c.options.Depth == Top:
		return Passed, "its top agrees with the root hash; the data was not read", nil
	}
	total := int64(vol.super.DataBlocks) * verity.BlockSize //nolint:gosec // bounded by the size of the partition
	o := verity.VerifyOptions{Workers: c.options.Workers}
	if c.options.Progress != nil {
		var mu sync.Mutex
		var done int64
		o.Progress = func(blocks uint64) {
			mu.Lock()
			defer mu.Unlock()
			done += int64(blocks) * verity.BlockSize //nolint:gosec // as total
			c.options.Progress(done, total)
		}
	}
	err := verity.Verify(ctx, vol.super, vol.root, vol.data, vol.hash, o)
	if err != nil {
		return "", "", blockError(err)
	}
	return Passed, fmt.Sprintf("all %d blocks are what was hashed", vol.super.DataBlocks), nil
}

// data returns the data for reading: through the hash tree if there is one,
// so that nothing is believed that the tree doesn't confirm.
func (c *course) data() (io.ReaderAt, int64) {
	vol := &c.volume
	if !vol.protected {
		return vol.data, vol.size
	}
	checked := verity.NewReader(vol.super, vol.root, vol.data, vol.hash)
	return watched{checked, &c.wrong}, int64(vol.super.DataBlocks) * verity.BlockSize //nolint:gosec // bounded
}

func blockError(err error) error {
	return hint.Wrap(err, "fetch or build the image again: it has been changed, or the disk has")
}
