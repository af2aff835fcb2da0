package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Certify puts signatures, PKCS #7 messages in DER, behind the program f: they
// take the place of a certificate table that it has. w holds the bytes of f up
// to f.End() already, as a copy or because it is the very file that f reads.
// Written are the new table and, in the header, its place and the checksum. It
// returns the size of the file; one that was longer is the caller's to cut.
// Without signatures, the program has no table afterwards.
//
// f says what the file was before: parse it again for what it is.
func Certify(w io.WriterAt, f *File, signatures [][]byte) (int64, error) {
	size, err := certify(w, f, signatures)
	if err != nil {
		return 0, fmt.Errorf("writing signatures of an EFI program: %w", err)
	}
	return size, nil
}

func certify(w io.WriterAt, f *File, signatures [][]byte) (int64, error) {
	if f.layout.directory == 0 {
		return 0, errors.New("its header has no place for a certificate table")
	}
	end := f.End()
	start := align(end, certificateAlign)
	table, err := marshalTable(signatures)
	if err != nil {
		return 0, err
	}
	size := start + int64(len(table))
	if size > math.MaxUint32 {
		return 0, fmt.Errorf("with them it has %d bytes, more than the format can hold", size)
	}
	le := binary.LittleEndian
	header := bytes.Clone(f.header)
	place := header[f.layout.directory:][:8]
	clear(place)
	if len(table) > 0 {
		le.PutUint32(place, uint32(start))
		le.PutUint32(place[4:], uint32(len(table)))
	}
	tail := append(make([]byte, start-end), table...)

	var c checksum
	c.addHeader(header, f.layout.checksum)
	if err := stream(&c, f.r, int64(len(header)), end); err != nil {
		return 0, err
	}
	c.add(tail)
	le.PutUint32(header[f.layout.checksum:], c.sum())
	if _, err := w.WriteAt(tail, end); err != nil {
		return 0, err
	}
	if _, err := w.WriteAt(header, 0); err != nil {
		return 0, err
	}
	return size, nil
}

// marshalTable returns a certificate table. Padding counts in the length of an
// entry, as signtool writes it.
func marshalTable(signatures [][]byte) ([]byte, error) {
	if len(signatures) > maxCertificates {
		return nil, fmt.Errorf("%d signatures (at most %d)", len(signatures), maxCertificates)
	}
	var b []byte
	for _, s := range signatures {
		if len(s) == 0 || len(s) > maxTable {
			return nil, fmt.Errorf("a signature of %d bytes", len(s))
		}
		length := align(int64(certificateHeader+len(s)), certificateAlign)
		b = binary.LittleEndian.AppendUint32(b, uint32(length))
		b = binary.LittleEndian.AppendUint16(b, CertificateRevision)
		b = binary.LittleEndian.AppendUint16(b, CertificatePKCS7)
		b = append(b, s...)
		b = append(b, make([]byte, length-certificateHeader-int64(len(s)))...)
	}
	if len(b) > maxTable {
		return nil, errors.New("signatures of more than 1 MiB")
	}
	return b, nil
}
