package source_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// TestLayoutPlatforms promises that images of one name, one for each platform,
// are told apart by the platform.
func TestLayoutPlatforms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := layout.Write(dir, emptyIndex())
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		im := testImage(t, arch, types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/" + arch}))
		err := p.AppendImage(im, layout.WithPlatform(linux(arch, "")),
			layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v1"}))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", ":v1"} {
		im := mustOpen(t, "layout:"+dir+suffix, source.Options{Architecture: "arm64"})
		if im.Architecture != "arm64" {
			t.Errorf("%q opens the image for %s", suffix, im.Architecture)
		}
	}
	_, err = open(t, "layout:"+dir+":v1", source.Options{Architecture: "riscv64"})
	wantError(t, err, "the index holds linux/amd64, linux/arm64", "--arch")
}
