package secureboot

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// immutable is the flag that efivarfs gives to variables that a stray rm should
// not reach (FS_IMMUTABLE_FL, which x/sys does not name).
const immutable = 0x10

// writeVariable writes a variable's file of an efivarfs in one write, as its
// content becomes one call of the firmware. The immutable flag is taken off before
// and put on again.
func writeVariable(root *os.Root, name string, content []byte) (err error) {
	restore, err := unlock(root, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	existed := true
	if _, err := root.Lstat(name); err != nil {
		existed = false
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return bare(err)
	}
	n, err := f.Write(content)
	if err == nil && n != len(content) {
		err = errors.New("the write was cut short")
	}
	if err := errors.Join(bare(err), bare(f.Close())); err != nil {
		if !existed {
			_ = root.Remove(name) // older kernels leave an empty file
		}
		return err
	}
	return nil
}

// unlock takes the immutable flag off a file, if it is there and has one, and
// returns what puts it back.
func unlock(root *os.Root, name string) (restore func() error, err error) {
	none := func() error { return nil }
	f, err := root.Open(name)
	if err != nil {
		if isNotExist(err) {
			return none, nil
		}
		return nil, bare(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil || flags&immutable == 0 {
		return none, nil // a file system without flags has no immutable files
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutable); err != nil {
		return nil, err
	}
	return func() error {
		f, err := root.Open(name)
		if err != nil {
			return bare(err)
		}
		defer f.Close()
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}, nil
}
