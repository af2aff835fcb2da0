// Package pe reads EFI programs (PE32 and PE32+ images), says what an
// Authenticode signature of one covers, adds sections to a stub and writes
// signatures behind a program: Microsoft's "PE Format", and "Windows
// Authenticode Portable Executable Signature Format" 1.0 for the digest. Where
// these leave a choice, EDK II's loader and verifier decide, as they are the
// firmware that reads the result.
//
// Only what these uses need is read: headers, section table, certificate table.
// Left out on purpose: symbols, imports, resources, relocations (they are left
// as they are), page hashes, and programs for anything but firmware. A program
// that two readers could understand in two ways (sections or headers that
// overlap, a certificate table that is not the end of the file) is refused. What
// a signature says is read by package cms, and whom to trust is decided elsewhere.
package pe

import (
	"errors"
	"io"
)

// ErrNotProgram says that the file is no EFI program at all, not a broken one.
var ErrNotProgram = errors.New("not an EFI program")

// The subsystems of firmware; a program of another one is ErrNotProgram.
const (
	SubsystemApplication   = 10
	SubsystemBootDriver    = 11
	SubsystemRuntimeDriver = 12
	SubsystemROM           = 13
)

// What is in a section, and what may be done with it there (Section.Characteristics).
const (
	Code            = 0x00000020
	InitializedData = 0x00000040
	Executable      = 0x20000000
	Readable        = 0x40000000
	Writable        = 0x80000000
)

// NXCompatible is the bit of File.DLLCharacteristics with which a program says
// that its data need not be executable.
const NXCompatible = 0x0100

// Certificate table entries that carry a signature have this revision and type.
const (
	CertificateRevision = 0x0200
	CertificatePKCS7    = 0x0002
)

// File is a parsed program. It keeps the reader, and its headers in memory.
type File struct {
	// Machine is the processor, a number of the PE format; see Architecture.
	Machine uint16
	// Subsystem is one of those of firmware.
	Subsystem uint16
	// DLLCharacteristics are bits; NXCompatible is one of them.
	DLLCharacteristics uint16
	// SectionAlignment and FileAlignment are powers of two, in bytes.
	SectionAlignment uint32
	FileAlignment    uint32
	// SizeOfImage is what the program takes in memory, SizeOfHeaders what its
	// headers take in the file, in bytes.
	SizeOfImage   uint32
	SizeOfHeaders uint32
	// Checksum is what the header says; firmware does not look. See Sum.
	Checksum uint32
	// Sections are in the order of the section table. Names may occur twice.
	Sections []Section
	// Certificates are the entries of the certificate table, in order.
	Certificates []Certificate
	// Size is that of the file, with the certificate table, in bytes.
	Size int64

	r      io.ReaderAt
	header []byte // SizeOfHeaders bytes
	layout layout
}

// Section is one entry of the section table. Sizes and places are in bytes.
type Section struct {
	// Name is that of the table, without the NUL bytes at its end.
	Name string
	// VirtualSize is the size in memory; RawSize, that in the file, is padded.
	VirtualSize    uint32
	VirtualAddress uint32
	RawSize        uint32
	RawOffset      uint32
	// Characteristics are bits such as Code and Readable.
	Characteristics uint32
}

// Size is how many bytes of content the section has in the file: padding is not
// content, and memory beyond the file is not either.
func (s Section) Size() int64 { return int64(min(s.VirtualSize, s.RawSize)) }

// Certificate is one entry of the certificate table.
type Certificate struct {
	Revision uint16
	Type     uint16
	// Offset and Length are those of the content in the file, in bytes, without
	// the entry's own header. Writers differ in whether Length counts padding.
	Offset int64
	Length int64
}

// Data reads the content of a section of f: Section.Size bytes.
func (f *File) Data(s Section) *io.SectionReader {
	return io.NewSectionReader(f.r, int64(s.RawOffset), s.Size())
}

// Architecture is systemd's word for the processor, empty for one without.
func (f *File) Architecture() string {
	switch f.Machine {
	case 0x8664:
		return "x86-64"
	case 0x014c:
		return "x86"
	case 0xaa64:
		return "arm64"
	case 0x01c0, 0x01c2, 0x01c4:
		return "arm"
	case 0x5064:
		return "riscv64"
	case 0x5032:
		return "riscv32"
	case 0x6264:
		return "loongarch64"
	case 0x0200:
		return "ia64"
	}
	return ""
}

// Named returns the sections called name, in the order of the table. A reader
// that takes one of several picks what another reader may not.
func (f *File) Named(name string) []Section {
	var found []Section
	for _, s := range f.Sections {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// Duplicates returns the names that more than one section has, in the order of
// the table, each once.
func (f *File) Duplicates() []string {
	count := make(map[string]int, len(f.Sections))
	var twice []string
	for _, s := range f.Sections {
		if count[s.Name]++; count[s.Name] == 2 {
			twice = append(twice, s.Name)
		}
	}
	return twice
}

// End is where the program ends in the file and its certificate table begins:
// all before is covered by a signature, except the table's entry in the header
// and the checksum.
func (f *File) End() int64 {
	if f.layout.table > 0 {
		return f.layout.table
	}
	return f.Size
}
