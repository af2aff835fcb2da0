package erofs_test

import (
	"bytes"
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

// must fails the test at once.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sourceTree makes a folder whose images take all of the format: files that
// shrink well, badly and not at all, that share parts, that have holes; names,
// targets and attributes of all lengths; every type of file; and a file with so
// many zeros. On those some tools spend much time: with none there are none else.
func sourceTree(t testing.TB, zeros int) string {
	t.Helper()
	need.Root(t) // to make devices and to give files away
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 7))
	put := func(name string, content []byte) {
		name = filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, content, 0o644))
	}
	prose, noise := words(r, 1<<20), random(r, 200<<10)
	for _, size := range []int{
		0, 1, 2, 100, 1000, 3000, 4000, 4063, 4064, 4095, 4096, 4097, 5000, 8191, 8192, 8193, 12288, 20000, 65535, 65536, 65537, 200_000,
	} {
		put(fmt.Sprintf("sizes/text %d", size), prose[:size])
		put(fmt.Sprintf("sizes/noise %d", size), noise[:min(size, len(noise))])
		if zeros > 0 {
			put(fmt.Sprintf("sizes/zeros %d", size), make([]byte, size))
		}
	}
	for i := range 300 { // small ones, as most are
		at, size := r.IntN(len(prose)-9000), min(r.IntN(9000), r.IntN(9000))
		put(fmt.Sprintf("small/%03d", i), prose[at:at+size])
	}
	put("large/text", prose)
	if zeros > 0 {
		put("large/zeros", make([]byte, zeros))
		put("large/slowly", bytes.Repeat(prose[:100], 3000))
		makeSparse(t, dir)
	}
	mixed := bytes.Join([][]byte{prose[:100_001], noise[:50_003], make([]byte, 70_001), prose[200_000:300_000], noise[:9999], prose[:5]}, nil)
	put("large/mixed", mixed)
	put("large/again", mixed)
	put("large/later", append([]byte("moved by some bytes"), mixed...))
	put("large/longer", append(bytes.Clone(mixed), noise[5000:9000]...))
	put("large/shorter", mixed[:150_000])
	put("large/inside", mixed[4096:250_000])
	put("large/noise", bytes.Join([][]byte{noise, prose[:10], noise[:1000], prose[1000:9000], noise}, nil))
	many := filepath.Join(dir, "many")
	must(t, os.Mkdir(many, 0o755))
	for i := range 700 {
		must(t, os.Symlink("target", filepath.Join(many, fmt.Sprintf("%d %s", i*11%700, strings.Repeat("long ", i%40)))))
	}
	makeSpecial(t, dir)
	makeAttributes(t, dir)
	stampAll(t, dir)
	return dir
}

// words is text that shrinks to about a third.
func words(r *rand.Rand, size int) []byte {
	list := make([]string, 3000)
	for i := range list {
		w := make([]byte, 2+r.IntN(9))
		for j := range w {
			w[j] = byte('a' + r.IntN(26))
		}
		list[i] = string(w)
	}
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(list[min(r.IntN(len(list)), r.IntN(len(list)))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:size]
}

func random(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func makeSparse(t testing.TB, dir string) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(dir, "sparse"), 0o755))
	for name, s := range map[string]struct {
		size int64
		at   []int64
	}{
		"nothing":   {1 << 20, nil},
		"odd":       {1<<20 + 123, nil},
		"beginning": {300_000, []int64{200 << 10}},
		"end":       {1 << 20, []int64{0}},
		"far":       {2 << 20, []int64{1 << 20}},
		"comb":      {1 << 20, []int64{0, 8192, 16384, 65536, 131072, 500_000}},
	} {
		f, err := os.Create(filepath.Join(dir, "sparse", name))
		must(t, err)
		for _, at := range s.at {
			_, err := f.WriteAt(bytes.Repeat(fmt.Appendf(nil, "data at %d. ", at), 200), at)
			must(t, err)
		}
		must(t, f.Truncate(s.size))
		must(t, f.Close())
	}
}

// makeSpecial makes what has no content, links, and names that are hard.
func makeSpecial(t testing.TB, dir string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.MkdirAll(in("empty"), 0o700))
	must(t, os.MkdirAll(in("a/b/c/d/e/f"), 0o755))
	for _, n := range []int{1, 59, 60, 255, 2000, 4000, 4095} {
		must(t, os.Symlink(strings.Repeat("t", n), in(fmt.Sprintf("link %d", n))))
	}
	must(t, os.WriteFile(in("a/b/first"), []byte("one of three"), 0o640))
	must(t, os.Link(in("a/b/first"), in("a/second")))
	must(t, os.Link(in("a/b/first"), in("third")))
	must(t, os.Link(in("large/mixed"), in("a/mixed too")))
	for name, mode := range map[string]uint32{"pipe": unix.S_IFIFO, "socket": unix.S_IFSOCK, "null": unix.S_IFCHR, "disk": unix.S_IFBLK} {
		must(t, unix.Mknod(in(name), mode|0o640, int(unix.Mkdev(259, 70_000))))
	}
	// mkfs.erofs 1.5 does not find names of 255 bytes.
	for _, name := range []string{"!", "-", "...", ".-", "~", "\xff\xfe", "é", strings.Repeat("n", 254)} {
		must(t, os.WriteFile(in(name), []byte(name), 0o600))
	}
	must(t, os.WriteFile(in("owned"), []byte("x"), 0o600))
	must(t, os.Chown(in("owned"), 70_000, 80_000))
	must(t, os.Chmod(in("owned"), 0o4711|os.ModeSetuid))
}

// makeAttributes sets attributes, most of them the same on many files.
func makeAttributes(t testing.TB, dir string) {
	t.Helper()
	set := func(name string, pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			if err := unix.Lsetxattr(filepath.Join(dir, name), pairs[i], []byte(pairs[i+1]), 0); err != nil {
				t.Fatalf("setting %q of %q: %v", pairs[i], name, err)
			}
		}
	}
	for i := range 300 {
		set(fmt.Sprintf("small/%03d", i), "security.selinux", fmt.Sprintf("system_u:object_r:type%d_t:s0\x00", i%5))
	}
	for i := range 50 {
		set(fmt.Sprintf("small/%03d", i), "user.prefix.of.many."+fmt.Sprint(i), "value", "trusted.overlay.origin", "")
	}
	set("sizes/text 100", "user.large", strings.Repeat("large ", 300))
	set("sizes/text 1000", "user."+strings.Repeat("n", 250), "v", "system.posix_acl_access", string(acl()))
	set("sizes", "system.posix_acl_default", string(acl()), "trusted.folder", "yes")
	set("link 60", "trusted.link", "l")
	set("null", "trusted.device", strings.Repeat("d", 100))
	set("", "user.root", "of all")
	for i := range 40 {
		set("large/text", fmt.Sprintf("user.prefix.%d", i), strings.Repeat("z", i))
	}
}

// stampAll gives every file a time of its own.
func stampAll(t testing.TB, dir string) {
	t.Helper()
	at := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	must(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at = at.Add(1234567891 * time.Nanosecond)
		ts := unix.NsecToTimespec(at.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}))
}
