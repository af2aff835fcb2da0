package efi_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// ownerText is the owner that the vectors and the witnesses' lists name.
const ownerText = "6f0ab0f6-14fb-4dcc-b4d1-46c4f0b64f2c"

// stamp is when the vectors say that they were made.
var stamp = efi.Stamp{Year: 2020, Month: 1, Day: 15, Hour: 12, Minute: 34, Second: 56}

func parseGUID(t testing.TB, text string) guid.GUID {
	t.Helper()
	g, err := guid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	return readFile(t, filepath.Join("testdata", name))
}

// parseLists reads lists and has them written again, byte for byte.
func parseLists(t testing.TB, b []byte) []efi.List {
	t.Helper()
	lists, err := efi.ParseLists(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := marshal(lists); !bytes.Equal(again, b) {
		t.Errorf("written again, the lists are\n%x, want\n%x", again, b)
	}
	return lists
}

func marshal(lists []efi.List) []byte {
	var b []byte
	for _, l := range lists {
		b = append(b, l.Marshal()...)
	}
	return b
}

// list has the owner of the vectors for each entry.
func list(t testing.TB, kind guid.GUID, data ...[]byte) efi.List {
	t.Helper()
	l := efi.List{Type: kind}
	for _, d := range data {
		l.Entries = append(l.Entries, efi.Entry{Owner: parseGUID(t, ownerText), Data: d})
	}
	return l
}

func tbs(t testing.TB, der []byte, hash crypto.Hash) []byte {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	h := hash.New()
	h.Write(certificate.RawTBSCertificate)
	return h.Sum(nil)
}

func TestListsOfTools(t *testing.T) {
	t.Parallel()
	pk, kek, db := vector(t, "PK.der"), vector(t, "KEK.der"), vector(t, "db.der")
	program, err := hex.DecodeString("450507c3738fb1ece763ea65837760c2972c950cd6fd0f05b596cc60ccaf827e")
	if err != nil {
		t.Fatal(err)
	}
	programs := list(t, efi.SHA256(), program, program)
	for i := range programs.Entries {
		// hash-to-efi-sig-list has an owner of its own.
		programs.Entries[i].Owner = parseGUID(t, "605dab50-e046-4300-abb6-3dd810dd8b23")
	}
	for name, want := range map[string][]efi.List{
		"db.esl":     {list(t, efi.X509(), db)},
		"two.esl":    {list(t, efi.X509(), kek), list(t, efi.X509(), pk)},
		"sha256.esl": {list(t, efi.SHA256(), db[:32])},
		"pe.esl":     {programs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(want, parseLists(t, vector(t, name))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRevocationsOfTools(t *testing.T) {
	t.Parallel()
	when := time.Date(2020, time.January, 15, 12, 34, 56, 0, time.UTC)
	for _, test := range []struct {
		file string
		kind guid.GUID
		hash crypto.Hash
		when time.Time
	}{
		{"always.esl", efi.X509SHA256(), crypto.SHA256, time.Time{}},
		{"x509_sha256.esl", efi.X509SHA256(), crypto.SHA256, when},
		{"x509_sha384.esl", efi.X509SHA384(), crypto.SHA384, when},
		{"x509_sha512.esl", efi.X509SHA512(), crypto.SHA512, when},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			lists := parseLists(t, vector(t, test.file))
			if len(lists) != 1 || len(lists[0].Entries) != 1 || lists[0].Type != test.kind {
				t.Fatalf("got %v", lists)
			}
			hash, sum, when, err := efi.Revocation(lists[0], lists[0].Entries[0])
			if err != nil {
				t.Fatal(err)
			}
			if want := tbs(t, vector(t, "db.der"), test.hash); hash != test.hash || !bytes.Equal(sum, want) {
				t.Errorf("revokes %v %x, want %v %x", hash, sum, test.hash, want)
			}
			if when != test.when {
				t.Errorf("revokes since %v, want %v", when, test.when)
			}
		})
	}
}

func TestUpdatesOfTools(t *testing.T) {
	t.Parallel()
	january := stamp
	january.Month = 0
	for _, test := range []struct {
		file string
		time efi.Stamp
		data []byte
	}{
		{"efitools.auth", stamp, vector(t, "db.esl")},
		{"append.auth", stamp, vector(t, "x509_sha256.esl")},
		{"delete.auth", stamp, []byte{}},
		{"sbsigntool.auth", efi.Stamp{Year: 2026, Month: 10, Day: 21, Hour: 12, Minute: 2, Second: 18}, vector(t, "db.esl")},
		{"january.auth", january, vector(t, "db.esl")},
		{"attributes.auth", efi.Stamp{Year: 2026, Month: 10, Day: 21, Hour: 12, Minute: 2, Second: 18}, vector(t, "db.esl")},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			b := vector(t, test.file)
			if test.file == "attributes.auth" {
				v, err := efi.ParseVariable(b)
				if err != nil {
					t.Fatal(err)
				}
				if v.Attributes != 0x67 {
					t.Errorf("attributes %#x, want 0x67", v.Attributes)
				}
				b = v.Data
			}
			u, err := efi.ParseUpdate(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.time, u.Time); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(u.Data, test.data) {
				t.Errorf("data\n%x, want\n%x", u.Data, test.data)
			}
			// A SEQUENCE of two bytes of length that fills the field.
			if size := len(u.PKCS7) - 4; !bytes.HasPrefix(u.PKCS7, []byte{0x30, 0x82, byte(size >> 8), byte(size)}) {
				t.Errorf("the signature is not a whole sequence: %x", u.PKCS7)
			}
			if !bytes.Equal(u.Marshal(), b) {
				t.Errorf("written again, the update differs: %x", u.Marshal())
			}
		})
	}
}
