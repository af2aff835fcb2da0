package mount_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/mount"
	"inlay/test/need"
)

// image makes a file system with the files of source by an outside tool, and
// returns a loop device of it, which goes away with the last one to use it.
func image(t *testing.T, kind, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	var tool []string
	switch kind {
	case "erofs":
		tool = []string{need.Tool(t, "mkfs.erofs", "erofs-utils"), file, source}
	case "squashfs":
		tool = []string{need.Tool(t, "mksquashfs", "squashfs-tools"), source, file}
	case "ext4":
		tool = []string{need.Tool(t, "mkfs.ext4", "e2fsprogs"), "-q", "-d", source, file, "8M"}
	case "btrfs":
		tool = []string{need.Tool(t, "mkfs.btrfs", "btrfs-progs"), "-q", "--rootdir", source, file}
		ok(t, os.WriteFile(file, nil, 0o600))
		ok(t, os.Truncate(file, 128<<20))
	}
	if out, err := exec.CommandContext(t.Context(), tool[0], tool[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tool[0], err, out)
	}
	losetup := need.Tool(t, "losetup", "mount")
	out, err := exec.CommandContext(t.Context(), losetup, "--read-only", "--show", "--find", file).Output()
	ok(t, err)
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		_ = exec.Command(losetup, "--detach", device).Run()
		eventually(t, "let go of the loop device", func() bool {
			out, err := exec.Command(losetup, "--associated", file).Output()
			return err == nil && len(out) == 0
		})
	})
	return device
}

func TestFileSystem(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		source := folder(t, t.TempDir(), map[string]string{"usr/bin/tool": "tool"})
		for kind, says := range map[string]string{"erofs": "", "squashfs": "", "ext4": "norecovery", "btrfs": "nologreplay"} {
			t.Run(kind, func(t *testing.T) {
				need.FileSystem(t, kind)
				device := image(t, kind, source)
				tree := must(m.FileSystem(device, kind, mount.NoSuid))(t)
				defer tree.Close()
				usr := must(tree.Open("usr"))(t)
				defer usr.Close()
				at := t.TempDir()
				merged := must(m.Overlay(mount.OverlayOptions{Lower: []*os.File{usr}, Flags: mount.ReadOnly}))(t)
				defer merged.Close()
				if got := read(t, merged.Path()+"/bin/tool"); got != "tool" {
					t.Errorf("in the overlay: %q", got)
				}
				ok(t, tree.AttachTo(at))
				defer func() { ok(t, mount.Detach(at, must(tree.Device())(t))) }()
				if got := read(t, at+"/usr/bin/tool"); got != "tool" {
					t.Errorf("in the file system: %q", got)
				}
				info := mounted(t, at)
				if !strings.HasPrefix(info.Options, "ro,nosuid,nodev") || info.Type != kind || info.Source != device || !strings.HasPrefix(info.Super, "ro") {
					t.Errorf("mounted as %+v", info)
				}
				if !strings.Contains(info.Super, says) {
					t.Errorf("its journal would be replayed: %q", info.Super)
				}
			})
		}
	})
}

// mounted returns the mount at path.
func mounted(t *testing.T, path string) mount.Info {
	t.Helper()
	f, err := os.Open(path)
	ok(t, err)
	defer f.Close()
	return must(mount.InfoOf(f))(t)
}

func TestFileSystemFails(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		device := image(t, "erofs", folder(t, t.TempDir(), map[string]string{"a": ""}))
		for name, test := range map[string]struct {
			device, kind string
			is           error
		}{
			"another file system": {device, "squashfs", unix.EINVAL},
			"no device":           {"/nonexistent", "erofs", unix.ENOENT},
			"nobody knows":        {device, "sugarfs", unix.ENODEV},
			"a folder":            {"/", "ext4", unix.ENOTBLK},
		} {
			tree, err := m.FileSystem(test.device, test.kind, 0)
			if err == nil {
				tree.Close()
				t.Fatalf("%s: it was mounted", name)
			}
			if !errors.Is(err, test.is) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := m.FileSystem(device, "sugarfs", 0); len(hint.Of(err)) == 0 {
			t.Error("no advice about a file system that the kernel doesn't have")
		}
	})
}

func TestTmpfs(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		tree := must(m.Tmpfs(mount.TmpfsOptions{Source: "meta", Mode: 0o751, Size: 1 << 20, Flags: mount.NoExec}))(t)
		defer tree.Close()
		root := must(tree.Root())(t)
		defer root.Close()
		ok(t, root.WriteFile("file", []byte("x"), 0o644))
		if err := root.WriteFile("large", make([]byte, 2<<20), 0o644); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("more than fits: %v", err)
		}
		ok(t, tree.Restrict(mount.ReadOnly|mount.NoAtime))
		if err := root.WriteFile("other", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("after it is read-only: %v", err)
		}
		at := t.TempDir()
		ok(t, tree.AttachTo(at))
		defer func() { ok(t, mount.Detach(at, must(tree.Device())(t))) }()
		info := mounted(t, at)
		if info.Options != "ro,noexec,noatime" || info.Source != "meta" || !strings.Contains(info.Super, "mode=751") {
			t.Errorf("mounted as %+v", info)
		}
		if err := tree.Restrict(mount.NoDev); err == nil {
			t.Error("what is attached was changed")
		}
		if mode := must(os.Stat(at))(t).Mode(); mode.Perm() != 0o751 {
			t.Errorf("mode %v", mode)
		}
	})
}

// TestClone is about clones of what is shared, which must not take their
// original's submounts down with them.
func TestClone(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		for name, propagation := range propagations() {
			t.Run(name, func(t *testing.T) {
				dir := scratch(t, propagation)
				folder(t, dir, map[string]string{"sub/": "", "file": "f"})
				ok(t, unix.Mount("inner", dir+"/sub", "tmpfs", 0, ""))
				folder(t, dir+"/sub", map[string]string{"deep/": "", "in": "i"})
				ok(t, unix.Mount("inmost", dir+"/sub/deep", "tmpfs", 0, ""))
				before := outsideStaging(t)
				all := must(m.Clone(dir, true))(t)
				if got := read(t, all.Path()+"/sub/in"); got != "i" {
					t.Errorf("recursive: %q", got)
				}
				one := must(m.Clone(dir, false))(t)
				for _, tree := range []*mount.Tree{all, one} {
					number := must(strconv.Atoi(filepath.Base(tree.Path())))(t)
					if flags := must(unix.FcntlInt(uintptr(number), unix.F_GETFD, 0))(t); flags&unix.FD_CLOEXEC == 0 {
						t.Error("programs that are started inherit it")
					}
				}
				if _, err := os.Stat(one.Path() + "/sub/in"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("not recursive: %v", err)
				}
				file := must(m.Clone(dir+"/file", false))(t)
				// A folder goes on a folder, a file on a file, nothing on a link.
				top := must(m.Tmpfs(mount.TmpfsOptions{Mode: 0o755}))(t)
				root := must(top.Root())(t)
				ok(t, errors.Join(root.Mkdir("d", 0o755), root.WriteFile("f", nil, 0o644), root.Symlink("d", "l"), root.Close()))
				for _, rel := range []string{"f", "l", "none", "../d", "/d", "d/none"} {
					if err := top.Graft(one, rel); err == nil {
						t.Errorf("a folder was mounted at %q", rel)
					}
				}
				if err := top.Graft(file, "d"); err == nil {
					t.Error("a file was mounted on a folder")
				}
				if err := top.Graft(file, "l"); err == nil {
					t.Error("a file was mounted on a link")
				}
				ok(t, errors.Join(top.Graft(file, "f"), top.Graft(all, "d")))
				if err := top.Graft(file, "f"); err == nil {
					t.Error("a tree was used twice")
				}
				if got := read(t, top.Path()+"/f") + read(t, top.Path()+"/d/sub/in"); got != "fi" {
					t.Errorf("put together: %q", got)
				}
				ok(t, errors.Join(one.Close(), file.Close(), all.Close()))
				at := folder(t, dir+"/at", nil)
				ok(t, top.AttachTo(at))
				ok(t, top.Close())
				if got := read(t, at+"/f") + read(t, at+"/d/sub/in"); got != "fi" {
					t.Errorf("attached: %q", got)
				}
				ok(t, mount.Detach(at, mounted(t, at).Device))
				if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
					t.Errorf("not as it was (-before +after):\n%s", diff)
				}
			})
		}
		if _, err := m.Clone("/proc/self/exe", false); err == nil {
			t.Error("a link was followed")
		}
	})
}

// TestClose is about trees that nobody attaches or closes.
func TestClose(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_SHARED)
		folder(t, dir, map[string]string{"sub/": ""})
		ok(t, unix.Mount("inner", dir+"/sub", "tmpfs", 0, ""))
		tree := must(m.Tmpfs(mount.TmpfsOptions{}))(t)
		ok(t, tree.Close())
		ok(t, tree.Close())
		if err := tree.AttachTo(dir); err == nil {
			t.Error("what is closed was attached")
		}
		before := outsideStaging(t)
		left := must(m.Clone(dir, true))(t)
		other := must(m.Tmpfs(mount.TmpfsOptions{}))(t)
		ok(t, m.Close())
		ok(t, errors.Join(left.Close(), other.Close(), m.Close()))
		if diff := cmp.Diff(before, snapshot(t)); diff != "" {
			t.Errorf("not as it was (-before +after):\n%s", diff)
		}
	})
}

func TestNoStagingFolder(t *testing.T) {
	m := mount.New(mount.Options{})
	_, err := m.Tmpfs(mount.TmpfsOptions{})
	if err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("a kernel before 5.2, and no folder: %v", err)
	}
}
