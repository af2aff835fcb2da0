// Package config reads what the operator of a machine has laid down: whom it
// trusts, what an extension must be protected by, how extensions are merged, and
// what a boot does about them.
// docs/configuration.md is the schema.
//
// It comes from YAML files of our own and from the `install:` block of
// `#cloud-config` files. Inside our own keys decoding is strict: an unknown
// key, a value of another type, a key given twice, an alias or a tag is an
// error that points at its place, and whoever loads the configuration fails
// closed. Of a cloud-config only what stands below install.trust and
// install.policy reaches the YAML parser at all; the rest belongs to others,
// and may be odd or no YAML.
//
// The lists of extensions that `inlay build --file` reads are written in the same
// strict YAML, and read here for that reason; docs/building.md is their schema.
//
// Left out on purpose: defaults that depend on the machine (the callers know
// it), and environment variables (whoever sets them for one command need not be
// the operator).
package config

import "inlay/internal/trust"

// Config is the configuration of a machine. The zero value configures nothing:
// no trust beyond what the caller takes by default, and no policy of its own.
type Config struct {
	Trust Trust
	// Policy is nil if no file says anything about it.
	Policy   *trust.Policy
	Layering Layering
	Boot     Boot
	// Sources are the files that took part, the weakest first.
	Sources []string
}

// Trust says whose signatures count.
type Trust struct {
	// Certificates are anchors, in the order of the files.
	Certificates []Certificate
	// Folders hold certificate files as verity.d does; they come after the
	// folders of systemd, in this order. Absolute paths.
	Folders []string
	// Firmware, VendorCAs and Chains are nil if no file says anything about them;
	// that means false.
	Firmware, VendorCAs, Chains *bool
	// ValidDates refuses signers whose certificate is out of date; nil means false.
	ValidDates *bool
	// Fingerprints are pins, in hexadecimal digits, colons allowed.
	Fingerprints []string
	// DenyLists are absolute paths of signed deny lists; the signature of each
	// lies beside it with the suffix .p7s.
	DenyLists []string
}

// Certificate is a file with certificates in PEM, or such text itself.
type Certificate struct {
	File   string // absolute, below the root; "" if PEM is given
	PEM    []byte
	Origin string // where it is configured: "configuration /etc/inlay/config.yaml:4"
}

// merge puts later on top of c: scalars of later win, lists add up.
func (c *Config) merge(later *Config) {
	t, l := &c.Trust, &later.Trust
	t.Certificates = append(t.Certificates, l.Certificates...)
	t.Folders = append(t.Folders, l.Folders...)
	t.Fingerprints = append(t.Fingerprints, l.Fingerprints...)
	t.DenyLists = append(t.DenyLists, l.DenyLists...)
	override(&t.Firmware, l.Firmware)
	override(&t.VendorCAs, l.VendorCAs)
	override(&t.Chains, l.Chains)
	override(&t.ValidDates, l.ValidDates)
	override(&c.Policy, later.Policy)
	c.Layering.merge(&later.Layering)
	c.Boot.merge(&later.Boot)
	c.Sources = append(c.Sources, later.Sources...)
}

func override[T any](value **T, later *T) {
	if later != nil {
		*value = later
	}
}
