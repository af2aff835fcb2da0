package inflate_test

import (
	"bytes"
	"compress/flate"
	stdlib "compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"inlay/internal/inflate"
)

// payload is what layers hold: the layer of test/bench if it was made, else
// this test's own program. It comes as a gzip member and its plain length.
func payload(b *testing.B) (packed []byte, size int64) {
	b.Helper()
	layers, err := filepath.Glob(filepath.Join(os.Getenv("INLAY_TEST_CACHE"), "bench-a-*", "layer.tar"))
	if os.Getenv("INLAY_TEST_CACHE") != "" && err == nil && len(layers) > 0 {
		info, err := os.Stat(layers[0])
		if err != nil {
			b.Fatal(err)
		}
		if packed, err = os.ReadFile(layers[0] + ".gz"); err != nil {
			b.Fatal(err)
		}
		return packed, info.Size()
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	plain, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	return pack(b, plain, flate.DefaultCompression), int64(len(plain))
}

// BenchmarkGunzip sets the package beside those that it takes the place of.
// Rates are of the plain bytes.
func BenchmarkGunzip(b *testing.B) {
	packed, size := payload(b)
	for _, c := range []struct {
		name string
		open func(io.Reader) (io.Reader, error)
	}{
		{"inflate", func(r io.Reader) (io.Reader, error) { return inflate.NewReader(r) }},
		{"klauspost", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"stdlib", func(r io.Reader) (io.Reader, error) { return stdlib.NewReader(r) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			buf := make([]byte, 256<<10)
			for b.Loop() {
				r, err := c.open(bytes.NewReader(packed))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, buf)
				if err != nil || n != size {
					b.Fatalf("%d bytes of %d: %v", n, size, err)
				}
			}
		})
	}
}
