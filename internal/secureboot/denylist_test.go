package secureboot_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/keys"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
)

// A node that trusts the signer's certificate heeds the list, and one that does
// not refuses every image.
func TestDenyListIsHeeded(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string]keys.Pair{"RSA": makePair(t, "rsa"), "ECDSA": certify(t, "ec", ec)} {
		denials := []trust.Denial{
			{Root: [32]byte{2}, Reason: " k3s-1.31: CVE-2099-1 "},
			{Root: [32]byte{1}},
			{Root: [32]byte{2}, Reason: "said again"},
		}
		text, signature, err := secureboot.DenyList(denials, pair)
		if err != nil {
			t.Fatal(err)
		}
		want := "inlay deny list 1\n" +
			"01" + strings.Repeat("0", 62) + "\n" +
			"02" + strings.Repeat("0", 62) + " k3s-1.31: CVE-2099-1\n"
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		again, signedAgain, err := secureboot.DenyList(denials, pair)
		if err != nil || !bytes.Equal(text, again) || !bytes.Equal(signature, signedAgain) {
			t.Errorf("%s: two runs differ, or %v", name, err)
		}
		load := func(signer keys.Pair, text []byte) *trust.Set {
			set, err := trust.Load(trust.Options{
				Given:     []trust.Given{{Origin: "here", PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Certificate.Raw})}},
				DenyLists: []trust.DenyFile{{Origin: "list", Text: text, Signature: signature}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return set
		}
		set := load(pair, text)
		if reason, denied, err := set.Denied([32]byte{2}); !denied || err != nil || reason != "k3s-1.31: CVE-2099-1 (deny list list)" {
			t.Errorf("%s: %q, %v, %v", name, reason, denied, err)
		}
		if reason, denied, err := set.Denied([32]byte{1}); !denied || err != nil {
			t.Errorf("%s: %q, %v, %v", name, reason, denied, err)
		}
		if reason, denied, err := set.Denied([32]byte{3}); denied || err != nil || len(set.Problems) > 0 {
			t.Errorf("%s: %q, %v, %v, %v", name, reason, denied, err, set.Problems)
		}
		for why, set := range map[string]*trust.Set{"another signer": load(makePair(t, "other"), text), "one more line": load(pair, append(text, '\n'))} {
			if _, denied, err := set.Denied([32]byte{3}); !denied || err == nil {
				t.Errorf("%s, %s: %v, %v", name, why, denied, err)
			}
		}
	}
}

func TestDenyListRefuses(t *testing.T) {
	t.Parallel()
	pair := makePair(t, "db")
	root := [32]byte{1}
	for name, test := range map[string]struct {
		denials []trust.Denial
		by      keys.Pair
		want    string
	}{
		"nothing":                 {nil, pair, "nothing is named"},
		"a comment in the reason": {[]trust.Denial{{Root: root, Reason: "a\n# b"}}, pair, "more than one line"},
		"a reason with two lines": {[]trust.Denial{{Root: root, Reason: "a\nb"}}, pair, "not a root hash"},
		"another denial in it":    {[]trust.Denial{{Root: root, Reason: "a\n" + strings.Repeat("0", 64)}}, pair, "more than one line"},
		"a control character":     {[]trust.Denial{{Root: root, Reason: "a\x1b[2J"}}, pair, "control character"},
		"no UTF-8":                {[]trust.Denial{{Root: root, Reason: "\xff"}}, pair, "not UTF-8"},
		"too long a reason":       {[]trust.Denial{{Root: root, Reason: strings.Repeat("a", 1000)}}, pair, "longer than 1024"},
		"no key":                  {[]trust.Denial{{Root: root}}, keys.Pair{Certificate: pair.Certificate}, "is not given"},
		"no pair":                 {[]trust.Denial{{Root: root}}, keys.Pair{}, "no certificate"},
	} {
		text, signature, err := secureboot.DenyList(test.denials, test.by)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
		if text != nil || signature != nil {
			t.Errorf("%s: a list came out", name)
		}
	}
}
