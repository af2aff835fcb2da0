package content_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/content"
)

func TestNeeds(t *testing.T) {
	t.Parallel()
	compressed := &content.Needs{Compression: []string{"lz4"}, Kernel: "5.4", Because: []string{"LZ4"}}
	for kind, want := range map[string]*content.Needs{
		"erofs":     {Compression: []string{"none"}, Kernel: "5.4"},
		"erofs-lz4": compressed,
		"squashfs":  nil,
		"ext4":      nil,
	} {
		tree := open(t, image(t, kind))
		if diff := cmp.Diff(want, tree.Needs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		if diff := cmp.Diff(want, tree.Under("usr").Needs()); diff != "" {
			t.Errorf("%s as a usr partition (-want +got):\n%s", kind, diff)
		}
	}
}
