package secureboot_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/efi"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

func TestOpenSet(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	set, err := secureboot.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Warnings) > 0 {
		t.Errorf("warnings %q", set.Warnings)
	}
	for _, name := range []string{"PK", "KEK", "db", "ext"} {
		pair, err := set.Pair(name)
		if err != nil || pair.Certificate.Subject.String() != "CN=acme-"+name {
			t.Errorf("%s: %v, %v", name, pair.Certificate, err)
		}
	}
	for _, name := range []string{"PK", "KEK", "db"} {
		if data, err := set.Auth(name); err != nil || len(data) == 0 || !set.HasAuth(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if set.PCRKey == nil {
		t.Error("no key for TPM policies")
	}
	if set.HasAuth("dbx") {
		t.Error("a dbx from nowhere")
	}
}

// Keys may be kept elsewhere; what is missing is said when it is asked for.
func TestOpenSetWithoutKeys(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	for _, name := range []string{"PK.key", "KEK.key", "KEK.auth", "tpm2-pcr-private.pem"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := secureboot.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Pair("db"); err != nil {
		t.Error(err)
	}
	_, err = set.Pair("KEK")
	checkError(t, err, `"KEK.key" is not in`, "folder that has the key")
	_, err = set.Pair("dbx")
	checkError(t, err, `"dbx.key" and "dbx.pem" are not in`, "inlay keys create")
	_, err = set.Auth("KEK")
	checkError(t, err, `"KEK.auth" is not in`, "inlay keys create")
	if set.PCRKey != nil {
		t.Error("a key from nowhere")
	}
}

// Files of two sets in one folder are never taken for one.
func TestOpenSetRefuses(t *testing.T) {
	t.Parallel()
	first, second := copySet(t, 0), copySet(t, 1)
	for name, test := range map[string]struct {
		change     func(t *testing.T, dir string)
		want, hint string
	}{
		"key of another":      {func(t *testing.T, dir string) { t.Helper(); write(t, readFile(t, second, "db.key"), dir, "db.key") }, "does not belong to certificate", ""},
		"update of another":   {func(t *testing.T, dir string) { t.Helper(); write(t, readFile(t, second, "KEK.auth"), dir, "KEK.auth") }, "KEK.auth does not hold the certificate in KEK.pem", "two runs"},
		"platform of another": {func(t *testing.T, dir string) { t.Helper(); write(t, readFile(t, second, "PK.auth"), dir, "PK.auth") }, "PK.auth does not hold", "two runs"},
		"no certificate":      {func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "PK.pem")) }, "PK.key is without PK.pem", "beside the key"},
		"damaged update":      {func(t *testing.T, dir string) { t.Helper(); write(t, []byte("short"), dir, "db.auth") }, `reading "db.auth"`, ""},
		"KEK as PK": {func(t *testing.T, dir string) {
			t.Helper()
			u, err := efi.ParseUpdate(readFile(t, dir, "PK.auth"))
			if err != nil {
				t.Fatal(err)
			}
			u.Data = append(u.Data, readFile(t, dir, "KEK.esl")...)
			write(t, u.Marshal(), dir, "PK.auth")
		}, "exactly one certificate", ""},
		"two PKs in a list": {func(t *testing.T, dir string) {
			t.Helper()
			u, err := efi.ParseUpdate(readFile(t, dir, "PK.auth"))
			if err != nil {
				t.Fatal(err)
			}
			lists := listOf(t, certificateIn(t, dir, "PK"))
			lists[0].Entries = append(lists[0].Entries, lists[0].Entries[0])
			u.Data = marshalAll(lists)
			write(t, u.Marshal(), dir, "PK.auth")
		}, "exactly one certificate", ""},
		"TPM key of 3072 bits": {func(t *testing.T, dir string) {
			t.Helper()
			key, err := keys.Generate(keys.RSA3072)
			if err != nil {
				t.Fatal(err)
			}
			text, err := keys.EncodeKey(key)
			if err != nil {
				t.Fatal(err)
			}
			write(t, text, dir, "tpm2-pcr-private.pem")
		}, "not RSA of 2048 bits", "openssl genrsa 2048"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copySet(t, 0)
			test.change(t, dir)
			_, err := secureboot.OpenSet(dir)
			checkError(t, err, test.want, test.hint)
		})
	}
	_, err := secureboot.OpenSet(t.TempDir())
	checkError(t, err, "no key, certificate or .auth file", "inlay keys create")
	_, err = secureboot.OpenSet(filepath.Join(first, "nowhere"))
	if checkError(t, err, "no such file", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not fs.ErrNotExist", err)
	}
	_, err = secureboot.OpenSet(filepath.Join(first, "db.pem"))
	checkError(t, err, "not a folder", "")
}

// What firmware takes in setup mode only is a warning: tools of the past made such
// sets.
func TestOpenSetWarns(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	set, err := secureboot.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := efi.ParseLists(readFile(t, dir, "db.esl"))
	if err != nil {
		t.Fatal(err)
	}
	lists = append(lists, listOf(t, set.Extension.Certificate)...)
	u, err := secureboot.NewUpdate("db", lists, set.DB, secureboot.UpdateOptions{Time: when()})
	if err != nil {
		t.Fatal(err)
	}
	write(t, u.Marshal(), dir, "db.auth")
	if err := os.Chmod(filepath.Join(dir, "db.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err = secureboot.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(set.Warnings, "\n")
	for _, want := range []string{"is open to every user", "db.auth holds the certificate for extensions", "db.auth counts in setup mode only"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}
