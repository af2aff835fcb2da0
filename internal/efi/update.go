package efi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"inlay/internal/guid"
	"inlay/internal/hint"
)

const (
	// certificateSize is that of WIN_CERTIFICATE_UEFI_GUID without its data:
	// length, revision, type, and the GUID that says what the data is.
	certificateSize = 4 + 2 + 2 + 16
	// The revision and type of every WIN_CERTIFICATE_UEFI_GUID.
	certificateRevision = 0x0200
	certificateType     = 0x0ef1
	// certificatePKCS7 is the only GUID that an update may have there.
	certificatePKCS7 = "4aafd29d-68df-49ee-8aa9-347d375665a7"
)

// Update is a write to an authenticated variable: an .auth file. For which
// variable it is, and whether it replaces or appends, is not in it; the signature
// covers them all the same. Everything in it is a claim.
type Update struct {
	Time Stamp
	// PKCS7 is the detached signature over the variable's name (UTF-16 without a
	// NUL), its vendor, the attributes, the time, and Data. It is DER, either a
	// bare SignedData, which efitools and sbsigntool write and every firmware
	// takes, or one within a ContentInfo, which newer firmware takes too.
	PKCS7 []byte
	// Data is the new value: signature lists for PK, KEK, db and dbx. Without
	// data, and not appending, the update deletes the variable.
	Data []byte
}

// Content returns the bytes that the update's signature covers, if it is for this
// variable (UEFI 2.10, section 8.2.2). The attributes are [KeyAttributes], and
// [AppendWrite] if it appends. Names are ASCII.
func (u Update) Content(name string, vendor guid.GUID, attributes uint32) []byte {
	b := make([]byte, 0, 2*len(name)+16+4+timeSize+len(u.Data))
	for _, unit := range utf16.Encode([]rune(name)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	swapped := vendor.Swapped()
	b = append(b, swapped[:]...)
	b = binary.LittleEndian.AppendUint32(b, attributes)
	b = u.Time.append(b)
	return append(b, u.Data...)
}

// ParseUpdate reads an EFI_VARIABLE_AUTHENTICATION_2 and the data after it. It
// neither looks into the signature nor checks it. A file that sbvarsign wrote
// with --include-attrs has attributes first: [ParseVariable] reads it, and its
// data is the update.
//
// What it returns shares memory with b.
func ParseUpdate(b []byte) (Update, error) {
	u, err := parseUpdate(b)
	if err != nil {
		return Update{}, fmt.Errorf("reading an update of a firmware variable: %w", err)
	}
	return u, nil
}

func parseUpdate(b []byte) (Update, error) {
	if err := checkSize(b); err != nil {
		return Update{}, err
	}
	if len(b) < timeSize+certificateSize {
		return Update{}, fmt.Errorf("%d bytes are fewer than its header takes (%d)", len(b), timeSize+certificateSize)
	}
	// The certificate first: it tells best that this is something else.
	certificate := b[timeSize:]
	length := uint64(binary.LittleEndian.Uint32(certificate))
	revision, kind := binary.LittleEndian.Uint16(certificate[4:]), binary.LittleEndian.Uint16(certificate[6:])
	switch {
	case revision != certificateRevision || kind != certificateType:
		return Update{}, hint.Wrap(
			fmt.Errorf("its certificate is of revision %#04x and type %#04x, not %#04x and %#04x", revision, kind, certificateRevision, certificateType),
			"give an .auth file, which starts with a time and a signature")
	case onDisk(certificate[8:]) != known(certificatePKCS7):
		return Update{}, fmt.Errorf("its certificate is of type %s, not PKCS #7", onDisk(certificate[8:]))
	case length <= certificateSize:
		return Update{}, errors.New("it has no signature")
	case length > uint64(len(certificate)):
		return Update{}, fmt.Errorf("its certificate takes %d bytes, and %d are left", length, len(certificate))
	}
	stamp, err := parseStamp(b[:timeSize])
	if err != nil {
		return Update{}, err
	}
	return Update{stamp, certificate[certificateSize:length:length], certificate[length:]}, nil
}

// Marshal returns the update as ParseUpdate reads it.
func (u Update) Marshal() []byte {
	b := u.Time.append(nil)
	b = binary.LittleEndian.AppendUint32(b, uint32(certificateSize+len(u.PKCS7)))
	b = binary.LittleEndian.AppendUint16(b, certificateRevision)
	b = binary.LittleEndian.AppendUint16(b, certificateType)
	kind := known(certificatePKCS7).Swapped()
	b = append(b, kind[:]...)
	b = append(b, u.PKCS7...)
	return append(b, u.Data...)
}
