package media

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/stage"
)

// writeISO makes the EFI system partition and the ISO around it.
func (m *medium) writeISO(ctx context.Context, files []ESPFile) error {
	m.step(StepESP)
	o := ISOOptions{Overlay: m.Overlay}
	var err error
	if o.ESP, err = m.esp(ctx, files); err != nil {
		return err
	}
	m.step(StepISO)
	inside := []string{"iso"}
	for _, e := range m.result.Extensions {
		inside = append(inside, e.Path, e.Digest)
		if m.Overlay == "" || e.source != filepath.Join(m.Overlay, filepath.FromSlash(e.Path)) {
			o.Files = append(o.Files, ISOFile{Path: e.Path, Source: e.source})
		}
	}
	l, err := newLayout(files)
	if err != nil {
		return err
	}
	digest, err := l.identity(inside...)
	if err != nil {
		return err
	}
	o.Disk = identifier(digest)
	out, err := stage.Create(m.path, 0o644)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := m.Tools.ISO(ctx, out.File, o); err != nil {
		return err
	}
	m.result.VolumeID, m.result.Disk = VolumeID, o.Disk.String()
	return m.commit(ctx, out)
}

// esp makes the EFI system partition and returns its path. It needs a name, for
// xorriso: one in a hidden folder beside the output, which is gone with m.
func (m *medium) esp(ctx context.Context, files []ESPFile) (string, error) {
	folder, err := os.MkdirTemp(m.UKI.Output, ".inlay-esp-")
	if err != nil {
		return "", err
	}
	m.closers = append(m.closers, func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, BootImage)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	m.result.ESP, err = m.Tools.ESP(ctx, f, files, ESPOptions{Size: m.ESPSize})
	return path, errors.Join(err, f.Close())
}

// writeContainer makes a container image of the files.
func (m *medium) writeContainer(ctx context.Context, files []ESPFile, architecture string) error {
	m.step(StepTar)
	out, err := stage.Create(m.path, 0o644)
	if err != nil {
		return err
	}
	defer out.Discard()
	m.result.Tag = imageTag(strings.TrimSuffix(filepath.Base(m.path), ".tar"))
	o := ContainerOptions{Tag: m.result.Tag, Architecture: goName(architecture), Epoch: Times(m.Epoch)}
	if err := Container(ctx, out, files, o); err != nil {
		return fmt.Errorf("writing %q: %w", m.path, err)
	}
	return m.commit(ctx, out)
}

// commit gives the result its name.
func (m *medium) commit(ctx context.Context, out *stage.File) error {
	info, err := out.Stat()
	if err != nil {
		return err
	}
	if m.result.Size, m.result.Digest, err = digestOf(ctx, io.NewSectionReader(out, 0, info.Size())); err != nil {
		return err
	}
	m.result.Path, m.result.Files = m.path, []string{m.path}
	return out.Commit()
}

// writeFiles puts the files into the output folder as they lie in an EFI system
// partition. Folders that it made are gone again if it does not succeed.
func (m *medium) writeFiles(ctx context.Context, files []ESPFile) (err error) {
	l, err := newLayout(append(files, ESPFile{Path: "EFI/kairos"}))
	if err != nil {
		return err
	}
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, folder := range slices.Backward(made) {
			_ = os.Remove(folder) // if it is empty
		}
	}()
	output := m.UKI.Output
	for _, folder := range l.folders {
		at := filepath.Join(output, filepath.FromSlash(folder))
		switch err := os.Mkdir(at, 0o755); {
		case err == nil:
			made = append(made, at)
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	o := m.UKI
	o.Output = filepath.Join(output, "EFI", "kairos")
	images, err := MakeUKIs(ctx, m.system, o)
	if err != nil {
		return err
	}
	defer images.Discard()
	m.took(images)
	var staged []*stage.File
	defer func() {
		for _, f := range staged {
			f.Discard()
		}
	}()
	for _, f := range l.files {
		at := filepath.Join(output, filepath.FromSlash(f.Path))
		out, err := stage.Create(at, 0o644)
		if err != nil {
			return err
		}
		staged = append(staged, out)
		if _, err := io.Copy(out, &stopping{ctx, &exactly{f.reader(), f.Size}}); err != nil {
			return fmt.Errorf("writing %q: %w", at, err)
		}
		m.result.Files, m.result.Size = append(m.result.Files, at), m.result.Size+f.Size
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, im := range images.Files {
		m.result.Files, m.result.Size = append(m.result.Files, filepath.Join(o.Output, im.Entry.Name+".efi")), m.result.Size+im.Size
	}
	if err := images.Commit(); err != nil {
		return err
	}
	for _, f := range staged {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	slices.Sort(m.result.Files)
	m.result.Path = m.path
	return nil
}

// baseName is what media of a system are called, as Kairos's tools call them: by
// its flavour, version and so on, what is unknown left out.
func (s *System) baseName(architecture string) (string, error) {
	release, err := s.Release()
	if err != nil {
		return "", err
	}
	get := func(key string) string { return release.Fields.Get(key) }
	if kairos, ok := s.kairosRelease(); ok {
		return kairosName(kairos), nil
	}
	if flavor := get("KAIROS_FLAVOR"); flavor != "" { // before Kairos 3.2
		return joinName("kairos", flavor, get("KAIROS_IMAGE_LABEL"), "uki"), nil
	}
	return joinName(get("ID"), get("VERSION_ID"), get("VARIANT_ID"), goName(architecture), "uki"), nil
}

// kairosRelease is what a Kairos says of itself beside its os-release; what
// cannot be read says nothing.
func (s *System) kairosRelease() (*osrelease.Release, bool) {
	text, err := s.ReadFile("etc/kairos-release", osrelease.MaxSize)
	if err != nil {
		return nil, false
	}
	release, err := osrelease.Parse(text)
	return release, err == nil
}

// version is what a system says of its version.
func (s *System) version() (string, error) {
	release, err := s.Release()
	if err != nil {
		return "", err
	}
	fields := release.Fields
	if kairos, ok := s.kairosRelease(); ok {
		fields = kairos
	}
	for _, key := range []string{"KAIROS_RELEASE", "KAIROS_VERSION", "IMAGE_VERSION", "VERSION_ID", "BUILD_ID"} {
		if v := fields.Get(key); v != "" {
			return v, nil
		}
	}
	return "", hint.Wrap(errors.New("the source says nothing of its version"), "leave --include-version-in-config out, or set VERSION_ID in its os-release")
}

// kairosName is that of a Kairos: kairos-ubuntu-24.04-core-amd64-generic-v3.2.4-uki.
func kairosName(r *osrelease.Release) string {
	get := func(keys ...string) string {
		for _, key := range keys {
			if v := cmp.Or(r.Get("KAIROS_"+key), r.Get(key)); v != "" {
				return v
			}
		}
		return ""
	}
	version := get("VERSION", "RELEASE")
	if prefix, software := get("SOFTWARE_VERSION_PREFIX"), get("SOFTWARE_VERSION"); get("VARIANT") == "standard" && prefix != "" && software != "" {
		version += "-" + prefix + software
	}
	return joinName("kairos", get("FLAVOR"), get("FLAVOR_RELEASE"), get("VARIANT"), get("ARCH", "TARGETARCH"), get("MODEL"), version, "uki")
}

// joinName joins the parts that there are to the name of a file.
func joinName(parts ...string) string {
	var kept []string
	for _, p := range parts {
		p = strings.Map(func(c rune) rune {
			if c <= ' ' || c >= 127 || strings.ContainsRune(`/\:*?"<>|`, c) {
				return '_'
			}
			return c
		}, p)
		if p = strings.Trim(p, "._-"); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "-")
}
