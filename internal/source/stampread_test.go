package source_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"inlay/internal/source"
	"inlay/test/need"
)

// opened returns what has the stamp of what ref names now, as it is read since
// began.
func opened(t *testing.T, ref string, began time.Time) func() string {
	t.Helper()
	im := mustOpen(t, ref, source.Options{Architecture: "amd64"})
	return func() string { return im.StampRead(t.Context(), began) }
}

// TestStampFresh promises that what was changed at the time of reading, or so
// shortly before that a change might not show, is not vouched for.
func TestStampFresh(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	layer := makeTar(t, file{name: "usr/file", body: "content"})
	path := put(t, filepath.Join(folder, "layer.tar"), layer)
	for _, ref := range []string{"dir:" + folder, "file:" + path} {
		if got := opened(t, ref, time.Now())(); got != "" {
			t.Errorf("%s was written just now, and has the stamp %q", ref, got)
		}
	}
	time.Sleep(40 * time.Millisecond)
	began := time.Now()
	read := map[string]func() string{}
	for _, ref := range []string{"dir:" + folder, "file:" + path} {
		read[ref] = opened(t, ref, began)
		if got, want := read[ref](), stamp(t, ref); got == "" || got != want {
			t.Errorf("%s has the stamp %q, and %q to compare with", ref, got, want)
		}
	}
	put(t, path, layer)
	for ref, stamp := range read {
		if got := stamp(); got != "" {
			t.Errorf("%s was written to meanwhile, and has the stamp %q", ref, got)
		}
	}
}

// TestStampOfAnother promises that what was read is not taken for what its name
// leads to later, however old that is.
func TestStampOfAnother(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(folder, name, "layer.tar"), makeTar(t, file{name: "usr/" + name}))
	}
	current := filepath.Join(folder, "current")
	point := func(to string) {
		t.Helper()
		if err := os.Symlink(to, current+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(current+".new", current); err != nil {
			t.Fatal(err)
		}
	}
	point("one")
	time.Sleep(40 * time.Millisecond)
	for _, ref := range []string{"dir:" + current, "file:" + current + "/layer.tar"} {
		point("one")
		read := opened(t, ref, time.Now())
		if read() == "" {
			t.Fatalf("%s has no stamp", ref)
		}
		point("two")
		if got := read(); got != "" {
			t.Errorf("%s was one thing and is another, and has the stamp %q", ref, got)
		}
	}
}

// TestStampOfImage promises that nothing is believed of a mounted image of which
// whoever made it chose the times of its files: another takes its place unseen.
func TestStampOfImage(t *testing.T) {
	t.Parallel()
	need.Root(t)
	mount, umount, squash := need.Tool(t, "mount", "mount"), need.Tool(t, "umount", "mount"), need.Tool(t, "mksquashfs", "squashfs-tools")
	folder := t.TempDir()
	tree, image, at := filepath.Join(folder, "tree"), filepath.Join(folder, "image"), filepath.Join(folder, "at")
	for _, dir := range []string{tree, at} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(tree, "file"), []byte("content"))
	run := func(argv ...string) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, text)
		}
	}
	run(squash, tree, image, "-quiet", "-no-progress")
	run(mount, "-t", "squashfs", "-o", "loop,ro", image, at)
	defer run(umount, at)
	time.Sleep(40 * time.Millisecond)
	if got := stamp(t, "dir:"+at); got != "" {
		t.Errorf("a mounted image has the stamp %q", got)
	}
}
