package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"inlay/internal/bootstate"
	"inlay/internal/bundle"
	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/source"
	"inlay/internal/trust"
)

// maxImageConfig bounds the configuration that an image brings along, in bytes.
const maxImageConfig = 256 << 10

// trustedBoot is whom a trusted boot trusts, and what it goes by. Given are
// certificates that the signed image carries elsewhere. It returns the text of the
// configuration that the image brings along, nil if it brings none.
func (s *system) trustedBoot(given []trust.Given) (text []byte, err error) {
	o, problems, text, err := s.trustedOptions(given)
	if err != nil {
		return nil, err
	}
	if s.anchors, err = trust.Load(o); err != nil {
		return nil, err
	}
	s.anchors.Problems = append(s.anchors.Problems, problems...)
	return text, nil
}

// trustedOptions says where the anchors of a trusted boot are, and what of the
// configuration counts: of the disk's only what takes trust away.
func (s *system) trustedOptions(given []trust.Given) (o trust.Options, problems []trust.Problem, text []byte, err error) {
	image, text, err := s.imageConfig()
	if err != nil {
		return o, nil, nil, err
	}
	c, err := config.Load(s.root, config.Options{Default: true, NoImage: true})
	if err != nil {
		return o, nil, nil, err
	}
	configured, err := c.TrustOptions(s.root)
	if err != nil {
		return o, nil, nil, err
	}
	carried, err := image.TrustOptions(s.host)
	if err != nil {
		return o, nil, nil, err
	}
	carried.Folders = image.Trust.Folders // without systemd's
	b := trust.Boot{System: s.host, Initrd: s.initrd(), Given: given, Image: carried}
	o, problems = b.Options(configured)
	s.ownTrust = isTrue(image.Boot.AllowOwnTrust)
	s.config = held(c, image)
	return o, problems, text, nil
}

// held is a configuration of the disk without what would let in more than the signed
// image does.
func held(c, image *config.Config) *config.Config {
	switch {
	case image.Policy != nil && image.Policy.NeedsSignature():
		// Of two policies nobody can tell which is the stricter.
		c.Policy = image.Policy
	case c.Policy != nil && !c.Policy.NeedsSignature():
		c.Policy = nil
	}
	if isTrue(image.Trust.ValidDates) {
		c.Trust.ValidDates = image.Trust.ValidDates
	}
	c.Layering.Mutable, c.Layering.UnsafeContent = image.Layering.Mutable, image.Layering.UnsafeContent
	if c.Layering.Hierarchies == nil {
		c.Layering.Hierarchies = image.Layering.Hierarchies
	}
	if c.Layering.Engine == "" {
		c.Layering.Engine = image.Layering.Engine
	}
	c.Boot.AllowOwnTrust, c.Boot.Bundles = image.Boot.AllowOwnTrust, image.Boot.Bundles
	if c.Boot.Tries == nil {
		c.Boot.Tries = image.Boot.Tries
	}
	c.Sources = append(image.Sources, c.Sources...)
	return c
}

// imageConfig reads the configuration that the signed image brings along: as far as
// that is in memory, or was kept there by this boot.
func (s *system) imageConfig() (*config.Config, []byte, error) {
	for _, name := range []string{config.ImageFile, config.KeptFile} {
		if _, err := rooted.Resolve(s.host, name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if !trust.InMemory(s.host, name) {
			continue
		}
		text, err := rooted.ReadFile(s.host, name, maxImageConfig)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the image's configuration %q: %w", "/"+name, err)
		}
		c, err := config.Load(s.host, config.Options{Files: []string{name}})
		return c, text, err
	}
	return &config.Config{}, nil, nil
}

// initrd says that this boot is still in its initial RAM disk.
func (s *system) initrd() bool {
	const release = "etc/initrd-release"
	_, err := s.host.Stat(release)
	return s.host != s.root && err == nil && trust.InMemory(s.host, path.Dir(release))
}

// onTrustedBoot says whether the machine below a root was booted so; what can't be
// told is no such boot, but for who has decided to the strict side: bootstate.
func onTrustedBoot(root *os.Root) bool {
	state, err := bootstate.Detect(root)
	return err == nil && state.TrustedBoot
}

// refuseWeaker refuses what a command line asks for on a trusted boot, if it would let
// in what the boot step refuses.
func (s *system) refuseWeaker(flag, value string) error {
	err := fmt.Errorf("%s %s would let in what nobody has signed, and this is a trusted boot", flag, value)
	return &exitError{hint.Wrap(err, "leave the flag out"), exitRefused}
}

// pinnedBundles are the images that may run, or become part of the system, if this
// machine or the one below root is on a trusted boot: an installer's root tells
// nothing of its boot. It is nil on other boots.
func pinnedBundles(root *os.Root) (*bundle.Pinned, error) {
	running, err := os.OpenRoot("/")
	if err != nil {
		return nil, err
	}
	defer running.Close()
	for _, host := range []*os.Root{root, running} {
		state, err := bootstate.Detect(host)
		if err != nil {
			return nil, err
		}
		if !state.TrustedBoot {
			continue
		}
		image, _, err := (&system{root: root, host: host, state: state}).imageConfig()
		if err != nil {
			return nil, err
		}
		p := &bundle.Pinned{}
		for _, digest := range image.Boot.Bundles {
			d, err := source.ParseDigest(digest)
			if err != nil {
				return nil, err
			}
			p.Digests = append(p.Digests, d)
		}
		return p, nil
	}
	return nil, nil //nolint:nilnil // no trusted boot, and no limit
}
