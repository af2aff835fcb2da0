package pe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

const (
	dosSize     = 64 // with the place of the PE header in its last 4 bytes
	coffSize    = 4 + 20
	sectionSize = 40

	// The two kinds of optional header, and how long each is before the data
	// directories.
	magic32     = 0x10b
	magic32Plus = 0x20b
	fixed32     = 96
	fixed32Plus = 112

	// Places in the COFF header, behind its four letters, and in the optional one.
	coffSections        = 2
	coffSymbols         = 8
	coffSymbolCount     = 12
	coffOptionalSize    = 16
	coffCharacteristics = 18
	optionalInitialized = 8
	optionalImage       = 56
	optionalHeaders     = 60
	optionalChecksum    = 64
	optionalDLL         = 70

	// maxHeaders bounds what is kept in memory. Kernels for arm64 have 64 KiB.
	maxHeaders = 1 << 20
	// maxFileAlignment is the format's.
	maxFileAlignment = 64 << 10
	// maxSections is the loader of Windows's bound, which the format names.
	maxSections = 96
	// maxDirectories is how many the format has.
	maxDirectories = 16
	// copyBuffer is what is read and written at a time, in bytes.
	copyBuffer = 256 << 10
	// securityDirectory is the number of the certificate table's.
	securityDirectory = 4
)

// layout is where things lie in the file, in bytes.
type layout struct {
	coff        int64 // COFF header, behind "PE\0\0"
	optional    int64 // optional header
	checksum    int64
	directory   int64 // entry of the certificate table; 0 if there is none
	sections    int64 // section table
	endSections int64
	table       int64 // certificate table; 0 if there is none
	endTable    int64
	endData     int64 // of the last section, or of the headers
	gap         int64 // a byte before endData that no section holds; 0 if there is none
}

// Parse reads the headers of a program of size bytes and checks that its parts
// lie apart from each other and inside the file. Content is not read. A file
// that begins like none, or is a program for something else than firmware, is
// ErrNotProgram.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	f := &File{Size: size, r: r}
	if err := f.parse(); err != nil {
		return nil, fmt.Errorf("reading an EFI program: %w", err)
	}
	return f, nil
}

func (f *File) parse() error {
	if err := f.readHeaders(); err != nil {
		return err
	}
	if err := f.readSections(); err != nil {
		return err
	}
	if err := f.checkFile(); err != nil {
		return err
	}
	if err := f.checkMemory(); err != nil {
		return err
	}
	return f.readCertificates()
}

// readHeaders reads the headers, in one piece: a file that changes while it is
// read must not show two faces.
func (f *File) readHeaders() error {
	if f.Size < dosSize+coffSize {
		return fmt.Errorf("%d bytes are no program: %w", f.Size, ErrNotProgram)
	}
	b := make([]byte, min(f.Size, maxHeaders))
	if err := readFull(f.r, b, 0); err != nil {
		return err
	}
	if !bytes.HasPrefix(b, []byte("MZ")) {
		return fmt.Errorf("it does not begin with MZ: %w", ErrNotProgram)
	}
	le := binary.LittleEndian
	at := int64(le.Uint32(b[60:]))
	if at < dosSize || at > int64(len(b))-coffSize || !bytes.HasPrefix(b[at:], []byte("PE\x00\x00")) {
		return fmt.Errorf("there is no PE header at byte %d: %w", at, ErrNotProgram)
	}
	f.layout.coff = at + 4
	f.layout.optional = at + coffSize
	f.Machine = le.Uint16(b[f.layout.coff:])
	sections := int64(le.Uint16(b[f.layout.coff+coffSections:]))
	size := int64(le.Uint16(b[f.layout.coff+coffOptionalSize:]))
	f.layout.sections = f.layout.optional + size
	f.layout.endSections = f.layout.sections + sections*sectionSize
	switch {
	case sections == 0 || sections > maxSections:
		return fmt.Errorf("%d sections (1 to %d are accepted)", sections, maxSections)
	case f.layout.endSections > int64(len(b)):
		return fmt.Errorf("the section table ends at byte %d of %d", f.layout.endSections, len(b))
	}
	if err := f.readOptional(b[f.layout.optional:f.layout.sections]); err != nil {
		return err
	}
	switch headers := int64(f.SizeOfHeaders); {
	case headers > int64(len(b)):
		return fmt.Errorf("headers of %d bytes in a file of %d (at most %d are accepted)", headers, f.Size, maxHeaders)
	case f.layout.endSections > headers:
		return fmt.Errorf("the section table ends at byte %d, behind the headers' end at %d", f.layout.endSections, headers)
	default:
		f.header = bytes.Clone(b[:headers])
		return nil
	}
}

// readOptional reads b, the optional header.
func (f *File) readOptional(b []byte) error {
	le := binary.LittleEndian
	if len(b) < fixed32 {
		return fmt.Errorf("an optional header of %d bytes, which takes at least %d", len(b), fixed32)
	}
	fixed := fixed32
	switch magic := le.Uint16(b); magic {
	case magic32:
	case magic32Plus:
		fixed = fixed32Plus
	default:
		return fmt.Errorf("an optional header of kind %#x, neither PE32 nor PE32+", magic)
	}
	if len(b) < fixed {
		return fmt.Errorf("an optional header of %d bytes, which takes at least %d", len(b), fixed)
	}
	count := le.Uint32(b[fixed-4:])
	switch {
	case count > maxDirectories:
		return fmt.Errorf("%d data directories (at most %d)", count, maxDirectories)
	case fixed+8*int(count) != len(b): // EDK II refuses these, too
		return fmt.Errorf("an optional header of %d bytes with %d data directories, which take %d", len(b), count, fixed+8*int(count))
	}
	f.SectionAlignment = le.Uint32(b[32:])
	f.FileAlignment = le.Uint32(b[36:])
	f.SizeOfImage = le.Uint32(b[optionalImage:])
	f.SizeOfHeaders = le.Uint32(b[optionalHeaders:])
	f.Checksum = le.Uint32(b[optionalChecksum:])
	f.Subsystem = le.Uint16(b[68:])
	f.DLLCharacteristics = le.Uint16(b[optionalDLL:])
	f.layout.checksum = f.layout.optional + optionalChecksum
	if count > securityDirectory {
		f.layout.directory = f.layout.optional + int64(fixed) + 8*securityDirectory
	}
	switch {
	case f.Subsystem < SubsystemApplication || f.Subsystem > SubsystemROM:
		return fmt.Errorf("it is a program for subsystem %d, not for firmware: %w", f.Subsystem, ErrNotProgram)
	case bits.OnesCount32(f.SectionAlignment) != 1 || bits.OnesCount32(f.FileAlignment) != 1:
		return fmt.Errorf("alignments of %d (memory) and %d (file) bytes, which are not powers of two", f.SectionAlignment, f.FileAlignment)
	case f.FileAlignment > maxFileAlignment:
		return fmt.Errorf("an alignment of %d bytes in the file (at most %d)", f.FileAlignment, maxFileAlignment)
	case f.SectionAlignment < f.FileAlignment:
		return fmt.Errorf("an alignment of %d bytes in memory, less than the %d in the file", f.SectionAlignment, f.FileAlignment)
	}
	return nil
}

// readSections reads the section table.
func (f *File) readSections() error {
	le := binary.LittleEndian
	for b := f.header[f.layout.sections:f.layout.endSections]; len(b) > 0; b = b[sectionSize:] {
		name, rest, _ := bytes.Cut(b[:8], []byte{0})
		if len(bytes.Trim(rest, "\x00")) > 0 {
			return fmt.Errorf("the name of section %d goes on behind a NUL byte: %q", len(f.Sections)+1, b[:8])
		}
		s := Section{
			Name:            string(name),
			VirtualSize:     le.Uint32(b[8:]),
			VirtualAddress:  le.Uint32(b[12:]),
			RawSize:         le.Uint32(b[16:]),
			RawOffset:       le.Uint32(b[20:]),
			Characteristics: le.Uint32(b[36:]),
		}
		f.Sections = append(f.Sections, s)
	}
	return nil
}

// stream writes the bytes of r from start to end to w.
func stream(w io.Writer, r io.ReaderAt, start, end int64) error {
	n, err := io.CopyBuffer(w, io.NewSectionReader(r, start, end-start), make([]byte, copyBuffer))
	if err == nil && n != end-start {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readFull reads all of b: a file that ends too early is an error.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), off, err)
}
