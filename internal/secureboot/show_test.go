package secureboot_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/secureboot"
)

// shown is what a description says in a few words.
type shown struct {
	Form     secureboot.Form
	Variable string
	Subjects []string
}

func brief(d *secureboot.Description) shown {
	s := shown{Form: d.Form, Variable: d.Variable}
	for _, e := range d.Entries {
		switch {
		case e.Certificate != nil:
			s.Subjects = append(s.Subjects, e.Certificate.Subject.String())
		case e.Problem != "":
			s.Subjects = append(s.Subjects, e.Type+"!")
		default:
			s.Subjects = append(s.Subjects, e.Type+" "+e.Hash[:4])
		}
	}
	return s
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	kek, db := certificateIn(t, dir, "KEK"), certificateIn(t, dir, "db")
	esl, auth := readFile(t, dir, "KEK.esl"), readFile(t, dir, "KEK.auth")
	variable := efi.Variable{Attributes: efi.KeyAttributes, Data: esl}.Marshal()
	hashes := marshalAll([]efi.List{{Type: efi.SHA256(), Entries: []efi.Entry{{Data: bytes.Repeat([]byte{0xab}, 32)}}}})
	tbs := sha256.Sum256(db.RawTBSCertificate)
	revoked, err := secureboot.RevokeLists([]*x509.Certificate{db}, nil, secureboot.RevokeOptions{ByHash: true})
	if err != nil {
		t.Fatal(err)
	}
	noCertificate := marshalAll([]efi.List{{Type: efi.X509(), Entries: []efi.Entry{{Data: []byte("nonsense")}}}})
	for name, test := range map[string]struct {
		file string
		data []byte
		want shown
	}{
		"DER":          {"KEK.der", kek.Raw, shown{"certificates", "KEK", []string{"CN=acme-KEK"}}},
		"two in DER":   {"x", append(bytes.Clone(kek.Raw), db.Raw...), shown{"certificates", "", []string{"CN=acme-KEK", "CN=acme-db"}}},
		"PEM":          {"dir/db.pem", readFile(t, dir, "db.pem"), shown{"certificates", "db", []string{"CN=acme-db"}}},
		"lists":        {"KEK.esl", esl, shown{"signature lists", "KEK", []string{"CN=acme-KEK"}}},
		"export":       {"KEK", esl, shown{"signature lists", "KEK", []string{"CN=acme-KEK"}}},
		"update":       {"KEK.auth", auth, shown{"update", "KEK", []string{"CN=acme-KEK"}}},
		"variable":     {"KEK-8be4df61-93ca-11d2-aa0d-00e098032b8c", variable, shown{"variable", "KEK", []string{"CN=acme-KEK"}}},
		"no variable":  {"acme-db.esl", esl, shown{"signature lists", "", []string{"CN=acme-KEK"}}},
		"empty dbx":    {"dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f", []byte{0x27, 0, 0, 0}, shown{"variable", "dbx", nil}},
		"attributes":   {"KEK.auth", efi.Variable{Attributes: efi.KeyAttributes, Data: auth}.Marshal(), shown{"update", "KEK", []string{"CN=acme-KEK"}}},
		"hash":         {"dbx.esl", hashes, shown{"signature lists", "dbx", []string{"sha256 abab"}}},
		"certificate":  {"dbx.esl", marshalAll(revoked), shown{"signature lists", "dbx", []string{"x509_sha256 " + hex.EncodeToString(tbs[:2])}}},
		"not readable": {"db.esl", noCertificate, shown{"signature lists", "db", []string{"x509!"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := secureboot.Describe(test.file, test.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, brief(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":       {nil, "it is empty"},
		"text":        {[]byte("hello, world; this is nothing of ours"), "neither a certificate"},
		"private key": {readFile(t, dir, "db.key"), "a private key"},
		"cut.auth":    {auth[:100], "update of a firmware variable"},
		"cut.esl":     {esl[:100], "neither a certificate"},
		"PEM of else": {pem.EncodeToMemory(&pem.Block{Type: "X"}), "no certificate"},
	} {
		_, err := secureboot.Describe(name, test.data)
		checkError(t, err, test.want, "")
	}
}

func TestDescribePath(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	if err := os.Remove(filepath.Join(dir, "db.auth")); err != nil {
		t.Fatal(err)
	}
	all, err := secureboot.DescribePath(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range all {
		names = append(names, filepath.Base(d.Origin))
	}
	if diff := cmp.Diff([]string{"PK.auth", "KEK.auth", "db.esl", "ext.pem"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A file that is there but cannot be looked at is not passed over.
	if err := os.Symlink("PK.auth", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "loop"), filepath.Join(dir, "PK.auth")); err != nil {
		t.Fatal(err)
	}
	_, err = secureboot.DescribePath(dir)
	checkError(t, err, "too many levels", "")
	_, err = secureboot.DescribePath(t.TempDir())
	checkError(t, err, "no file of a set", "inlay keys create")
}

func TestDescribeFirmware(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	root, _ := firmware(t, map[string][]byte{"SecureBoot": {1}, "SetupMode": {0}, "PK": readFile(t, dir, "PK.esl"), "dbx": nil})
	state, err := secureboot.DescribeFirmware(root)
	if err != nil {
		t.Fatal(err)
	}
	if state.SecureBoot == nil || !*state.SecureBoot || state.SetupMode == nil || *state.SetupMode {
		t.Errorf("state %v %v", state.SecureBoot, state.SetupMode)
	}
	var got []shown
	for _, d := range state.Variables {
		got = append(got, brief(d))
	}
	want := []shown{{"variable", "PK", []string{"CN=acme-PK"}}, {"variable", "dbx", nil}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	root, _ = firmware(t, map[string][]byte{"db": []byte("nonsense")})
	_, err = secureboot.DescribeFirmware(root)
	checkError(t, err, "reading the firmware's db", "")
}

func FuzzDescribe(f *testing.F) {
	vectors, err := filepath.Glob("../efi/testdata/*")
	if err != nil || len(vectors) == 0 {
		f.Fatalf("no vectors: %v", err)
	}
	for _, name := range vectors {
		if info, err := os.Stat(name); err != nil || info.IsDir() {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if d, err := secureboot.Describe("db", data); err == nil {
			d.Judge(nil)
		}
	})
}
