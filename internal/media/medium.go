package media

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/secureboot"
	"inlay/internal/stage"
)

// OutputType is the form of a medium.
type OutputType string

// The forms.
const (
	OutputISO       OutputType = "iso"       // a disc or stick to install from
	OutputContainer OutputType = "container" // what nodes upgrade from
	OutputFiles     OutputType = "uki"       // the files of the EFI system partition, in a folder
)

// MediumOptions say what to make.
type MediumOptions struct {
	Type OutputType
	// UKI says what the images are; of it, Output is the folder in which the
	// result appears.
	UKI UKIOptions
	// Name of the result without suffix; "" makes one of what the system is.
	Name string
	// Keys are to be enrolled; nil enrols none.
	Keys *secureboot.Set
	// Enroll is one of EnrollWords.
	Enroll string
	Loader LoaderSource
	// Version and Cmdline note the system's version, and what words a command line
	// has beyond Base, in the loader's entries.
	Version, Cmdline bool
	Base             string
	// ESPSize in bytes; 0 is as small as it can be.
	ESPSize int64
	// Overlay is a folder for the root of an ISO, or "".
	Overlay string
	// Extensions are files and URIs that go into extensions/ of an ISO.
	Extensions []string
	// AllowUntrusted lets extensions in an overlay lie there whose verdict is bad.
	AllowUntrusted bool
	// Fetch says how to reach registries and servers; URI and Name are not used.
	Fetch fetch.Request
	Tools Tools
	Epoch *time.Time
	Now   time.Time
	// Step, if set, is told what is being done.
	Step func(Step)
}

// The steps beyond those of images.
const (
	StepVerify Step = "verifying the extensions"
	StepESP    Step = "filling the EFI system partition"
	StepISO    Step = "writing the ISO"
	StepTar    Step = "writing the container image"
)

// MediumResult says what was made. Its JSON form is documented in docs/json.md
// and stays compatible.
type MediumResult struct {
	Type OutputType `json:"type"`
	// Path of the file, or of the folder.
	Path     string   `json:"path"`
	Files    []string `json:"files"` // that appeared
	Size     int64    `json:"size"`
	Digest   string   `json:"digest,omitempty"`   // of the file, sha256:…
	VolumeID string   `json:"volumeID,omitempty"` // of an ISO
	Tag      string   `json:"tag,omitempty"`      // of a container image
	Disk     string   `json:"disk,omitempty"`     // identifier of an ISO's partition table
	// ESP is the EFI system partition of an ISO.
	ESP *ESPResult `json:"esp,omitempty"`
	// Images are what it boots.
	Images *UKIResult `json:"images"`
	// Loader is where the boot loader came from.
	Loader string `json:"loader"`
	Enroll string `json:"secureBootEnroll"`
	// Keys are the updates that are enrolled: "PK", "KEK", "db".
	Keys       []string     `json:"keys"`
	Extensions []*Extension `json:"extensions"`
	Warnings   []string     `json:"warnings,omitempty"`
}

// Check holds options to what can be made, before any work is done.
func (o *MediumOptions) Check() error {
	if err := CheckEnroll(o.Enroll); err != nil {
		return err
	}
	if strings.ContainsAny(o.Name, "/\x00") || strings.HasPrefix(o.Name, ".") {
		return hint.Wrap(fmt.Errorf("the result cannot be called %q", o.Name), "give a plain name with --name; the folder is named apart")
	}
	switch o.Type {
	case OutputISO:
		return nil
	case OutputContainer, OutputFiles:
		if o.Overlay != "" {
			return hint.Wrap(errors.New("overlay-iso is only supported for iso artifacts"), "pass --output-type iso, or put the files into the image with --overlay-rootfs")
		}
		if len(o.Extensions) > 0 {
			return hint.Wrap(errors.New("extensions are put on iso artifacts only"), "pass --output-type iso")
		}
		if o.ESPSize != 0 {
			return hint.Wrap(errors.New("only iso artifacts have an EFI system partition of their own"), "pass --output-type iso, or leave --esp-size out")
		}
		return nil
	}
	return hint.Wrap(fmt.Errorf("invalid output type: %s", o.Type), "choose iso, container or uki")
}

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

// extensions verifies what lies on the medium.
func (m *medium) extensions(ctx context.Context, architecture string) error {
	if m.Type != OutputISO {
		return nil
	}
	var found []*Extension
	if m.Overlay != "" {
		var err error
		if found, err = overlayExtensions(m.Overlay); err != nil {
			return err
		}
	}
	if len(found) == 0 && len(m.Extensions) == 0 {
		return nil
	}
	m.step(StepVerify)
	judge, err := m.judge(architecture)
	if err != nil {
		return err
	}
	c := &collector{judge: judge, fetch: m.Fetch, output: m.UKI.Output}
	m.closers = append(m.closers, c.close)
	for _, e := range found {
		err := c.check(ctx, e)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			if !m.AllowUntrusted {
				return hint.Wrap(err, "take it out of the overlay, or pass --allow-untrusted to put it on the medium all the same")
			}
			m.warn(refused.Error())
			e.Verdict = refused.Verdict
			if e.Size, e.Digest, err = digestFile(ctx, e.source); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		m.result.Extensions = append(m.result.Extensions, e)
	}
	for _, text := range m.Extensions {
		e, err := c.add(ctx, text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(m.result.Extensions, func(other *Extension) bool { return other.Path == e.Path }) {
			return hint.Wrap(fmt.Errorf("%q is to be put on the medium twice", e.Path), "leave one out")
		}
		m.result.Extensions = append(m.result.Extensions, e)
	}
	return nil
}

func (m *medium) judge(architecture string) (*Judge, error) {
	judge, err := NewJudge(m.Keys, m.UKI.Signer, m.UKI.Certificates)
	if err != nil {
		return nil, err
	}
	release, err := m.system.Release()
	if err != nil {
		return nil, err
	}
	host, err := extension.HostFrom(release.Text, architecture)
	if err != nil {
		return nil, err
	}
	judge.Host, judge.Now = &host, m.Now
	return judge, nil
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
