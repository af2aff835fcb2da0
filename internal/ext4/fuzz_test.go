package ext4_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"inlay/internal/ext4"
)

// fuzzBudget is how many names and bytes one input may cost.
const fuzzBudget = 2 << 20

// FuzzOpen reads all of an image in testdata after changing it: patch is a row of
// offsets and values, of 4 bytes each. With which beyond the images, patch is an image.
func FuzzOpen(f *testing.F) {
	images := []image{load(f, "ext2"), load(f, "ext4"), load(f, "checked"), load(f, "inline")}
	for which := range images {
		f.Add(byte(which), []byte{})
	}
	f.Add(byte(1), []byte("\x18\x04\x00\x00\x02\x00\x00\x00"))
	f.Add(byte(255), []byte(images[1][:8192]))
	f.Fuzz(func(_ *testing.T, which byte, patch []byte) {
		m := image(patch)
		if int(which) < len(images) {
			m = bytes.Clone(images[which])
			for ; len(patch) >= 8; patch = patch[8:] {
				at := int64(binary.LittleEndian.Uint32(patch)) % int64(len(m)-3)
				copy(m[at:], patch[4:8])
			}
		}
		fs, err := ext4.Open(bytes.NewReader(m), int64(len(m)))
		if err != nil {
			return
		}
		if fs.Size() > int64(len(m)) {
			panic("the file system is larger than its image")
		}
		_, _ = walk(fs, fuzzBudget)
	})
}
