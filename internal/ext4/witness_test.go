package ext4_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/ext4"
	"inlay/internal/hint"
	"inlay/test/need"
)

// tool runs a program of e2fsprogs.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Tool(t, name, "e2fsprogs"), args...)
	cmd.Env = append(os.Environ(), "MKE2FS_CONFIG=/dev/null") // what the test says, and nothing else
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%.2000s", name, args, err, out)
	}
	return string(out)
}

// modern is what mkfs.ext4 takes without being asked.
const modern = "has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize,dir_index,filetype,sparse_super,large_file,resize_inode,ext_attr"

// format makes a file system in a file of its own, with what lies in dir.
func format(t testing.TB, dir string, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	// Not all zeros, as what was reserved but not written must read as such.
	check(t, os.WriteFile(name, bytes.Repeat([]byte("dust"), 12<<20), 0o600))
	if dir == "" {
		args = append(args, "-E", "nodiscard") // keep the dust
	} else {
		args = append(args, "-d", dir)
	}
	tool(t, "mke2fs", append(append([]string{"-q", "-F"}, args...), name)...)
	return name
}

// mount has the kernel mount an image, until the test ends.
func mount(t testing.TB, image, options string) (dir string, unmount func()) {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, "ext4")
	dir = t.TempDir()
	if out, err := exec.Command(need.Tool(t, "mount", "mount"), "-t", "ext4", "-o", "loop,"+options, image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	mounted := true
	unmount = func() {
		if !mounted {
			return
		}
		mounted = false
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	}
	t.Cleanup(unmount)
	return dir, unmount
}

// settled returns a copy of the image that is mounted at dir, as unmounting
// would leave it. Unmounting itself does not always: a process that was given
// mounts of its own meanwhile, by another test, keeps the mount until it ends.
func settled(t testing.TB, dir, image string) string {
	t.Helper()
	folder, err := os.Open(dir)
	check(t, err)
	defer folder.Close()
	const freeze, thaw = 0xc0045877, 0xc0045878 // FIFREEZE, FITHAW of linux/fs.h
	check(t, unix.IoctlSetInt(int(folder.Fd()), freeze, 0))
	whole, err := os.ReadFile(image)
	check(t, unix.IoctlSetInt(int(folder.Fd()), thaw, 0))
	check(t, err)
	copied := filepath.Join(t.TempDir(), "settled")
	check(t, os.WriteFile(copied, whole, 0o600))
	return copied
}

// read reads all of an image.
func read(t testing.TB, image string) map[string]record {
	t.Helper()
	file, err := os.Open(image)
	check(t, err)
	defer file.Close()
	info, err := file.Stat()
	check(t, err)
	f, err := ext4.Open(file, info.Size())
	check(t, err)
	if f.Size() != info.Size() {
		t.Errorf("the file system takes %d bytes of %d", f.Size(), info.Size())
	}
	records, err := walk(f, -1)
	check(t, err)
	return records
}

// TestKernelAgrees compares what we read of images by mkfs.ext4 with what the
// kernel shows of them.
func TestKernelAgrees(t *testing.T) {
	t.Parallel()
	small, large := tree(t, 100), tree(t, 3000)
	const checked = "extent,metadata_csum,64bit,"
	for name, args := range map[string][]string{
		"ext4":            {"-t", "ext4", "-O", modern},
		"ext4 1K":         {"-t", "ext4", "-b", "1024", "-O", modern},
		"ext4 2K":         {"-t", "ext4", "-b", "2048", "-O", modern},
		"ext3":            {"-t", "ext3", "-O", "has_journal"},
		"ext3 1K":         {"-t", "ext3", "-b", "1024", "-O", "has_journal"},
		"ext2":            {"-t", "ext2"},
		"ext2 1K":         {"-t", "ext2", "-b", "1024"},
		"no types":        {"-t", "ext2", "-O", "^filetype"},
		"inline data":     {"-t", "ext4", "-O", modern + ",inline_data"},
		"inline, large":   {"-t", "ext4", "-I", "1024", "-O", modern + ",inline_data"},
		"inline data 1K":  {"-t", "ext4", "-b", "1024", "-I", "512", "-O", modern + ",inline_data"},
		"large inodes":    {"-t", "ext4", "-I", "4096", "-N", "4096", "-O", modern},
		"small inodes":    {"-t", "ext4", "-I", "128", "-O", modern + ",^extra_isize"},
		"meta groups":     {"-t", "ext4", "-b", "1024", "-g", "256", "-O", modern + ",meta_bg,^resize_inode"},
		"meta groups 32":  {"-t", "ext4", "-b", "1024", "-g", "512", "-O", "extent,meta_bg,^resize_inode,^64bit"},
		"many groups":     {"-t", "ext4", "-b", "1024", "-g", "512", "-O", modern + ",^flex_bg"},
		"32 bits":         {"-t", "ext4", "-O", modern + ",^64bit"},
		"no checksums":    {"-t", "ext4", "-O", modern + ",^metadata_csum"},
		"old checksums":   {"-t", "ext4", "-O", modern + ",^metadata_csum,uninit_bg"},
		"extents alone":   {"-t", "ext4", "-O", "extent"},
		"checked map":     {"-t", "ext4", "-O", modern + ",^extent,^64bit"},
		"seed":            {"-t", "ext4", "-O", modern + ",metadata_csum_seed"},
		"sparse super 2":  {"-t", "ext4", "-b", "1024", "-g", "1024", "-O", checked + "sparse_super2,^resize_inode,meta_bg"},
		"wide groups":     {"-t", "ext4", "-b", "1024", "-g", "4096", "-N", "3168", "-E", "desc_size=1024", "-O", modern + ",meta_bg,^resize_inode"},
		"wide, super 2":   {"-t", "ext4", "-b", "1024", "-g", "4096", "-N", "3168", "-E", "desc_size=1024", "-O", checked + "sparse_super2,^sparse_super,meta_bg,^resize_inode"},
		"wide, all super": {"-t", "ext4", "-b", "1024", "-g", "4096", "-N", "3168", "-E", "desc_size=1024", "-O", checked + "^sparse_super,meta_bg,^resize_inode"},
		"clusters, meta":  {"-t", "ext4", "-b", "1024", "-C", "4096", "-O", modern + ",bigalloc,meta_bg,^resize_inode"},
		"clusters":        {"-t", "ext4", "-C", "16384", "-O", modern + ",bigalloc"},
		"clusters 1K":     {"-t", "ext4", "-b", "1024", "-C", "4096", "-O", modern + ",bigalloc"},
		"mmp":             {"-t", "ext4", "-O", modern + ",mmp"},
		"quota, projects": {"-t", "ext4", "-O", modern + ",quota,project"},
		"large folders":   {"-t", "ext4", "-O", modern + ",large_dir,ea_inode,encrypt,verity,stable_inodes"},
		"orphan file":     {"-t", "ext4", "-O", modern + ",orphan_file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(strings.Join(args, " "), "-I ") {
				args = append(args, "-I", "256")
			}
			if !strings.Contains(strings.Join(args, " "), "-b ") {
				args = append(args, "-b", "4096")
			}
			dir, least := small, 150
			if name == "ext4" || name == "ext2 1K" || name == "inline data 1K" || strings.HasPrefix(name, "wide") {
				dir, least = large, 3000
			}
			image := format(t, dir, append(args, "-i", "8192")...)
			if name == "seed" { // which otherwise follows from the UUID
				tool(t, "tune2fs", "-U", "random", image)
			}
			shown, _ := mount(t, image, "ro")
			want := readOS(t, shown)
			if len(want) < least {
				t.Fatalf("the kernel shows %d names", len(want))
			}
			compare(t, want, read(t, image))
		})
	}
}

// TestKernelWrites compares what we read of images that the kernel has filled:
// with indexed folders, extents without content, folders that shrank.
func TestKernelWrites(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"ext4":        {"-b", "4096", "-O", modern},
		"ext4 1K":     {"-b", "1024", "-O", modern},
		"no sums 1K":  {"-b", "1024", "-O", modern + ",^metadata_csum"},
		"large":       {"-b", "1024", "-O", modern + ",large_dir"},
		"ext3":        {"-b", "1024", "-O", "has_journal,dir_index,filetype,ext_attr"},
		"inline data": {"-b", "4096", "-O", modern + ",inline_data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := format(t, "", append(args, "-I", "256", "-i", "4096")...)
			dir, unmount := mount(t, image, "rw")
			fill(t, dir)
			want := readOS(t, dir)
			image = settled(t, dir, image)
			unmount()
			tool(t, "e2fsck", "-f", "-n", image)
			compare(t, want, read(t, image))
		})
	}
}

// TestJournalNotWrittenBack reads what is on disk while the kernel writes: the
// journal has changes that are nowhere else.
func TestJournalNotWrittenBack(t *testing.T) {
	t.Parallel()
	image := format(t, "", "-b", "1024", "-O", modern)
	dir, _ := mount(t, image, "rw")
	check(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
	file, err := os.Open(image)
	check(t, err)
	defer file.Close()
	_, err = ext4.Open(file, 48<<20)
	u, ok := errors.AsType[*ext4.Unsupported](err)
	if !ok || !strings.Contains(u.Feature, "journal") {
		t.Errorf("error %v", err)
	}
	if advice := hint.Of(err); len(advice) != 1 || !strings.Contains(advice[0], "e2fsck") {
		t.Errorf("advice %q", advice)
	}
}

// fill writes into a mounted file system.
func fill(t testing.TB, dir string) {
	t.Helper()
	for _, d := range []struct {
		name        string
		files, gone int
	}{{"few", 5, 2}, {"hundreds", 300, 100}, {"thousands", 5000, 100}, {"gone", 2000, 1990}} {
		check(t, os.Mkdir(filepath.Join(dir, d.name), 0o755))
		for i := range d.files {
			name := filepath.Join(dir, d.name, fmt.Sprintf("%d %s", i, strings.Repeat("long ", 40)))
			check(t, os.Symlink("target", name))
			if i < d.gone {
				check(t, os.Remove(name))
			}
		}
	}
	makeHoles(t, dir)
	makeXattrs(t, dir)
	stamp(t, dir)
	f, err := os.Create(filepath.Join(dir, "reserved"))
	check(t, err)
	defer f.Close()
	_, err = f.WriteString("only this much")
	check(t, err)
	// ext3 can't.
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, 1<<20); err == nil {
		_, err = f.WriteAt([]byte("and this"), 512<<10)
		check(t, err)
		check(t, syscall.Fallocate(int(f.Fd()), 1, 1<<20, 1<<20)) // beyond the end
	}
}

// TestRebuiltIndex reads what e2fsck makes of a long folder.
func TestRebuiltIndex(t *testing.T) {
	t.Parallel()
	image := format(t, tree(t, 3000), "-b", "1024", "-O", modern, "-i", "8192")
	before := read(t, image)
	cmd := exec.Command(need.Tool(t, "e2fsck", "e2fsprogs"), "-f", "-D", "-y", image)
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "FILE SYSTEM WAS MODIFIED") { // the exit code says so in some versions
		t.Fatalf("e2fsck: %v\n%s", err, out)
	}
	if stat := tool(t, "debugfs", "-R", "stat /many", image); !strings.Contains(stat, "0x81000") {
		t.Fatalf("the folder has no index:\n%s", stat)
	}
	after := read(t, image)
	for _, records := range []map[string]record{before, after} {
		for name, r := range records {
			if r.Content == "" { // folders become smaller
				r.Size = 0
			}
			records[name] = r
		}
	}
	compare(t, before, after)
}
