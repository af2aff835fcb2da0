package erofs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"inlay/internal/erofs"
)

func TestSameTreeSameBytes(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]*node{"everything": everything(), "random": randomTree(99)} {
		if !bytes.Equal(build(t, root), build(t, root)) {
			t.Errorf("%s: two images of one tree differ", name)
		}
	}
	a := folder(0o755, map[string]*node{"f": file(0o644, nil).with(xattrs("user.a", "1", "user.b", "2"))})
	b := folder(0o755, map[string]*node{"f": file(0o644, nil).with(xattrs("user.b", "2", "user.a", "1"))})
	if !bytes.Equal(build(t, a), build(t, b)) {
		t.Error("the order of attributes shows in the image")
	}
}

// TestTailsArePacked holds the room that small files take near what they need.
func TestTailsArePacked(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	root := folder(0o755, nil)
	need := 0
	for i := range 5000 {
		n := 1 + r.IntN(4000)
		need += (n + 32 + 31) &^ 31
		root.children[fmt.Sprint(i)] = file(0o644, make([]byte, n))
	}
	if got := len(build(t, root)); float64(got) > 1.1*float64(need) {
		t.Errorf("image takes %d bytes for %d of inodes and tails", got, need)
	}
}

// TestNoRubbish: buffers come dirty and what they held is nobody's business.
func TestNoRubbish(t *testing.T) {
	t.Parallel()
	for name, root := range sorted(witnessed()) {
		if at := bytes.Index(build(t, root), bytes.Repeat([]byte{0xa5}, 16)); at >= 0 {
			t.Errorf("%s: a buffer's old content shows at %d", name, at)
		}
	}
}

func TestSuperblock(t *testing.T) {
	t.Parallel()
	image := build(t, folder(0o755, map[string]*node{
		"a": file(0o644, pattern(10_000, 1)),
		"b": folder(0o755, map[string]*node{"c": symlink("a")}),
	}))
	le := binary.LittleEndian
	super := image[1024:1152]
	for name, c := range map[string]struct{ got, want uint64 }{
		"magic":          {uint64(le.Uint32(super)), 0xe0f5e1e2},
		"features":       {uint64(le.Uint32(super[8:])), 3},
		"block bits":     {uint64(super[12]), 12},
		"root":           {uint64(le.Uint16(super[14:])), 36},
		"inodes":         {le.Uint64(super[16:]), 4},
		"build seconds":  {le.Uint64(super[24:]), 1_700_000_000},
		"and the rest":   {uint64(le.Uint32(super[32:])), 123_456_789},
		"blocks":         {uint64(le.Uint32(super[36:])), uint64(len(image)) / erofs.BlockSize},
		"metadata block": {uint64(le.Uint32(super[40:])), 0},
		"incompatible":   {uint64(le.Uint32(super[80:])), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", name, c.got, c.want)
		}
	}
	if !bytes.Equal(super[48:64], uuid[:]) {
		t.Errorf("UUID is %x, want %x", super[48:64], uuid)
	}
	// Block 0, two blocks of a, one segment, one segment of folders.
	if want := 5 * erofs.BlockSize; len(image) != want {
		t.Errorf("image has %d bytes, want %d", len(image), want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	regular := attr(syscall.S_IFREG | 0o644)
	xattr := func(name, value string) func(*erofs.Writer) error {
		return func(w *erofs.Writer) error {
			_, err := w.File(file(0o644, nil).with(xattrs(name, value)).attr, 0, nil)
			return err
		}
	}
	special := func(a erofs.Attr) func(*erofs.Writer) error {
		return func(w *erofs.Writer) error {
			_, err := w.Special(a)
			return err
		}
	}
	link := func(target string) func(*erofs.Writer) error {
		return func(w *erofs.Writer) error {
			_, err := w.Symlink(attr(syscall.S_IFLNK|0o777), target)
			return err
		}
	}
	contents := func(a erofs.Attr, size int64) func(*erofs.Writer) error {
		return func(w *erofs.Writer) error {
			_, err := w.File(a, size, nil)
			return err
		}
	}
	for name, c := range map[string]struct {
		call func(*erofs.Writer) error
		want string
	}{
		"attribute of another space": {xattr("btrfs.compression", "zstd"), `"btrfs.compression": the format holds user.*`},
		"attribute of system":        {xattr("system.nfs4_acl", "x"), `"system.nfs4_acl": the format holds`},
		"attribute without a space":  {xattr("user", "x"), `"user": the format holds`},
		"attribute without a name":   {xattr("security.", "x"), `"security.": the format holds`},
		"attribute with a NUL":       {xattr("user.a\x00b", "x"), "NUL"},
		"attribute's long name":      {xattr("user."+strings.Repeat("n", 251), "x"), "256 bytes and may have 255"},
		"attribute's long value":     {xattr("user.v", strings.Repeat("v", 65_536)), `"user.v": its value has 65536 bytes and may have 65535`},
		"attribute given twice": {func(w *erofs.Writer) error {
			_, err := w.File(file(0o644, nil).with(xattrs("user.a", "1", "user.b", "2", "user.a", "1")).attr, 0, nil)
			return err
		}, `"user.a": it is given twice`},
		"too many attributes": {func(w *erofs.Writer) error {
			big := strings.Repeat("v", 65_535)
			_, err := w.File(file(0o644, nil).with(xattrs("user.a", big, "user.b", big, "user.c", big, "user.d", big)).attr, 0, nil)
			return err
		}, `"user.d": with the 3 before it`},
		"empty target":          {link(""), "target is empty"},
		"long target":           {link(strings.Repeat("t", 4096)), "target has 4096 bytes and may have 4095"},
		"target with a NUL":     {link("a\x00b"), "NUL"},
		"folder as file":        {contents(attr(syscall.S_IFDIR|0o755), 0), "mode 040755: its type should be 0100000"},
		"mode without a type":   {contents(attr(0o644), 0), "mode 0644"},
		"mode of 17 bits":       {contents(attr(1<<16|syscall.S_IFREG), 0), "16 bits"},
		"negative size":         {contents(regular, -1), "negative"},
		"file beyond an image":  {contents(regular, 1<<44), "at most 4294967295 blocks"},
		"largest of all files":  {contents(regular, math.MaxInt64), "at most 4294967295 blocks"},
		"a second's nanosecond": {contents(erofs.Attr{Mode: syscall.S_IFREG, Nsec: 1e9}, 0), "1000000000 nanoseconds"},
		"file as special":       {special(regular), "no device, fifo or socket"},
		"symlink as special":    {special(attr(syscall.S_IFLNK)), "no device, fifo or socket"},
		"large major":           {special(device(syscall.S_IFCHR, 4096, 0).attr), "device 4096:0"},
		"large minor":           {special(device(syscall.S_IFBLK, 0, 1<<20).attr), "device 0:1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			w := erofs.NewWriter(m, erofs.Options{BuildTime: buildTime, UUID: uuid})
			if err := c.call(w); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
			// A refusal leaves no trace.
			root := folder(0o755, map[string]*node{"f": file(0o644, pattern(5000, 1))})
			if _, err := w.Finish(root.store(t, w)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.image, build(t, root)) {
				t.Error("the refused call shows in the image")
			}
		})
	}
}

func TestFinishRefuses(t *testing.T) {
	t.Parallel()
	const regular = syscall.S_IFREG
	dir := func(entries ...erofs.Dirent) *erofs.Dir {
		return &erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755), Entries: entries}
	}
	cycle := dir()
	cycle.Entries = []erofs.Dirent{{Name: "self", Type: syscall.S_IFDIR, Dir: cycle}}
	twice := dir()
	below := func(d *erofs.Dir) *erofs.Dir {
		return dir(erofs.Dirent{Name: "a", Type: syscall.S_IFDIR, Dir: dir(erofs.Dirent{Name: "b", Type: syscall.S_IFDIR, Dir: d})})
	}
	badAttr := dir()
	badAttr.Attr.Xattrs = []erofs.Xattr{{Name: "odd.name"}}
	fullRoot := dir()
	fullRoot.Attr.Xattrs = []erofs.Xattr{{Name: "user.v", Value: make([]byte, 3000)}}
	for name, c := range map[string]struct {
		tree func(f erofs.Ref) *erofs.Dir
		want string
	}{
		"empty name": {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Type: regular, Ref: f}) }, `"" in folder "/": the name is empty`},
		"long name": {func(f erofs.Ref) *erofs.Dir {
			return dir(erofs.Dirent{Name: strings.Repeat("n", 256), Type: regular, Ref: f})
		}, "256 bytes and may have 255"},
		"dot":   {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: ".", Type: regular, Ref: f}) }, "folder's own"},
		"dots":  {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "..", Type: regular, Ref: f}) }, "folder's own"},
		"slash": {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "a/b", Type: regular, Ref: f}) }, "slash"},
		"NUL":   {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "a\x00", Type: regular, Ref: f}) }, "NUL"},
		"same name": {func(f erofs.Ref) *erofs.Dir {
			return below(dir(erofs.Dirent{Name: "n", Type: regular, Ref: f}, erofs.Dirent{Name: "n", Type: regular, Ref: f}))
		}, `"n" in folder "/a/b": the name is taken`},
		"other type":     {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "n", Type: syscall.S_IFLNK, Ref: f}) }, "is not that of the inode"},
		"no inode":       {func(erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "n", Type: regular}) }, "is not that of the inode"},
		"no folder":      {func(erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "n", Type: syscall.S_IFDIR}) }, "is not that of the inode"},
		"folder as file": {func(erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "n", Type: regular, Dir: dir()}) }, "is not a folder's"},
		"foreign inode":  {func(f erofs.Ref) *erofs.Dir { return dir(erofs.Dirent{Name: "n", Type: regular, Ref: f | 1<<40}) }, "this writer has not made it"},
		"file as root":   {func(erofs.Ref) *erofs.Dir { return &erofs.Dir{Attr: attr(regular)} }, `folder "/": its mode 0100000 is not a folder's`},
		"folder in self": {func(erofs.Ref) *erofs.Dir { return cycle }, "another name already"},
		"folder twice": {func(erofs.Ref) *erofs.Dir {
			return dir(below(twice).Entries[0], erofs.Dirent{Name: "c", Type: syscall.S_IFDIR, Dir: twice})
		}, "another name already"},
		"bad attribute":   {func(erofs.Ref) *erofs.Dir { return below(badAttr) }, `placing folder "/a/b": encoding attribute "odd.name"`},
		"root attributes": {func(erofs.Ref) *erofs.Dir { return fullRoot }, "placing the root: its attributes take 3020 bytes and may take 2912"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := erofs.NewWriter(newMemory(), erofs.Options{BuildTime: buildTime})
			f, err := w.File(attr(regular|0o644), 3, strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Finish(c.tree(f)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestSetLinksRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ref   erofs.Ref
		links uint32
		want  string
	}{
		"too many":    {links: 65_536, want: "65536 times: its compact form holds at most 65535 names"},
		"none":        {links: 0, want: "no name"},
		"other inode": {ref: 12345, links: 2, want: "this writer has not made it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := erofs.NewWriter(newMemory(), erofs.Options{BuildTime: buildTime})
			f, err := w.File(attr(syscall.S_IFREG|0o644), 3, strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			if c.ref == 0 {
				c.ref = f
			}
			w.SetLinks(c.ref, c.links)
			if _, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestContentEndsEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size, has int64
		err       error
	}{
		"nothing, inline":     {size: 100, has: 0, err: io.ErrUnexpectedEOF},
		"inline tail":         {size: 100, has: 99, err: io.ErrUnexpectedEOF},
		"tail after blocks":   {size: 10_000, has: 8192, err: io.ErrUnexpectedEOF},
		"first block":         {size: 10_000, has: 0, err: io.ErrUnexpectedEOF},
		"padded last block":   {size: 4095, has: 4094, err: io.ErrUnexpectedEOF},
		"second buffer":       {size: 3 << 20, has: 2<<20 - 1, err: io.ErrUnexpectedEOF},
		"error of the source": {size: 3 << 20, has: 2 << 20, err: errDisk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := erofs.NewWriter(newMemory(), erofs.Options{BuildTime: buildTime})
			r := io.Reader(bytes.NewReader(make([]byte, c.has)))
			if !errors.Is(c.err, io.ErrUnexpectedEOF) {
				r = io.MultiReader(r, iotest.ErrReader(c.err))
			}
			_, err := w.File(attr(syscall.S_IFREG|0o644), c.size, r)
			if !errors.Is(err, c.err) {
				t.Errorf("error is %v, want %v", err, c.err)
			}
			if _, again := w.File(attr(syscall.S_IFREG|0o644), 0, nil); !errors.Is(again, c.err) {
				t.Errorf("the next call says %v, want %v", again, c.err)
			}
			if _, again := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}); !errors.Is(again, c.err) {
				t.Errorf("Finish says %v, want %v", again, c.err)
			}
		})
	}
}

// TestReadsNoFurther: the bytes after a file's belong to someone else.
func TestReadsNoFurther(t *testing.T) {
	t.Parallel()
	w := erofs.NewWriter(newMemory(), erofs.Options{BuildTime: buildTime})
	for _, size := range []int64{0, 10, 4096, 4095, 3<<20 + 5} {
		r := bytes.NewReader(make([]byte, size+7))
		if _, err := w.File(attr(syscall.S_IFREG|0o644), size, r); err != nil {
			t.Fatal(err)
		}
		if r.Len() != 7 {
			t.Errorf("of %d bytes for the next reader %d are left after a file of %d", 7, r.Len(), size)
		}
	}
}

// TestDeviceFails has each block of an image fail once, in Write or after it.
func TestDeviceFails(t *testing.T) {
	t.Parallel()
	root := folder(0o755, map[string]*node{
		"data":   file(0o644, pattern(5<<20+100, 1)),
		"folder": folder(0o755, nil),
	})
	for i := range 400 {
		root.children["folder"].children[fmt.Sprintf("%d-%0200d", i, i)] = file(0o644, pattern(4000, 1))
	}
	blocks := int64(len(build(t, root))) / erofs.BlockSize
	attempt := func(prepare func(*memory)) error {
		root.forget()
		m := newMemory()
		prepare(m)
		w := erofs.NewWriter(m, erofs.Options{BuildTime: buildTime})
		dir := &erofs.Dir{Attr: root.attr}
		data := root.children["data"]
		ref, err := w.File(data.attr, int64(len(data.content)), bytes.NewReader(data.content))
		if err != nil {
			return err
		}
		dir.Entries = append(dir.Entries, erofs.Dirent{Name: "data", Type: syscall.S_IFREG, Ref: ref})
		below := &erofs.Dir{Attr: root.attr}
		for name, c := range sorted(root.children["folder"].children) {
			small, err := w.File(c.attr, int64(len(c.content)), bytes.NewReader(c.content))
			if err != nil {
				return err
			}
			below.Entries = append(below.Entries, erofs.Dirent{Name: name, Type: syscall.S_IFREG, Ref: small})
		}
		w.SetLinks(ref, 2)
		dir.Entries = append(dir.Entries, erofs.Dirent{Name: "folder", Type: syscall.S_IFDIR, Dir: below})
		_, err = w.Finish(dir)
		return err
	}
	if err := attempt(func(*memory) {}); err != nil {
		t.Fatal(err)
	}
	for block := int64(0); block < blocks; block += 7 {
		if err := attempt(func(m *memory) { m.failAt = block * erofs.BlockSize }); !errors.Is(err, errDisk) {
			t.Errorf("block %d of %d fails, the writer says %v", block, blocks, err)
		}
	}
	if err := attempt(func(m *memory) { m.failReadAt = true }); !errors.Is(err, errDisk) {
		t.Errorf("reading back fails, the writer says %v", err)
	}
	if err := attempt(func(m *memory) { m.failRewrite = true }); !errors.Is(err, errDisk) {
		t.Errorf("rewriting fails, the writer says %v", err)
	}
}

func TestFinishEnds(t *testing.T) {
	t.Parallel()
	w := erofs.NewWriter(newMemory(), erofs.Options{})
	root := &erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}
	blocks, err := w.Finish(root)
	if err != nil || blocks != 1 {
		t.Errorf("an empty image has %d blocks, %v; want 1", blocks, err)
	}
	if _, err := w.Finish(root); err == nil {
		t.Error("a second Finish passes")
	}
	if _, err := w.Special(attr(syscall.S_IFIFO)); err == nil {
		t.Error("an inode after Finish passes")
	}
}
