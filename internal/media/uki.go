package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"

	"inlay/internal/hint"
	"inlay/internal/stage"
	"inlay/internal/uki"
)

// UKI builds the images and names them.
func UKI(ctx context.Context, s *System, o UKIOptions) (*UKIResult, error) {
	images, err := MakeUKIs(ctx, s, o)
	if err != nil {
		return nil, err
	}
	defer images.Discard()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := images.Commit(); err != nil {
		return nil, err
	}
	return images.Result, nil
}

// MakeUKIs builds the image of each entry. Nothing has a name in the file
// system until Images.Commit; the caller discards them.
func MakeUKIs(ctx context.Context, s *System, o UKIOptions) (*Images, error) {
	m := &ukiMaker{UKIOptions: o, system: s, images: &Images{Result: &UKIResult{Notes: s.notes}}}
	defer m.close()
	if err := m.make(ctx); err != nil {
		m.images.Discard()
		return nil, err
	}
	return m.images, nil
}

// ukiMaker is one run of MakeUKIs.
type ukiMaker struct {
	UKIOptions
	system  *System
	images  *Images
	parts   uki.Parts // but what differs from entry to entry
	stub    *Program
	closers []func()
}

func (m *ukiMaker) close() {
	for _, c := range m.closers {
		c()
	}
}

func (m *ukiMaker) make(ctx context.Context) error {
	kernel, err := m.collect()
	if err != nil {
		return err
	}
	if m.Step != nil {
		m.Step(StepInitrd)
	}
	if err := m.initrd(ctx, kernel); err != nil {
		return err
	}
	if m.Step != nil {
		m.Step(StepBuild)
	}
	for _, e := range m.Entries {
		if err := m.build(ctx, e); err != nil {
			return err
		}
	}
	m.signed()
	m.warnSize()
	return nil
}

// maxSplash bounds the bitmap: a screen of 4K in full colour.
const maxSplash = 40 << 20

// collect finds and checks all but the initrd, which takes long to make.
func (m *ukiMaker) collect() (*Kernel, error) {
	r := m.images.Result
	kernel, err := m.system.Kernel(m.Kernel, m.Architecture)
	if err != nil {
		return nil, err
	}
	r.Architecture = kernel.Architecture
	r.Kernel = UKIKernel{Path: "/" + kernel.Path, Version: kernel.Version, Size: kernel.Size, Others: kernel.Others}
	if len(kernel.Others) > 0 && m.Kernel == "" {
		r.note("of several kernels the newest is taken, %s; --kernel takes another (%s)", kernel.Version, shortList(kernel.Others))
	}
	release, err := m.system.Release()
	if err != nil {
		return nil, err
	}
	r.System = release.Name()
	linux, err := m.system.Open(kernel.Path)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, linux.Close)
	m.parts = uki.Parts{Linux: linux.SectionReader, OSRelease: release.Text, Uname: kernel.Version}
	if m.stub, err = m.system.Program("--stub", m.Stub, "linux"+stubWord(kernel.Architecture)+".efi.stub", m.Host); err != nil {
		return nil, err
	}
	m.closers = append(m.closers, m.stub.Close)
	r.Stub = m.stub.Origin
	for _, e := range m.Entries {
		parts := m.parts
		parts.Profiles = e.Profiles
		if err := uki.Check(parts, uki.Options{Stub: m.stub.SectionReader}); err != nil {
			return nil, err
		}
	}
	if m.Splash != "" {
		if m.parts.Splash, err = readSplash(m.Splash); err != nil {
			return nil, err
		}
	}
	r.Certificates, err = m.system.addCertificates(m.Certificates)
	return kernel, err
}

func readSplash(name string) ([]byte, error) {
	p, err := openProgram(name, "")
	if err != nil {
		return nil, fmt.Errorf("reading the picture: %w", err)
	}
	defer p.Close()
	const advice = "make one with ImageMagick: convert picture.png -type TrueColor BMP3:splash.bmp"
	if p.Size() > maxSplash {
		return nil, hint.Wrap(fmt.Errorf("the picture %q has more than %d MiB", name, maxSplash>>20), advice)
	}
	picture, err := io.ReadAll(p)
	if err == nil && (len(picture) < 2 || string(picture[:2]) != "BM") {
		err = hint.Wrap(fmt.Errorf("the picture %q is no bitmap (BMP), the one kind that the stub shows", name), advice)
	}
	return picture, err
}

func (m *ukiMaker) initrd(ctx context.Context, kernel *Kernel) error {
	var in *initrd
	var err error
	if m.RootfsAsInitrd {
		in, err = m.system.packRoot(ctx, m.Output)
	} else {
		in, err = m.system.sourceInitrd(ctx, m.Output, kernel, m.images.Result.Certificates)
	}
	if err != nil {
		return err
	}
	m.closers = append(m.closers, in.close)
	m.parts.Initrd, m.images.Result.Initrd = in.parts, in.result
	if lost := in.result.Lost; lost != nil {
		m.images.Result.Warnings = append(m.images.Result.Warnings, lost.warnings()...)
	}
	return nil
}

// build makes the image of an entry.
func (m *ukiMaker) build(ctx context.Context, e Entry) error {
	path := filepath.Join(m.Output, e.Name+".efi")
	file, err := stage.Create(path, 0o644)
	if err != nil {
		return hint.Wrap(err, "the output folder must exist and be writable, and hold no folder of that name")
	}
	m.images.Files = append(m.images.Files, Image{Entry: e, File: file})
	parts := m.parts
	parts.Cmdline, parts.Profiles = e.Cmdline, e.Profiles
	if len(e.Profiles) > 0 {
		parts.Profile = uki.Profile{ID: "main", Title: "default"}
	}
	built, err := uki.Build(ctx, file, parts, uki.Options{Stub: m.stub.SectionReader, PCRKey: m.PCRKey, Signer: m.Signer})
	if err != nil {
		return err
	}
	m.images.Files[len(m.images.Files)-1].Size = built.Size
	r := m.images.Result
	image := UKIImage{Path: path, Name: e.Name, Title: e.Title, Role: e.Role, Size: built.Size}
	if m.Digest {
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(file, 0, built.Size)); err != nil {
			return err
		}
		image.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	for _, s := range built.Sections {
		image.Sections = append(image.Sections, UKISection(s))
	}
	for _, p := range built.Profiles {
		profile := UKIProfile{ID: p.ID, Title: p.Title, Cmdline: p.Cmdline, PCR11: map[string]string{}}
		for bank, value := range p.PCR {
			profile.PCR11[string(bank)] = hex.EncodeToString(value)
		}
		image.Profiles = append(image.Profiles, profile)
	}
	r.Images = append(r.Images, image)
	for _, w := range built.Warnings {
		r.warnOnce(w)
	}
	return nil
}

// signed says who signed what.
func (m *ukiMaker) signed() {
	r := m.images.Result
	r.Signature, r.PCRSigned = "unsigned", m.PCRKey != nil
	if m.Signer != nil {
		sum := sha256.Sum256(m.Signer.Certificate.Raw)
		r.Signature, r.Signer = "signed", &Signer{Subject: m.Signer.Certificate.Subject.String(), Fingerprint: hex.EncodeToString(sum[:])}
	}
}

// warnSize says which images firmware may refuse, and what could leave them.
func (m *ukiMaker) warnSize() {
	r := m.images.Result
	for _, image := range r.Images {
		if m.WarnSize == 0 || image.Size <= m.WarnSize {
			continue
		}
		if r.Movable == nil && m.RootfsAsInitrd {
			r.Movable = m.system.Movable()
		}
		r.Warnings = append(r.Warnings, SizeWarning(image.Name+".efi", image.Size, m.WarnSize, r.Movable))
	}
}
