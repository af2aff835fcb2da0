package trust_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"unicode"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/trust"
)

func FuzzLoadCertificates(f *testing.F) {
	a := signer(f, "a")
	f.Add(toPEM(a.cert, a.cert))
	f.Add(a.cert.Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		set := load(t, trust.Options{Given: []trust.Given{{Origin: "fuzz", PEM: text}}})
		if len(set.Anchors)+len(set.Problems) == 0 {
			t.Error("neither an anchor nor a problem")
		}
		checkProblems(t, set)
	})
}

// FuzzFirmware reads any db and dbx: never an anchor where dbx is not understood,
// and never one that dbx names.
func FuzzFirmware(f *testing.F) {
	a, b := signer(f, "a"), signer(f, "b")
	f.Add([]byte(x509List(a.cert, b.cert)), []byte(x509List(a.cert)))
	f.Add([]byte(x509List(a.cert)), []byte(esl(efi.X509SHA256(), make([]byte, 48))))
	f.Add([]byte(esl(guid.GUID{1}, []byte("x"))), []byte("x"))
	root := firmware(f, nil)
	f.Fuzz(func(t *testing.T, db, dbx []byte) {
		for name, value := range map[string][]byte{"db": db, "dbx": dbx} {
			write(t, root, "sys/firmware/efi/efivars/"+variable(name), string(efi.Variable{Attributes: 0x27, Data: value}.Marshal()))
		}
		set := load(t, trust.Options{Root: root, Firmware: true})
		checkProblems(t, set)
		if len(set.Anchors) == 0 {
			return
		}
		lists, err := efi.ParseLists(dbx)
		if err != nil {
			t.Error("anchors without a dbx")
		}
		for _, list := range lists {
			for _, entry := range list.Entries {
				for _, anchor := range set.Anchors {
					if string(entry.Data) == string(anchor.Certificate.Raw) {
						t.Error("a revoked anchor")
					}
				}
			}
		}
	})
}

func checkProblems(t *testing.T, set *trust.Set) {
	t.Helper()
	for _, p := range set.Problems {
		for _, c := range p.Origin + p.Text {
			if !unicode.IsPrint(c) {
				t.Errorf("problem %q is unfit for a terminal", p)
				break
			}
		}
	}
}

func hexText(root [32]byte) string { return hex.EncodeToString(root[:]) }

// write adds a file, or a link, to a root folder.
func write(t *testing.T, root *os.Root, name, text string) {
	t.Helper()
	path := filepath.Join(root.Name(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
