package secureboot_test

import (
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

// Who revokes what his own set needs is told so.
func TestRevokeWarns(t *testing.T) {
	t.Parallel()
	authority := makePair(t, "authority")
	vendor := authorityOf(t, "vendor")
	others := t.TempDir()
	write(t, vendor, others, "db", "vendor.der")
	dir, _ := newSet(t, func(o *secureboot.SetOptions) { o.Microsoft, o.ExtensionKey = others, keys.P256 })
	issuedDir, _ := newSet(t, func(o *secureboot.SetOptions) { o.CA = &authority })
	extensionsDir, _ := newSet(t, func(o *secureboot.SetOptions) { o.CA, o.ExtensionOnly = &authority, true })
	set, byAuthority, extensions := openSet(t, dir), openSet(t, issuedDir), openSet(t, extensionsDir)
	stranger := makePair(t, "stranger")
	vendorCert, err := x509.ParseCertificate(vendor)
	if err != nil {
		t.Fatal(err)
	}
	esp := t.TempDir()
	program := programVector(t, "tiny.efi")
	write(t, program, esp, "unsigned.efi")
	write(t, signProgram(t, program, stranger, secureboot.SignOptions{}), esp, "stranger.efi")
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, signProgram(t, program, set.DB, secureboot.SignOptions{}), esp, "ours", name+".efi")
	}
	read := func(names ...string) []secureboot.Revocation {
		items, err := secureboot.ReadRevocations(names...)
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	cert := func(c *x509.Certificate) []secureboot.Revocation {
		return []secureboot.Revocation{{Kind: secureboot.RevokedCertificate, Certificate: c}}
	}
	for name, test := range map[string]struct {
		set   *secureboot.Set
		items []secureboot.Revocation
		want  string // in the only warning; none if empty
	}{
		"db":                        {set, cert(set.DB.Certificate), `"CN=acme-db" is this set's db: nothing that its key signed will start`},
		"db twice":                  {set, append(cert(set.DB.Certificate), cert(set.DB.Certificate)...), "is this set's db"},
		"KEK":                       {set, cert(set.KEK.Certificate), "is this set's KEK or PK"},
		"PK":                        {set, cert(set.PK.Certificate), "is this set's KEK or PK"},
		"extensions":                {set, cert(set.Extension.Certificate), "is this set's key for extensions: nodes will trust no extension"},
		"authority of db":           {byAuthority, cert(authority.Certificate), "is the authority of this set's db and"},
		"authority of extensions":   {extensions, cert(authority.Certificate), "is the authority of this set's key for extensions"},
		"vendor in db":              {set, cert(vendorCert), "is in db.auth of this set"},
		"another authority":         {set, cert(authority.Certificate), "is an authority"},
		"another":                   {set, cert(extensions.Extension.Certificate), ""},
		"program":                   {set, read(filepath.Join(esp, "ours", "a.efi")), `ours/a.efi": a machine that has nothing newer`},
		"programs":                  {set, read(filepath.Join(esp, "ours")), `ours/c.efi", 1 more: a machine`},
		"unsigned program":          {set, read(filepath.Join(esp, "unsigned.efi")), ""},
		"program of another":        {set, read(filepath.Join(esp, "stranger.efi")), ""},
		"program, and another's db": {byAuthority, read(filepath.Join(esp, "ours", "a.efi")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := *test.set
			if with.KEK.Signer == nil {
				with.KEK = set.KEK // for a set of the key for extensions alone
			}
			r, err := secureboot.RevokeWith(&with, test.items, secureboot.RevokeSetOptions{Dir: t.TempDir(), Time: when()})
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" && len(r.Warnings) == 0 {
				return
			}
			if len(r.Warnings) != 1 || test.want == "" || !strings.Contains(r.Warnings[0], test.want) {
				t.Errorf("warnings %q, want one with %q", r.Warnings, test.want)
			}
		})
	}
}
