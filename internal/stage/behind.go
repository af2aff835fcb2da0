package stage

import "golang.org/x/sys/unix"

// WriteBehind has the kernel begin to write size bytes at off to the disk, and
// waits for none of them: Commit then has little left to do. It promises nothing.
func (f *File) WriteBehind(off, size int64) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// A file system that cannot do it does it all at the end. Control keeps the
	// file open meanwhile.
	_ = raw.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), off, size, unix.SYNC_FILE_RANGE_WRITE) })
}
