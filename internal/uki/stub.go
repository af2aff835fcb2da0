package uki

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/pe"
)

const stubHint = "give systemd's stub; Debian's package systemd-boot-efi has it in /usr/lib/systemd/boot/efi"

// openStub reads the headers of a stub for kernels of the architecture given, and
// returns the major version of systemd that it comes from, 0 if it says none.
func openStub(stub *io.SectionReader, kernel *pe.File) (*pe.File, int, error) {
	if stub == nil {
		return nil, 0, hint.Wrap(errors.New("there is no stub"), stubHint)
	}
	file, err := pe.Parse(stub, stub.Size())
	if err != nil {
		return nil, 0, hint.Default(fmt.Errorf("reading the stub: %w", err), stubHint)
	}
	magic, err := text(file, sectionMagic)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the stub: %w", err)
	}
	_, name, _ := strings.Cut(string(bytes.TrimRight(magic, "\x00")), "LoaderInfo: ")
	version, isStub := strings.CutPrefix(name, "systemd-stub ")
	if !isStub {
		return nil, 0, hint.Wrap(fmt.Errorf("the stub is not systemd's (it says %q)", strings.Trim(name, " #")), stubHint)
	}
	if file.Machine != kernel.Machine {
		return nil, 0, hint.Wrap(fmt.Errorf("the stub is for %s, and the kernel for %s", architecture(file), architecture(kernel)),
			"give the stub of the kernel's architecture: linuxx64.efi.stub, linuxaa64.efi.stub, …")
	}
	for _, s := range file.Sections {
		if s.Name != sectionSBAT && unified(s.Name) {
			return nil, 0, hint.Wrap(fmt.Errorf("the stub has a section %q already: it is an image, not a stub", s.Name), stubHint)
		}
	}
	return file, major(version), nil
}

func architecture(f *pe.File) string {
	if name := f.Architecture(); name != "" {
		return name
	}
	return fmt.Sprintf("machine %#x", f.Machine)
}

// major returns the number that a version begins with.
func major(version string) int {
	end := strings.IndexFunc(version, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(version)
	}
	n, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return n
}

// text reads a section as a whole, nil if there is none.
func text(f *pe.File, name string) ([]byte, error) {
	found := f.Named(name)
	if len(found) == 0 {
		return nil, nil
	}
	return content(f, found[0])
}

func content(f *pe.File, s pe.Section) ([]byte, error) {
	if s.Size() > maxText {
		return nil, fmt.Errorf("section %q has %d bytes (at most %d are accepted)", s.Name, s.Size(), maxText)
	}
	b, err := io.ReadAll(f.Data(s))
	if err == nil && int64(len(b)) != s.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("reading section %q: %w", s.Name, err)
	}
	return b, nil
}

// The first line of every SBAT text, and the one that ukify adds to images.
const (
	sbatHeader = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
	sbatImage  = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/\n"
)

// mergeSBAT returns the SBAT text of an image, by which shim revokes what is too
// old: the stub's lines, the kernel's, and those given.
func mergeSBAT(stub, kernel *pe.File, given []byte) ([]byte, error) {
	merged := []byte(sbatHeader)
	for _, f := range []*pe.File{stub, kernel} {
		b, err := text(f, sectionSBAT)
		if err != nil {
			return nil, err
		}
		if lines, ok := sbatLines(b); ok {
			merged = append(merged, lines...)
		}
	}
	if given == nil {
		given = []byte(sbatHeader + sbatImage)
	}
	lines, ok := sbatLines(given)
	if !ok {
		return nil, hint.Wrap(errors.New("the SBAT text given is none"), `let its first line begin with "sbat,1,"`)
	}
	return append(append(merged, lines...), 0), nil
}

// sbatLines returns all lines but the first, each ended.
func sbatLines(b []byte) ([]byte, bool) {
	b = bytes.TrimRight(b, "\x00")
	if !bytes.HasPrefix(b, []byte("sbat,")) {
		return nil, false
	}
	var lines []byte
	first := true
	for line := range bytes.Lines(b) {
		if !first {
			lines = append(append(lines, bytes.TrimRight(line, "\r\n")...), '\n')
		}
		first = false
	}
	return lines, true
}
