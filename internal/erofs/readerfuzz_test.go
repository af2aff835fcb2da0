package erofs_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/erofs"
)

// FuzzOpen opens what comes, its checksum mended, and reads all of it, within
// bounds as whoever reads strangers' images must keep. No input may panic, take
// long, or read as two things.
func FuzzOpen(f *testing.F) {
	names, err := filepath.Glob("testdata/fuzz/*.gz")
	if err != nil || len(names) == 0 {
		f.Fatal(err, names)
	}
	for _, name := range names {
		f.Add(vector(f, "fuzz/"+strings.TrimSuffix(filepath.Base(name), ".gz")))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		image = seal(bytes.Clone(image))
		fs, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		if fs.Size() > int64(len(image)) {
			t.Errorf("a size of %d in %d bytes", fs.Size(), len(image))
		}
		records, err := readAll(fs, 1<<20)
		if err != nil {
			return
		}
		// In another order of reads, with other caches.
		fs, err = erofs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			t.Fatal(err)
		}
		again, err := readAll(fs, 1<<20)
		if err != nil || len(again) != len(records) {
			t.Errorf("%d names and %d, %v", len(records), len(again), err)
		}
	})
}

// FuzzUnpack unpacks clusters of each algorithm, all and a part of them.
func FuzzUnpack(f *testing.F) {
	for name, content := range contents() {
		for _, method := range methods {
			if packed := compressWith(f, method, content[:min(len(content), 1500)]); len(packed) > 0 && name != "far" {
				f.Add(uint8(method), 1500, packed)
			}
		}
	}
	f.Fuzz(func(t *testing.T, method uint8, size int, packed []byte) {
		size = max(1, min(size, 16<<10))
		whole, part := make([]byte, size), make([]byte, size)
		m := erofs.Algorithm(method % 4)
		if erofs.Unpack(m, whole, packed, false, true) != nil {
			return
		}
		// What can be unpacked as a whole can be in part, to the same bytes.
		if err := erofs.Unpack(m, part, packed, true, true); err != nil || !bytes.Equal(whole, part) {
			t.Errorf("in part: %v", err)
		}
	})
}
