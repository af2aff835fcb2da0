package squashfs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/squashfs"
)

// record is what a reader says about one name of a tree.
type record struct {
	Mode, UID, GID uint32
	Sec            int64
	Nsec           uint32
	Links          uint32
	Size           int64
	Major, Minor   uint32
	Content        string // digest of a regular file's
	Target         string
	Xattrs         map[string]string
	SameAs         string // the first name of the same inode
}

// budget bounds a walk through an image that may be hostile.
type budget struct {
	names int
	bytes int64
}

// unlimited is more than any image of these tests has.
func unlimited() *budget { return &budget{names: 1 << 20, bytes: 1 << 40} }

// open opens an image that is in memory.
func open(image []byte) (*squashfs.FileSystem, error) {
	return squashfs.Open(bytes.NewReader(image), int64(len(image)))
}

// read walks all that an image holds and returns it by path.
func read(f *squashfs.FileSystem, b *budget) (map[string]record, error) {
	w := walk{f: f, budget: b, records: make(map[string]record), first: make(map[squashfs.Ref]string)}
	return w.records, w.visit(".", f.Root())
}

type walk struct {
	f       *squashfs.FileSystem
	budget  *budget
	records map[string]record
	first   map[squashfs.Ref]string
}

func (w *walk) visit(name string, ref squashfs.Ref) error {
	if w.budget.names--; w.budget.names < 0 {
		return nil
	}
	n, err := w.f.Inode(ref)
	if err != nil {
		return err
	}
	r := record{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Sec: n.Sec, Nsec: n.Nsec, Links: n.Links, Size: n.Size,
		Major: n.Major, Minor: n.Minor, Xattrs: map[string]string{},
	}
	if n.Ref != ref {
		return fmt.Errorf("%q: the inode has another reference", name)
	}
	xattrs, err := w.f.Xattrs(n)
	if err != nil {
		return err
	}
	if !slices.IsSortedFunc(xattrs, func(a, b squashfs.Xattr) int { return strings.Compare(a.Name, b.Name) }) {
		return fmt.Errorf("%q: attributes are not sorted", name)
	}
	for _, x := range xattrs {
		r.Xattrs[x.Name] = string(x.Value)
	}
	switch n.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		r.Content, err = w.content(n)
	case syscall.S_IFLNK:
		r.Target, err = w.f.Readlink(n)
	case syscall.S_IFDIR:
		err = w.children(name, n)
	}
	if n.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		if w.first[ref] == "" {
			w.first[ref] = name
		}
		r.SameAs = w.first[ref]
	}
	w.records[name] = r
	return err
}

func (w *walk) content(n *squashfs.Inode) (string, error) {
	r, err := w.f.Open(n)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(r, w.budget.bytes))
	w.budget.bytes -= size
	if err == nil && w.budget.bytes > 0 && size != n.Size {
		err = fmt.Errorf("%d bytes of content and not %d", size, n.Size)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), err
}

func (w *walk) children(name string, n *squashfs.Inode) error {
	list, err := w.f.ReadDir(n)
	if err != nil {
		return err
	}
	for i, e := range list {
		if i > 0 && e.Name <= list[i-1].Name {
			return fmt.Errorf("%q comes after %q", e.Name, list[i-1].Name)
		}
		if err := w.visit(path.Join(name, e.Name), e.Ref); err != nil {
			return err
		}
		if r, ok := w.records[path.Join(name, e.Name)]; ok && r.Mode&syscall.S_IFMT != e.Type {
			return fmt.Errorf("%q has type %#o and mode %#o", e.Name, e.Type, r.Mode)
		}
	}
	return nil
}

// readOS reads a tree that the kernel shows below dir.
func readOS(t testing.TB, dir string) map[string]record {
	t.Helper()
	records := make(map[string]record)
	first := make(map[uint64]string)
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		r := record{
			Mode: st.Mode, UID: st.Uid, GID: st.Gid, Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec),
			Links: uint32(st.Nlink), Size: st.Size, Xattrs: map[string]string{},
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			r.Content, err = digestFile(name)
		case unix.S_IFLNK:
			r.Target, err = os.Readlink(name)
		case unix.S_IFCHR, unix.S_IFBLK:
			r.Major, r.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		}
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = rel
			}
			r.SameAs = first[st.Ino]
		}
		if err := readXattrs(name, r.Xattrs); err != nil {
			return err
		}
		records[rel] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func digestFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return fmt.Sprintf("%x", hash.Sum(nil)), err
}

func readXattrs(name string, into map[string]string) error {
	buf := make([]byte, 1<<17)
	n, err := unix.Llistxattr(name, buf)
	if errors.Is(err, unix.ENOTSUP) { // an image without any
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing attributes of %q: %w", name, err)
	}
	for _, attr := range strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, 1<<17)
		n, err := unix.Lgetxattr(name, attr, value)
		if err != nil {
			return fmt.Errorf("getting attribute %q of %q: %w", attr, name, err)
		}
		into[attr] = string(value[:n])
	}
	return nil
}

// compare fails the test if two readings differ, and names some of what does.
func compare(t testing.TB, want, got map[string]record) {
	t.Helper()
	if len(want) < 2 {
		t.Errorf("a tree of %d names shows nothing", len(want))
	}
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("%.80q differs (-want +got):\n%.2000s", name, diff)
			if wrong++; wrong == 5 {
				t.Fatal("and so on")
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%.80q should not be there", name)
		}
	}
}
