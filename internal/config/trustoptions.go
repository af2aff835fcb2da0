package config

import (
	"fmt"
	"os"
	"slices"

	"inlay/internal/rooted"
	"inlay/internal/trust"
)

const (
	// maxDenyList and maxSignature bound what is read, in bytes; package trust
	// has limits of its own.
	maxDenyList  = 8 << 20
	maxSignature = 64 << 10
)

// TrustOptions returns what package trust makes of the configuration, with the
// default folders of certificates and deny lists. Certificates and deny lists
// lie below root. A deny list that cannot be read is an error: what it forbids
// is not known.
func (c *Config) TrustOptions(root *os.Root) (trust.Options, error) {
	t := &c.Trust
	o := trust.Options{
		Root:         root,
		Folders:      slices.Concat(trust.DefaultFolders(), t.Folders),
		Firmware:     t.Firmware != nil && *t.Firmware,
		VendorCAs:    t.VendorCAs != nil && *t.VendorCAs,
		Chains:       t.Chains != nil && *t.Chains,
		Fingerprints: slices.Clone(t.Fingerprints),
		DenyFolders:  trust.DefaultDenyFolders(),
	}
	for _, certificate := range t.Certificates {
		if certificate.File != "" {
			o.Files = append(o.Files, certificate.File)
			continue
		}
		o.Given = append(o.Given, trust.Given{Origin: certificate.Origin, PEM: certificate.PEM})
	}
	for _, name := range t.DenyLists {
		list := trust.DenyFile{Origin: name}
		for _, part := range []struct {
			to    *[]byte
			name  string
			limit int64
		}{
			{&list.Text, name, maxDenyList},
			{&list.Signature, name + ".p7s", maxSignature},
		} {
			text, err := rooted.ReadFile(root, part.name, part.limit)
			if err != nil {
				return trust.Options{}, fmt.Errorf("reading the deny list %q: %w", part.name, err)
			}
			*part.to = text
		}
		o.DenyLists = append(o.DenyLists, list)
	}
	return o, nil
}
