package witness_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"os"
	"path/filepath"
	"testing"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/keys"
	"inlay/test/sample"
)

// firmware is what a folder of efivarfs holds: the lists of each variable, and
// the flags. A variable that is nil isn't there.
type firmware struct {
	pk, kek, db, dbx      []efi.List
	secureBoot, setupMode []byte
}

// secured is firmware in user mode with Secure Boot on.
func secured() firmware { return firmware{secureBoot: []byte{1}, setupMode: []byte{0}} }

// certificates is a list as efi-updatevar writes it, one certificate each.
func certificates(pairs ...*keys.Pair) []efi.List {
	var lists []efi.List
	for _, p := range pairs {
		lists = append(lists, efi.List{Type: efi.X509(), Entries: []efi.Entry{{Data: p.Certificate.Raw}}})
	}
	return lists
}

// revoked is a list that revokes a certificate by its hash, since a time.
func revoked(kind guid.GUID, sum, since []byte) []efi.List {
	return []efi.List{{Type: kind, Entries: []efi.Entry{{Data: append(sum, since...)}}}}
}

// write makes the folder of variables.
func (f firmware) write(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	put := func(name string, vendor guid.GUID, value []byte) {
		b := efi.Variable{Attributes: efi.NonVolatile | efi.BootServiceAccess | efi.RuntimeAccess, Data: value}.Marshal()
		write(t, filepath.Join(folder, efi.FileName(name, vendor)), string(b), 0o644)
	}
	for name, lists := range map[string][]efi.List{"PK": f.pk, "KEK": f.kek, "db": f.db, "dbx": f.dbx} {
		vendor := efi.GlobalVariable()
		if name[0] == 'd' {
			vendor = efi.ImageSecurity()
		}
		if lists == nil {
			continue
		}
		var value []byte
		for _, l := range lists {
			value = append(value, l.Marshal()...)
		}
		put(name, vendor, value)
	}
	for name, value := range map[string][]byte{"SecureBoot": f.secureBoot, "SetupMode": f.setupMode} {
		if value != nil {
			put(name, efi.GlobalVariable(), value)
		}
	}
	return folder
}

// TestFirmwareKeys: which of the firmware's keys let an image in, and what takes
// them back.
func TestFirmwareKeys(t *testing.T) {
	t.Parallel()
	ca := sample.Pair(t, sample.Certificate{Name: "ca", CA: true})
	signer := sample.Pair(t, sample.Certificate{Name: "signer", Issuer: ca, Serial: 7})
	other := sample.Pair(t, sample.Certificate{Name: "other"})
	vendor := sample.Pair(t, sample.Certificate{Name: "UEFI CA", Organization: "Microsoft Corporation"})
	image, vendors := sample.Make(t, sample.Image{Signer: signer}), sample.Make(t, sample.Image{Signer: vendor})
	tbs := signer.Certificate.RawTBSCertificate
	sum256, sum384, sum512 := sha256.Sum256(tbs), sha512.Sum384(tbs), sha512.Sum512(tbs)
	whole := sha256.Sum256(signer.Certificate.Raw)
	always, someday := make([]byte, 16), append([]byte{0xea, 0x07, 1, 2}, make([]byte, 12)...)
	with := func(change func(f *firmware)) firmware {
		f := secured()
		f.pk, f.kek, f.db, f.dbx = certificates(other), certificates(other), certificates(other), []efi.List{}
		change(&f)
		return f
	}
	inDB := func(change func(f *firmware)) firmware {
		return with(func(f *firmware) {
			f.db = certificates(other, signer)
			change(f)
		})
	}
	dbx := func(lists []efi.List) firmware { return inDB(func(f *firmware) { f.dbx = lists }) }
	const mine, stranger = "CN=signer", "none of the"
	for name, c := range map[string]struct {
		firmware firmware
		image    string
		flags    []string
		subject  string // of the signer, if it is good
		words    string // of the refusal otherwise
		problem  string // what is said beside the verdict
	}{
		"only in PK":                {with(func(f *firmware) { f.pk = certificates(signer) }), image, nil, mine, "", ""},
		"only in KEK":               {with(func(f *firmware) { f.kek = certificates(signer, other) }), image, nil, mine, "", ""},
		"only in db":                {inDB(func(*firmware) {}), image, nil, mine, "", ""},
		"in none":                   {with(func(*firmware) {}), image, nil, "", "not the one trusted key", ""},
		"its issuer in db":          {with(func(f *firmware) { f.db = certificates(ca, other) }), image, nil, "", stranger, ""},
		"its issuer in db, chains":  {with(func(f *firmware) { f.db = certificates(ca, other) }), image, []string{"--allow-chains"}, mine, "", ""},
		"revoked":                   {dbx(certificates(signer)), image, nil, "", "revokes it", "revokes it"},
		"revoked by SHA-256":        {dbx(revoked(efi.X509SHA256(), sum256[:], always)), image, nil, "", "revokes it", "revokes it"},
		"revoked by SHA-384":        {dbx(revoked(efi.X509SHA384(), sum384[:], always)), image, nil, "", "revokes it", "revokes it"},
		"revoked by SHA-512":        {dbx(revoked(efi.X509SHA512(), sum512[:], always)), image, nil, "", "revokes it", "revokes it"},
		"revoked since a day":       {dbx(revoked(efi.X509SHA256(), sum256[:], someday)), image, nil, "", "revokes it", "revokes it"},
		"its issuer is revoked":     {dbx(certificates(ca)), image, nil, "", "revokes CN=ca, which issued it", "revokes CN=ca"},
		"its issuer, with chains":   {inDB(func(f *firmware) { f.db, f.dbx = certificates(ca), certificates(ca) }), image, []string{"--allow-chains"}, "", "revokes", "revokes it"},
		"another is revoked":        {dbx(certificates(vendor)), image, nil, mine, "", ""},
		"a PE file of its hash":     {dbx([]efi.List{{Type: efi.SHA256(), Entries: []efi.Entry{{Data: whole[:]}, {Data: sum256[:]}}}}), image, nil, mine, "", ""},
		"a dbx of an unknown type":  {dbx([]efi.List{{Type: guid.GUID{1}, Entries: []efi.Entry{{Data: sum256[:]}}}}), image, nil, "", "no key is trusted here", "cannot be told"},
		"no dbx":                    {inDB(func(f *firmware) { f.dbx = nil }), image, nil, mine, "", "not there"},
		"setup mode":                {inDB(func(f *firmware) { f.setupMode = []byte{1} }), image, nil, "", "no key is trusted here", "setup mode"},
		"secure boot off":           {inDB(func(f *firmware) { f.secureBoot = []byte{0} }), image, nil, "", "no key is trusted here", "secure boot is off"},
		"secure boot unknown":       {inDB(func(f *firmware) { f.secureBoot = nil }), image, nil, "", "no key is trusted here", "SecureBoot"},
		"setup mode of two bytes":   {inDB(func(f *firmware) { f.setupMode = []byte{0, 0} }), image, nil, "", "no key is trusted here", "SetupMode"},
		"a vendor's":                {with(func(f *firmware) { f.db = certificates(vendor, other) }), vendors, nil, "", "is a vendor's", "unless asked for"},
		"a vendor's, asked for":     {with(func(f *firmware) { f.db = certificates(vendor, other) }), vendors, []string{"--trust-vendor-cas"}, "CN=UEFI CA,O=Microsoft Corporation", "", ""},
		"a vendor's and ours":       {inDB(func(f *firmware) { f.db = certificates(vendor, signer) }), image, nil, mine, "", "unless asked for"},
		"a certificate that is cut": {inDB(func(f *firmware) { f.db[1].Entries[0].Data = tbs[:100] }), image, nil, "", "", "not used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verify(t, append(c.flags, c.image, "--firmware", "--efivars", c.firmware.write(t))...)
			if c.subject != "" {
				v.wantSigned(t, c.subject)
			} else {
				v.wantRefused(t, "signature", c.words)
			}
			v.wantProblem(t, c.problem)
		})
	}
}

// TestFirmwareMissing: without variables, or with a listing that cannot be
// understood, there is no trust, and dbx counts for certificates from elsewhere.
func TestFirmwareMissing(t *testing.T) {
	t.Parallel()
	signer := sample.Pair(t, sample.Certificate{Name: "signer"})
	k := writePair(t, signer)
	image := sample.Make(t, sample.Image{Signer: signer})
	v := verify(t, image, "--firmware", "--efivars", t.TempDir())
	v.wantRefused(t, "signature", "no key is trusted here")
	v.wantProblem(t, "efivarfs is not mounted")
	v = verify(t, image, "--firmware", "--root", t.TempDir())
	v.wantRefused(t, "signature", "no key is trusted here")
	v.wantProblem(t, "no UEFI here")

	f := secured()
	f.db, f.dbx = certificates(signer), certificates(signer)
	folder := f.write(t)
	v = verify(t, image, "--certificate", k.certificate, "--firmware", "--efivars", folder)
	v.wantRefused(t, "signature", "revokes it")
	verify(t, image, "--certificate", k.certificate).wantSigned(t, "CN=signer")

	// A variable that is cut short adds nothing and takes nothing from another.
	db := filepath.Join(folder, efi.FileName("db", efi.ImageSecurity()))
	f.pk, f.dbx = certificates(signer), []efi.List{}
	folder = f.write(t)
	db = filepath.Join(folder, filepath.Base(db))
	write(t, db, string(readFile(t, db)[:200]), 0o644)
	v = verify(t, image, "--firmware", "--efivars", folder)
	v.wantSigned(t, "CN=signer")
	v.wantProblem(t, "malformed")
	if v.Images[0].Signer.Anchor != "firmware PK" {
		t.Errorf("the anchor is %q", v.Images[0].Signer.Anchor)
	}
	if err := os.Remove(filepath.Join(folder, efi.FileName("PK", efi.GlobalVariable()))); err != nil {
		t.Fatal(err)
	}
	verify(t, image, "--firmware", "--efivars", folder).wantRefused(t, "signature", "no key is trusted here")
}
