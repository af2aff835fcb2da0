package verity_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"inlay/internal/verity"
)

// blocks returns the data that testdata/README.md describes.
func blocks(n int) []byte {
	b := make([]byte, 0, n*verity.BlockSize)
	for i := range uint32(n * verity.BlockSize / 4) {
		b = binary.LittleEndian.AppendUint32(b, i*2654435761)
	}
	return b
}

func params(t testing.TB) verity.Params {
	t.Helper()
	return verity.Params{
		Salt: unhex(t, "c65b6ab68edf421fcc0cb48ba60f7f14f5186b4d003d21ab3b334b91de16759c"),
		UUID: [16]byte(unhex(t, "898929e67747423e85933659ba461e7c")),
	}
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type golden struct {
	blocks int
	size   int64
	root   [32]byte
}

func goldens(t testing.TB) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/roots.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for line := range strings.Lines(string(text)) {
		var g golden
		var root string
		if _, err := fmt.Sscan(line, &g.blocks, &g.size, &root); err != nil {
			t.Fatal(err)
		}
		g.root = [32]byte(unhex(t, root))
		all = append(all, g)
	}
	return all
}

func TestTreeGolden(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		t.Run(fmt.Sprint(g.blocks), func(t *testing.T) {
			t.Parallel()
			tree := verity.NewTree(params(t))
			data := blocks(g.blocks)
			tree.HashBlocks(0, data)
			root, err := tree.Finish(uint64(g.blocks))
			if err != nil {
				t.Fatal(err)
			}
			if root != g.root {
				t.Errorf("root %x, want %x", root, g.root)
			}
			var hash bytes.Buffer
			n, err := tree.WriteTo(&hash)
			if err != nil || n != g.size || int64(hash.Len()) != g.size || tree.Size() != g.size {
				t.Errorf("wrote %d of %d bytes, size %d, want %d: %v", n, hash.Len(), tree.Size(), g.size, err)
			}
			super, err := verity.ParseSuperblock(hash.Bytes())
			if err != nil || super.Size() != g.size {
				t.Errorf("superblock of %d bytes: %v", super.Size(), err)
			}
			top, err := verity.TopRoot(super, bytes.NewReader(hash.Bytes()), bytes.NewReader(data))
			if err != nil || top != g.root {
				t.Errorf("top has root %x, want %x: %v", top, g.root, err)
			}
		})
	}
}

// TestTreeInAnyOrder hashes pieces of several sizes, last first and all at once.
func TestTreeInAnyOrder(t *testing.T) {
	t.Parallel()
	all := goldens(t)
	g := all[len(all)-1]
	data := blocks(g.blocks)
	for _, piece := range []int{1, 7, 256, 5000} {
		tree := verity.NewTree(params(t))
		var busy sync.WaitGroup
		pieces := slices.Collect(slices.Chunk(data, piece*verity.BlockSize))
		for i, p := range slices.Backward(pieces) {
			busy.Go(func() { tree.HashBlocks(uint64(i*piece), p) })
		}
		busy.Wait()
		if root, err := tree.Finish(uint64(g.blocks)); err != nil || root != g.root {
			t.Errorf("pieces of %d: root %x, want %x: %v", piece, root, g.root, err)
		}
	}
}

func TestTreeRewritten(t *testing.T) {
	t.Parallel()
	g := goldens(t)[3]
	tree := verity.NewTree(params(t))
	data := blocks(g.blocks)
	tree.HashBlocks(0, make([]byte, len(data)+verity.BlockSize))
	if root, err := tree.Finish(uint64(g.blocks)); err != nil || root == g.root {
		t.Fatalf("root %x: %v", root, err)
	}
	tree.HashBlocks(0, data)
	if root, err := tree.Finish(uint64(g.blocks)); err != nil || root != g.root {
		t.Errorf("root %x, want %x: %v", root, g.root, err)
	}
}

func TestFinishRefuses(t *testing.T) {
	t.Parallel()
	block := make([]byte, verity.BlockSize)
	for name, test := range map[string]struct {
		salt, hashed int
		blocks       uint64
		want         string
	}{
		"nothing":     {0, 0, 0, "0 data blocks"},
		"gap":         {0, 3, 4, "block 3 of 4 was never hashed"},
		"far gap":     {0, 3, 1 << 30, "block 3 of 1073741824 was never hashed"},
		"absurd size": {0, 1, 1 << 63, "9223372036854775808 data blocks"},
		"long salt":   {257, 1, 1, "salt of 257 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := verity.NewTree(verity.Params{Salt: make([]byte, test.salt)})
			for i := range test.hashed {
				tree.HashBlocks(uint64(i), block)
			}
			if _, err := tree.Finish(test.blocks); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if _, err := tree.WriteTo(&bytes.Buffer{}); err == nil {
				t.Error("an unfinished tree is written")
			}
		})
	}
}

func TestTopRootTruncated(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{1, 2} {
		_, err := verity.TopRoot(verity.Superblock{DataBlocks: n}, strings.NewReader("short"), strings.NewReader("short"))
		if err == nil {
			t.Errorf("%d data blocks: the top of an empty tree has a root", n)
		}
	}
}

func BenchmarkHashBlocks(b *testing.B) {
	tree := verity.NewTree(params(b))
	data := blocks(256)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		tree.HashBlocks(0, data)
	}
}
