package squashfs

import (
	"encoding/binary"
	"fmt"
)

// undoing returns what undoes one of xz's filters, which turn the targets of
// calls from relative into absolute ones: equal targets then look equal. The
// addresses count from the start of the block.
func undoing(filter uint64) (func([]byte), error) {
	name := fmt.Sprintf("number %d", filter)
	switch filter {
	case xzX86:
		return undoX86, nil
	case xzARM:
		return undoARM, nil
	case xzARMThumb:
		return undoARMThumb, nil
	case xzDelta:
		name = "delta"
	case xzPowerPC:
		name = "for PowerPC"
	case xzIA64:
		name = "for IA-64"
	case xzSPARC:
		name = "for SPARC"
	case xzARM64:
		name = "for ARM64"
	case xzRISCV:
		name = "for RISC-V"
	}
	return nil, &Unsupported{"xz's filter " + name}
}

// undoARM undoes BL, whose condition is always: 24 bits count words from two
// instructions on.
func undoARM(b []byte) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] != 0xeb {
			continue
		}
		word := binary.LittleEndian.Uint32(b[i:])
		target := word - uint32(i+8)>>2
		binary.LittleEndian.PutUint32(b[i:], 0xeb<<24|target&0xffffff)
	}
}

// undoARMThumb undoes BL of two halves, 11 bits of halfwords in each.
func undoARMThumb(b []byte) {
	for i := 0; i+4 <= len(b); i += 2 {
		if b[i+1]&0xf8 != 0xf0 || b[i+3]&0xf8 != 0xf8 {
			continue
		}
		high, low := binary.LittleEndian.Uint16(b[i:]), binary.LittleEndian.Uint16(b[i+2:])
		target := uint32(high&0x7ff)<<11 | uint32(low&0x7ff)
		target -= uint32(i+4) >> 1
		binary.LittleEndian.PutUint16(b[i:], 0xf000|uint16(target>>11&0x7ff))
		binary.LittleEndian.PutUint16(b[i+2:], 0xf800|uint16(target&0x7ff))
		i += 2
	}
}

// undoX86 undoes CALL and JMP with 32 bits, E8 and E9. Their operand was changed
// if its top byte is 00 or FF. An opcode may lie in the operand of another one
// that was not changed; seen remembers such ones among the last three bytes
// (bit 0 is the byte before), and with some of them an opcode is left alone too.
func undoX86(b []byte) {
	var seen uint32
	last := -1 // position of the last opcode that was looked at
	for i := 0; i+5 <= len(b); i++ {
		if b[i]&0xfe != 0xe8 {
			continue
		}
		if gap := i - last; gap > 3 {
			seen = 0
		} else {
			seen = seen << (gap - 1) & 7
		}
		last = i
		if seen != 0 && (!single(seen) || extends(b[i+4-reach(seen)])) || !extends(b[i+4]) {
			seen = seen<<1 | 1
			continue
		}
		operand := binary.LittleEndian.Uint32(b[i+1:])
		operand -= uint32(i + 5)
		if seen != 0 {
			// Had the difference put 00 or FF where seen forbids it, the writer would
			// have turned its bits over and gone round again. It never needs a third time.
			if shift := 8 * reach(seen); extends(byte(operand >> (24 - shift))) {
				operand = (operand ^ (1<<(32-shift) - 1)) - uint32(i+5)
			}
		}
		// 25 bits with their sign.
		binary.LittleEndian.PutUint32(b[i+1:], uint32(int32(operand<<7)>>7))
		i += 4
	}
}

// extends reports whether a byte can be the sign of a number that is shorter.
func extends(top byte) bool { return top == 0x00 || top == 0xff }

// single reports whether seen is of one opcode.
func single(seen uint32) bool { return seen == 1 || seen == 2 || seen == 4 }

// reach returns how far back the only opcode in seen lies.
func reach(seen uint32) int {
	if seen == 4 {
		return 3
	}
	return int(seen)
}
