package media

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/stage"
)

// medium is one run of MakeMedium.
type medium struct {
	MediumOptions
	system  *System
	result  *MediumResult
	path    string // of the result
	closers []func()
}

func (m *medium) close() {
	for _, c := range slices.Backward(m.closers) {
		c()
	}
}

func (m *medium) step(s Step) {
	if m.Step != nil {
		m.Step(s)
	}
}

// MakeMedium makes what o describes of a root file system. What it makes appears
// when it is complete.
func MakeMedium(ctx context.Context, s *System, o MediumOptions) (*MediumResult, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.Tools.Epoch = Times(o.Epoch)
	m := &medium{MediumOptions: o, system: s, result: &MediumResult{
		Type: o.Type, Enroll: o.Enroll, Keys: []string{}, Extensions: []*Extension{},
	}}
	defer m.close()
	if err := m.make(ctx); err != nil {
		return nil, err
	}
	return m.result, nil
}

func (m *medium) make(ctx context.Context) error {
	if m.Type == OutputISO {
		if err := m.Tools.RequireISO(); err != nil {
			return err
		}
	}
	kernel, err := m.system.Kernel(m.UKI.Kernel, m.UKI.Architecture)
	if err != nil {
		return err
	}
	program, err := m.system.loader(kernel.Architecture, m.Loader)
	if err != nil {
		return err
	}
	m.closers = append(m.closers, func() { program.Close() })
	m.result.Loader = program.Origin
	if err := m.named(kernel.Architecture); err != nil {
		return err
	}
	files, err := m.configuration()
	if err != nil {
		return err
	}
	loader, err := m.loaderFile(program, kernel.Architecture)
	if err != nil {
		return err
	}
	files = append(files, loader)
	if err := m.extensions(ctx, kernel.Architecture); err != nil {
		return err
	}
	if m.Type == OutputFiles {
		return m.writeFiles(ctx, files)
	}
	images, err := MakeUKIs(ctx, m.system, m.UKI)
	if err != nil {
		return err
	}
	defer images.Discard()
	m.took(images)
	for _, im := range images.Files {
		files = append(files, ESPFile{Path: "EFI/kairos/" + im.Entry.Name + ".efi", Data: im.File, Size: im.Size})
	}
	if m.Type == OutputContainer {
		return m.writeContainer(ctx, files, kernel.Architecture)
	}
	return m.writeISO(ctx, files)
}

// configuration is all that is known before the images are made.
func (m *medium) configuration() ([]ESPFile, error) {
	files := []ESPFile{{Path: "EFI/tools"}, TextFile("loader/loader.conf", loaderConf(m.Enroll))}
	o := loaderOptions{base: m.Base, cmdline: m.Cmdline}
	if m.Version {
		var err error
		if o.version, err = m.system.version(); err != nil {
			return nil, err
		}
	}
	for _, e := range m.UKI.Entries {
		files = append(files, entryFiles(e, o)...)
	}
	if m.Keys == nil {
		m.warn("no keys are enrolled from this medium: pass -k DIR or --public-keys DIR with PK.auth, KEK.auth and db.auth")
		return files, nil
	}
	keyFiles, err := keyFiles(m.Keys)
	if err != nil {
		return nil, err
	}
	for _, f := range keyFiles {
		m.result.Keys = append(m.result.Keys, strings.TrimSuffix(filepath.Base(f.Path), ".auth"))
	}
	for _, w := range m.Keys.Warnings {
		m.warn(w)
	}
	return append(files, keyFiles...), m.bootable()
}

// bootable refuses a medium that locks itself out: whose db does not vouch for
// what it boots.
func (m *medium) bootable() error {
	if m.UKI.Signer == nil {
		return nil
	}
	certs, err := enrolledCertificates(m.Keys, "db")
	if err != nil {
		return err
	}
	for _, c := range certs {
		if c.Equal(m.UKI.Signer.Certificate) || m.UKI.Signer.Certificate.CheckSignatureFrom(c) == nil {
			return nil
		}
	}
	return hint.Wrap(fmt.Errorf("db.auth does not vouch for %q, which signs what the medium boots: machines would enrol the keys, and refuse to boot", m.UKI.Signer.Certificate.Subject),
		"give the key and the .auth files of one set: -k DIR alone names them all")
}

// loaderFile is the signed boot loader.
func (m *medium) loaderFile(program *Program, architecture string) (ESPFile, error) {
	f, err := m.temporary("loader")
	if err != nil {
		return ESPFile{}, err
	}
	size, err := writeLoader(program, f, m.UKI.Signer)
	return ESPFile{Path: bootFile(architecture), Data: f, Size: size}, err
}

// temporary is a file without a name beside the output.
func (m *medium) temporary(name string) (*stage.File, error) {
	f, err := stage.Create(filepath.Join(m.UKI.Output, "inlay-"+name), 0o600)
	if err != nil {
		return nil, hint.Default(err, "the output folder must exist and be writable")
	}
	m.closers = append(m.closers, f.Discard)
	return f, nil
}

func (m *medium) warn(text string) { m.result.Warnings = append(m.result.Warnings, text) }

// took notes what images there are.
func (m *medium) took(images *Images) {
	m.result.Images = images.Result
	m.result.Warnings = append(m.result.Warnings, images.Result.Warnings...)
	images.Result.Warnings = nil
	if m.Type == OutputFiles {
		return
	}
	for i, im := range images.Files {
		// They have no path of their own, but one inside.
		images.Result.Images[i].Path = "EFI/kairos/" + im.Entry.Name + ".efi"
	}
}

// named finds what the result is called.
func (m *medium) named(architecture string) error {
	suffix := map[OutputType]string{OutputISO: ".iso", OutputContainer: ".tar"}[m.Type]
	if suffix == "" {
		m.path = m.UKI.Output
		return nil
	}
	name := m.Name
	if name == "" {
		var err error
		if name, err = m.system.baseName(architecture); err != nil {
			return err
		}
	}
	m.path = filepath.Join(m.UKI.Output, name+suffix)
	if info, err := os.Stat(m.path); err == nil && info.IsDir() {
		return hint.Wrap(fmt.Errorf("%q is a folder", m.path), "give another name with --name")
	}
	return nil
}
