package source_test

import (
	"bytes"
	"testing"

	"inlay/internal/source"
	"inlay/internal/tree"
)

// FuzzParse promises that no reference panics, and that what is taken comes
// back from its text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"dir:/a", "file://x", "layout:a:b@c", "layout:a@" + someDigest, "docker:h:5/x:1", "oci://x@" + someDigest,
		"container:x", "x", "", ":", "//", "layout::", "docker:../../info", "https://x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := source.Parse(s)
		if err != nil {
			return
		}
		again, err := source.Parse(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q is %#v; its text %q gives %#v, %v", s, ref, ref.String(), again, err)
		}
	})
}

// FuzzArchive promises that no archive panics or makes an image that cannot be
// walked to an end.
func FuzzArchive(f *testing.F) {
	layer := makeTar(f, file{name: "usr/x", body: "x"})
	f.Add(layer)
	f.Add(docker(f, "c.json", []string{"l.tar"}, file{name: "l.tar", body: string(layer)}, file{name: "c.json", body: configJSON(digest(layer))}))
	dir := f.TempDir()
	namedImage(f, dir, "x")
	f.Add(tarFolder(f, dir))
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := source.DetectArchive(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, l := range im.Layers {
			// Content is left unread: holes can make a few bytes a terabyte.
			if err := l.Names(t.Context(), func(*tree.Entry) error { return nil }); err == nil && l.DiffID == "" {
				t.Error("a layer of an image passes unchecked")
			}
		}
	})
}
