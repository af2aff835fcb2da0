package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/ulikunitz/xz/lzma"
)

// Filters by xz's number (the .xz file format 1.2, 5.3).
const (
	xzDelta = 3 + iota
	xzX86
	xzPowerPC
	xzIA64
	xzARM
	xzARMThumb
	xzSPARC
	xzARM64
	xzRISCV
	xzLZMA2 = 0x21
)

const (
	xzHeaderSize = 12 // of a stream; its footer is as long
	xzCRC32      = 1  // the check that mksquashfs writes and the kernel knows
)

// xzUnpacker unpacks xz's blocks: a whole .xz stream each, of one block. The
// container is read here and not by the library, which would reserve the
// dictionary that a header asks for: up to 4 GiB. No more than what comes out
// can ever be referred to.
type xzUnpacker struct{}

func (xzUnpacker) unpack(dst, src []byte) (int, error) {
	s, err := openXZ(src)
	if err != nil {
		return 0, err
	}
	filter, err := s.blockHeader()
	if err != nil {
		return 0, fmt.Errorf("reading xz's block header: %w", err)
	}
	packed := bytes.NewReader(s.src[s.off:])
	r, err := lzma.Reader2Config{DictCap: max(len(dst), lzma.MinDictCap)}.NewReader2(packed)
	if err != nil {
		return 0, err
	}
	n, err := drain(r, dst)
	if err != nil {
		return 0, err
	}
	if !r.EOS() {
		return 0, errors.New("xz's data has no end")
	}
	s.off = len(s.src) - packed.Len()
	content := dst[:n]
	if filter != nil {
		filter(content)
	}
	return n, s.finish(content)
}

// xzStream is a stream whose header and footer are checked and cut off.
type xzStream struct {
	src      []byte // block and index; the header's bytes stay in front
	off      int    // in src
	check    byte
	backward int // bytes of the index
	packed   uint64
	size     uint64
}

func openXZ(src []byte) (*xzStream, error) {
	if len(src) < 2*xzHeaderSize || len(src)%4 != 0 {
		return nil, fmt.Errorf("an xz stream of %d bytes", len(src))
	}
	head, foot := src[:xzHeaderSize], src[len(src)-xzHeaderSize:]
	le := binary.LittleEndian
	switch {
	case string(head[:6]) != "\xfd7zXZ\x00" || string(foot[10:]) != "YZ":
		return nil, errors.New("no xz stream")
	case crc32.ChecksumIEEE(head[6:8]) != le.Uint32(head[8:]) || crc32.ChecksumIEEE(foot[4:10]) != le.Uint32(foot):
		return nil, errors.New("the checksum of xz's header or footer is wrong")
	case !bytes.Equal(head[6:8], foot[8:10]):
		return nil, errors.New("xz's header and footer differ")
	}
	s := &xzStream{src: src[:len(src)-xzHeaderSize], off: xzHeaderSize, check: head[7]}
	if head[6] != 0 || s.check > xzCRC32 {
		return nil, &Unsupported{fmt.Sprintf("xz with flags %#x", head[6:8])}
	}
	backward := (int64(le.Uint32(foot[4:])) + 1) * 4
	if backward > int64(len(s.src)-s.off) {
		return nil, fmt.Errorf("xz's index takes %d bytes", backward)
	}
	s.backward = int(backward)
	return s, nil
}

// blockHeader reads the only block's header, and returns what undoes the filter
// in front of LZMA2 or nil.
func (s *xzStream) blockHeader() (func([]byte), error) {
	size := (int(s.src[s.off]) + 1) * 4
	if size == 4 || size > len(s.src)-s.backward-s.off {
		return nil, fmt.Errorf("it takes %d bytes", size)
	}
	header := s.src[s.off:][:size]
	body, sum := header[:size-4], header[size-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return nil, errors.New("its checksum is wrong")
	}
	s.off += size
	flags := body[1]
	if flags&0x3c != 0 {
		return nil, fmt.Errorf("flags %#x", flags)
	}
	v := varints{rest: body[2:]}
	s.packed, s.size = math.MaxUint64, math.MaxUint64 // not said
	if flags&0x40 != 0 {
		s.packed = v.next()
	}
	if flags&0x80 != 0 {
		s.size = v.next()
	}
	var undo func([]byte)
	for i := range int(flags&3) + 1 {
		id, props := v.next(), v.bytes(v.next())
		if v.err != nil {
			return nil, v.err
		}
		last := i == int(flags&3)
		if last != (id == xzLZMA2) {
			return nil, &Unsupported{fmt.Sprintf("xz's chain of %d filters with %#x at place %d", flags&3+1, id, i+1)}
		}
		if last {
			// The dictionary's size, of which all that fits a byte's six bits is valid.
			if len(props) != 1 || props[0] > 40 {
				return nil, fmt.Errorf("properties %x of LZMA2", props)
			}
			break
		}
		if i > 0 {
			return nil, &Unsupported{"several filters of xz in a row"}
		}
		if len(props) != 0 {
			return nil, &Unsupported{"a start offset of an xz filter"}
		}
		var err error
		if undo, err = undoing(id); err != nil {
			return nil, err
		}
	}
	return undo, v.zeros()
}

// finish checks what follows the block's data: padding, checksum and the index.
func (s *xzStream) finish(content []byte) error {
	body := s.src[:len(s.src)-s.backward]
	start := xzHeaderSize
	headerSize := (int(s.src[start]) + 1) * 4
	packed := s.off - start - headerSize
	if s.packed != math.MaxUint64 && s.packed != uint64(packed) || s.size != math.MaxUint64 && s.size != uint64(len(content)) {
		return errors.New("xz's block has other sizes than it says")
	}
	unpadded := s.off - start
	sumSize := 0
	if s.check == xzCRC32 {
		sumSize = 4
	}
	padding := -packed & 3
	if s.off+padding+sumSize != len(body) {
		return errors.New("xz's block does not end at its index")
	}
	for _, b := range body[s.off:][:padding] {
		if b != 0 {
			return errors.New("xz's padding is not zero")
		}
	}
	if sumSize > 0 && crc32.ChecksumIEEE(content) != binary.LittleEndian.Uint32(body[len(body)-4:]) {
		return errors.New("xz's checksum of the content is wrong")
	}
	index := s.src[len(body):]
	v := varints{rest: index[:len(index)-4]}
	if marker := v.bytes(1); v.err != nil || marker[0] != 0 {
		return errors.New("xz's index is missing")
	}
	if v.next() != 1 || v.next() != uint64(unpadded+sumSize) || v.next() != uint64(len(content)) || v.err != nil {
		return errors.New("xz's index does not list its only block")
	}
	if err := v.zeros(); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(index[:len(index)-4]) != binary.LittleEndian.Uint32(index[len(index)-4:]) {
		return errors.New("the checksum of xz's index is wrong")
	}
	return nil
}

// varints reads xz's numbers, 7 bits a byte. After an error all are 0.
type varints struct {
	rest []byte
	err  error
}

func (v *varints) next() uint64 {
	n, size := binary.Uvarint(v.rest)
	// Nine bytes at most, and no more of them than needed.
	if size <= 0 || size > 9 || size > 1 && v.rest[size-1] == 0 {
		v.rest, v.err = nil, errors.New("a number of xz's is malformed")
		return 0
	}
	v.rest = v.rest[size:]
	return n
}

func (v *varints) bytes(n uint64) []byte {
	if n > uint64(len(v.rest)) {
		v.rest, v.err = nil, errors.New("a field of xz's goes on past its end")
		return nil
	}
	b := v.rest[:n]
	v.rest = v.rest[n:]
	return b
}

// zeros checks that only padding is left.
func (v *varints) zeros() error {
	for _, b := range v.rest {
		if b != 0 {
			return errors.New("xz's padding is not zero")
		}
	}
	return v.err
}
