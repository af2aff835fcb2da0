package tree

import (
	"context"
	"io"
)

// Kind is what an [Entry] stands for.
type Kind uint8

// The kinds of entry. The last three are never in a [Tree].
const (
	Directory Kind = iota + 1
	Regular
	Symlink
	Char
	Block
	Fifo
	HardLink // one more name for Entry.Link
	Whiteout // hides Entry.Name of the layers below
	Opaque   // hides what the layers below have in the folder Entry.Name
)

// String names the kind as messages do ("symbolic link").
func (k Kind) String() string {
	switch k {
	case Directory:
		return "folder"
	case Regular:
		return "regular file"
	case Symlink:
		return "symbolic link"
	case Char:
		return "character device"
	case Block:
		return "block device"
	case Fifo:
		return "fifo"
	case HardLink:
		return "hard link"
	case Whiteout:
		return "whiteout"
	case Opaque:
		return "opaque marker"
	default:
		return "file of unknown kind"
	}
}

// The file mode of POSIX, as Linux numbers it on every machine.
const (
	typeMask    = 0o170000
	permissions = 0o7777
)

// bits returns the S_IF* of a kind that a tree can hold, else 0.
func (k Kind) bits() uint32 {
	switch k {
	case Directory:
		return 0o040000
	case Regular:
		return 0o100000
	case Symlink:
		return 0o120000
	case Char:
		return 0o020000
	case Block:
		return 0o060000
	case Fifo:
		return 0o010000
	default:
		return 0
	}
}

// Entry is one thing that a layer says.
type Entry struct {
	Name         string // cleaned: no leading or doubled slash, no "." or ".."; "" is the root
	Kind         Kind
	Mode         uint32 // permissions, with setuid, setgid and sticky: 07777
	UID, GID     uint32
	Sec          int64 // modification time
	Nsec         uint32
	Size         int64  // of a regular file, in bytes, holes included
	Major, Minor uint32 // of a device
	Target       string // of a symbolic link, as it was written
	Link         string // of a hard link: the cleaned name that it shares the file of
	Xattrs       []Xattr
}

// Layer is a sequence of entries that can be read more than once, each time
// the same.
type Layer interface {
	// Walk calls fn for each entry in order. The reader holds the Size bytes of
	// a regular file and is nil for anything else; fn may leave it unread, and
	// keeps neither it nor the entry. An error of fn ends the walk and is returned.
	Walk(ctx context.Context, fn func(*Entry, io.Reader) error) error
	// Name says which layer this is, for messages.
	Name() string
}
