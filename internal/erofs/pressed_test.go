package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/erofs"
)

// TestPressedIsSmall holds each way to compress to what it is good for.
func TestPressedIsSmall(t *testing.T) {
	t.Parallel()
	root := folder(0o755, nil)
	for i := range 200 {
		root.children[fmt.Sprint("small", i)] = file(0o644, compressible(1000+i*37, uint64(i)))
	}
	for i := range 3 {
		root.children[fmt.Sprint("large", i)] = file(0o644, compressible(2<<20, uint64(i+1000)))
	}
	root.children["random"] = file(0o644, pattern(1<<20, 1))
	size := func(o erofs.Options) int { return len(buildWith(t, root, o)) }
	options := pressed()
	plain := size(erofs.Options{})
	oldest, usual, tails := size(options["lz4 oldest"]), size(options["lz4"]), size(options["lz4 tails"])
	fragments, zstd := size(options["lz4 fragments"]), size(options["zstd"])
	if !(plain > oldest && oldest > usual && usual > tails && tails > fragments && fragments > zstd) {
		t.Errorf("sizes are %d plain, %d, %d, %d, %d with LZ4 of ever newer kernels, %d with zstd; each should be smaller",
			plain, oldest, usual, tails, fragments, zstd)
	}
	if limit := plain * 2 / 3; usual > limit {
		t.Errorf("LZ4 takes %d bytes, want at most %d", usual, limit)
	}
	// What is not worth it costs an index at most.
	if stubborn, limit := size(options["stubborn"]), plain+plain/500; stubborn > limit {
		t.Errorf("nothing compressed takes %d bytes, want at most %d", stubborn, limit)
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	needs := func(major, minor int, because ...string) erofs.Needs {
		return erofs.Needs{Kernel: erofs.Version{Major: major, Minor: minor}, Because: because}
	}
	dull := folder(0o755, map[string]*node{"random": file(0o644, pattern(200_000, 1)), "tiny": file(0o644, []byte("x"))})
	good := folder(0o755, map[string]*node{"good": file(0o644, compressible(200_000, 1))})
	end := folder(0o755, map[string]*node{"end": file(0o644, compressible(3000, 1))})
	holes := folder(0o755, map[string]*node{"holes": file(0o644, make([]byte, 200_000))})
	options := pressed()
	before := erofs.Options{Kernel: erofs.Version{Major: 5, Minor: 14}}
	for _, test := range []struct {
		name string
		root *node
		o    erofs.Options
		want erofs.Needs
	}{
		{"plain", good, erofs.Options{}, needs(5, 4)},
		{"plain, holes", holes, erofs.Options{}, needs(5, 15, "sparse files")},
		{"plain, holes before they were known", holes, before, needs(5, 4)},
		{"lz4", good, options["lz4"], needs(5, 13, "large clusters")},
		{"lz4, nothing to compress", dull, options["lz4"], needs(5, 4)},
		{"lz4, oldest", good, options["lz4 oldest"], needs(5, 4, "LZ4")},
		{"lz4, oldest, holes", holes, options["lz4 oldest"], needs(5, 4, "LZ4")},
		{"lz4, tail", end, options["lz4 tails"], needs(5, 17, "inline tails")},
		{"lz4, no tail", holes, options["lz4 tails"], needs(5, 13, "large clusters")},
		{"lz4, fragment", end, options["lz4 fragments"], needs(6, 1, "fragments")},
		{"lz4, no fragment", good, options["lz4 fragments"], needs(5, 13, "large clusters")},
		{"zstd", good, options["zstd"], needs(6, 10, "zstd")},
		{"zstd, nothing to compress", dull, options["zstd"], needs(5, 4)},
	} {
		t.Run(test.name, func(t *testing.T) {
			image, got := buildNeeding(t, test.root, test.o)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("needs (-want +got):\n%s", diff)
			}
			compare(t, want(test.root), readOurs(t, image), nil)
		})
	}
}

// TestFragmentsAreShared: the same small file twice takes no more than once.
func TestFragmentsAreShared(t *testing.T) {
	t.Parallel()
	o := pressed()["zstd"]
	root := folder(0o755, nil)
	for i := range 20 {
		root.children[fmt.Sprint(i)] = file(0o644, pattern(30_000, 1))
	}
	image := buildWith(t, root, o)
	if limit := 50_000; len(image) > limit {
		t.Errorf("twenty equal files of 30000 bytes take %d, want at most %d", len(image), limit)
	}
	compare(t, want(root), readOurs(t, image), nil)
}

// TestXattrsAreShared: an attribute of many is stored with the first that has
// it and once for all others.
func TestXattrsAreShared(t *testing.T) {
	t.Parallel()
	root := folder(0o755, nil)
	long := strings.Repeat("long", 1000)
	for i := range 50 {
		name := fmt.Sprint(i)
		root.children["f"+name] = file(0o644, nil).with(xattrs("security.selinux", "label of a file", "user.own", "mine "+name, "user.long", long))
		root.children["d"+name] = folder(0o755, nil).with(xattrs("security.selinux", "label of a folder"))
		root.children["l"+name] = symlink("x").with(xattrs("security.selinux", "label of a file"))
	}
	for i := range 3 {
		many := file(0o644, nil)
		for j := range 300 { // more than one inode can share
			xattrs(fmt.Sprintf("user.%03d", j), "many")(&many.attr)
		}
		root.children[fmt.Sprint("many", i)] = many
	}
	for name, o := range map[string]erofs.Options{"plain": {}, "lz4": pressed()["lz4"]} {
		image := buildWith(t, root, o)
		for _, value := range []string{"label of a file", "label of a folder", long} {
			if got := bytes.Count(image, []byte(value)); got != 2 {
				t.Errorf("%s: %.20q is there %d times, want 2", name, value, got)
			}
		}
		if got := bytes.Count(image, []byte("mine 7")); got != 1 {
			t.Errorf("%s: an attribute of one inode is there %d times", name, got)
		}
		compare(t, want(root), readOurs(t, image), nil)
		compare(t, want(root), readOS(t, mount(t, save(t, image))), nil)
		if err := fsck(t, save(t, image), ""); err != nil {
			t.Error(err)
		}
	}
}

// TestZerosOfAnyLength: a byte of LZ4 stands for 255 of them.
func TestZerosOfAnyLength(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lz4", "zstd"} {
		root := folder(0o755, nil)
		for n := range 300 {
			root.children[fmt.Sprint(n)] = file(0o644, make([]byte, 150_000+n))
		}
		compare(t, want(root), readOurs(t, buildWith(t, root, pressed()[name])), nil)
	}
}

// TestTailsBesideAttributes: a tail finds no place behind an inode that has
// little room left in its block.
func TestTailsBesideAttributes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lz4 tails", "lz4 small tails"} {
		root := folder(0o755, nil)
		for i := range 300 {
			root.children[fmt.Sprint(i)] = file(0o644, compressible(3000+i*71, uint64(i))).
				with(xattrs("user.own", string(pattern(2500+i*13%2000, uint64(i)))))
		}
		root.children["long"] = file(0o644, compressible(5<<20+1234, 1)).with(xattrs("user.own", string(pattern(700, 1))))
		image := buildWith(t, root, pressed()[name])
		compare(t, want(root), readOurs(t, image), nil)
		compare(t, want(root), readOS(t, mount(t, save(t, image))), nil)
		compare(t, want(root), readOS(t, fsckNewest(t, image)), fsckBlind)
	}
}

// TestRecord: a kernel makes its buffers as large as the superblock says.
func TestRecord(t *testing.T) {
	t.Parallel()
	root := folder(0o755, map[string]*node{"a": file(0o644, compressible(4<<20, 1))})
	for name, want := range map[string]string{
		"lz4":                "\x0e\x00\xff\xff\x10\x00",
		"lz4 small clusters": "\x0e\x00\xff\xff\x01\x00",
		"zstd":               "\x06\x00\x00\x0a\x00\x00",
	} {
		image := buildWith(t, root, pressed()[name])
		if got := string(image[1152:][:len(want)]); got != want {
			t.Errorf("%s: behind the superblock there is %q, want %q", name, got, want)
		}
	}
}

// TestPressedContentEndsEarly: so does the Writer, wherever the content was to go.
func TestPressedContentEndsEarly(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		for _, size := range []int64{20, 3000, 40_000, 500_000, 5 << 20} {
			w := erofs.NewWriter(newMemory(), o)
			if _, err := w.File(attr(syscall.S_IFREG|0o644), 100_000, bytes.NewReader(compressible(100_000, 1))); err != nil {
				t.Fatal(err)
			}
			_, err := w.File(attr(syscall.S_IFREG|0o644), size, bytes.NewReader(compressible(int(size)-1, 1)))
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %d bytes less one: %v", name, size, err)
			}
			if _, again := w.Symlink(attr(syscall.S_IFLNK), "x"); !errors.Is(again, err) {
				t.Errorf("%s: after %v it says %v", name, err, again)
			}
			if _, again := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR)}); !errors.Is(again, err) {
				t.Errorf("%s: after %v it finishes with %v", name, err, again)
			}
		}
	}
}

// TestPressedRefuses: what no image can hold is not read, and the Writer goes on.
func TestPressedRefuses(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		w := erofs.NewWriter(newMemory(), o)
		if _, err := w.File(attr(syscall.S_IFREG|0o644), 1<<63-1, nil); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%s: 2^63 - 1 bytes: %v", name, err)
		}
		if _, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}); err != nil {
			t.Errorf("%s: after a refusal: %v", name, err)
		}
	}
}

// TestPressedDeviceFails: an error of a write far behind comes out, and stays.
func TestPressedDeviceFails(t *testing.T) {
	t.Parallel()
	contents := make([][]byte, 20)
	for i := range contents {
		contents[i] = mixed(1<<20, uint64(i))
	}
	for name, o := range sorted(pressed()) {
		for _, at := range []int64{0, 4096, 1 << 20, 3 << 20} {
			m := newMemory()
			m.failAt = at
			w := erofs.NewWriter(m, o)
			root := &erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}
			var err error
			for i := 0; i < len(contents) && err == nil; i++ {
				var ref erofs.Ref
				ref, err = w.File(attr(syscall.S_IFREG|0o644), 1<<20, bytes.NewReader(contents[i]))
				root.Entries = append(root.Entries, erofs.Dirent{Name: fmt.Sprint(i), Type: syscall.S_IFREG, Ref: ref})
			}
			if err == nil {
				_, err = w.Finish(root)
			}
			if !errors.Is(err, errDisk) {
				t.Errorf("%s, failing at %d: %v", name, at, err)
			}
			if _, again := w.Finish(root); !errors.Is(again, errDisk) {
				t.Errorf("%s: after %v it says %v", name, err, again)
			}
		}
	}
}

// counting counts its Encoders, which take memory.
type counting struct {
	lz4Codec
	memory int
	made   *atomic.Int32
}

func (c counting) Memory() int { return c.memory }

func (c counting) NewEncoder() erofs.Encoder {
	c.made.Add(1)
	return c.lz4Codec.NewEncoder()
}

// TestPressedEncoders has more workers than memory should be taken for.
func TestPressedEncoders(t *testing.T) {
	t.Parallel()
	content := compressible(256<<10, 1)
	for memory, most := range map[int]int32{0: 16, 2 << 20: 16, 40 << 20: 2, 1 << 30: 1} {
		var made atomic.Int32
		w := erofs.NewWriter(&discard{}, erofs.Options{Codec: counting{lz4Codec{1 << 20}, memory, &made}, Workers: 1000})
		for range 100 {
			if _, err := w.File(attr(syscall.S_IFREG|0o644), int64(len(content)), bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}); err != nil {
			t.Fatal(err)
		}
		if got := made.Load(); got > most {
			t.Errorf("%d encoders of %d bytes were made, want at most %d", got, memory, most)
		}
	}
}

// TestPressedMemory is not parallel, since it looks at all that is allocated.
func TestPressedMemory(t *testing.T) {
	content := mixed(8<<20, 4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := erofs.NewWriter(&discard{}, erofs.Options{Codec: lz4Codec{1 << 20}, Workers: 2})
	const files = 32
	for range files {
		if _, err := w.File(attr(syscall.S_IFREG|0o644), int64(len(content)), bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	got, limit := after.TotalAlloc-before.TotalAlloc, uint64(32<<20)
	if got > limit {
		t.Errorf("%d MiB of content made it allocate %d MiB, want at most %d", files*len(content)>>20, got>>20, limit>>20)
	}
}
