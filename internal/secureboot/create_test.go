package secureboot_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"inlay/internal/efi"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

// newSet makes a set, with what edit changes, and returns its folder.
func newSet(t *testing.T, edit func(*secureboot.SetOptions)) (string, *secureboot.SetResult) {
	t.Helper()
	o := secureboot.SetOptions{Name: "acme", Dir: filepath.Join(t.TempDir(), "keys"), Clock: when}
	edit(&o)
	r, err := secureboot.CreateSet(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return o.Dir, r
}

// madeSets holds two sets with a key for extensions, each made once: RSA keys take
// their time.
var madeSets = [2]func() (map[string][]byte, error){sync.OnceValues(makeSet), sync.OnceValues(makeSet)}

func makeSet() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "set")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	o := secureboot.SetOptions{Name: "acme", Dir: dir, ExtensionKey: keys.P384, Clock: when}
	r, err := secureboot.CreateSet(context.Background(), o)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range r.Files {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// copySet returns a folder with the files of a set that was made once.
func copySet(t *testing.T, index int) string {
	t.Helper()
	files, err := madeSets[index]()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "keys")
	for name, data := range files {
		write(t, data, dir, name)
	}
	return dir
}

// readFile reads a file of a set.
func readFile(t *testing.T, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// certificateIn reads a certificate of a set.
func certificateIn(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	cert, err := keys.LoadCertificate(filepath.Join(dir, name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The chain of a new set holds, each update is for its own variable, and the times
// rise.
func TestCreateSet(t *testing.T) {
	t.Parallel()
	dir, r := newSet(t, func(o *secureboot.SetOptions) { o.ExtensionKey = keys.P256 })
	pk, kek, db := certificateIn(t, dir, "PK"), certificateIn(t, dir, "KEK"), certificateIn(t, dir, "db")
	if len(r.Warnings) != 0 || len(r.Notes) != 1 {
		t.Errorf("warnings %q, notes %q", r.Warnings, r.Notes)
	}
	for i, test := range []struct {
		name    string
		own, by *x509.Certificate
	}{{"PK", pk, pk}, {"KEK", kek, pk}, {"db", db, kek}} {
		u, err := efi.ParseUpdate(readFile(t, dir, test.name+".auth"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := secureboot.VerifyUpdate(test.name, u, false, test.by); err != nil {
			t.Error(err)
		}
		if got, _ := u.Time.Time(); !got.Equal(when().Add(time.Duration(i) * time.Second)) {
			t.Errorf("%s: made at %v", test.name, got)
		}
		lists := []efi.List{{Type: efi.X509(), Entries: []efi.Entry{{Owner: r.Owner, Data: test.own.Raw}}}}
		if !bytes.Equal(u.Data, marshalAll(lists)) || !bytes.Equal(u.Data, readFile(t, dir, test.name+".esl")) {
			t.Errorf("%s: other lists than expected", test.name)
		}
		if !bytes.Equal(test.own.Raw, readFile(t, dir, test.name+".der")) {
			t.Errorf("%s: DER and PEM differ", test.name)
		}
		if got := test.own.Subject.String(); got != "CN=acme-"+test.name {
			t.Errorf("subject %q", got)
		}
	}
	serials := []string{pk.SerialNumber.String(), kek.SerialNumber.String(), db.SerialNumber.String()}
	if slices.Sort(serials); len(slices.Compact(serials)) != 3 {
		t.Error("serial numbers repeat")
	}
	if r.Owner[6]>>4 != 4 || r.Owner[8]>>6 != 2 {
		t.Errorf("owner %v is not a random GUID", r.Owner)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "ext.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
}

// Firmware would start whatever the key of an extension signed.
func TestExtensionKeyIsInNoList(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	ext := certificateIn(t, dir, "ext")
	spki := ext.RawSubjectPublicKeyInfo
	for _, name := range []string{"PK", "KEK", "db"} {
		for _, suffix := range []string{".esl", ".auth", ".der"} {
			if data := readFile(t, dir, name+suffix); bytes.Contains(data, ext.Raw) || bytes.Contains(data, spki) {
				t.Errorf("%s%s holds the certificate or key for extensions", name, suffix)
			}
		}
	}
}

// Firmware takes no update that is older than the last, so a run over an old set
// is later, whatever the clock says.
func TestCreateSetAgainIsLater(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	_, err := secureboot.CreateSet(t.Context(), secureboot.SetOptions{Name: "n", Dir: dir, Force: true, Clock: func() time.Time { return when().AddDate(0, 0, -1) }})
	if err != nil {
		t.Fatal(err)
	}
	u, err := efi.ParseUpdate(readFile(t, dir, "PK.auth"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := u.Time.Time(); !got.After(when().Add(2 * time.Second)) {
		t.Errorf("the new PK is of %v, the old db of %v", got, when().Add(2*time.Second))
	}
	if _, err := secureboot.OpenSet(dir); err != nil {
		t.Error(err)
	}
}

func TestCreateSetRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		o          secureboot.SetOptions
		want, hint string
	}{
		"no folder":      {secureboot.SetOptions{Name: "n"}, "no folder", "name the folder"},
		"no name":        {secureboot.SetOptions{Dir: "d"}, `name ""`, "letters"},
		"P-256 for PK":   {secureboot.SetOptions{Name: "n", Dir: "d", Algorithm: "P256"}, "firmware takes no p256 key", "--extension-key p256"},
		"P-384 for PK":   {secureboot.SetOptions{Name: "n", Dir: "d", Algorithm: keys.P384}, "firmware takes no p384 key", "rsa2048, rsa3072 or rsa4096"},
		"unknown":        {secureboot.SetOptions{Name: "n", Dir: "d", Algorithm: "rsa512"}, `"rsa512" is not known`, ""},
		"unknown ext":    {secureboot.SetOptions{Name: "n", Dir: "d", ExtensionKey: "dsa"}, `"dsa" is not known`, ""},
		"days":           {secureboot.SetOptions{Name: "n", Dir: "d", Days: -1}, "-1 days", ""},
		"ext with lists": {secureboot.SetOptions{Name: "n", Dir: "d", ExtensionOnly: true, Custom: "c"}, "no signature list", ""},
		"no custom":      {secureboot.SetOptions{Name: "n", Dir: "d", Custom: "/nonexistent"}, "reading custom cert file /nonexistent/KEK: no such file", "files called KEK and db"},
		"no randomness":  {secureboot.SetOptions{Name: "n", Dir: "d", Rand: strings.NewReader("short")}, "owner's GUID", ""},
		"little of it":   {secureboot.SetOptions{Name: "n", Dir: "d", Rand: strings.NewReader("sixteen bytes do")}, "serial number", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.o.Dir != "" {
				test.o.Dir = filepath.Join(t.TempDir(), test.o.Dir)
			}
			_, err := secureboot.CreateSet(t.Context(), test.o)
			checkError(t, err, test.want, test.hint)
			if _, err := os.Stat(test.o.Dir); test.o.Dir != "" && err == nil {
				t.Error("a folder is left behind")
			}
		})
	}
}

func checkError(t *testing.T, err error, want, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want one with %q", err, want)
	}
	if got := strings.Join(hint.Of(err), "\n"); !strings.Contains(got, advice) {
		t.Errorf("hints %q, want one with %q", got, advice)
	}
}

func TestCreateSetInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "keys")
	_, err := secureboot.CreateSet(ctx, secureboot.SetOptions{Name: "n", Dir: dir, Algorithm: keys.RSA4096})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder is left behind")
	}
}

// While keys are made, another run may have written the same files.
func TestCreateSetLosesRaceCleanly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Serial numbers are drawn after the first look and before the last step.
	random := reader(func(p []byte) (int, error) {
		return len(p), os.WriteFile(filepath.Join(dir, "db.pem"), []byte("other run"), 0o600)
	})
	_, err := secureboot.CreateSet(t.Context(), secureboot.SetOptions{Name: "n", Dir: dir, Rand: random})
	checkError(t, err, `file "db.pem"`, "--force")
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || string(readFile(t, dir, "db.pem")) != "other run" {
		t.Errorf("the folder holds %v, %v", names, err)
	}
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

var _ io.Reader = reader(nil)

func write(t *testing.T, data []byte, parts ...string) {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The key of TPM policies is one that openssl genrsa 2048 could have made.
func TestPCRKey(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	block, rest := pem.Decode(readFile(t, dir, "tpm2-pcr-private.pem"))
	if block == nil || len(rest) > 0 || block.Type != "PRIVATE KEY" {
		t.Fatalf("block %v, %d bytes after it", block, len(rest))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if private, ok := key.(*rsa.PrivateKey); !ok || private.N.BitLen() != 2048 {
		t.Errorf("key %T", key)
	}
}
