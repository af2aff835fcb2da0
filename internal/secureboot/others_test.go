package secureboot_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

// Lists that firmware exported go in as they are, whoever owns them and whatever
// they are; what is there twice goes in once.
func TestCreateSetWithOthers(t *testing.T) {
	t.Parallel()
	vendor := makePair(t, "vendor")
	microsoftCA := authorityOf(t, "Microsoft Corporation")
	stranger, err := guid.Parse("11111111-2222-3333-4444-555555555555")
	if err != nil {
		t.Fatal(err)
	}
	exported := []efi.List{
		{Type: efi.X509(), Entries: []efi.Entry{{Owner: stranger, Data: vendor.Certificate.Raw}}},
		{Type: efi.SHA256(), Entries: []efi.Entry{{Owner: stranger, Data: make([]byte, 32)}, {Owner: stranger, Data: bytes.Repeat([]byte{1}, 32)}}},
	}
	custom, microsoft := t.TempDir(), t.TempDir()
	write(t, marshalAll(exported), custom, "db")
	write(t, nil, custom, "KEK")
	write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: vendor.Certificate.Raw}), microsoft, "DB", "again.crt")
	write(t, vendor.Certificate.Raw, microsoft, "kek", "vendor.CER")
	write(t, microsoftCA, microsoft, "kek", "ms.der")

	dir, r := newSet(t, func(o *secureboot.SetOptions) { o.Custom, o.Microsoft = custom, microsoft })
	want := []secureboot.ListCount{
		{Variable: "PK", Certificates: 1},
		{Variable: "KEK", Certificates: 3, Others: 2},
		{Variable: "db", Certificates: 2, Hashes: 2, Others: 3},
	}
	if diff := cmp.Diff(want, r.Lists); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if !bytes.HasSuffix(readFile(t, dir, "db.esl"), marshalAll(exported)) {
		t.Error("the exported lists are not as they were")
	}
	lists, err := efi.ParseLists(readFile(t, dir, "KEK.esl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		want := r.Owner.String()
		if bytes.Equal(l.Entries[0].Data, microsoftCA) {
			want = "77fa9abd-0359-4d32-bd60-28f4e78f784b"
		}
		if got := l.Entries[0].Owner.String(); got != want {
			t.Errorf("owner %s, want %s", got, want)
		}
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "CN=vendor") {
		t.Errorf("warnings %q: want one about the authority", r.Warnings)
	}
}

// authorityOf returns a CA of an organization, in DER.
// An authority in db makes firmware start what the key for extensions signed, if
// it has issued that key's certificate too.
func TestExtensionKeyOfAuthorityInDB(t *testing.T) {
	t.Parallel()
	authority, folder := makePair(t, "authority"), t.TempDir()
	write(t, authority.Certificate.Raw, folder, "db", "authority.der")
	const want = "firmware would start programs signed with the key for extensions: db holds its authority \"CN=authority\""
	for _, own := range []bool{true, false} {
		dir, r := newSet(t, func(o *secureboot.SetOptions) {
			o.Microsoft, o.ExtensionKey = folder, keys.P256
			if own {
				o.CA = &authority
			}
		})
		for _, warnings := range [][]string{r.Warnings, openSet(t, dir).Warnings} {
			if got := strings.Contains(strings.Join(warnings, "\n"), want); got != own {
				t.Errorf("issued by the authority %v: warnings %q", own, warnings)
			}
		}
	}
}

func authorityOf(t *testing.T, organization string) []byte {
	t.Helper()
	key := makePair(t, "key").Signer
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{organization}},
		NotAfter: when(), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
