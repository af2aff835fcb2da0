package source_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

func stamp(t testing.TB, ref string) string {
	t.Helper()
	r, err := source.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	s, err := source.Stamp(t.Context(), r, source.Options{Architecture: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStampRegistry promises that a registry is asked by HEAD alone, not at all
// about a digest, and that the answer is what an image was opened by.
func TestStampRegistry(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	host := serveRegistry(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = append(asked, r.Method+" "+r.URL.Path)
			mu.Unlock()
			h.ServeHTTP(w, r)
		})
	})
	pushIndex(t, host+"/tool:1", multiPlatform(t, linux("amd64", ""), linux("arm64", "")))
	opened := mustOpen(t, "oci:"+host+"/tool:1", source.Options{Architecture: "amd64"})
	asked = nil
	first := stamp(t, "oci:"+host+"/tool:1")
	if want := []string{"GET /v2/", "HEAD /v2/tool/manifests/1"}; !slices.Equal(asked, want) {
		t.Errorf("the registry is asked %q, want %q", asked, want)
	}
	if first == "" || opened.Stamp() != first {
		t.Errorf("the image was opened by %q, the stamp is %q", opened.Stamp(), first)
	}
	asked = nil
	digest := "sha256:" + first[len("digest sha256:"):]
	if got := stamp(t, "oci:"+host+"/tool@"+digest); got != first || len(asked) > 0 {
		t.Errorf("by digest the stamp is %q, after %q", got, asked)
	}
	push(t, host+"/tool:1", testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/new", body: "new"})))
	if got := stamp(t, "oci:"+host+"/tool:1"); got == first || got == "" {
		t.Errorf("another image has the stamp %q", got)
	}
	if got := stamp(t, "oci:"+host+"/none:1"); got != "" {
		t.Errorf("an image that is not there has the stamp %q", got)
	}
}

// TestStampImage promises that images of daemons and layouts are known by their
// digests, once they were opened.
func TestStampImage(t *testing.T) {
	t.Parallel()
	one := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/one", body: "1"}))
	two := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/two", body: "2"}))
	var stamps []string
	for _, im := range []v1.Image{one, two, one} {
		socket := serveDaemon(t, "tool", im)
		opened := mustOpen(t, "docker:tool", source.Options{Architecture: "amd64", DockerHost: socket})
		stamps = append(stamps, opened.Stamp())
	}
	if stamps[0] == "" || stamps[0] == stamps[1] || stamps[0] != stamps[2] {
		t.Errorf("the daemon's images have the stamps %q", stamps)
	}
}

// TestStampFolder promises that each change of a folder shows.
func TestStampFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	within := func(name string) string { return filepath.Join(folder, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(within("usr/share/deep"), 0o755))
	put(t, within("usr/share/deep/file"), []byte("content"))
	put(t, within("usr/other"), []byte("content"))
	must(os.Symlink("file", within("usr/share/deep/link")))
	past := time.Unix(1_500_000_000, 0)
	changes := []struct {
		name string
		do   func() error
	}{
		{"content", func() error { return os.WriteFile(within("usr/other"), []byte("another"), 0o644) }},
		{"content, with the old time", func() error {
			info, err := os.Stat(within("usr/share/deep/file"))
			must(err)
			must(os.WriteFile(within("usr/share/deep/file"), []byte("CONTENT"), 0o644))
			return os.Chtimes(within("usr/share/deep/file"), info.ModTime(), info.ModTime())
		}},
		{"time", func() error { return os.Chtimes(within("usr/share/deep/file"), past, past) }},
		{"mode", func() error { return os.Chmod(within("usr/other"), 0o600) }},
		{"a folder's mode", func() error { return os.Chmod(within("usr/share/deep"), 0o700) }},
		{"the top's mode", func() error { return os.Chmod(folder, 0o700) }},
		{"link", func() error {
			must(os.Remove(within("usr/share/deep/link")))
			return os.Symlink("FILE", within("usr/share/deep/link"))
		}},
		{"new", func() error { return os.WriteFile(within("usr/share/new"), nil, 0o644) }},
		{"name", func() error { return os.Rename(within("usr/share/new"), within("usr/share/newer")) }},
		{"another name", func() error { return os.Link(within("usr/other"), within("usr/another")) }},
		{"removed", func() error { return os.Remove(within("usr/share/newer")) }},
	}
	last := stamp(t, "dir:"+folder)
	for _, c := range changes {
		if again := stamp(t, "dir:"+folder); again != last || again == "" {
			t.Fatalf("before %q the stamp was %q, then %q", c.name, last, again)
		}
		time.Sleep(15 * time.Millisecond) // the clock of files goes in steps
		must(c.do())
		now := stamp(t, "dir:"+folder)
		if now == last {
			t.Errorf("%s: the stamp stays as it is", c.name)
		}
		last = now
	}
}

// TestStampless promises that what cannot be told is not told.
func TestStampless(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"file:/dev/null", "dir:/proc/self", "file:/nowhere", "dir:/nowhere", "layout:/nowhere", "docker:tool"} {
		if got := stamp(t, ref); got != "" {
			t.Errorf("%s has the stamp %q", ref, got)
		}
	}
}

func put(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
