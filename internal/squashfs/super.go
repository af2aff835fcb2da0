package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

const (
	superSize = 96
	magic     = "hsqs"
	bigMagic  = "sqsh" // the other byte order, gone since 4.0

	minBlockSize = 4 << 10 // both as in the kernel
	maxBlockSize = 1 << 20

	noTable = math.MaxUint64 // the place of a table that isn't there

	flagOptions = 1 << 10   // compressor options follow the superblock
	knownFlags  = 1<<12 - 1 // the others say how mksquashfs was called
)

// superblock is what the rest of the package needs of it.
type superblock struct {
	inodes     uint32
	blockSize  int64
	fragments  uint32
	compressor uint16
	options    bool
	idCount    uint16
	root       uint64
	used       int64

	idStart, xattrStart, inodeStart, dirStart, fragmentStart, exportStart uint64
}

func readSuperblock(r io.ReaderAt, size int64) (superblock, error) {
	var s superblock
	if size < superSize {
		return s, fmt.Errorf("%d bytes hold no superblock", size)
	}
	var b [superSize]byte
	if err := readFull(r, b[:], 0); err != nil {
		return s, err
	}
	le := binary.LittleEndian
	switch string(b[:4]) {
	case magic:
	case bigMagic:
		return s, &Unsupported{"big-endian byte order"}
	default:
		return s, errors.New("no squashfs signature")
	}
	if major, minor := le.Uint16(b[28:]), le.Uint16(b[30:]); major != 4 || minor != 0 {
		return s, &Unsupported{fmt.Sprintf("version %d.%d", major, minor)}
	}
	flags := le.Uint16(b[24:])
	if flags&^knownFlags != 0 {
		return s, &Unsupported{fmt.Sprintf("flag %#x", flags&^knownFlags)}
	}
	s = superblock{
		inodes:        le.Uint32(b[4:]),
		blockSize:     int64(le.Uint32(b[12:])),
		fragments:     le.Uint32(b[16:]),
		compressor:    le.Uint16(b[20:]),
		options:       flags&flagOptions != 0,
		idCount:       le.Uint16(b[26:]),
		root:          le.Uint64(b[32:]),
		idStart:       le.Uint64(b[48:]),
		xattrStart:    le.Uint64(b[56:]),
		inodeStart:    le.Uint64(b[64:]),
		dirStart:      le.Uint64(b[72:]),
		fragmentStart: le.Uint64(b[80:]),
		exportStart:   le.Uint64(b[88:]),
	}
	if s.blockSize < minBlockSize || s.blockSize > maxBlockSize || s.blockSize&(s.blockSize-1) != 0 {
		return s, fmt.Errorf("block size %d", s.blockSize)
	}
	if log := le.Uint16(b[22:]); int(log) != bits.TrailingZeros64(uint64(s.blockSize)) {
		return s, fmt.Errorf("block size %d is not 2 to the power of %d", s.blockSize, log)
	}
	used := le.Uint64(b[40:])
	if used < superSize || used > uint64(size) {
		return s, fmt.Errorf("the file system takes %d bytes and there are %d", used, size)
	}
	s.used = int64(used)
	if s.inodes == 0 || s.idCount == 0 {
		return s, fmt.Errorf("%d inodes and %d ids", s.inodes, s.idCount)
	}
	return s, nil
}
