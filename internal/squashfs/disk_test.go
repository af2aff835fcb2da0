package squashfs_test

import (
	"bytes"
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

// disk makes a tree on disk for mksquashfs.
type disk struct {
	t    testing.TB
	root string
	rand *rand.ChaCha8
}

func (d *disk) path(name string) string { return filepath.Join(d.root, name) }

func (d *disk) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) file(name string, content []byte) { d.check(os.WriteFile(d.path(name), content, 0o640)) }

// noise returns n bytes that don't compress.
func (d *disk) noise(n int) []byte {
	b := make([]byte, n)
	if _, err := d.rand.Read(b); err != nil {
		d.t.Fatal(err)
	}
	return b
}

// holes writes pieces of noise at offsets, into a file of the size.
func (d *disk) holes(name string, size int64, at ...int64) {
	file, err := os.Create(d.path(name))
	d.check(err)
	defer file.Close()
	for _, off := range at {
		_, err = file.WriteAt(d.noise(100), off)
		d.check(err)
	}
	d.check(file.Truncate(size))
}

func (d *disk) xattr(name, attr string, value []byte) {
	d.check(unix.Lsetxattr(d.path(name), attr, value, 0))
}

// everything makes a tree that takes all of the format.
func everything(t testing.TB) string {
	t.Helper()
	need.Root(t)
	d := &disk{t: t, root: t.TempDir(), rand: rand.NewChaCha8([32]byte{1})}
	for _, dir := range []string{"empty", "many", "deep/er/still/down", "files", "nodes"} {
		d.check(os.MkdirAll(d.path(dir), 0o755))
	}
	d.contents()
	d.nodes()
	d.names()
	d.attributes()
	for i, name := range []string{"files/bash", "files/size 5", "nodes/char", "deep", "empty"} {
		when := time.Unix(int64(1_000_000_000+i*350_000_000), 0)
		d.check(os.Chtimes(d.path(name), when, when))
	}
	d.check(os.Chmod(d.path("files/bash"), 0o4755|os.ModeSetuid))
	d.check(os.Chmod(d.path("deep"), 0o1777|os.ModeSticky))
	return d.root
}

func (d *disk) contents() {
	d.t.Helper()
	const block = 128 << 10
	text := []byte(strings.Repeat("what compresses well, line after line\n", 40000))
	for _, size := range []int{0, 1, 5, 4095, 4096, 4097, block - 1, block, block + 1, 1 << 20, 1<<20 + 1} {
		d.file(fmt.Sprint("files/size ", size), text[:size])
		d.file(fmt.Sprint("files/noise ", size), d.noise(size))
	}
	d.file("files/mixed", bytes.Join([][]byte{d.noise(block), text, d.noise(block), text[:777]}, nil))
	d.file("files/zeros", make([]byte, 3*block+17))
	d.holes("files/hole first", 4<<20, 4<<20-100)
	d.holes("files/hole last", 4<<20+4000, 0)
	d.holes("files/holes", 9<<20+1, 1<<20, 5<<20+12345)
	d.holes("files/only hole", 2<<20)
	// What filters for machine code change.
	tool, err := os.ReadFile(need.Tool(d.t, "bash", "bash"))
	d.check(err)
	d.file("files/bash", tool[:min(len(tool), 600<<10)])
	d.calls()
}

// calls makes files for xz's filters: calls of one address, which each of them
// makes all alike so that mksquashfs picks it, and for x86 what looks like parts
// of calls between them.
func (d *disk) calls() {
	d.t.Helper()
	le := binary.LittleEndian
	var x86, arm, thumb []byte
	for len(x86) < 96<<10 {
		for range 8 {
			x86 = append(le.AppendUint32(append(x86, 0xe8), uint32(0x123456-len(x86)-5)), 0x90, 0x90, 0x90)
		}
		for _, b := range d.noise(11) {
			x86 = append(x86, [...]byte{0xe8, 0xe9, 0, 0xff, 0xff, 0, 0xe8, 1}[b%8])
		}
		x86 = append(x86, "\x90\x90\x90\x90\x90"...)
	}
	for at := uint32(0); at < 64<<10; at += 4 {
		arm = le.AppendUint32(arm, 0xeb<<24|(0x1234560-at-8)>>2&0xffffff)
		half := (0x123456 - at - 4) >> 1
		thumb = le.AppendUint16(le.AppendUint16(thumb, uint16(0xf000|half>>11&0x7ff)), uint16(0xf800|half&0x7ff))
	}
	d.file("files/calls x86", x86)
	d.file("files/calls arm", arm)
	d.file("files/calls thumb", thumb)
}

func (d *disk) nodes() {
	d.t.Helper()
	for name, mode := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "fifo too": unix.S_IFIFO, "socket too": unix.S_IFSOCK} {
		d.check(unix.Mknod(d.path("nodes/"+name), mode|0o600, 0))
	}
	for i, name := range []string{"char", "char too", "block", "block too"} {
		mode := []uint32{unix.S_IFCHR, unix.S_IFBLK}[i/2]
		d.check(unix.Mknod(d.path("nodes/"+name), mode|0o660, int(unix.Mkdev(uint32(i)*300+1, uint32(i)*70000+3))))
	}
	for i, target := range []string{"a", "../files/bash", strings.Repeat("long/", 819)} {
		d.check(os.Symlink(target, d.path(fmt.Sprint("nodes/link ", i))))
	}
	for i := range 3 {
		d.check(os.Link(d.path("files/size 5"), d.path(fmt.Sprint("deep/er/again ", i))))
		d.check(os.Link(d.path("nodes/char"), d.path(fmt.Sprint("deep/er/char ", i))))
		d.check(os.Link(d.path("nodes/link 1"), d.path(fmt.Sprint("deep/er/link ", i))))
	}
}

// names makes names of all kinds, one more than a header of theirs takes, and
// more owners than a metadata block of ids takes.
func (d *disk) names() {
	d.t.Helper()
	for i := range 3000 {
		name := fmt.Sprintf("many/file number %d of many", i)
		d.file(name, []byte(name))
		d.check(os.Lchown(d.path(name), 100000+i, 200000+i%7))
	}
	for _, name := range []string{
		strings.Repeat("n", 255), strings.Repeat("ü", 127), "new\nline", " ", "\xff\xfe", "\x01", "-", "~", "...", "Z", "a", "aa", "a.",
	} {
		d.file("deep/er/still/"+name, []byte(name))
	}
}

func (d *disk) attributes() {
	d.t.Helper()
	long := bytes.Repeat([]byte("a value that lies out of line "), 60)
	for i, name := range []string{"files/bash", "files/size 0", "files/size 4096", "files/holes", "empty", "many", "deep"} {
		d.xattr(name, "user.inlay", fmt.Append(nil, "value ", i))
		d.xattr(name, "user.long", long)
		d.xattr(name, "security.inlay", d.noise(i*7))
	}
	d.xattr("files/size 1", "user.inlay", []byte("value 1"))
	d.xattr("files/size 1", "user."+strings.Repeat("x", 250), nil)
	for _, name := range []string{"nodes/fifo too", "nodes/socket too", "nodes/char too", "nodes/block too", "nodes/link 2"} {
		d.xattr(name, "trusted.inlay", []byte(name))
		d.xattr(name, "trusted.long", long)
	}
	for i := range 1500 { // more sets than a metadata block takes
		d.xattr(fmt.Sprintf("many/file number %d of many", i), "user.number", fmt.Append(nil, i))
	}
}
