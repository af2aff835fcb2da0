package store

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
)

// identify returns the identity of the file that info is about.
func identify(info fs.FileInfo) (Identity, error) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Identity{}, errors.New("this system tells files apart in no way that is known here")
	}
	return Identity{
		Inode: s.Ino, Size: info.Size(), ModTime: info.ModTime().UTC(),
		ChangeTime: time.Unix(int64(s.Ctim.Sec), int64(s.Ctim.Nsec)).UTC(),
	}, nil
}
