package erofs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"inlay/internal/erofs"
)

// errBudget ends a reading that has seen enough.
var errBudget = errors.New("enough was read")

// reading reads all that an image holds.
type reading struct {
	f       *erofs.FileSystem
	records map[string]record
	first   map[erofs.Handle]string
	budget  int64 // bytes and names; negative for no end
	buffer  []byte
}

// readAll reads all that an image holds, or so many bytes and names of it.
func readAll(f *erofs.FileSystem, budget int64) (map[string]record, error) {
	r := &reading{f: f, records: map[string]record{}, first: map[erofs.Handle]string{}, budget: budget, buffer: make([]byte, 10_003)}
	return r.records, r.visit(".", f.Root(), 0)
}

func (r *reading) spend(n int64) error {
	if r.budget < 0 {
		return nil
	}
	if r.budget -= n; r.budget <= 0 {
		r.budget = 0
		return errBudget
	}
	return nil
}

func (r *reading) visit(name string, h erofs.Handle, depth int) error {
	if err := r.spend(1); err != nil {
		return err
	}
	n, err := r.f.Inode(h)
	if err != nil {
		return err
	}
	s := record{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Links: uint64(n.Links), Sec: n.Sec, Nsec: n.Nsec,
		Major: n.Major, Minor: n.Minor, Xattrs: map[string]string{},
	}
	xattrs, err := r.f.Xattrs(n)
	if err != nil {
		return err
	}
	for _, x := range xattrs {
		s.Xattrs[x.Name] = string(x.Value)
		if err := r.spend(int64(len(x.Value))); err != nil {
			return err
		}
	}
	if n.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		if r.first[h] == "" {
			r.first[h] = name
		}
		s.SameAs = r.first[h]
	}
	switch n.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		s.Content, err = r.content(n)
	case syscall.S_IFLNK:
		s.Target, err = r.f.Readlink(n)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	r.records[name] = s
	if n.Mode&syscall.S_IFMT != syscall.S_IFDIR || depth > 100 {
		return nil
	}
	list, err := r.f.ReadDir(n)
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	for _, e := range list {
		if err := r.visit(filepath.Join(name, e.Name), e.Handle, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// content reads a file as [digest] says it.
func (r *reading) content(n *erofs.Inode) (string, error) {
	content, err := r.f.Open(n)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	size := int64(0)
	for {
		k, err := content.Read(r.buffer)
		sum.Write(r.buffer[:k])
		size += int64(k)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if err := r.spend(int64(k)); err != nil {
			return "", err
		}
	}
	if size != n.Size {
		return "", fmt.Errorf("%d bytes of %d", size, n.Size)
	}
	return fmt.Sprintf("%d bytes, %x", size, sum.Sum(nil)), nil
}

// readOurs reads all of an image.
func readOurs(t testing.TB, image []byte) map[string]record {
	t.Helper()
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Size() != int64(len(image)) {
		t.Errorf("the file system takes %d bytes of %d", f.Size(), len(image))
	}
	records, err := readAll(f, -1)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// load reads an image of a file.
func load(t testing.TB, name string) []byte {
	t.Helper()
	image, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
