package ext4_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/test/need"
)

// tree makes a folder that takes all of the format: every type of file, names
// and targets of all lengths, attributes, holes; and one with so many names.
func tree(t testing.TB, names int) string {
	t.Helper()
	need.Root(t) // to make devices and to give files away
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{4})
	put := func(name string, size int) {
		p := make([]byte, size)
		_, _ = random.Read(p)
		check(t, os.WriteFile(filepath.Join(dir, name), p, 0o644))
	}
	folders := []string{"usr/lib/empty", "many", "sizes", "links", "nodes", "holes", "xattrs", "few"}
	for _, name := range folders {
		check(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	for _, size := range []int{0, 1, 59, 60, 61, 100, 150, 1023, 1024, 1025, 4095, 4096, 4097, 12 << 10, 13 << 10, 300 << 10, 2 << 20} {
		put(fmt.Sprint("sizes/", size), size)
	}
	for i := range names {
		put(fmt.Sprintf("many/%04d-%s", i, strings.Repeat("x", i%40)), 0)
	}
	for i := range 3 {
		put(fmt.Sprint("few/", i), 5)
	}
	put(strings.Repeat("n", 255), 7)
	put("usr/lib/\xff\xfe not UTF-8, \u00fc\n\t\\", 8)
	for _, length := range []int{1, 59, 60, 61, 127, 1000} {
		check(t, os.Symlink(strings.Repeat("t", length), filepath.Join(dir, fmt.Sprint("links/", length))))
	}
	for _, name := range []string{"few/again", "usr/lib/again", "again"} {
		check(t, os.Link(filepath.Join(dir, "sizes/100"), filepath.Join(dir, name)))
	}
	check(t, os.Link(filepath.Join(dir, "links/60"), filepath.Join(dir, "links/hard")))
	for name, dev := range map[string]struct{ mode, major, minor uint32 }{
		"fifo":   {unix.S_IFIFO | 0o600, 0, 0},
		"socket": {unix.S_IFSOCK | 0o755, 0, 0},
		"null":   {unix.S_IFCHR | 0o666, 1, 3},
		"white":  {unix.S_IFCHR, 0, 0},
		"old":    {unix.S_IFBLK | 0o660, 255, 255},
		"new":    {unix.S_IFBLK | 0o660, 4095, 0xfffff},
		"minor":  {unix.S_IFCHR | 0o660, 8, 256},
	} {
		name = filepath.Join(dir, "nodes", name)
		check(t, unix.Mknod(name, dev.mode, int(unix.Mkdev(dev.major, dev.minor))))
		check(t, os.Chmod(name, os.FileMode(dev.mode&0o777)))
	}
	makeHoles(t, filepath.Join(dir, "holes"))
	makeXattrs(t, filepath.Join(dir, "xattrs"))
	check(t, os.Chown(filepath.Join(dir, "few/0"), 1000, 70000))
	check(t, os.Chown(filepath.Join(dir, "few/1"), 1<<31, 1<<32-2))
	check(t, unix.Chmod(filepath.Join(dir, "few/2"), 0o7777))
	check(t, unix.Chmod(filepath.Join(dir, "few"), 0o1777))
	stamp(t, dir)
	return dir
}

// makeHoles makes sparse files, one with more extents than one node has.
func makeHoles(t testing.TB, dir string) {
	t.Helper()
	block := make([]byte, 4096)
	for name, file := range map[string]struct {
		size int64
		at   []int64
	}{
		"nothing":   {1 << 20, nil},
		"beginning": {300000, []int64{200 << 10}},
		"end":       {5 << 20, []int64{0}},
		"far":       {20 << 20, []int64{19 << 20}},
		"comb":      {16 << 20, teeth(16<<20, 8<<10)},
	} {
		f, err := os.Create(filepath.Join(dir, name))
		check(t, err)
		for _, at := range file.at {
			for i := 0; i < len(block); i += 8 {
				binary.LittleEndian.PutUint64(block[i:], uint64(at)+uint64(i)+1)
			}
			_, err := f.WriteAt(block, at)
			check(t, err)
		}
		check(t, f.Truncate(file.size))
		check(t, f.Close())
	}
}

func teeth(size, step int64) []int64 {
	var all []int64
	for at := int64(0); at < size; at += step {
		all = append(all, at)
	}
	return all
}

// makeXattrs makes files whose attributes have every prefix that Linux shows,
// and fill inodes and blocks.
func makeXattrs(t testing.TB, dir string) {
	t.Helper()
	acl := func(entries ...[3]uint32) string { // tag, permissions, ID
		p := []byte{2, 0, 0, 0}
		for _, e := range entries {
			p = binary.LittleEndian.AppendUint16(p, uint16(e[0]))
			p = binary.LittleEndian.AppendUint16(p, uint16(e[1]))
			p = binary.LittleEndian.AppendUint32(p, e[2])
		}
		return string(p)
	}
	const nobody = 1<<32 - 1
	list := acl([3]uint32{1, 6, nobody}, [3]uint32{2, 4, 1000}, [3]uint32{4, 4, nobody}, [3]uint32{8, 5, 70000}, [3]uint32{0x10, 7, nobody}, [3]uint32{0x20, 0, nobody})
	files := map[string]map[string]string{
		"selinux":  {"security.selinux": "system_u:object_r:usr_t:s0\x00"},
		"all":      {"user.a": "1", "user.b": "", "trusted.overlay.opaque": "y", "security.x": "\x00\xff", "system.posix_acl_access": list},
		"large":    {"user.large": strings.Repeat("v", 700), "user.small": "s"},
		"many":     {},
		"longname": {"user." + strings.Repeat("n", 250): "v"},
		"cap":      {"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	}
	for i := range 20 {
		files["many"][fmt.Sprint("user.", i)] = strings.Repeat("z", i)
	}
	set := func(name string, xattrs map[string]string) {
		for key, value := range xattrs {
			if err := unix.Lsetxattr(name, key, []byte(value), 0); err != nil {
				t.Fatalf("setting %q of %q: %v", key, name, err)
			}
		}
	}
	for name, xattrs := range files {
		name = filepath.Join(dir, name)
		check(t, os.WriteFile(name, []byte(name), 0o640))
		set(name, xattrs)
	}
	set(dir, map[string]string{"system.posix_acl_default": list, "trusted.dir": "d"})
	check(t, os.Symlink("target", filepath.Join(dir, "link")))
	set(filepath.Join(dir, "link"), map[string]string{"trusted.link": strings.Repeat("l", 300)})
}

// stamp gives every file a time of its own.
func stamp(t testing.TB, dir string) {
	t.Helper()
	at := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	check(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at = at.Add(1234567891011 * time.Nanosecond)
		ts := unix.NsecToTimespec(at.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}))
	// Before 1970, and beyond 32 bits, as far as the folder's own file system goes.
	for i, sec := range []int64{-5, -1 << 31, 1 << 31, 1 << 32, 3 << 32} {
		name := filepath.Join(dir, fmt.Sprint("time ", i))
		check(t, os.WriteFile(name, nil, 0o644))
		ts := unix.Timespec{Sec: sec, Nsec: 999999999}
		check(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, 0))
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func digest(p []byte) string { return fmt.Sprintf("%d bytes, %x", len(p), sha256.Sum256(p)) }
