package bundle_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"inlay/internal/bundle"
	"inlay/internal/extension"
	"inlay/internal/source"
	"inlay/internal/tree"
)

// playVariable makes the test's own binary a program that unpacks and does nothing
// else, for tests that kill it, or run it as somebody else: REFERENCE|DIR|OPTIONS.
const playVariable = "INLAY_TEST_UNPACK"

func TestMain(m *testing.M) {
	play := os.Getenv(playVariable)
	if play == "" {
		os.Exit(m.Run())
	}
	parts := strings.Split(play, "|")
	o := bundle.Options{Replace: strings.Contains(parts[2], "replace"), NoSameOwner: strings.Contains(parts[2], "mine")}
	if err := unpackTo(context.Background(), parts[1], parts[0], o); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// player is the command that unpacks in a process of its own.
func player(t testing.TB, ref, dir, options string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), playVariable+"="+ref+"|"+dir+"|"+options)
	return c
}

func unpackTo(ctx context.Context, dir, ref string, o bundle.Options) error {
	_, err := unpack(ctx, dir, ref, o)
	return err
}

// unpack unpacks one image to a folder.
func unpack(ctx context.Context, dir, ref string, o bundle.Options) (result *bundle.Result, err error) {
	r, err := source.Parse(ref)
	if err != nil {
		return nil, err
	}
	im, err := source.Open(ctx, r, source.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	place, err := bundle.At(dir)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	o.Architecture = extension.HostArchitecture()
	return bundle.Unpack(ctx, place, []bundle.Part{{Image: im}}, o)
}

func mustUnpack(t testing.TB, dir, ref string, o bundle.Options) *bundle.Result {
	t.Helper()
	r, err := unpack(t.Context(), dir, ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entry is an entry of a layer; a regular file unless it says otherwise.
type entry struct {
	name, text, target string
	kind               byte
	mode               int64
	uid                int
	major, minor       int64
	xattrs             map[string]string
}

func when() time.Time { return time.Unix(1_600_000_000, 123_000_000) }

func layerOf(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Linkname: e.target, Typeflag: e.kind, Mode: e.mode, Uid: e.uid, Gid: e.uid, ModTime: when(), Format: tar.FormatPAX,
			Devmajor: e.major, Devminor: e.minor, PAXRecords: map[string]string{},
		}
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.text))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		for name, value := range e.xattrs {
			h.PAXRecords["SCHILY.xattr."+name] = value
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf lays an image of layers down as an OCI layout and returns how it is
// referred to.
func imageOf(t testing.TB, layers ...[]entry) string {
	t.Helper()
	return imageFor(t, runtime.GOARCH, layers...)
}

func imageFor(t testing.TB, architecture string, layers ...[]entry) string {
	t.Helper()
	im, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: architecture, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, entries := range layers {
		text := layerOf(t, entries)
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if im, err = mutate.AppendLayers(im, l); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(im, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})); err != nil {
		t.Fatal(err)
	}
	return "layout:" + dir
}

// damage spoils the layers of a layout, near their ends.
func damage(t testing.TB, ref string) string {
	t.Helper()
	blobs, err := filepath.Glob(strings.TrimPrefix(ref, "layout:") + "/blobs/sha256/*")
	check(t, err)
	for _, blob := range blobs {
		text, err := os.ReadFile(blob)
		check(t, err)
		if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			continue
		}
		text[len(text)-5] ^= 1
		check(t, os.WriteFile(blob, text, 0o600))
	}
	return ref
}

// listing describes all that lies below a folder, a line each.
func listing(t testing.TB, dir string) []string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var lines []string
	err = tree.Dir(root, nil).Walk(t.Context(), func(e *tree.Entry, r io.Reader) error {
		var text strings.Builder
		fmt.Fprintf(&text, "%s %q %o %d:%d %d.%d", e.Kind, e.Name, e.Mode, e.UID, e.GID, e.Sec, e.Nsec)
		if e.Kind == tree.HardLink {
			lines = append(lines, fmt.Sprintf("hard link %q to %q", e.Name, e.Link))
			return nil
		}
		if e.Kind == tree.Char || e.Kind == tree.Block {
			fmt.Fprintf(&text, " %d:%d", e.Major, e.Minor)
		}
		if e.Target != "" {
			fmt.Fprintf(&text, " to %q", e.Target)
		}
		for _, x := range e.Xattrs {
			if x.Name != "user.inlay.image" && x.Name != "trusted.inlay.image" {
				fmt.Fprintf(&text, " %s=%q", x.Name, x.Value)
			}
		}
		if r != nil {
			content, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			if len(content) > 100 {
				content = fmt.Appendf(nil, "%d bytes", len(content))
			}
			fmt.Fprintf(&text, " %q", content)
		}
		lines = append(lines, text.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// names returns what lies in a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// lockFolder holds the lock of a folder until the test ends.
func lockFolder(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}
