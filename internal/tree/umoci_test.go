package tree_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
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

// layer makes one layer. Names below its own files and links are left out, as
// are hard links whose file it hides or replaces: there tools differ, and
// tables of cases say what ours does.
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
			if h.Linkname = s.file(own, hidden, h.Name); h.Linkname == "" {
				continue
			}
			h.Typeflag = tar.TypeLink
		default:
			h.Typeflag, content = tar.TypeReg, fmt.Sprint("content ", s.IntN(1e9))
			if s.IntN(3) == 0 {
				h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": fmt.Sprint(s.IntN(9))}
			}
		}
		if h.Typeflag != tar.TypeDir && s.inside(own, h.Name) {
			continue
		}
		put(h, content)
		own[h.Name] = h.Typeflag
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range hidden {
		delete(s.below, name)
	}
	maps.Copy(s.below, own)
	return buf.Bytes()
}

// target is what a symbolic link points at.
func (s *stack) target() string {
	return []string{"", "/", "../", "../../../", "./"}[s.IntN(5)] + s.name()
}

// open reports whether nothing of the layer itself but folders is above name.
func (s *stack) open(own map[string]byte, name string) bool {
	for above := path.Dir(name); above != "."; above = path.Dir(above) {
		if kind, ok := own[above]; ok && kind != tar.TypeDir {
			return false
		}
	}
	return true
}

// inside reports whether the layer itself has something below name.
func (s *stack) inside(own map[string]byte, name string) bool {
	for other := range own {
		if len(other) > len(name) && other[:len(name)+1] == name+"/" {
			return true
		}
	}
	return false
}

// file picks a regular file of this layer, or of one below, to link to.
func (s *stack) file(own map[string]byte, hidden map[string]bool, name string) string {
	var files []string
	for other, kind := range own {
		if kind == tar.TypeReg {
			files = append(files, other)
		}
	}
	slices.Sort(files)
	if len(files) == 0 {
		return ""
	}
	return files[s.IntN(len(files))]
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
// give the tree that Merge gives.
func TestUmoci(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "umoci", "umoci")
	need.Root(t)
	const stacks = 60
	compared, twice := 0, 0
	for seed := range uint64(stacks) {
		s := &stack{rand.New(rand.NewPCG(seed, 1)), map[string]byte{}}
		var layers []tree.Layer
		image := empty.Image
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
		compared++
		dir := t.TempDir()
		l, err := layout.Write(filepath.Join(dir, "image"), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "x"})); err != nil {
			t.Fatal(err)
		}
		run(t, tool, "unpack", "--image", filepath.Join(dir, "image")+":x", filepath.Join(dir, "bundle"))
		if diff := cmp.Diff(onDisk(t, filepath.Join(dir, "bundle", "rootfs")), inTree(t, tr, &d)); diff != "" {
			t.Errorf("seed %d: umoci and Merge differ (-umoci +ours):\n%s", seed, diff)
		}
	}
	t.Logf("%d stacks compared; %d layers were read twice", compared, twice)
	if compared < stacks*3/4 || twice == 0 {
		t.Errorf("only %d of %d stacks were compared, %d layers read twice", compared, stacks, twice)
	}
}

func appendLayer(t testing.TB, image v1.Image, data []byte) v1.Image {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.AppendLayers(image, l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
