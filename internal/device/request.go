package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// mapperControl is the minor number of the misc device that device-mapper is
	// spoken to through.
	mapperControl = 236
	// headSize is the size in bytes of struct dm_ioctl, which begins every request
	// and every answer; what follows it is 8-byte aligned.
	headSize = unix.SizeofDmIoctl
	// firstAnswer holds the answer to every question about one device of ours.
	firstAnswer = 16 << 10
	// longestAnswer bounds a list of devices: the kernel gives about 300 bytes to
	// each, and no machine has fifty thousand.
	longestAnswer = 16 << 20
	// The oldest interface that will do: deferred removal came with 4.27, Linux
	// 3.13.
	oldestMajor, oldestMinor = 4, 27
)

// Places in struct dm_ioctl (linux/dm-ioctl.h), the same on every machine.
const (
	atVersion = 0
	atSize    = 12
	atStart   = 16
	atTargets = 20
	atOpen    = 24
	atFlags   = 28
	atDevice  = 40
	atName    = 48
	atUUID    = atName + unix.DM_NAME_LEN
)

// control is the open control node of device-mapper.
type control struct{ file *os.File }

// openControl opens it and agrees on a version. Its error is ErrNoMapper.
func openControl() (*control, error) {
	n := node{"mapper/control", unix.S_IFCHR, Number{miscMajor, mapperControl}}
	f, _, err := n.open(unix.O_RDWR)
	if err != nil {
		return nil, missing(ErrNoMapper, err, "dm_mod", "CONFIG_BLK_DEV_DM")
	}
	c := &control{f}
	answer, err := c.do(unix.DM_VERSION, request{})
	if err != nil {
		f.Close()
		return nil, missing(ErrNoMapper, fmt.Errorf("asking device-mapper for its version: %w", err), "dm_mod", "CONFIG_BLK_DEV_DM")
	}
	if v := answer.version; v[0] != oldestMajor || v[1] < oldestMinor {
		f.Close()
		return nil, fmt.Errorf("%w: its interface has version %d.%d, want %d.%d or a later %d",
			ErrNoMapper, v[0], v[1], oldestMajor, oldestMinor, oldestMajor)
	}
	return c, nil
}

func (c *control) close() { c.file.Close() }

// request is what the kernel is asked for. The device is named by name or, if
// that is empty, by number.
type request struct {
	name, uuid string
	number     Number
	flags      uint32
	targets    uint32
	data       []byte
}

// answer is struct dm_ioctl as the kernel fills it in, and what follows it.
type answer struct {
	version    [3]uint32
	name, uuid string
	number     Number
	flags      uint32
	targets    uint32
	open       int32
	data       []byte
}

// encode lays r out in size bytes, at least as many as it takes.
func (r request) encode(size int) []byte {
	b := make([]byte, max(size, headSize+len(r.data)))
	ne := binary.NativeEndian
	ne.PutUint32(b[atVersion:], oldestMajor)
	ne.PutUint32(b[atVersion+4:], oldestMinor)
	ne.PutUint32(b[atSize:], uint32(len(b)))
	ne.PutUint32(b[atStart:], headSize)
	ne.PutUint32(b[atTargets:], r.targets)
	ne.PutUint32(b[atFlags:], r.flags)
	if r.name == "" {
		ne.PutUint64(b[atDevice:], r.number.dev())
	}
	copy(b[atName:atName+unix.DM_NAME_LEN-1], r.name)
	copy(b[atUUID:atUUID+unix.DM_UUID_LEN-1], r.uuid)
	copy(b[headSize:], r.data)
	return b
}

// parseAnswer reads what the kernel has left in b.
func parseAnswer(b []byte) (*answer, error) {
	if len(b) < headSize {
		return nil, fmt.Errorf("device-mapper answers %d bytes", len(b))
	}
	ne := binary.NativeEndian
	a := &answer{
		version: [3]uint32{ne.Uint32(b[atVersion:]), ne.Uint32(b[atVersion+4:]), ne.Uint32(b[atVersion+8:])},
		name:    cString(b[atName:atUUID]),
		uuid:    cString(b[atUUID : atUUID+unix.DM_UUID_LEN]),
		number:  NumberOf(ne.Uint64(b[atDevice:])),
		flags:   ne.Uint32(b[atFlags:]),
		targets: ne.Uint32(b[atTargets:]),
		open:    int32(ne.Uint32(b[atOpen:])),
	}
	// An answer without data says that it ends before it begins.
	start, end := ne.Uint32(b[atStart:]), min(ne.Uint32(b[atSize:]), uint32(len(b)))
	if start >= headSize && start < end {
		a.data = b[start:end]
	}
	return a, nil
}

// cString returns the text before the first zero byte.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// errLongAnswer says that not even longestAnswer bytes were enough.
var errLongAnswer = errors.New("device-mapper's answer is too long")

// do sends r and returns the answer, with as much room for it as it takes.
func (c *control) do(number uint, r request) (*answer, error) {
	for size := firstAnswer; size <= longestAnswer; size *= 4 {
		b := r.encode(size)
		if err := ioctl(c.file, number, unsafe.Pointer(&b[0])); err != nil {
			return nil, err
		}
		a, err := parseAnswer(b)
		if err != nil || a.flags&unix.DM_BUFFER_FULL_FLAG == 0 {
			return a, err
		}
	}
	return nil, errLongAnswer
}
