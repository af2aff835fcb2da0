package source_test

import (
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
	"inlay/internal/tree"
)

// BenchmarkWalk reads and checks a layer of 64 MiB that packs about as well as
// programs do. Rates are of the uncompressed bytes.
func BenchmarkWalk(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // content that looks like any
	body := make([]byte, 64<<20)
	for i := range body {
		body[i] = byte(random.Uint32() & random.Uint32() & 0x77)
	}
	layer := makeTar(b, file{name: "usr/bin/x", body: string(body)})
	for name, f := range map[string]struct {
		pack  func(testing.TB, []byte) []byte
		media types.MediaType
	}{
		"plain": {asIs, types.OCIUncompressedLayer}, "gzip": {gzipBytes, types.OCILayer}, "zstd": {zstdBytes, types.OCILayerZStd},
	} {
		b.Run(name, func(b *testing.B) {
			im := mustOpen(b, "layout:"+layoutDir(b, testImage(b, "amd64", f.media, f.pack, layer)), source.Options{})
			b.SetBytes(int64(len(layer)))
			b.ReportAllocs()
			for b.Loop() {
				if err := im.Layers[0].Walk(b.Context(), func(_ *tree.Entry, r io.Reader) error {
					_, err := io.Copy(io.Discard, r)
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
