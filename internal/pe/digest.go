package pe

import (
	"fmt"
	"hash"

	"inlay/internal/hint"
)

// Digest writes to h what an Authenticode signature covers: all of the program
// but its checksum, the certificate table and the table's entry in the header.
// The program is streamed. h.Sum is the image digest afterwards, the same with
// and without signatures, since padding up to where a table begins is counted in.
//
// Bytes before the end of the last section that belong to no section are an
// error: firmware and sbsign leave them out, osslsigncode does not, so that there
// is no digest on which all agree.
func (f *File) Digest(h hash.Hash) error {
	if err := f.checkWhole(); err != nil {
		return fmt.Errorf("hashing an EFI program: %w", err)
	}
	at := f.layout.checksum
	h.Write(f.header[:at])
	at += 4
	if d := f.layout.directory; d > 0 {
		h.Write(f.header[at:d])
		at = d + 8
	}
	h.Write(f.header[at:])
	start, end := int64(len(f.header)), f.End()
	if err := stream(h, f.r, start, end); err != nil {
		return fmt.Errorf("hashing an EFI program: %w", err)
	}
	h.Write(make([]byte, align(end, certificateAlign)-end))
	return nil
}

// checkWhole refuses a program with holes between its sections.
func (f *File) checkWhole() error {
	if f.layout.gap == 0 {
		return nil
	}
	return hint.Wrap(fmt.Errorf("the bytes from %d on are between sections and belong to none", f.layout.gap),
		"link the program so that its sections follow one another in the file; firmware would not check what is between them")
}
