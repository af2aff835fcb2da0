package secureboot_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	set := openSet(t, dir)
	damaged := bytes.Clone(readFile(t, dir, "db.auth"))
	damaged[len(damaged)-1] ^= 1
	sign := func(name string, by keys.Pair, o secureboot.UpdateOptions) []byte {
		u, err := secureboot.NewUpdate(name, listOf(t, set.DB.Certificate), by, o)
		if err != nil {
			t.Fatal(err)
		}
		return u.Marshal()
	}
	replace := secureboot.UpdateOptions{Time: when()}
	type want struct {
		Variable string
		Standing secureboot.Standing
		Claim    string
		Appends  bool
	}
	for name, test := range map[string]struct {
		file string
		data []byte
		want want
	}{
		"PK":            {"PK.auth", readFile(t, dir, "PK.auth"), want{"PK", "verified", "CN=acme-PK", false}},
		"KEK":           {"KEK.auth", readFile(t, dir, "KEK.auth"), want{"KEK", "verified", "CN=acme-PK", false}},
		"db":            {"db.auth", readFile(t, dir, "db.auth"), want{"db", "verified", "CN=acme-KEK", false}},
		"db by PK":      {"db.auth", sign("db", set.PK, replace), want{"db", "verified", "CN=acme-PK", false}},
		"name unknown":  {"new.auth", readFile(t, dir, "db.auth"), want{"db", "verified", "CN=acme-KEK", false}},
		"dbx appends":   {"dbx.auth", sign("dbx", set.KEK, secureboot.UpdateOptions{Append: true}), want{"dbx", "verified", "CN=acme-KEK", true}},
		"db by db":      {"db.auth", sign("db", set.DB, replace), want{"db", "wrong signer", "CN=acme-db", false}},
		"KEK by KEK":    {"KEK.auth", sign("KEK", set.KEK, replace), want{"KEK", "wrong signer", "CN=acme-KEK", false}},
		"other file":    {"KEK.auth", readFile(t, dir, "db.auth"), want{"KEK", "does not hold", "CN=acme-KEK", false}},
		"damaged":       {"db.auth", damaged, want{"db", "does not hold", "CN=acme-KEK", false}},
		"by a stranger": {"db.auth", sign("db", makePair(t, "stranger"), replace), want{"db", "unknown", "CN=stranger", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := secureboot.Describe(test.file, test.data)
			if err != nil {
				t.Fatal(err)
			}
			d.Judge(secureboot.ReadNeighbours(dir))
			u := d.Update
			if diff := cmp.Diff(test.want, want{d.Variable, u.Standing, u.Claim, u.Appends}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (u.Reason == "") != (u.Standing == secureboot.StandingGood) {
				t.Errorf("reason %q", u.Reason)
			}
		})
	}
}

// An update as sbvarsign makes it: who reads that it does not hold reads what to do.
func TestSignedAttributes(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	u := efi.Update{
		Time: efi.NewStamp(when()), PKCS7: readFile(t, "..", "cms", "testdata", "bad-attributes.p7s"),
		Data: readFile(t, dir, "KEK.esl"),
	}
	write(t, u.Marshal(), dir, "KEK.auth")
	d, err := secureboot.Describe("KEK.auth", u.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	d.Judge(secureboot.ReadNeighbours(dir))
	warnings := strings.Join(openSet(t, dir).Warnings, "\n")
	for name, got := range map[string]string{"reason": d.Update.Reason, "warnings": warnings} {
		if !strings.Contains(got, "signed attributes") || !strings.Contains(got, "; make the update with sign-efi-sig-list") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A platform key vouches for itself; without its neighbours nobody vouches for the
// others.
func TestJudgeAlone(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	for name, want := range map[string]secureboot.Standing{"PK": "verified", "KEK": "unknown", "db": "unknown"} {
		d, err := secureboot.Describe(name+".auth", readFile(t, dir, name+".auth"))
		if err != nil {
			t.Fatal(err)
		}
		if d.Judge(nil); d.Update.Standing != want {
			t.Errorf("%s: %q, want %q", name, d.Update.Standing, want)
		}
	}
}
