package efi

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// certificateSize is that of WIN_CERTIFICATE_UEFI_GUID without its data:
	// length, revision, type, and the type's GUID.
	certificateSize = 4 + 2 + 2 + 16
	// The revision and type that an update's WIN_CERTIFICATE has.
	certificateRevision = 0x0200
	certificateType     = 0x0ef1
)

// Update is a write to an authenticated variable, an .auth file.
type Update struct {
	Time  time.Time // UTC, whole seconds
	PKCS7 []byte
	Data  []byte
}

// ParseUpdate reads an EFI_VARIABLE_AUTHENTICATION_2 and the data after it. It
// checks no signature: everything is a claim.
func ParseUpdate(b []byte) (Update, error) {
	if len(b) < timeSize+certificateSize {
		return Update{}, fmt.Errorf("reading an update: %d bytes", len(b))
	}
	when, err := parseTime(b[:timeSize])
	if err != nil {
		return Update{}, fmt.Errorf("reading an update: %w", err)
	}
	length := uint64(binary.LittleEndian.Uint32(b[timeSize:]))
	if length < certificateSize || length > uint64(len(b)-timeSize) {
		return Update{}, fmt.Errorf("reading an update: a certificate of %d bytes", length)
	}
	return Update{Time: when, PKCS7: b[timeSize+certificateSize : timeSize+length], Data: b[timeSize+length:]}, nil
}
