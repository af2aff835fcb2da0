package erofs_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// record is what a reader says about one name of a tree.
type record struct {
	Mode, UID, GID uint32
	Sec            int64
	Nsec           uint32
	Links          uint64
	Major, Minor   uint32
	Content        string // digest of a regular file's
	Target         string
	Xattrs         map[string]string
	SameAs         string // the first name of the same inode
}

func digest(p []byte) string { return fmt.Sprintf("%d bytes, %x", len(p), sha256.Sum256(p)) }

// want is what a reader should say about the tree below root.
func want(root *node) map[string]record {
	records := make(map[string]record)
	first := make(map[*node]string)
	links := make(map[*node]uint64)
	var visit func(path string, n *node)
	visit = func(path string, n *node) {
		r := record{
			Mode: n.attr.Mode, UID: n.attr.UID, GID: n.attr.GID, Sec: n.attr.Sec, Nsec: n.attr.Nsec,
			Major: n.attr.Major, Minor: n.attr.Minor, Target: n.target, Xattrs: map[string]string{},
		}
		for _, x := range n.attr.Xattrs {
			r.Xattrs[x.Name] = string(x.Value)
		}
		if n.attr.Mode&syscall.S_IFMT == syscall.S_IFREG {
			if r.Content = n.sum; r.Content == "" {
				r.Content = digest(n.content)
			}
		}
		if n.children != nil {
			r.Links = 2
			for _, c := range n.children {
				if c.children != nil {
					r.Links++
				}
			}
		} else {
			links[n]++
			if first[n] == "" {
				first[n] = path
			}
		}
		records[path] = r
		for name, c := range sorted(n.children) {
			visit(filepath.Join(path, name), c)
		}
	}
	visit(".", root)
	var count func(path string, n *node)
	count = func(path string, n *node) {
		if n.children == nil {
			r := records[path]
			r.Links, r.SameAs = links[n], first[n]
			records[path] = r
		}
		for name, c := range n.children {
			count(filepath.Join(path, name), c)
		}
	}
	count(".", root)
	return records
}

// readOS reads a tree that the kernel shows below dir.
func readOS(t testing.TB, dir string) map[string]record {
	t.Helper()
	records := make(map[string]record)
	first := make(map[uint64]string)
	buf := make([]byte, 1<<17)
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
			Links: st.Nlink, Xattrs: map[string]string{},
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			r.Content = digest(content)
		case unix.S_IFLNK:
			if r.Target, err = os.Readlink(name); err != nil {
				return err
			}
		case unix.S_IFCHR, unix.S_IFBLK:
			r.Major, r.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = rel
			}
			r.SameAs = first[st.Ino]
		}
		if err := readXattrs(name, buf, r.Xattrs); err != nil {
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

func readXattrs(name string, buf []byte, into map[string]string) error {
	n, err := unix.Llistxattr(name, buf)
	if err != nil {
		return fmt.Errorf("listing attributes of %q: %w", name, err)
	}
	for _, attr := range strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }) {
		n, err := unix.Lgetxattr(name, attr, buf)
		if err != nil {
			return fmt.Errorf("getting attribute %q of %q: %w", attr, name, err)
		}
		into[attr] = string(buf[:n])
	}
	return nil
}

// compare fails the test if two readings differ. A reader that cannot see all
// of a record says with blind what to leave out of both.
func compare(t testing.TB, want, got map[string]record, blind func(path string, r *record)) {
	t.Helper()
	if blind != nil {
		want, got = mask(want, blind), mask(got, blind)
	}
	if reflect.DeepEqual(want, got) { // which takes a hundredth of the time
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree differs (-want +got):\n%.8000s", diff)
	}
}

func mask(records map[string]record, blind func(path string, r *record)) map[string]record {
	masked := make(map[string]record, len(records))
	for path, r := range records {
		blind(path, &r)
		masked[path] = r
	}
	return masked
}
