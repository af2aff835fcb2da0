//go:build linux

package tree_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/tree"
	"inlay/test/need"
)

// stack makes layers at random that every tool accepts: few names, so that
// they meet often, and a model of which raw names each layer has.
type stack struct {
	*rand.Rand
	below map[string]byte // what the layers so far have under a name, by type
}

func (s *stack) name() string {
	name := ""
	for range 1 + s.IntN(3) {
		name = path.Join(name, string(rune('a'+s.IntN(4))))
	}
	return name
}

// layer makes one layer. Left out is what tools differ in, where a table of
// cases says what ours does: names below the layer's own files and links, hard
// links whose file it hides or replaces.
func (s *stack) layer(t testing.TB) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	own := map[string]byte{}
	put := func(h *tar.Header, content string) {
		h.Size = int64(len(content))
		h.ModTime = time.Unix(1500000000+s.Int64N(1e8), 0)
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	hidden := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.below)) {
		if s.IntN(6) != 0 || hides(hidden, name) {
			continue
		}
		hidden[name] = true
		if s.below[name] == tar.TypeDir && s.IntN(2) == 0 {
			put(&tar.Header{Name: name + "/.wh..wh..opq", Typeflag: tar.TypeReg}, "")
			// An opaque marker makes the folder the layer's own.
			put(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, "")
			own[name] = tar.TypeDir
		} else {
			put(&tar.Header{Name: path.Dir(name) + "/.wh." + path.Base(name), Typeflag: tar.TypeReg}, "")
		}
	}
	for range 4 + s.IntN(14) {
		h := &tar.Header{Name: s.name(), Mode: s.Int64N(0o1000), Uid: s.IntN(3), Gid: s.IntN(3)}
		if _, taken := own[h.Name]; taken || !s.open(own, h.Name) {
			continue
		}
		content := ""
		switch s.IntN(8) {
		case 0, 1:
			h.Typeflag, h.Mode = tar.TypeDir, h.Mode|0o700
		case 2:
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, s.target(), 0o777
		case 3:
			h.Typeflag = tar.TypeFifo
		case 4:
			if h.Linkname = s.file(own, hidden); h.Linkname == "" || hides(map[string]bool{h.Name: true}, h.Linkname) {
				continue
			}
			h.Typeflag = tar.TypeLink
		default:
			h.Typeflag, content = tar.TypeReg, fmt.Sprint("content ", s.IntN(1e9))
			if s.IntN(3) == 0 {
				h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": fmt.Sprint(s.IntN(9))}
			}
		}
		if h.Typeflag != tar.TypeDir && inside(own, h.Name) || h.Typeflag == tar.TypeSymlink && inside(hidden, h.Name) {
			continue
		}
		if s.below[h.Name] == tar.TypeSymlink && inside(own, h.Name) {
			continue // a folder in a link's place, after what goes into it
		}
		put(h, content)
		own[h.Name] = h.Typeflag
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(s.below, func(name string, _ byte) bool {
		return hides(hidden, name) || s.covered(own, name)
	})
	maps.Copy(s.below, own)
	return buf.Bytes()
}

// covered reports whether something of the set other than a folder is at name or above.
func (s *stack) covered(own map[string]byte, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if kind := own[name]; kind != 0 && kind != tar.TypeDir {
			return true
		}
	}
	return false
}

// target is what a symbolic link points at.
func (s *stack) target() string {
	return []string{"", "/", "../", "../../../", "./"}[s.IntN(5)] + s.name()
}

// open reports whether all that is above name is folders, or lower layers' links.
func (s *stack) open(own map[string]byte, name string) bool {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		kind, named := own[above]
		if named && kind != tar.TypeDir {
			return false
		}
		if kind := s.below[above]; !named && kind != 0 && kind != tar.TypeDir && kind != tar.TypeSymlink {
			return false // umoci makes no folder over a lower layer's file unless it has an entry
		}
	}
	return true
}

// inside reports whether the set has something below name.
func inside[T any](own map[string]T, name string) bool {
	for other := range own {
		if len(other) > len(name) && other[:len(name)+1] == name+"/" {
			return true
		}
	}
	return false
}

// file picks a regular file to link to: of this layer, or of one below if the
// layer neither hides it nor leads there by links.
func (s *stack) file(own map[string]byte, hidden map[string]bool) string {
	var files []string
	for name, kind := range own {
		if kind == tar.TypeReg {
			files = append(files, name)
		}
	}
	for name, kind := range s.below {
		if kind == tar.TypeReg && own[name] == 0 && !hides(hidden, name) && s.folders(own, name) {
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		return ""
	}
	slices.Sort(files)
	return files[s.IntN(len(files))]
}

// folders reports whether all that is above name is folders in every layer.
func (s *stack) folders(own map[string]byte, name string) bool {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		for _, kind := range []byte{own[above], s.below[above]} {
			if kind != 0 && kind != tar.TypeDir {
				return false
			}
		}
	}
	return true
}

// hides reports whether name or a folder above it is in the set.
func hides(set map[string]bool, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if set[name] {
			return true
		}
	}
	return false
}

// umoci is the witness: stacks of random layers, applied by it to a disk, must
// give the tree that Merge gives. Of the first thousand seeds it differs in
// one, 220, on purpose: a folder that a layer puts in the place of a lower
// layer's link counts from the layer's beginning, not from its own entry on.
func TestUmoci(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "umoci", "umoci")
	need.Root(t)
	const stacks = 40
	compared, twice := 0, 0
	for seed := range uint64(stacks) {
		s := &stack{rand.New(rand.NewPCG(seed, 1)), map[string]byte{}}
		var layers []tree.Layer
		image := emptyImage(t)
		for i := range 2 + s.IntN(4) {
			data := s.layer(t)
			layers = append(layers, tarLayer(fmt.Sprint("layer-", i), data))
			image = appendLayer(t, image, data)
		}
		var d digests
		tr, report, err := tree.Merge(t.Context(), layers, tree.Options{}, &d)
		if err != nil {
			t.Logf("seed %d: %v", seed, err)
			continue
		}
		twice += len(report.Twice)
		dir := t.TempDir()
		l, err := layout.Write(filepath.Join(dir, "image"), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "x"})); err != nil {
			t.Fatal(err)
		}
		unpack := exec.CommandContext(t.Context(), tool, "unpack", "--image", filepath.Join(dir, "image")+":x", filepath.Join(dir, "bundle"))
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Logf("seed %d: umoci refuses: %s", seed, bytes.TrimSpace(out))
			continue
		}
		compared++
		if diff := cmp.Diff(onDisk(t, filepath.Join(dir, "bundle", "rootfs")), inTree(t, tr, &d)); diff != "" {
			t.Errorf("seed %d: umoci and Merge differ (-umoci +ours):\n%s", seed, diff)
		}
	}
	t.Logf("%d stacks compared; %d layers were read twice", compared, twice)
	if compared < stacks*3/4 || twice == 0 {
		t.Errorf("only %d of %d stacks were compared, %d layers read twice", compared, stacks, twice)
	}
}

func emptyImage(t testing.TB) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

func appendLayer(t testing.TB, image v1.Image, data []byte) v1.Image {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.AppendLayers(image, l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
