package ext4_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"inlay/internal/ext4"
)

// fuzzBudget is how many names and bytes one input may cost.
const fuzzBudget = 256 << 10

// FuzzOpen reads all of an image in testdata after changing it: patch is a row of
// offsets and values, of 4 bytes each.
func FuzzOpen(f *testing.F) {
	images := []image{load(f, "ext2"), load(f, "ext4"), load(f, "inline"), load(f, "checked")}
	for which := range images {
		f.Add(byte(which), []byte{})
		f.Add(byte(which), []byte("\x18\x04\x00\x00\x02\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which byte, patch []byte) {
		m := bytes.Clone(images[int(which)%len(images)])
		for ; len(patch) >= 8; patch = patch[8:] {
			at := int64(binary.LittleEndian.Uint32(patch)) % int64(len(m)-3)
			copy(m[at:], patch[4:8])
		}
		fs, err := ext4.Open(bytes.NewReader(m), int64(len(m)))
		if err != nil {
			return
		}
		if fs.Size() > int64(len(m)) {
			t.Fatalf("a file system of %d bytes in an image of %d", fs.Size(), len(m))
		}
		_, _ = walk(fs, fuzzBudget)
	})
}
