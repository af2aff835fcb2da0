package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	superBytes = 128
	superUnit  = 16 // of what may follow the superblock's fields
	imageMagic = 0xe0f5e1e2

	minBlockBits, maxBlockBits = 9, 16 // mkfs.erofs makes them up to a page, 64 KiB at most
)

// Compatible features, which change how an image is read.
const (
	compatChecksum = 0x1
	compatFilter   = 0x4  // attributes' names have a filter
	compatPlain    = 0x10 // long prefixes lie in the image, not in the packed inode
)

// Incompatible features.
const (
	needsPadding        = 0x1 // compressed bytes end where their blocks end
	needsConfigurations = 0x2 // also clusters of many blocks, with the same bit
	needsChunks         = 0x4
	needsDevices        = 0x8 // also two algorithms in a file, with the same bit
	needsTails          = 0x10
	needsFragments      = 0x20 // also deduplication, with the same bit
	needsPrefixes       = 0x40
	needs48Bit          = 0x80
	needsMetaInode      = 0x100

	needsRead = needsPadding | needsConfigurations | needsChunks | needsDevices | needsTails | needsFragments | needsPrefixes
)

// imageSuper is what the rest of the reader needs of the superblock.
type imageSuper struct {
	blockBits uint
	blockSize int64
	size      int64 // of the file system, in bytes
	meta      int64 // the byte at which inode 0 would lie
	shared    int64 // the byte at which shared attributes begin
	root      uint64
	sec       int64 // of modification, for inodes that don't say
	nsec      uint32

	needs       uint32
	methods     uint16 // bits, by Algorithm
	packed      uint64 // inode of fragments, 0 for none
	prefixes    int    // long prefixes of attributes
	prefixAt    int64
	prefixPlain bool
	filter      bool
}

func readImageSuper(r io.ReaderAt, size int64) (imageSuper, error) {
	var s imageSuper
	if size < superOffset+superBytes {
		return s, fmt.Errorf("%d bytes hold no superblock", size)
	}
	var b [superBytes]byte
	if err := readImage(r, b[:], superOffset); err != nil {
		return s, err
	}
	le := binary.LittleEndian
	if le.Uint32(b[:]) != imageMagic {
		return s, errors.New("no erofs signature")
	}
	if s.blockBits = uint(b[12]); s.blockBits < minBlockBits || s.blockBits > maxBlockBits {
		return s, fmt.Errorf("blocks of 2 to the power of %d bytes", s.blockBits)
	}
	s.blockSize = 1 << s.blockBits
	compat := le.Uint32(b[8:])
	if compat&compatChecksum != 0 {
		if err := s.checkSum(r, size); err != nil {
			return s, err
		}
	}
	if err := s.readFeatures(b[:]); err != nil {
		return s, err
	}
	s.size = int64(le.Uint32(b[36:])) << s.blockBits
	if s.size < superOffset+superBytes || s.size > size {
		return s, fmt.Errorf("the file system takes %d bytes and there are %d", s.size, size)
	}
	s.root = uint64(le.Uint16(b[14:]))
	s.sec, s.nsec = int64(le.Uint64(b[24:])), le.Uint32(b[32:])
	s.meta, s.shared = int64(le.Uint32(b[40:]))<<s.blockBits, int64(le.Uint32(b[44:]))<<s.blockBits
	s.prefixAt = int64(le.Uint32(b[92:])) * xattrUnit
	s.prefixPlain = compat&compatPlain != 0
	if s.needs&needsPrefixes != 0 {
		s.prefixes = int(b[91])
	}
	if s.needs&needsFragments != 0 {
		s.packed = le.Uint64(b[96:])
	}
	s.filter = compat&compatFilter != 0 && b[104] == 0
	return s, s.readConfigurations(r, b[:])
}

// checkSum checks the checksum, over the superblock and the rest of its block.
func (s *imageSuper) checkSum(r io.ReaderAt, size int64) error {
	length := s.blockSize
	if length > superOffset {
		length -= superOffset
	}
	if superOffset+length > size {
		return fmt.Errorf("the superblock's block takes %d bytes and there are %d", superOffset+length, size)
	}
	b := make([]byte, length)
	if err := readImage(r, b, superOffset); err != nil {
		return err
	}
	want := binary.LittleEndian.Uint32(b[4:])
	clear(b[4:8])
	// The format has it without the last inversion.
	if got := ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)); got != want {
		return fmt.Errorf("the superblock's checksum is %#08x, and %#08x is right", want, got)
	}
	return nil
}

// readFeatures names what is not read.
func (s *imageSuper) readFeatures(b []byte) error {
	s.needs = binary.LittleEndian.Uint32(b[80:])
	switch {
	case s.needs&needs48Bit != 0:
		return &Unsupported{"48-bit block numbers"}
	case s.needs&needsMetaInode != 0:
		return &Unsupported{"a metadata inode"}
	case s.needs&^needsRead != 0:
		return &Unsupported{fmt.Sprintf("features %#x", s.needs&^needsRead)}
	case binary.LittleEndian.Uint16(b[86:]) != 0:
		return &Unsupported{"data on other devices"}
	case b[90] != 0:
		return &Unsupported{fmt.Sprintf("blocks of names of %d blocks", 1<<min(b[90], 16))}
	}
	return nil
}

// The algorithms by their numbers, and how long the configuration of each is.
const (
	LZMA    Algorithm = 1
	DEFLATE Algorithm = 2

	algorithms = 4
)

func configurationSizes() [algorithms]int { return [...]int{LZ4: 14, LZMA: 14, DEFLATE: 6, ZSTD: 6} }

// readConfigurations checks what is said of the algorithms. It is for writers
// and for those who must allocate beforehand; only what it leads to is limited.
func (s *imageSuper) readConfigurations(r io.ReaderAt, b []byte) error {
	if s.needs&needsConfigurations == 0 {
		s.methods = 1 << LZ4 // nothing else was there then
		return nil
	}
	s.methods = binary.LittleEndian.Uint16(b[84:])
	if unknown := s.methods >> algorithms; unknown != 0 {
		return &Unsupported{fmt.Sprintf("compression by methods %#x", unknown<<algorithms)}
	}
	at := int64(superOffset + superBytes + superUnit*int(b[13]))
	for method, size := range configurationSizes() {
		if s.methods&(1<<method) == 0 {
			continue
		}
		c := make([]byte, 2+size)
		if at+int64(len(c)) > s.size {
			return errors.New("the compression's configuration goes on past the end")
		}
		if err := readImage(r, c, at); err != nil {
			return err
		}
		length := int(binary.LittleEndian.Uint16(c))
		if length < size {
			return fmt.Errorf("%d bytes of configuration for %s, which has %d", length, Algorithm(method), size)
		}
		if err := checkConfiguration(Algorithm(method), c[2:]); err != nil {
			return err
		}
		at = (at + 2 + int64(length) + 3) &^ 3
	}
	return nil
}

// checkConfiguration refuses what Linux does.
func checkConfiguration(method Algorithm, c []byte) error {
	le := binary.LittleEndian
	switch method {
	case LZMA:
		if format := le.Uint16(c[4:]); format != 0 {
			return &Unsupported{fmt.Sprintf("format %d of LZMA", format)}
		}
		if size := le.Uint32(c); size > 8<<20 {
			return fmt.Errorf("a dictionary of %d bytes for LZMA", size)
		}
	case DEFLATE:
		if c[0] > 15 {
			return fmt.Errorf("a window of 2 to the power of %d bytes for DEFLATE", c[0])
		}
	case ZSTD:
		if c[0] != 0 {
			return &Unsupported{fmt.Sprintf("format %d of Zstandard", c[0])}
		}
		if c[1] > 10 {
			return fmt.Errorf("a window of 2 to the power of %d bytes for Zstandard", 10+int(c[1]))
		}
	}
	return nil
}

// String returns the algorithm's name.
func (a Algorithm) String() string {
	names := [...]string{LZ4: "LZ4", LZMA: "LZMA", DEFLATE: "DEFLATE", ZSTD: "Zstandard"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("method %d", uint8(a))
}
