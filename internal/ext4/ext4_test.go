package ext4_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"inlay/internal/ext4"
)

// find returns the inode of a name in the root folder.
func find(t testing.TB, f *ext4.FileSystem, name string) *ext4.Inode {
	t.Helper()
	root, err := f.Inode(f.Root())
	check(t, err)
	list, err := f.ReadDir(root)
	check(t, err)
	for _, d := range list {
		if d.Name == name {
			n, err := f.Inode(d.Ref)
			check(t, err)
			return n
		}
	}
	t.Fatalf("no name %q", name)
	return nil
}

func open(t testing.TB, name string) *ext4.FileSystem {
	t.Helper()
	m := load(t, name)
	f, err := ext4.Open(bytes.NewReader(m), int64(len(m)))
	check(t, err)
	return f
}

func TestContent(t *testing.T) {
	t.Parallel()
	// What testdata/make.sh writes.
	const small = "what a file holds\n"
	comb := make([]byte, 401*1024)
	for at := 0; at <= 400; at += 2 {
		copy(comb[at*1024:], strings.Repeat("0", 1024))
		digits := []byte{'0' + byte(at/100), '0' + byte(at/10%10), '0' + byte(at%10)}
		copy(comb[at*1024+1021:], digits)
	}
	for _, name := range []string{"ext2", "ext4", "checked", "inline"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, name)
			for name, want := range map[string]string{
				"small": small, "hardlink": small, "comb": string(comb), "far": strings.Repeat("\x00", 70000*1024) + small,
			} {
				n := find(t, f, name)
				if name == "comb" { // zeros are its end
					want += strings.Repeat("\x00", int(n.Size)-len(want))
				}
				r, err := f.Open(n)
				check(t, err)
				if got, err := io.ReadAll(r); err != nil || string(got) != want {
					t.Errorf("%s: %d bytes and %v, want %d others", name, len(got), err, len(want))
				}
			}
			r, err := f.Open(find(t, f, "comb"))
			check(t, err)
			if name == "inline" { // there the file ends where its data does
				comb = comb[:find(t, f, "comb").Size]
			}
			if err := iotest.TestReader(io.LimitReader(r, int64(len(comb))), comb); err != nil {
				t.Error(err)
			}
			if a, b := find(t, f, "small").Ref, find(t, f, "hardlink").Ref; a != b {
				t.Errorf("hard links are %v and %v", a, b)
			}
		})
	}
}

// TestWrongType asks for what a file of another type has.
func TestWrongType(t *testing.T) {
	t.Parallel()
	f := open(t, "ext4")
	for _, n := range []*ext4.Inode{{}, find(t, f, "fifo"), {Mode: 0o100644, Size: 1 << 40}} {
		if _, err := f.Open(n); err == nil {
			t.Errorf("%o has content", n.Mode)
		}
		if _, err := f.Readlink(n); err == nil {
			t.Errorf("%o has a target", n.Mode)
		}
		if _, err := f.ReadDir(n); err == nil {
			t.Errorf("%o has names", n.Mode)
		}
	}
	if _, err := f.Xattrs(&ext4.Inode{}); err == nil {
		t.Error("no inode has attributes")
	}
	if _, err := f.Inode(ext4.Ref{}); err == nil {
		t.Error("no name has an inode")
	}
}

// broke is a disk that fails from some byte on.
type broke struct {
	io.ReaderAt
	from int64
}

func (b broke) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errDisk
	}
	return b.ReaderAt.ReadAt(p, off)
}

var errDisk = errors.New("disk on fire")

// TestDiskFails hands on what the disk says.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	m := load(t, "ext4")
	for from := 0; from < 128<<10; from += 11 << 10 {
		f, err := ext4.Open(broke{bytes.NewReader(m), int64(from)}, int64(len(m)))
		if err == nil {
			_, err = walk(f, -1)
		}
		if !errors.Is(err, errDisk) {
			t.Errorf("a disk that fails from byte %d on: %v", from, err)
		}
	}
}
