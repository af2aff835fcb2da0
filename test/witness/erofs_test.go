package witness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"inlay/test/debian"
	"inlay/test/mount"
	"inlay/test/need"
	"inlay/test/sfdisk"
)

// packing is one way of "inlay build" to pack files into EROFS.
type packing struct {
	name  string
	flags []string
	// old says that fsck.erofs 1.5, Debian 12's, reads it. 1.8 reads them all.
	old bool
}

// packings are all that there are: an algorithm each, and with and without what
// only newer kernels have.
func packings() []packing {
	return []packing{
		{name: "by default", old: true},
		{name: "none", flags: []string{"--compression=none"}, old: true},
		{name: "none for 6.12", flags: []string{"--compression=none", "--min-kernel=6.12"}},
		{name: "lz4", flags: []string{"--compression=lz4"}, old: true},
		{name: "lz4 for 5.4", flags: []string{"--compression=lz4", "--min-kernel=5.4"}, old: true},
		{name: "lz4 for 6.12", flags: []string{"--compression=lz4", "--min-kernel=6.12"}},
		{name: "lz4hc", flags: []string{"--compression=lz4hc"}, old: true},
		{name: "lz4hc 12 for 6.12", flags: []string{"--compression=lz4hc:12", "--min-kernel=6.12"}},
		{name: "zstd", flags: []string{"--compression=zstd"}},
		{name: "zstd 1 for 6.12", flags: []string{"--compression=zstd:1", "--min-kernel=6.12"}},
		{name: "zstd 19 for 6.12", flags: []string{"--compression=zstd:19", "--min-kernel=6.12"}},
	}
}

// oneOfEach names a packing for each algorithm, for what takes long.
func oneOfEach() []string { return []string{"none", "lz4 for 6.12", "zstd"} }

// TestErofs has fsck.erofs and the kernel read what the program makes of each
// tree in each packing, and has it made again by one core.
func TestErofs(t *testing.T) {
	t.Parallel()
	need.Root(t)
	k := newExtensionKey(t, "p256")
	for _, s := range sets() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			layer := filepath.Join(t.TempDir(), "layer.tar")
			truth := writeSet(t, layer, s.members)
			for _, p := range packings() {
				if s.only != nil && !slices.Contains(s.only, p.name) {
					continue
				}
				t.Run(p.name, func(t *testing.T) {
					t.Parallel()
					built := build(t, nil, k, "set", "file:"+layer, p.flags...)
					sameTree(t, truth, p.judge(t, built), "usr/lib/extension-release.d/extension-release.set")
					again := build(t, []string{"GOMAXPROCS=1"}, k, "set", "file:"+layer, p.flags...)
					if again.SHA256 != built.SHA256 {
						t.Error("one core makes other bytes than all of them")
					}
				})
			}
		})
	}
}

// TestErofsFolder packs a folder with each kind of file there is.
func TestErofsFolder(t *testing.T) {
	t.Parallel()
	need.Root(t)
	tree := filepath.Join(t.TempDir(), "tree")
	everything(t, tree)
	truth := snapshot(t, tree)
	k := newExtensionKey(t, "p256")
	for _, p := range packings() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			built := build(t, nil, k, "folder", "dir:"+tree, append(p.flags, "--owner=keep")...)
			sameTree(t, truth, p.judge(t, built), "usr/lib/extension-release.d/extension-release.folder")
		})
	}
}

// TestErofsSparse packs a file of more than 4 GiB that is nearly all holes: its
// image is small, whatever the packing.
func TestErofsSparse(t *testing.T) {
	t.Parallel()
	need.Root(t)
	tree := filepath.Join(t.TempDir(), "tree")
	name := filepath.Join(tree, "usr/share/sparse")
	write(t, name, "the start", 0o644)
	const size = 4<<30 + 12345
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Islands: within a block, over the border of two, at the very end.
	for at, text := range map[int64]string{
		1 << 20: "one MiB", 1<<31 - 3: "two GiB", 3<<30 + 4096: strings.Repeat("an island ", 10_000), size - 7: "the end",
	} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	truth := snapshot(t, tree)
	k := newExtensionKey(t, "p256")
	for _, p := range packings() {
		if !slices.Contains(oneOfEach(), p.name) {
			continue // to read 4 GiB takes seconds
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			built := build(t, nil, k, "sparse", "dir:"+tree, p.flags...)
			info, err := os.Stat(built.Path)
			if err != nil {
				t.Fatal(err)
			}
			stat, ok := info.Sys().(*syscall.Stat_t)
			const most = 64 << 20
			if taken := stat.Blocks * 512; !ok || taken > most {
				t.Errorf("the image takes %d bytes of disk, more than %d", taken, int64(most))
			}
			if t.Failed() {
				return // reading so much would take the disk's time for nothing
			}
			sameTree(t, truth, p.judge(t, built), "usr/lib/extension-release.d/extension-release.sparse")
		})
	}
}

// TestErofsRefuses has what no inode can hold refused by name, not cut.
func TestErofsRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		member member
		want   []string
	}{
		"an attribute of 64 KiB": {with(regular("usr/bin/tool", "x"), "user.large", strings.Repeat("v", 65_536)), []string{"usr/bin/tool", "user.large", "65535"}},
		"a name of 256 bytes":    {regular("usr/bin/"+strings.Repeat("n", 256), "x"), []string{strings.Repeat("n", 64), "255"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			layer := filepath.Join(folder, "layer.tar")
			writeSet(t, layer, func(yield func(member) bool) {
				_ = yield(directory("usr")) && yield(directory("usr/bin")) && yield(c.member)
			})
			for _, p := range packings() {
				args := append([]string{"build", "refused", "file:" + layer, "--output", folder}, p.flags...)
				said, err := exec.CommandContext(t.Context(), inlay, args...).CombinedOutput()
				if err == nil {
					t.Errorf("%s: it is packed:\n%s", p.name, said)
				}
				for _, want := range c.want {
					if !strings.Contains(string(said), want) {
						t.Errorf("%s: the refusal lacks %q: %s", p.name, want, said)
					}
				}
			}
		})
	}
}

// judge has both fsck.erofs read the image's file system to the end, and returns
// what the kernel shows of it.
func (p packing) judge(t *testing.T, built image) (shown map[string]string) {
	t.Helper()
	parts := sfdisk.Partitions(t, built.Path)
	folder := t.TempDir()
	data := cut(t, built.Path, parts[0], folder)
	said := debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "fsck.erofs", "--extract", "/w/"+filepath.Base(data))
	if p.old {
		said += command(t, nil, need.Tool(t, "fsck.erofs", "erofs-utils"), "--extract", data)
	}
	// It ends with 0 over a checksum that is wrong, but says so.
	if strings.Contains(said, "<E>") {
		t.Errorf("fsck.erofs: %s", said)
	}
	mount.Show(t, "erofs", mount.Area{File: built.Path, Offset: parts[0].Start, Size: parts[0].Size}, func(folder string) {
		shown = snapshot(t, folder)
	})
	return shown
}

// sameTree is wantTree for so many files that a difference between the whole
// would be the length of a book.
func sameTree(t *testing.T, truth, shown map[string]string, release string) {
	t.Helper()
	// Most that differ is of the same cause.
	part, got := map[string]string{}, map[string]string{}
	for name := range shown {
		if a, wanted := truth[name]; wanted && a == shown[name] && !strings.HasPrefix(release, name) {
			continue
		}
		if len(got) < 20 || strings.HasPrefix(release, name) {
			got[name] = shown[name]
			if a, wanted := truth[name]; wanted {
				part[name] = a
			}
		}
	}
	for name, line := range truth {
		if _, there := shown[name]; !there && len(part) < 40 {
			part[name] = line
		}
	}
	if len(truth) == 0 || len(shown) == 0 {
		t.Fatalf("%d files wanted, %d shown", len(truth), len(shown))
	}
	wantTree(t, part, got, release)
}
