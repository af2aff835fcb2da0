package mount

import "golang.org/x/sys/unix"

// Flags are what a mount allows. The zero value allows everything.
type Flags uint

// What a mount can be kept from.
const (
	ReadOnly Flags = 1 << iota
	NoDev
	NoSuid
	NoExec
	NoAtime
)

// flagBits are Flags as mount_setattr(2) and as mount(2) have them.
func flagBits() []struct {
	flag      Flags
	attribute uint64
	old       uintptr
} {
	return []struct {
		flag      Flags
		attribute uint64
		old       uintptr
	}{
		{ReadOnly, unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY},
		{NoDev, unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
		{NoSuid, unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
		{NoExec, unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
		{NoAtime, unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
	}
}

func (f Flags) attributes() (bits uint64) {
	for _, b := range flagBits() {
		if f&b.flag != 0 {
			bits |= b.attribute
		}
	}
	return bits
}

func (f Flags) old() (bits uintptr) {
	for _, b := range flagBits() {
		if f&b.flag != 0 {
			bits |= b.old
		}
	}
	return bits
}
