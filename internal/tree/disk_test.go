//go:build linux

package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/tree"
)

// facts says all there is to know of one file, for comparison. The times of
// folders are left out: on disk they tell when the tool was at work.
type facts struct {
	Mode           uint32
	UID, GID       uint32
	Sec            int64
	Nsec           uint32
	Major, Minor   uint32
	Target, Xattrs string
	Content        string // size and digest
	Same           string // the first name of this file
}

// onDisk describes what is below a folder, by system calls of its own.
func onDisk(t testing.TB, root string) map[string]facts {
	t.Helper()
	all := map[string]facts{}
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		f := facts{Mode: st.Mode, UID: st.Uid, GID: st.Gid, Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec)}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			f.Sec, f.Nsec = 0, 0
		case unix.S_IFREG:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.Content = digest(b)
		case unix.S_IFLNK:
			if f.Target, err = os.Readlink(path); err != nil {
				return err
			}
		case unix.S_IFCHR, unix.S_IFBLK:
			f.Major, f.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			f.Same = first[st.Ino]
		}
		f.Xattrs = diskXattrs(t, path)
		all[name] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func diskXattrs(t testing.TB, path string) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(path, err)
	}
	var list []string
	for name := range strings.SplitSeq(string(buf[:max(n, 0)]), "\x00") {
		if name != "" {
			value := make([]byte, 64<<10)
			n, err := unix.Lgetxattr(path, name, value)
			if err != nil {
				t.Fatal(path, name, err)
			}
			list = append(list, fmt.Sprintf("%s=%x", name, value[:n]))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// inTree describes a merged tree as onDisk does, and checks Links.
func inTree(t testing.TB, tr *tree.Tree, d *digests) map[string]facts {
	t.Helper()
	all := map[string]facts{}
	first := map[*tree.Inode]string{}
	names := map[*tree.Inode]uint32{}
	for name, ino := range tr.All() {
		if name == "" {
			name = "."
		}
		names[ino]++
		f := facts{Mode: ino.Mode, UID: ino.UID, GID: ino.GID, Sec: ino.Sec, Nsec: ino.Nsec, Major: ino.Major, Minor: ino.Minor, Target: ino.Target}
		if ino.Kind() == tree.Directory {
			f.Sec, f.Nsec = 0, 0
		} else {
			if first[ino] == "" {
				first[ino] = name
			}
			f.Same = first[ino]
		}
		if ino.Kind() == tree.Regular {
			if !ino.Stored {
				t.Errorf("%s: its content was not stored", name)
				continue
			}
			f.Content = d.list[ino.Ref]
		}
		var list []string
		for _, x := range ino.Xattrs {
			list = append(list, fmt.Sprintf("%s=%x", x.Name, x.Value))
		}
		f.Xattrs = strings.Join(list, " ")
		all[name] = f
	}
	for ino, n := range names {
		if ino.Links != n {
			t.Errorf("%s: Links is %d, but it has %d names", first[ino], ino.Links, n)
		}
	}
	return all
}

// sample fills a folder with one of everything. Root gets owners, devices and
// attributes that only root may set.
func sample(t testing.TB, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.MkdirAll(at("usr/lib/empty"), 0o755))
	must(os.WriteFile(at("usr/lib/plain"), bytes.Repeat([]byte("content\n"), 3000), 0o644))
	must(os.WriteFile(at("usr/lib/none"), nil, 0o600))
	must(os.Link(at("usr/lib/plain"), at("usr/second")))
	must(os.Link(at("usr/lib/plain"), at("usr/another")))
	must(os.Symlink("../../../etc//passwd", at("usr/link")))
	must(os.Symlink(strings.Repeat("t/", 150), at("usr/long-link")))
	must(unix.Mkfifo(at("usr/fifo"), 0o622))
	deep := at("usr/" + strings.Repeat(strings.Repeat("d", 60)+"/", 5))
	must(os.MkdirAll(deep, 0o711))
	must(os.WriteFile(filepath.Join(deep, strings.Repeat("f", 255)), []byte("deep"), 0o644))
	must(os.Link(filepath.Join(deep, strings.Repeat("f", 255)), at("usr/not-deep")))
	must(os.WriteFile(at("usr/\xff\xfe \n\t\"odd\""), []byte("odd"), 0o644))
	sparse, err := os.Create(at("usr/sparse"))
	must(err)
	for _, off := range []int64{1 << 20, 3 << 20} {
		_, err = sparse.WriteAt([]byte("island"), off)
		must(err)
	}
	must(sparse.Truncate(4<<20 + 17))
	must(sparse.Close())
	must(os.Chmod(at("usr/lib/none"), 0o4751|fs.ModeSetuid))
	must(os.Chmod(at("usr/lib/empty"), 0o777|fs.ModeSticky|fs.ModeSetgid))
	if os.Geteuid() == 0 {
		must(os.Lchown(at("usr/lib/plain"), 1234, 70000))
		must(os.Lchown(at("usr/link"), 5, 6))
		must(unix.Mknod(at("usr/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		must(unix.Mknod(at("usr/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
		must(unix.Lsetxattr(at("usr/lib/plain"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
		must(unix.Lsetxattr(at("usr/link"), "trusted.of-a-link", []byte("x"), 0))
		must(unix.Lsetxattr(at("usr/lib"), "trusted.of-a-folder", []byte{0, 1, 255}, 0))
	}
	for _, err := range []error{
		unix.Lsetxattr(at("usr/lib/none"), "user.note", []byte("line\n1=2"), 0),
		unix.Lsetxattr(at("usr/lib/none"), "user.large", bytes.Repeat([]byte("v"), 1000), 0),
		unix.Lsetxattr(at("usr"), "user.empty", nil, 0),
	} {
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			t.Fatal(err)
		}
	}
	for name := range maps.Keys(onDisk(t, dir)) {
		times := []unix.Timespec{{}, {Sec: 1600000000 + int64(len(name)), Nsec: int64(len(name)) * 1001}}
		must(unix.UtimesNanoAt(unix.AT_FDCWD, at(name), times, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// run runs an outside tool.
func run(t testing.TB, tool string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
}
