package verity_test

import (
	"bytes"
	"testing"

	"inlay/internal/verity"
)

func TestVerifyGoldens(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		tree := verity.NewTree(params(t))
		data := blocks(g.blocks)
		tree.HashBlocks(0, data)
		root, err := tree.Finish(uint64(g.blocks))
		if err != nil {
			t.Fatal(err)
		}
		var hash bytes.Buffer
		if _, err := tree.WriteTo(&hash); err != nil {
			t.Fatal(err)
		}
		s, err := verity.ParseSuperblock(hash.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := verity.Verify(t.Context(), s, root, bytes.NewReader(data), bytes.NewReader(hash.Bytes()), verity.VerifyOptions{}); err != nil {
			t.Errorf("%d blocks: %v", g.blocks, err)
		}
		data[len(data)-1] ^= 1
		if err := verity.Verify(t.Context(), s, root, bytes.NewReader(data), bytes.NewReader(hash.Bytes()), verity.VerifyOptions{}); err == nil {
			t.Errorf("%d blocks: changed data is right", g.blocks)
		}
	}
}
