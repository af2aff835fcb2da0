// Package erofs writes EROFS file systems (the kernel's
// Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h) in a single pass
// over their content: data goes out as it arrives, inodes follow in segments
// between files, folders come last, and block 0 with the superblock is the very
// last to be written. docs/design/erofs.md tells why that is legal.
//
// It writes blocks of 4096 bytes, compact and extended inodes, inline tails,
// inline and shared attributes, holes, the superblock's checksum, and content
// compressed by a Codec, with tails inline or in a packed inode. Left out on
// purpose: several devices, 48-bit block addresses, deduplication of parts of
// files, and long prefixes of attributes.
package erofs

import "time"

const (
	// BlockSize is the file system's block, in bytes.
	BlockSize = 4096

	// BufferSize is the length of a Device's buffers, in bytes: small enough
	// that what is read, hashed and written in turn stays in a core's cache
	// (1 MiB took a fifth longer), large enough that system calls don't count.
	BufferSize = 64 << 10
)

// Device is where an image's blocks go. Offsets are in bytes from the start of
// the file system and, like the lengths written, multiples of BlockSize.
type Device interface {
	// Buffer returns a buffer of BufferSize bytes with unspecified content. A
	// Writer holds at most two that it has not passed to Write.
	Buffer() []byte

	// Write takes ownership of buf, which came from Buffer and may be resliced
	// shorter, and puts it at off. It may return before the data is written; an
	// error may then come from a later Write or from Flush. No two Writes overlap.
	Write(buf []byte, off int64) error

	// Flush waits until all that was passed to Write is written and returns the
	// first error that any of it met.
	Flush() error

	// ReadAt reads back what was written. It is only called after Flush.
	ReadAt(p []byte, off int64) (int, error)

	// Rewrite replaces whole blocks that were written before, at once.
	Rewrite(p []byte, off int64) error
}

// Options are what an image says about itself.
type Options struct {
	UUID [16]byte

	// BuildTime goes into the superblock. An inode whose modification time
	// equals it, to the nanosecond, takes 32 bytes instead of 64. The zero Time
	// means the Unix epoch.
	BuildTime time.Time

	// Codec compresses the content of files; nil stores it as it is.
	Codec Codec

	// Kernel is the oldest Linux that is to mount the image: what came later is
	// not used, except for the Codec's algorithm. The zero Version means
	// DefaultKernel.
	Kernel Version

	// Workers is how many goroutines compress, which does not show in the image.
	// Zero means one for each processor that Go uses.
	Workers int

	// ClusterSize is the most bytes of a physical cluster: whole blocks, 1 MiB at
	// most. Zero means 64 KiB for LZ4, which kernels before 5.13 get in single
	// blocks, and 1 MiB for ZSTD.
	ClusterSize int
}

// Attr is what an inode says besides its content.
type Attr struct {
	Mode     uint32 // type (S_IFMT) and permissions as in struct stat
	UID, GID uint32
	Sec      int64  // modification time since the Unix epoch; may be negative
	Nsec     uint32 // below 1e9
	Major    uint32 // of a device, below 1<<12
	Minor    uint32 // of a device, below 1<<20
	Xattrs   []Xattr
}

// Xattr is an extended attribute. The format holds names that begin with
// "user.", "trusted." or "security.", and the two POSIX ACLs
// "system.posix_acl_access" and "system.posix_acl_default", as the system call
// spells them; all others are refused.
type Xattr struct {
	Name  string // at most 255 bytes
	Value []byte // at most 65535 bytes
}

// Ref stands for an inode that was written, before anyone knows its place. It
// means nothing to another Writer.
type Ref uint64

// Dir is a folder. Finish sorts Entries in place. One Dir may go into several
// images, one after the other.
type Dir struct {
	Attr    Attr
	Entries []Dirent

	index int // among the folders of the image being finished
}

// Dirent is a name in a folder.
type Dirent struct {
	Name string // at most 255 bytes, no slash, no NUL
	Type uint32 // the S_IFMT bits of what it names
	Ref  Ref    // of anything but a folder
	Dir  *Dir   // of a folder
}

// The type bits of a mode, as Linux has them on every architecture.
const (
	typeMask      = 0o170000
	typeFIFO      = 0o010000
	typeCharacter = 0o020000
	typeFolder    = 0o040000
	typeBlock     = 0o060000
	typeRegular   = 0o100000
	typeSymlink   = 0o120000
	typeSocket    = 0o140000
)
