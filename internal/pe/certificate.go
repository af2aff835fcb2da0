package pe

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// certificateHeader is that of WIN_CERTIFICATE: length, revision, type.
	certificateHeader = 8
	// certificateAlign is that of each entry, and of the table in the file.
	certificateAlign = 8
	// maxCertificates bounds the entries of a table. Few programs have three.
	maxCertificates = 32
	// maxTable bounds the table, in bytes. A signature takes 2 to 10 KiB.
	maxTable = 1 << 20
)

// readCertificates reads the certificate table's headers. It has to be the end
// of the file: what lies behind it would be covered by no signature.
func (f *File) readCertificates() error {
	if f.layout.directory == 0 {
		return nil
	}
	le := binary.LittleEndian
	start := int64(le.Uint32(f.header[f.layout.directory:]))
	size := int64(le.Uint32(f.header[f.layout.directory+4:]))
	switch {
	case start == 0 && size == 0:
		return nil
	case size == 0 || start == 0:
		return fmt.Errorf("a certificate table of %d bytes at byte %d", size, start)
	case start < f.layout.endData:
		return fmt.Errorf("the certificate table begins at byte %d, among the sections, which end at %d", start, f.layout.endData)
	case start%certificateAlign != 0:
		return fmt.Errorf("the certificate table begins at byte %d, which is not a multiple of %d", start, certificateAlign)
	case start+size > f.Size:
		return fmt.Errorf("the certificate table ends at byte %d, but the file has %d: it is cut short", start+size, f.Size)
	case start+size < f.Size:
		return fmt.Errorf("%d bytes follow the certificate table, where no signature covers them", f.Size-start-size)
	case size > maxTable:
		return fmt.Errorf("a certificate table of %d bytes (at most %d are accepted)", size, maxTable)
	}
	f.layout.table, f.layout.endTable = start, start+size
	for at := start; at < start+size; {
		next, err := f.readCertificate(at)
		if err != nil {
			return fmt.Errorf("the certificate table's entry %d, at byte %d: %w", len(f.Certificates)+1, at, err)
		}
		at = next
	}
	return nil
}

// readCertificate reads the entry at byte at and returns where the next begins.
func (f *File) readCertificate(at int64) (int64, error) {
	if len(f.Certificates) == maxCertificates {
		return 0, fmt.Errorf("more than %d entries", maxCertificates)
	}
	left := f.layout.endTable - at
	if left < certificateHeader {
		return 0, fmt.Errorf("%d bytes are left, and its header takes %d", left, certificateHeader)
	}
	b := make([]byte, certificateHeader)
	if err := readFull(f.r, b, at); err != nil {
		return 0, err
	}
	length := int64(binary.LittleEndian.Uint32(b))
	padded := align(length, certificateAlign)
	switch {
	case length <= certificateHeader:
		return 0, fmt.Errorf("%d bytes with its header: it is empty", length)
	case padded > left:
		return 0, fmt.Errorf("%d bytes, padded to %d, and only %d are left", length, padded, left)
	}
	padding := make([]byte, padded-length)
	if err := readFull(f.r, padding, at+length); err != nil {
		return 0, err
	}
	if len(bytes.Trim(padding, "\x00")) > 0 {
		return 0, errors.New("bytes other than zero in its padding")
	}
	f.Certificates = append(f.Certificates, Certificate{
		Revision: binary.LittleEndian.Uint16(b[4:]),
		Type:     binary.LittleEndian.Uint16(b[6:]),
		Offset:   at + certificateHeader,
		Length:   length - certificateHeader,
	})
	return at + padded, nil
}

// Signature reads the PKCS #7 message, in DER, of one of the certificates of f.
// An entry of another kind is refused, and so are bytes behind the message, other
// than the zeros up to a multiple of 8 that some signers count in.
func (f *File) Signature(c Certificate) ([]byte, error) {
	if c.Revision != CertificateRevision || c.Type != CertificatePKCS7 {
		return nil, fmt.Errorf("reading the signature at byte %d: revision %#x and type %#x, not %#x and %#x of a PKCS #7 signature",
			c.Offset, c.Revision, c.Type, CertificateRevision, CertificatePKCS7)
	}
	b := make([]byte, min(c.Length, maxTable))
	if err := readFull(f.r, b, c.Offset); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	var message asn1.RawValue
	rest, err := asn1.Unmarshal(b, &message)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the signature at byte %d: %w", c.Offset, err)
	case message.Class != asn1.ClassUniversal || message.Tag != asn1.TagSequence || !message.IsCompound:
		return nil, fmt.Errorf("reading the signature at byte %d: it is no message in DER", c.Offset)
	case len(rest) >= certificateAlign || len(bytes.Trim(rest, "\x00")) > 0:
		return nil, fmt.Errorf("reading the signature at byte %d: %d bytes follow it", c.Offset, len(rest))
	}
	return message.FullBytes, nil
}

// align rounds n up to a multiple of to.
func align(n, to int64) int64 { return (n + to - 1) / to * to }
