package squashfs_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzOpen opens what comes and walks all of it, within bounds as whoever reads
// strangers' images must keep. No input may panic or take long.
func FuzzOpen(f *testing.F) {
	vectors, err := filepath.Glob("testdata/*.squashfs")
	if err != nil || len(vectors) == 0 {
		f.Fatal(err, vectors)
	}
	for _, v := range vectors {
		f.Add(vector(f, strings.TrimSuffix(filepath.Base(v), ".squashfs")))
	}
	c := crafted{compressor: gzip, dirs: names(1, name(0, 1, "again"))}
	c.inodes = folder(1, uint32(3+len(c.dirs)), none)
	f.Add(c.image(f))
	f.Fuzz(func(t *testing.T, image []byte) {
		fs, err := open(image)
		if err != nil {
			return
		}
		if fs.Size() > int64(len(image)) {
			t.Errorf("a size of %d in %d bytes", fs.Size(), len(image))
		}
		if _, err := read(fs, &budget{names: 300, bytes: 1 << 20}); err != nil {
			return
		}
	})
}
