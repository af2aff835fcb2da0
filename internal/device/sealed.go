package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// DefaultMemory is the largest copy in bytes that is kept in memory.
const DefaultMemory = 256 << 20

// SealOptions say where a copy is kept.
type SealOptions struct {
	// Memory is the largest size in bytes that is kept in memory. 0:
	// DefaultMemory; negative: none is.
	Memory int64
	// Folder takes larger copies, in a file that has no name: best on a file system
	// that is nobody else's and not on a disk that others write to. nil: larger
	// ones are refused.
	Folder *os.Root
	// Name is for people who list descriptors and loop devices.
	Name string
}

// ErrTooLarge says that a copy is larger than what may be kept.
var ErrTooLarge = errors.New("too large to be copied")

// Sealed copies size bytes of r and returns the copy, open for reading, which
// the caller checks and uses: nobody can change it. In memory the kernel
// forbids every change for good (F_SEAL_WRITE and its like); a file has no name,
// and no descriptor that can write to it is left. Zeros take no room.
func Sealed(ctx context.Context, r io.ReaderAt, size int64, o SealOptions) (*os.File, error) {
	f, err := sealed(ctx, r, size, o)
	if err != nil {
		return nil, fmt.Errorf("copying %q to a place where nobody can change it: %w", o.Name, err)
	}
	return f, nil
}

func sealed(ctx context.Context, r io.ReaderAt, size int64, o SealOptions) (*os.File, error) {
	memory := o.Memory
	if memory == 0 {
		memory = DefaultMemory
	}
	switch {
	case size < 0:
		return nil, fmt.Errorf("%d bytes are no size", size)
	case size <= memory:
		return inMemory(ctx, r, size, o.Name)
	case o.Folder != nil:
		return nameless(ctx, r, size, o)
	}
	return nil, hint.Wrap(fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, max(memory, 0)),
		"use a kernel with dm-verity (CONFIG_DM_VERITY), which needs no copy")
}

// inMemory makes the copy in a memfd.
func inMemory(ctx context.Context, r io.ReaderAt, size int64, name string) (*os.File, error) {
	// The kernel takes 249 bytes and shows them to people.
	name = name[:min(len(name), 249)]
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if err := fill(ctx, f, r, size); err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("sealing it: %w", err)
	}
	return reopened(f)
}

// nameless makes the copy in a file of the folder that never has a name.
func nameless(ctx context.Context, r io.ReaderAt, size int64, o SealOptions) (*os.File, error) {
	f, err := o.Folder.OpenFile(".", os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := fill(ctx, f, r, size); err != nil {
		return nil, err
	}
	return reopened(f)
}

// reopened returns f open for reading only. The descriptor that could write is
// the caller's to close.
func reopened(f *os.File) (*os.File, error) {
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("opening it for reading only: %w", err)
	}
	defer again.Close()
	// With a name that says more than the path.
	fd, err := unix.FcntlInt(again.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// chunk is what is copied at a time, in bytes, and what is left out if it is
// zero.
const chunk = 256 << 10

// fill writes size bytes of r to f, which is empty.
func fill(ctx context.Context, f *os.File, r io.ReaderAt, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	buffer, zero := make([]byte, chunk), make([]byte, chunk)
	for at := int64(0); at < size; at += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buffer[:min(chunk, size-at)]
		if n, err := r.ReadAt(b, at); n < len(b) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("reading it at %d: %w", at, err)
		}
		if bytes.Equal(b, zero[:len(b)]) {
			continue
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
	}
	return nil
}
