package content

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// check holds what an adapter said of one inode against the bounds, and tidies
// it.
func (f *File) check() error {
	switch f.Type() {
	case TypeFolder:
		f.Size = 0
	case TypeRegular:
		if f.Size < 0 || f.Size > maxSize {
			return fmt.Errorf("a size of %d bytes is out of bounds", f.Size)
		}
	case TypeLink:
		if f.Target == "" || len(f.Target) > maxTarget || strings.Contains(f.Target, "\x00") {
			return errors.New("the target of the link is empty, too long or has a NUL byte in it")
		}
		f.Size = int64(len(f.Target))
	case TypeChar, TypeBlock, TypeFIFO, TypeSocket:
		f.Size = 0
	default:
		return fmt.Errorf("there is no such type of file: mode %o", f.Mode)
	}
	f.Mode &= TypeMask | 0o7777
	if !f.Device() {
		f.Major, f.Minor = 0, 0
	}
	f.MTime = f.MTime.UTC()
	return f.checkXattrs()
}

// Linux's own limits (linux/limits.h), and one on all values of a file.
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrTotal = 256 << 10
)

func (f *File) checkXattrs() error {
	slices.SortFunc(f.Xattrs, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	total := 0
	for i, x := range f.Xattrs {
		total += len(x.Name) + len(x.Value)
		switch {
		case x.Name == "" || len(x.Name) > maxXattrName || strings.Contains(x.Name, "\x00"):
			return fmt.Errorf("the name %q of an extended attribute is empty, too long or has a NUL byte in it", x.Name)
		case i > 0 && f.Xattrs[i-1].Name == x.Name:
			return fmt.Errorf("the extended attribute %q is there twice", x.Name)
		case len(x.Value) > maxXattrValue || total > maxXattrTotal:
			return errors.New("more bytes of extended attributes than Linux allows")
		}
	}
	return nil
}

// checkChildren sorts what is in a folder, and refuses what cannot be in one:
// of two files with one name, each program would see another.
func checkChildren(list []child) error {
	if len(list) > maxFiles {
		return fmt.Errorf("more than %d files in a folder", maxFiles)
	}
	slices.SortFunc(list, func(a, b child) int { return strings.Compare(a.name, b.name) })
	for i, c := range list {
		switch {
		case c.name == "" || c.name == "." || c.name == ".." || len(c.name) > maxName || strings.ContainsAny(c.name, "/\x00"):
			return fmt.Errorf("%q cannot be the name of a file", c.name)
		case i > 0 && list[i-1].name == c.name:
			return fmt.Errorf("%q is there twice", c.name)
		}
	}
	return nil
}
