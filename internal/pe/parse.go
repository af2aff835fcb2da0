package pe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

const (
	dosSize     = 64 // with the place of the PE header in its last 4 bytes
	coffSize    = 4 + 20
	sectionSize = 40

	magic32     = 0x10b
	magic32Plus = 0x20b

	// maxHeaders bounds what is kept in memory. Kernels for arm64 have 64 KiB.
	maxHeaders = 1 << 20
	// maxSections is the loader of Windows's bound, which the format names.
	maxSections = 96
	// maxDirectories is how many the format has.
	maxDirectories = 16
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

// readHeaders reads the file up to its first section.
func (f *File) readHeaders() error {
	if f.Size < dosSize+coffSize {
		return fmt.Errorf("%d bytes are no program: %w", f.Size, ErrNotProgram)
	}
	dos := make([]byte, dosSize)
	if err := readFull(f.r, dos, 0); err != nil {
		return err
	}
	if !bytes.HasPrefix(dos, []byte("MZ")) {
		return fmt.Errorf("it does not begin with MZ: %w", ErrNotProgram)
	}
	at := int64(binary.LittleEndian.Uint32(dos[60:]))
	if at < dosSize || at > min(f.Size-coffSize, maxHeaders) {
		return fmt.Errorf("the PE header would be at byte %d: %w", at, ErrNotProgram)
	}
	coff := make([]byte, coffSize)
	if err := readFull(f.r, coff, at); err != nil {
		return err
	}
	if !bytes.HasPrefix(coff, []byte("PE\x00\x00")) {
		return fmt.Errorf("it has no PE header: %w", ErrNotProgram)
	}
	f.layout.coff = at + 4
	f.layout.optional = at + coffSize
	return f.readOptional(int64(binary.LittleEndian.Uint16(coff[4+16:])), int(binary.LittleEndian.Uint16(coff[4+2:])))
}

// readOptional reads the optional header, of size bytes, and all that lies
// between it and the end of the headers.
func (f *File) readOptional(size int64, sections int) error {
	le := binary.LittleEndian
	at := f.layout.optional
	// The shorter header of PE32 has 96 bytes, that of PE32+ 112; both have the
	// size of all headers in the same place.
	if size < 96 || at+size > f.Size {
		return fmt.Errorf("an optional header of %d bytes at byte %d of %d", size, at, f.Size)
	}
	start := make([]byte, 96)
	if err := readFull(f.r, start, at); err != nil {
		return err
	}
	fixed := int64(96)
	switch magic := le.Uint16(start); magic {
	case magic32:
	case magic32Plus:
		fixed = 112
	default:
		return fmt.Errorf("an optional header of kind %#x, neither PE32 nor PE32+", magic)
	}
	headers := int64(le.Uint32(start[60:]))
	switch {
	case sections == 0 || sections > maxSections:
		return fmt.Errorf("%d sections (1 to %d are accepted)", sections, maxSections)
	case headers > f.Size || headers > maxHeaders:
		return fmt.Errorf("headers of %d bytes in a file of %d (at most %d are accepted)", headers, f.Size, maxHeaders)
	}
	f.layout.sections = at + size
	f.layout.endSections = f.layout.sections + int64(sections)*sectionSize
	if f.layout.endSections > headers {
		return fmt.Errorf("the section table ends at byte %d, behind the headers' end at %d", f.layout.endSections, headers)
	}
	f.header = make([]byte, headers)
	if err := readFull(f.r, f.header, 0); err != nil {
		return err
	}
	// Read again in one piece, lest a file that changes shows two faces.
	optional := f.header[at:]
	if !bytes.Equal(optional[:len(start)], start) {
		return errors.New("the file changed while it was read")
	}
	return f.checkOptional(optional, size, fixed)
}

// checkOptional takes over the fields of the optional header, the first size
// bytes of b, whose directories begin at byte fixed.
func (f *File) checkOptional(b []byte, size, fixed int64) error {
	le := binary.LittleEndian
	if size < fixed {
		return fmt.Errorf("an optional header of %d bytes, which takes at least %d", size, fixed)
	}
	count := int64(le.Uint32(b[fixed-4:]))
	switch {
	case count > maxDirectories:
		return fmt.Errorf("%d data directories (at most %d)", count, maxDirectories)
	case fixed+8*count != size: // EDK II refuses these, too
		return fmt.Errorf("an optional header of %d bytes with %d data directories, which take %d", size, count, fixed+8*count)
	}
	f.Machine = le.Uint16(f.header[f.layout.coff:])
	f.SectionAlignment = le.Uint32(b[32:])
	f.FileAlignment = le.Uint32(b[36:])
	f.SizeOfImage = le.Uint32(b[56:])
	f.SizeOfHeaders = le.Uint32(b[60:])
	f.Checksum = le.Uint32(b[64:])
	f.Subsystem = le.Uint16(b[68:])
	f.DLLCharacteristics = le.Uint16(b[70:])
	f.layout.checksum = f.layout.optional + 64
	if count > securityDirectory {
		f.layout.directory = f.layout.optional + fixed + 8*securityDirectory
	}
	switch {
	case f.Subsystem < SubsystemApplication || f.Subsystem > SubsystemROM:
		return fmt.Errorf("it is a program for subsystem %d, not for firmware: %w", f.Subsystem, ErrNotProgram)
	case bits.OnesCount32(f.SectionAlignment) != 1 || bits.OnesCount32(f.FileAlignment) != 1:
		return fmt.Errorf("alignments of %d (memory) and %d (file) bytes, which are not powers of two", f.SectionAlignment, f.FileAlignment)
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

// byOffset returns the sections that have bytes in the file, in its order.
func (f *File) byOffset() []Section {
	sorted := slices.DeleteFunc(slices.Clone(f.Sections), func(s Section) bool { return s.RawSize == 0 })
	slices.SortFunc(sorted, func(a, b Section) int { return cmp.Compare(a.RawOffset, b.RawOffset) })
	return sorted
}

// checkFile checks that sections lie behind the headers, apart from each other
// and inside the file.
func (f *File) checkFile() error {
	end, before := int64(len(f.header)), "the headers"
	for _, s := range f.byOffset() {
		start := int64(s.RawOffset)
		switch {
		case start < end:
			return fmt.Errorf("section %q begins at byte %d, but %s end at %d", s.Name, start, before, end)
		case start > end && f.layout.gap == 0:
			f.layout.gap = end
		}
		end, before = start+int64(s.RawSize), fmt.Sprintf("the bytes of section %q", s.Name)
		if end > f.Size {
			return fmt.Errorf("section %q ends at byte %d, but the file has %d: it is cut short", s.Name, end, f.Size)
		}
	}
	f.layout.endData = end
	return nil
}

// checkMemory checks that sections don't overlap once they are loaded.
func (f *File) checkMemory() error {
	sorted := slices.DeleteFunc(slices.Clone(f.Sections), func(s Section) bool { return max(s.VirtualSize, s.RawSize) == 0 })
	slices.SortStableFunc(sorted, func(a, b Section) int { return cmp.Compare(a.VirtualAddress, b.VirtualAddress) })
	var end int64
	for _, s := range sorted {
		start := int64(s.VirtualAddress)
		if start < end {
			return fmt.Errorf("section %q begins at address %#x, where another one still is (to %#x)", s.Name, start, end)
		}
		end = start + int64(s.VirtualSize)
		if end > int64(f.SizeOfImage) {
			return fmt.Errorf("section %q ends at address %#x, behind the program's end at %#x", s.Name, end, f.SizeOfImage)
		}
	}
	return nil
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
