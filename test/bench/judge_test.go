//go:build bench

package bench_test

import (
	"path/filepath"
	"testing"

	"inlay/test/sfdisk"
)

// judge has fsck.erofs and veritysetup look at the image that c has made.
func (b *bench) judge(t *testing.T, c contender) {
	t.Helper()
	t.Logf("judging what %s has made", c.name)
	parts := sfdisk.Partitions(t, b.image())
	// These tools know no partitions.
	data, hash := filepath.Join(b.output(), "data"), filepath.Join(b.output(), "hash")
	sfdisk.Cut(t, b.image(), parts[0], data)
	sfdisk.Cut(t, b.image(), parts[1], hash)
	binds := map[string]string{b.output(): ""}
	b.root.Run(t, binds, "fsck.erofs", data)
	b.root.Run(t, binds, "veritysetup", "verify", data, hash, sfdisk.RootHash(parts))
}
