package ext4_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/ext4"
)

// record is what a reader says about one name of a tree.
type record struct {
	Mode, UID, GID, Links uint32
	Sec                   int64
	Nsec                  uint32
	Major, Minor          uint32
	Size                  int64
	Content               string // digest of a regular file's
	Target                string
	Xattrs                map[string]string
	SameAs                string // the first name of the same inode
}

// errBudget ends a walk that has read enough.
var errBudget = errors.New("enough was read")

// walker reads all that a file system holds.
type walker struct {
	f       *ext4.FileSystem
	records map[string]record
	first   map[ext4.Ref]string
	budget  int64 // bytes and names; negative for no end
}

func walk(f *ext4.FileSystem, budget int64) (map[string]record, error) {
	w := &walker{f: f, records: map[string]record{}, first: map[ext4.Ref]string{}, budget: budget}
	return w.records, w.visit(".", f.Root())
}

func (w *walker) spend(n int64) error {
	if w.budget < 0 {
		return nil
	}
	if w.budget -= n; w.budget <= 0 {
		w.budget = 0
		return errBudget
	}
	return nil
}

func (w *walker) visit(name string, ref ext4.Ref) error {
	if err := w.spend(1); err != nil {
		return err
	}
	n, err := w.f.Inode(ref)
	if err != nil {
		return err
	}
	r := record{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Links: n.Links, Sec: n.Sec, Nsec: n.Nsec,
		Major: n.Major, Minor: n.Minor, Size: n.Size, Xattrs: map[string]string{},
	}
	xattrs, err := w.f.Xattrs(n)
	if err != nil {
		return err
	}
	for _, x := range xattrs {
		r.Xattrs[x.Name] = string(x.Value)
	}
	if n.Mode&unix.S_IFMT != unix.S_IFDIR {
		if w.first[ref] == "" {
			w.first[ref] = name
		}
		r.SameAs = w.first[ref]
	}
	switch n.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = w.content(n, &r)
	case unix.S_IFLNK:
		r.Target, err = w.f.Readlink(n)
	case unix.S_IFDIR:
		err = w.folder(name, n)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	w.records[name] = r
	return nil
}

func (w *walker) content(n *ext4.Inode, r *record) error {
	file, err := w.f.Open(n)
	if err != nil {
		return err
	}
	want := n.Size
	if w.budget >= 0 { // some of each file, rather than all of one
		want = min(want, w.budget/8)
		file = io.LimitReader(file, want)
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if int64(len(content)) != want {
		return fmt.Errorf("%d bytes were read of %d", len(content), n.Size)
	}
	if err := w.spend(want); err != nil {
		return err
	}
	r.Content = digest(content)
	return nil
}

func (w *walker) folder(name string, n *ext4.Inode) error {
	list, err := w.f.ReadDir(n)
	if err != nil {
		return err
	}
	for i, d := range list {
		if i > 0 && list[i-1].Name >= d.Name {
			return fmt.Errorf("%q is listed before %q", list[i-1].Name, d.Name)
		}
		if err := w.visit(filepath.Join(name, d.Name), d.Ref); err != nil {
			return err
		}
		if got := w.records[filepath.Join(name, d.Name)].Mode & unix.S_IFMT; got != d.Type {
			return fmt.Errorf("%q is of type %o, not %o", d.Name, got, d.Type)
		}
	}
	return nil
}

// readOS reads a tree that the kernel shows below dir.
func readOS(t testing.TB, dir string) map[string]record {
	t.Helper()
	records := make(map[string]record)
	first := make(map[uint64]string)
	check(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		r := record{
			Mode: st.Mode, UID: st.Uid, GID: st.Gid, Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec),
			Links: uint32(st.Nlink), Size: st.Size, Xattrs: map[string]string{},
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
		records[rel] = r
		return readXattrs(name, r.Xattrs)
	}))
	return records
}

func readXattrs(name string, into map[string]string) error {
	buf := make([]byte, 1<<17)
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

func compare(t testing.TB, want, got map[string]record) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree differs (-want +got):\n%.8000s", diff)
	}
}
