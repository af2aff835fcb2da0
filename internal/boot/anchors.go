package boot

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/rooted"
	"inlay/internal/trust"
)

const (
	// exportPrefix begins the names of the certificates that the pass lays down for
	// systemd and for later commands.
	exportPrefix = "inlay-"
	exportSuffix = ".crt"
)

// findTrust collects the anchors, and gives them to systemd. If they cannot be had,
// nobody is trusted, and a signature is asked for.
func (p *pass) findTrust(ctx context.Context) (string, error) {
	p.trust = &Trust{Anchors: &trust.Set{}, Because: "whom to trust could not be found out"}
	if !p.State.TrustedBoot && !p.DryRun {
		// What an earlier pass of this boot laid down is not to vouch for itself.
		if err := p.unexport(nil); err != nil {
			return "", err
		}
	}
	t, err := p.Trust(ctx, p.State)
	if err == nil {
		p.trust = t
	}
	r := &Trusted{
		Policy: p.trust.Policy.String(), Because: p.trust.Because, Systemd: p.trust.Policy.Systemd(),
		Anchors: []Anchor{}, Problems: p.trust.Anchors.Problems,
	}
	for _, a := range p.trust.Anchors.Anchors {
		sum := a.Fingerprint()
		r.Anchors = append(r.Anchors, Anchor{Subject: a.Certificate.Subject.String(), Fingerprint: hex.EncodeToString(sum[:]), Origin: a.Origin})
	}
	p.note(func(all *Report) { all.Trust = r })
	if err != nil {
		return "", err
	}
	p.untold = p.export()
	if err := errors.Join(p.closed(), p.retire()); err != nil {
		p.untold = errors.Join(p.untold, err)
		for _, k := range extension.Kinds() {
			p.open[k.Name] = err.Error()
		}
	}
	return fmt.Sprintf("policy %s, %d anchors", r.Policy, len(r.Anchors)), p.untold
}

// closed says why systemd would find certificates in memory that are not: somebody has
// mounted a disk there.
func (p *pass) closed() error {
	_, err := p.System.Lstat(trust.RunFolder)
	if !p.State.TrustedBoot || errors.Is(err, fs.ErrNotExist) || p.InMemory(p.System, trust.RunFolder) {
		return nil
	}
	return fmt.Errorf("/%s, where systemd looks for certificates, lies on a disk: unmount it", trust.RunFolder)
}

// retire moves away the certificates in memory that don't count on a trusted boot:
// that others have laid them down there keeps systemd from seeing that dbx revokes one,
// or that it is not among the pinned.
func (p *pass) retire() error {
	if !p.State.TrustedBoot || p.DryRun {
		return nil
	}
	names, err := rooted.ReadNames(p.System, trust.RunFolder, maxNames)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+trust.RunFolder, err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, exportSuffix) || p.counts(path.Join(trust.RunFolder, name)) {
			continue
		}
		if err := p.moveAside(trust.RunFolder, name); err != nil {
			return fmt.Errorf("moving away a certificate that doesn't count: %w", err)
		}
		p.problem("/%s/%s doesn't count on this boot, and was moved to /%s", trust.RunFolder, name, setAsideFolder)
	}
	return nil
}

// counts says whether what systemd would make of a certificate file counts, or is
// nothing.
func (p *pass) counts(name string) bool {
	if clean, err := rooted.Resolve(p.System, name); err == nil && clean == rooted.Null {
		return true
	}
	text, err := rooted.ReadFile(p.System, name, maxCertificate)
	if err != nil {
		return false
	}
	first, _ := pem.Decode(text)
	if first == nil {
		return !bytes.Contains(text, []byte("-----BEGIN"))
	}
	return slices.ContainsFunc(p.trust.Anchors.Anchors, func(a trust.Anchor) bool { return bytes.Equal(a.Certificate.Raw, first.Bytes) })
}

// export lays down the anchors that count in memory, where systemd reads them, before
// anything is linked, and takes away what an earlier pass laid down and counts no
// longer. On a trusted boot it is what later commands go by, too, with what the image
// says of the configuration.
func (p *pass) export() error {
	if p.DryRun {
		return nil
	}
	var names []string
	var errs []error
	for _, a := range p.trust.Anchors.Anchors {
		sum := a.Fingerprint()
		name := exportPrefix + hex.EncodeToString(sum[:8]) + exportSuffix
		if !p.State.TrustedBoot && p.systemdHas(a) {
			continue
		}
		names = append(names, name)
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
		if old, err := rooted.ReadFile(p.System, path.Join(trust.RunFolder, name), maxCertificate); err == nil && string(old) == string(text) {
			continue
		}
		errs = append(errs, write(p.System, path.Join(trust.RunFolder, name), text))
	}
	errs = append(errs, p.unexport(names))
	if p.State.TrustedBoot && p.trust.Image != nil {
		errs = append(errs, write(p.System, config.KeptFile, p.trust.Image))
	}
	return errors.Join(errs...)
}

// maxCertificate bounds a certificate that was laid down, in bytes.
const maxCertificate = 64 << 10

// unexport takes away what was laid down, but for some names.
func (p *pass) unexport(but []string) error {
	names, err := rooted.ReadNames(p.System, trust.RunFolder, maxNames)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+trust.RunFolder, err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, exportPrefix) || !strings.HasSuffix(name, exportSuffix) || slices.Contains(but, name) {
			continue
		}
		if err := p.System.Remove(path.Join(trust.RunFolder, name)); err != nil {
			return fmt.Errorf("removing a certificate that counts no longer: %w", err)
		}
	}
	return nil
}

// systemdHas says whether systemd finds an anchor by itself: in one of its folders, as
// the first certificate of its file, since it reads no further.
func (p *pass) systemdHas(a trust.Anchor) bool {
	for origin := range strings.SplitSeq(a.Origin, ", ") {
		if !slices.ContainsFunc(trust.DefaultFolders(), func(folder string) bool { return strings.HasPrefix(origin, "/"+folder+"/") }) {
			continue
		}
		text, err := rooted.ReadFile(p.Target, origin, maxCertificate)
		if err != nil {
			continue
		}
		if first, _ := pem.Decode(text); first != nil && bytes.Equal(first.Bytes, a.Certificate.Raw) {
			return true
		}
	}
	return false
}
