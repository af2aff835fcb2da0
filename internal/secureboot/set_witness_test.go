package secureboot_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"inlay/internal/secureboot"
)

// TestSetOfEfitools opens, and judges, a set that openssl and efitools made.
func TestSetOfEfitools(t *testing.T) {
	t.Parallel()
	b := newToolbox(t)
	b.run(`
		for name in PK KEK db; do
			openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -subj /CN=tools-$name -days 9 2>/dev/null
			cert-to-efi-sig-list -g $owner $name.pem $name.esl
		done
		sign-efi-sig-list -g $owner -k PK.key -c PK.pem PK PK.esl PK.auth
		sign-efi-sig-list -g $owner -k PK.key -c PK.pem KEK KEK.esl KEK.auth
		sign-efi-sig-list -g $owner -k KEK.key -c KEK.pem db db.esl db.auth
		openssl genrsa -out tpm2-pcr-private.pem 2048 2>/dev/null`)
	set, err := secureboot.OpenSet(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Warnings) > 0 || set.PCRKey == nil {
		t.Errorf("warnings %q, key %T", set.Warnings, set.PCRKey)
	}
	root, _ := firmware(t, map[string][]byte{"SetupMode": {1}})
	if _, err := secureboot.Enroll(t.Context(), root, set, secureboot.EnrollOptions{}); err != nil {
		t.Error(err)
	}
	all, err := secureboot.DescribePath(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.Judge(secureboot.ReadNeighbours(b.dir)); d.Update == nil || d.Update.Standing != secureboot.StandingGood {
			t.Errorf("%s: %+v", d.Origin, d.Update)
		}
	}
}

// TestToolsReadSet has efitools and sbsigntool read the lists of a new set: those
// of efitools are the same, byte for byte.
func TestToolsReadSet(t *testing.T) {
	t.Parallel()
	b := newToolbox(t)
	dir, r := newSet(t, func(o *secureboot.SetOptions) { o.Dir = filepath.Join(b.dir, "keys") })
	b.run(`
		for name in PK KEK db; do
			cert-to-efi-sig-list -g ` + r.Owner.String() + ` keys/$name.pem $name.efitools
			sbsiglist --owner ` + r.Owner.String() + ` --type x509 --output $name.sbsigntool keys/$name.der
			sig-list-to-certs keys/$name.esl $name
		done`)
	for _, name := range []string{"PK", "KEK", "db"} {
		esl := readFile(t, dir, name+".esl")
		for _, tool := range []string{"efitools", "sbsigntool"} {
			if !bytes.Equal(esl, b.read(name+"."+tool)) {
				t.Errorf("%s: %s makes another list", name, tool)
			}
		}
		if !bytes.Equal(readFile(t, dir, name+".der"), b.read(name+"-0.der")) {
			t.Errorf("%s: efitools read another certificate", name)
		}
	}
}
