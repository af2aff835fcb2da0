package uki

import (
	"context"
	"fmt"
	"slices"

	"inlay/internal/hint"
	"inlay/internal/pcr"
	"inlay/internal/pe"
	"inlay/internal/secureboot"
)

// Build builds an image in w. The parts are read twice: to be hashed, if there is
// anything to foretell, and to be written; memory use does not grow with them.
// The same parts, options and keys give the same bytes.
func Build(ctx context.Context, w Output, p Parts, o Options) (*Result, error) {
	result, err := build(ctx, w, p, o)
	if err != nil {
		return nil, fmt.Errorf("building a unified kernel image: %w", err)
	}
	return result, nil
}

// Check says, before an initrd is packed, whether kernel and stub fit each other
// and the profiles. Of the parts, Linux and Profiles are looked at.
func Check(p Parts, o Options) error {
	b := builder{parts: p, options: o}
	if err := b.open(); err != nil {
		return fmt.Errorf("building a unified kernel image: %w", err)
	}
	return nil
}

func build(ctx context.Context, w Output, p Parts, o Options) (*Result, error) {
	b := builder{parts: p, options: o}
	if err := b.open(); err != nil {
		return nil, err
	}
	if err := b.collect(); err != nil {
		return nil, err
	}
	if err := b.measure(ctx); err != nil {
		return nil, err
	}
	if err := w.Truncate(0); err != nil {
		return nil, err
	}
	var add []pe.NewSection
	for _, p := range b.sections {
		add = append(add, p.section(ctx))
		b.result.Sections = append(b.result.Sections, Section{Name: p.name, Size: p.size})
	}
	size, err := pe.Extend(w, b.stub, add, pe.ExtendOptions{ClearNX: b.kernel.DLLCharacteristics&pe.NXCompatible == 0})
	if err != nil {
		return nil, err
	}
	if o.Signer != nil {
		if size, err = secureboot.SignProgramInPlace(w, size, *o.Signer, secureboot.SignOptions{Chain: o.Chain}); err != nil {
			return nil, err
		}
	}
	if err := w.Truncate(size); err != nil {
		return nil, err
	}
	b.result.Size = size
	return &b.result, nil
}

// builder is one run of Build.
type builder struct {
	parts   Parts
	options Options

	kernel, stub *pe.File
	profiles     []Profile // the first, and the others if there are any
	// sections are those to be added. Those of a profile stand behind its
	// .profile; ends is where each profile's end.
	sections []part
	ends     []int
	result   Result
}

// stubWithProfiles is the first systemd whose stub knows profiles: an older one
// would boot the first command line whatever was chosen.
const stubWithProfiles = 257

// open reads the headers of what is made of others' programs.
func (b *builder) open() error {
	var err error
	if b.kernel, err = openKernel(b.parts.Linux); err != nil {
		return err
	}
	var version int
	if b.stub, version, err = openStub(b.options.Stub, b.kernel); err != nil {
		return err
	}
	if len(b.parts.Profiles) > 0 && version < stubWithProfiles {
		return hint.Wrap(fmt.Errorf("the stub is of systemd %d, which knows no profiles", version),
			fmt.Sprintf("give a stub of systemd %d or newer, or make an image for each command line", stubWithProfiles))
	}
	b.result.Architecture = architecture(b.kernel)
	return nil
}

// collect makes the list of sections, in the order of ukify.
func (b *builder) collect() error {
	p := &b.parts
	if err := p.check(); err != nil {
		return err
	}
	b.add(textPart(sectionOSRel, p.OSRelease))
	b.add(textPart(sectionCmdline, []byte(p.Cmdline)))
	if err := b.addUname(); err != nil {
		return err
	}
	b.add(textPart(sectionSplash, p.Splash))
	if b.options.PCRKey != nil {
		public, err := pcr.PublicPEM(b.options.PCRKey.Public())
		if err != nil {
			return fmt.Errorf("writing the TPM policy's public key: %w", err)
		}
		b.add(textPart(sectionPCRKey, public))
	}
	linux := filePart(sectionLinux, p.Linux)
	// Old kernels are run where they lie.
	linux.flags = pe.Code | pe.Readable
	b.add(linux)
	b.add(filePart(sectionInitrd, p.Initrd...))
	sbat, err := mergeSBAT(b.stub, b.kernel, p.SBAT)
	if err != nil {
		return err
	}
	b.add(textPart(sectionSBAT, sbat))
	return b.addProfiles()
}

// add passes over what is empty: there is nothing to load or to measure.
func (b *builder) add(p part) {
	if p.size > 0 {
		b.sections = append(b.sections, p)
	}
}

func (b *builder) addUname() error {
	release := b.parts.Uname
	if release == "" {
		found, err := Release(b.parts.Linux)
		if err != nil {
			return err
		}
		if found == "" {
			b.result.Warnings = append(b.result.Warnings, "the kernel does not say its release: the image has no .uname")
		}
		release = found
	} else if err := checkRelease(release); err != nil {
		return err
	}
	b.result.Uname = release
	b.add(textPart(sectionUname, []byte(release)))
	return nil
}

// addProfiles adds those of the first profile, which share the rest with all, and
// those of each other.
func (b *builder) addProfiles() error {
	first := b.parts.Profile
	if len(b.parts.Profiles) > 0 {
		if first.ID == "" {
			first.ID = "main"
		}
		if err := b.addProfile(first); err != nil {
			return err
		}
	}
	b.ends = append(b.ends, len(b.sections))
	first.Cmdline = b.parts.Cmdline
	b.profiles = append(b.profiles, first)
	for _, p := range b.parts.Profiles {
		if slices.ContainsFunc(b.profiles, func(other Profile) bool { return other.ID == p.ID }) {
			return fmt.Errorf("two profiles have the id %q", p.ID)
		}
		if err := checkCmdline(p.Cmdline); err != nil {
			return fmt.Errorf("profile %q: %w", p.ID, err)
		}
		if err := b.addProfile(p); err != nil {
			return err
		}
		b.add(textPart(sectionCmdline, []byte(p.Cmdline)))
		b.ends = append(b.ends, len(b.sections))
		b.profiles = append(b.profiles, p)
	}
	return nil
}

func (b *builder) addProfile(p Profile) error {
	description, err := p.format()
	if err != nil {
		return err
	}
	b.add(textPart(sectionProfile, description))
	return nil
}

// measure hashes what the stub will measure, and signs for it.
func (b *builder) measure(ctx context.Context) error {
	banks := b.options.Banks
	if len(banks) == 0 && b.options.PCRKey == nil {
		banks = []pcr.Bank{pcr.SHA256}
	}
	var hashed []pcr.Section
	for _, p := range b.sections {
		s, err := p.hash(ctx, banks)
		if err != nil {
			return err
		}
		hashed = append(hashed, s)
	}
	var signed []part
	start := 0
	for i, sections := range pcr.Profiles(hashed, func(s pcr.Section) string { return s.Name }) {
		m := Measured{Profile: b.profiles[i]}
		var err error
		if m.PCR, err = values(sections); err != nil {
			return err
		}
		b.result.Profiles = append(b.result.Profiles, m)
		signed = append(signed, b.sections[start:b.ends[i]]...)
		start = b.ends[i]
		if b.options.PCRKey != nil {
			signatures, err := pcr.Sign(b.options.PCRKey, sections, pcr.SignOptions{Banks: banks, Phases: b.options.Phases})
			if err != nil {
				return err
			}
			signed = append(signed, textPart(sectionPCRSig, signatures))
		}
	}
	b.sections = signed
	return nil
}
