package ext4

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// errSum is for all that metadata_csum guards.
var errSum = errors.New("its checksum is wrong")

// sum continues a CRC-32C without its usual inversion, as ext4 has it.
func sum(before uint32, p []byte) uint32 {
	return ^crc32.Update(^before, crc32.MakeTable(crc32.Castagnoli), p)
}

// sum32 continues a checksum with a number.
func sum32(before, n uint32) uint32 {
	return sum(before, binary.LittleEndian.AppendUint32(nil, n))
}
