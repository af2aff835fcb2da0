package uki

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/pcr"
	"inlay/internal/pe"
)

const (
	// maxProfiles is systemd's bound.
	maxProfiles = 256
	// maxZeros bounds how much memory a section may take beyond its content, in
	// bytes: old kernels ask for some MiB so.
	maxZeros = 256 << 20
)

// Image is a unified kernel image that was opened. It keeps the reader.
type Image struct {
	// Program is the image as the EFI program that it is, with its signatures.
	Program *pe.File
	// Profiles are one or more; of an image without any, one without an ID.
	Profiles []Profile

	sections [][]pe.Section // by profile: those that the stub would use
}

// Open reads the headers and the small sections of an image of size bytes. One
// in which two readers could see different things (a section twice in the same
// profile) is refused. Who signed it is for the caller to ask.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	image, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("reading a unified kernel image: %w", err)
	}
	return image, nil
}

func open(r io.ReaderAt, size int64) (*Image, error) {
	program, err := pe.Parse(r, size)
	if err != nil {
		return nil, err
	}
	if err := checkSections(program); err != nil {
		return nil, err
	}
	image := &Image{Program: program, sections: pcr.Profiles(program.Sections, nameOf)}
	if len(image.sections) > maxProfiles {
		return nil, fmt.Errorf("%d profiles (at most %d)", len(image.sections), maxProfiles)
	}
	for i := range image.sections {
		if linux, ok := image.find(i, sectionLinux); !ok || linux.Size() == 0 {
			return nil, hint.Wrap(errNoKernel, "give a unified kernel image, as inlay media uki and ukify make them")
		}
		profile, err := image.profile(i)
		if err != nil {
			return nil, fmt.Errorf("profile %d: %w", i, err)
		}
		image.Profiles = append(image.Profiles, profile)
	}
	return image, nil
}

func nameOf(s pe.Section) string { return s.Name }

// unified says whether sections of that name mean something in images.
func unified(name string) bool { return name == sectionPCRSig || pcr.Measured(name) }

// checkSections refuses sections that hide another of the same name.
func checkSections(f *pe.File) error {
	seen := map[string]bool{}
	for _, s := range f.Sections {
		if !unified(s.Name) {
			continue
		}
		if s.Name == sectionProfile {
			clear(seen)
		}
		if seen[s.Name] && s.Name != ".dtbauto" { // the one that may be there for several boards
			return fmt.Errorf("section %q is there twice", s.Name)
		}
		seen[s.Name] = true
		if int64(s.VirtualSize)-s.Size() > maxZeros {
			return fmt.Errorf("section %q takes %d bytes in memory and has %d in the file", s.Name, s.VirtualSize, s.Size())
		}
	}
	return nil
}

func (im *Image) profile(i int) (Profile, error) {
	description, err := im.Text(i, sectionProfile)
	if err != nil {
		return Profile{}, err
	}
	p, err := parseProfile(description)
	if err != nil {
		return Profile{}, fmt.Errorf("reading section %q: %w", sectionProfile, err)
	}
	cmdline, err := im.Text(i, sectionCmdline)
	if err != nil {
		return Profile{}, err
	}
	p.Cmdline = strings.TrimSpace(string(bytes.TrimRight(cmdline, "\x00")))
	return p, nil
}

func (im *Image) find(profile int, name string) (pe.Section, bool) {
	for _, s := range im.sections[profile] {
		if s.Name == name {
			return s, true
		}
	}
	return pe.Section{}, false
}

// Section returns the content of a section as the stub sees it in the profile
// (0 is the first), and whether there is one: ".initrd".
func (im *Image) Section(profile int, name string) (*io.SectionReader, bool) {
	s, ok := im.find(profile, name)
	if !ok {
		return nil, false
	}
	return im.Program.Data(s), true
}

// Text reads a small section of a profile as a whole, nil if there is none.
func (im *Image) Text(profile int, name string) ([]byte, error) {
	s, ok := im.find(profile, name)
	if !ok {
		return nil, nil
	}
	return content(im.Program, s)
}

// OSRelease reads what the image says of its system; nil if it says nothing.
func (im *Image) OSRelease() (*osrelease.Release, error) {
	b, err := im.Text(0, sectionOSRel)
	if b == nil || err != nil {
		return nil, err
	}
	release, err := osrelease.Parse(bytes.TrimRight(b, "\x00"))
	if err != nil {
		return nil, fmt.Errorf("reading section %q: %w", sectionOSRel, err)
	}
	return release, nil
}

// Sections returns those that mean something in an image, in the order of the
// file.
func (im *Image) Sections() []Section {
	var all []Section
	for _, s := range im.Program.Sections {
		if unified(s.Name) {
			all = append(all, Section{Name: s.Name, Size: s.Size()})
		}
	}
	return all
}
