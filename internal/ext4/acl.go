package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Whom an entry of an access control list is about.
const (
	aclOwner      = 0x01
	aclUser       = 0x02
	aclOwnerGroup = 0x04
	aclGroup      = 0x08
	aclMask       = 0x10
	aclOthers     = 0x20
)

// accessList turns a POSIX access control list from the form it has on disk,
// where only entries that need one have an ID, into that of the system calls,
// where all do.
func accessList(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) < 4 || le.Uint32(b) != 1 {
		return nil, errors.New("an access control list of an unknown version")
	}
	out := le.AppendUint32(nil, 2)
	for b = b[4:]; len(b) > 0; {
		if len(b) < 4 {
			return nil, errors.New("an access control list that ends within an entry")
		}
		tag, id, length := le.Uint16(b), uint32(math.MaxUint32), 4
		switch tag {
		case aclOwner, aclOwnerGroup, aclMask, aclOthers:
		case aclUser, aclGroup:
			if len(b) < 8 {
				return nil, errors.New("an access control list that ends within an entry")
			}
			id, length = le.Uint32(b[4:]), 8
		default:
			return nil, fmt.Errorf("an access control list with an entry of type %#x", tag)
		}
		out = append(out, b[:4]...)
		out = le.AppendUint32(out, id)
		b = b[length:]
	}
	return out, nil
}
