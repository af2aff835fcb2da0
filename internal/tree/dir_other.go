//go:build !linux

package tree

import (
	"io/fs"
	"os"
)

// nonblocking has no meaning here.
const nonblocking = 0

// identify leaves the owner at root:root: only Linux's numbers mean something
// in an image for Linux.
func identify(fs.FileInfo, *Entry) (fileID, uint64) {
	return fileID{}, 1
}

// fileXattrs finds none: those of other systems mean nothing to Linux.
func fileXattrs(*os.File, string) ([]Xattr, error) {
	return nil, nil
}

// smallFile is never open: no file is read ahead here.
type smallFile struct{}

func openSmall(*os.File, string) (smallFile, bool) { return smallFile{}, false }

func (smallFile) close()                   {}
func (smallFile) is(fs.FileInfo) bool      { return false }
func (smallFile) read([]byte) error        { return nil }
func (smallFile) xattrs() ([]Xattr, error) { return nil, nil }
