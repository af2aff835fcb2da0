package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"inlay/internal/cpio"
	"inlay/internal/hint"
	"inlay/internal/media"
	"inlay/test/debian"
	"inlay/test/need"
)

const program = "#!/bin/sh\n"

// packRoot packs a folder and returns the archive as it is compressed.
func packRoot(t testing.TB, dir string) ([]byte, media.InitrdResult) {
	t.Helper()
	var b bytes.Buffer
	result, err := media.PackedRoot(t.Context(), open(t, dir, media.SystemOptions{}), t.TempDir(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), result
}

// listed describes the entries of a compressed archive, by name.
func listed(t testing.TB, packed []byte) map[string]string {
	t.Helper()
	unpacked, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer unpacked.Close()
	all := map[string]string{}
	archive := cpio.NewReader(unpacked)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if len(text) > 100 {
			text = fmt.Sprintf("%d bytes, %x", len(text), sha256.Sum256(content))
		}
		if all[h.Name] != "" {
			t.Errorf("%s is there twice", h.Name)
		}
		all[h.Name] = fmt.Sprintf("%o %d %d:%d %q", h.Mode, h.Links, h.Major, h.Minor, text)
	}
}

func TestPackedRoot(t *testing.T) {
	t.Parallel()
	dir := rootFolder(t, map[string]string{
		"sbin/init": program, "usr/lib/file": "content", "link": "-> usr/lib/file", "boot/vmlinuz": "kernel", "boot/efi/": "",
		"dev/node": "x", "tmp/x": "x", "proc/1/maps": "x",
	})
	if err := os.Link(filepath.Join(dir, "usr/lib/file"), filepath.Join(dir, "usr/again")); err != nil {
		t.Fatal(err)
	}
	// One of its names is not packed.
	if err := os.Link(filepath.Join(dir, "sbin/init"), filepath.Join(dir, "boot/init")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"usr/lib/file": 0o4711 | os.ModeSetuid, "tmp": 0o777 | os.ModeSticky} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	packed, result := packRoot(t, dir)
	want := map[string]string{
		".": `40755 2 0:0 ""`, "boot": `40755 2 0:0 ""`, "dev": `40755 2 0:0 ""`, "proc": `40755 2 0:0 ""`, "run": `40755 2 0:0 ""`,
		"sys": `40755 2 0:0 ""`, "tmp": `41777 2 0:0 ""`, "init": `120777 1 0:0 "/sbin/init"`, "link": `120777 1 0:0 "usr/lib/file"`,
		"sbin": `40755 2 0:0 ""`, "sbin/init": `100755 1 0:0 "#!/bin/sh\n"`, "usr": `40755 2 0:0 ""`, "usr/lib": `40755 2 0:0 ""`,
		"usr/again": `104711 2 0:0 ""`, "usr/lib/file": `104711 2 0:0 "content"`,
	}
	if diff := cmp.Diff(want, listed(t, packed)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if result.Files != 2 || result.Content != int64(len(program)+len("content")) || result.Init != "/sbin/init" || result.Size != int64(len(packed)) || result.Lost != nil {
		t.Errorf("result %+v", result)
	}
}

// The bytes depend on the content alone, whatever the number of cores; and files
// too large to be compressed in memory take their place in the row.
//
//nolint:paralleltest // it changes the number of cores
func TestPackedRootSameOnAnyCores(t *testing.T) {
	files := map[string]string{"sbin/init": program, "zz/last": "last"}
	noise := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	for i := range 5 {
		files[fmt.Sprintf("usr/f%d", i)] = string(noise[i:])
	}
	dir := rootFolder(t, files)
	if err := os.Truncate(filepath.Join(dir, "usr/f2"), 130<<20); err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, _ := packRoot(t, dir)
	runtime.GOMAXPROCS(5)
	five, _ := packRoot(t, dir)
	if !bytes.Equal(one, five) {
		t.Error("with five cores the bytes are others than with one")
	}
	if n := bytes.Count(one, []byte{0x28, 0xb5, 0x2f, 0xfd}); n < 4 {
		t.Errorf("%d frames, want several", n)
	}
	got := listed(t, one)
	for name, want := range map[string]string{"usr/f2": fmt.Sprintf(`"%d bytes`, 130<<20), "zz/last": `"last"`, "usr/f4": fmt.Sprintf(`"%d bytes`, 16<<20-4)} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %s, want %s", name, got[name], want)
		}
	}
}

func TestPackedRootFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"nothing to start":   {map[string]string{"etc/x": "x"}, nil, "nothing that could be started first"},
		"init is a folder":   {map[string]string{"init/": "", "sbin/init": program}, nil, "is no program"},
		"init leads nowhere": {map[string]string{"init": "-> /gone", "sbin/init": program}, nil, "is no program"},
		"init is empty":      {map[string]string{"init": ""}, nil, "is no program"},
		"changed":            {map[string]string{"sbin/init": program, "f": "x"}, func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "f")) }, `"/f": it changed`},
		"the end's name":     {map[string]string{"sbin/init": program, "TRAILER!!!": "x"}, nil, "ends a cpio archive"},
		"four gigabytes":     {map[string]string{"sbin/init": program, "f": "x"}, nil, "4 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rootFolder(t, c.files)
			if name == "four gigabytes" {
				if err := os.Truncate(filepath.Join(dir, "f"), 4<<30); err != nil {
					t.Skipf("no file of this size: %v", err)
				}
			}
			s := open(t, dir, media.SystemOptions{})
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			out := t.TempDir()
			_, err := media.PackedRoot(t.Context(), s, out, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(hint.Of(err)) == 0 {
				t.Errorf("got %v, want %q and a hint", err, c.want)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

func TestPackedRootCancelled(t *testing.T) {
	t.Parallel()
	s := open(t, rootFolder(t, map[string]string{"sbin/init": program}), media.SystemOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := media.PackedRoot(ctx, s, t.TempDir(), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// facts describes a file for comparison.
func facts(t testing.TB, path string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err.Error()
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR: // cpio sets times while it still fills folders
		return fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return fmt.Sprintf("%o %d:%d %s %v", st.Mode, st.Uid, st.Gid, target, err)
	case unix.S_IFREG:
		content, err := os.ReadFile(path)
		return fmt.Sprintf("%o %d:%d %d %d %x %v", st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim.Sec, sha256.Sum256(content), err)
	}
	return fmt.Sprintf("%o %d:%d %d", st.Mode, st.Uid, st.Gid, st.Rdev)
}

// A whole Debian, packed, and unpacked by zstd and GNU cpio, is what it was; and
// its plan foretells the size.
func TestPackedDebian(t *testing.T) {
	t.Parallel()
	root := debian.System(t).Folder()
	need.Tool(t, "zstd", "zstd")
	need.Tool(t, "cpio", "cpio")
	s := open(t, root, media.SystemOptions{Owner: media.OwnerKeep})
	plan, err := media.Plan(t.Context(), s, media.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "initrd.zst")
	file, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	result, err := media.PackedRoot(t.Context(), s, t.TempDir(), file)
	if err != nil {
		t.Fatal(err)
	}
	if off := float64(plan.Packed)/float64(result.Size) - 1; off < -0.07 || off > 0.07 {
		t.Errorf("the plan says %d bytes, and it is %d", plan.Packed, result.Size)
	}
	out := t.TempDir()
	command(t, "sh", "dash", "-c", `cd "$1" && zstd -dcq "$2" | cpio -idm --quiet --no-absolute-filenames`, "sh", out, archive)
	var names []string
	for name := range s.Tree().All() {
		if name != "init" && media.Wanted(name) && !strings.HasPrefix(name, "boot/") {
			names = append(names, name)
		}
	}
	got, want := map[string]string{}, map[string]string{}
	for _, name := range names {
		want[name], got[name] = facts(t, filepath.Join(root, name)), facts(t, filepath.Join(out, name))
	}
	if diff := cmp.Diff(want, got); diff != "" || len(names) < 1000 {
		t.Errorf("of %d files (-want +got):\n%s", len(names), diff)
	}
	if extra := slices.DeleteFunc(slices.Collect(maps.Keys(onDisk(t, out))), func(n string) bool { return want[n] != "" || n == "init" }); len(extra) > 0 {
		t.Errorf("there is more than there was: %q", extra)
	}
}

func onDisk(t testing.TB, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if rel, relErr := filepath.Rel(dir, path); relErr == nil && rel != "." {
			names[rel] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
