package trust_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
	"inlay/internal/trust"
)

// A question about one key narrows who may sign images, and not who may deny
// them.
func TestDenySigners(t *testing.T) {
	t.Parallel()
	denied, text := digits(0xab)
	list := denyHead + text + " tools 1.0\n"
	site, other, firm, stranger := signer(t, "site"), signer(t, "other"), signer(t, "firm"), signer(t, "stranger")
	ca := authority(t, "ca", identity{})
	end := leaf(t, ca)
	pinned := hexText(trust.Anchor{Certificate: other.cert}.Fingerprint())
	named := trust.Options{Given: given(other.cert)}
	machine := trust.Places{
		Folders: trust.DefaultFolders(), Files: []string{"/etc/site.pem"}, Given: []trust.Given{{Origin: "inline", PEM: toPEM(ca.cert)}},
	}
	with := func(o trust.Options, p trust.Places) trust.Options {
		o.DenyAnchors = p
		return o
	}
	files := func(more ...string) map[string]string {
		f := map[string]string{"etc/verity.d/site.crt": string(toPEM(site.cert))}
		for i := 0; i < len(more); i += 2 {
			f[more[i]] = more[i+1]
		}
		return f
	}
	chains, firmwareToo := machine, trust.Places{Firmware: true}
	chains.Chains = true
	pins := with(named, machine)
	pins.Fingerprints = []string{pinned}
	nobody := with(named, machine)
	nobody.Fingerprints = []string{strings.Repeat("0", 64)}

	tests := map[string]struct {
		id    identity
		vars  map[string]string // nil: no firmware
		files map[string]string
		o     trust.Options
		bad   string // why the list isn't believed
	}{
		"the named one":                   {other, nil, files(), named, ""},
		"machine's, not told of":          {site, nil, files(), named, "signed by CN=site, which is not the one trusted key"},
		"machine's folder":                {site, nil, files(), with(named, machine), ""},
		"machine's file":                  {firm, nil, files("etc/site.pem", string(toPEM(firm.cert))), with(named, machine), ""},
		"machine's, inline":               {ca, nil, files(), with(named, machine), ""},
		"named beside the machine's":      {other, nil, files(), with(named, machine), ""},
		"stranger":                        {stranger, nil, files(), with(named, machine), "signed by CN=stranger, which is none of the 3 trusted keys"},
		"machine's leaf":                  {end, nil, files(), with(named, chains), ""},
		"machine's leaf, no chains":       {end, nil, files(), with(named, machine), "CN=leaf"},
		"pinned to another":               {site, nil, files(), pins, ""},
		"pinned to nobody":                {site, nil, files(), nobody, ""},
		"masked on the machine":           {site, nil, files("etc/verity.d/site.crt", "-> /dev/null", "usr/lib/verity.d/site.crt", string(toPEM(site.cert))), with(named, machine), "CN=site"},
		"a machine's name hides no other": {other, nil, files("x/site.crt", string(toPEM(other.cert))), with(trust.Options{Folders: []string{"x"}}, machine), ""},
		"firmware's":                      {firm, map[string]string{"db": x509List(firm.cert)}, files(), with(named, firmwareToo), ""},
		"firmware's, not asked for":       {firm, map[string]string{"db": x509List(firm.cert)}, files(), with(named, machine), "CN=firm"},
		"firmware's, Secure Boot off":     {firm, map[string]string{"db": x509List(firm.cert), "SecureBoot": "\x00"}, files(), with(named, firmwareToo), "CN=firm"},
		"firmware's, dbx malformed":       {firm, map[string]string{"db": x509List(firm.cert), "dbx": "x"}, files(), with(named, firmwareToo), "CN=firm"},
		"named, dbx malformed":            {other, map[string]string{"dbx": "x"}, files(), with(named, firmwareToo), ""},
		"machine's, revoked":              {site, map[string]string{"dbx": x509List(site.cert)}, files(), with(named, machine), "dbx revokes it"},
		"blind":                           {other, map[string]string{"dbx": "x"}, files(), with(trust.Options{Given: named.Given, Firmware: true}, trust.Places{}), "no key is trusted here, since"},
		"blind, machine's":                {site, map[string]string{"dbx": "x"}, files(), with(trust.Options{Firmware: true}, machine), ""},
		"blind, stranger":                 {stranger, map[string]string{"dbx": "x"}, files(), with(trust.Options{Firmware: true}, machine), "none of the 2 trusted keys"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := folder(t, nil)
			if test.vars != nil {
				root = firmware(t, test.vars)
			}
			if test.files["etc/verity.d/site.crt"] == "-> /dev/null" {
				root = folder(t, test.files)
			} else {
				for name, text := range test.files {
					write(t, root, name, text)
				}
			}
			signature, err := cms.Sign([]byte(list), test.id.cert, test.id.key)
			if err != nil {
				t.Fatal(err)
			}
			o := test.o
			o.Root, o.DenyLists = root, []trust.DenyFile{{Origin: "site.deny", Text: []byte(list), Signature: signature}}
			set := load(t, o)
			why, is, err := set.Denied(denied)
			_, another, _ := set.Denied([32]byte{1})
			switch {
			case test.bad == "":
				if !is || err != nil || !strings.Contains(why, "tools 1.0") {
					t.Errorf("denied %v for %q, error %v", is, why, err)
				}
				if another {
					t.Error("another image is denied")
				}
			case err == nil || !strings.Contains(err.Error(), test.bad) || !is:
				t.Errorf("denied %v, error %v, want one with %q", is, err, test.bad)
			}

			// Who signs deny lists signs no images for it, nor is a machine's broken
			// certificate a matter of this question.
			o.DenyLists, o.DenyAnchors = nil, trust.Places{}
			alone := load(t, o)
			if diff := cmp.Diff(names(alone), names(set)); diff != "" {
				t.Error(diff)
			}
			if test.bad == "" {
				if diff := cmp.Diff(alone.Problems, set.Problems); diff != "" {
					t.Error(diff)
				}
			}
			if test.id.cert != other.cert {
				j := set.Judge(message(t, content, test.id, test.id.cert), []byte(content), trust.JudgeOptions{})
				if j.Standing == trust.Trusted {
					t.Error("the signer of a deny list is trusted for images")
				}
			}
		})
	}
}

// What is wrong with the machine's anchors is told where it may be why a deny
// list isn't believed.
func TestDenySignersProblems(t *testing.T) {
	t.Parallel()
	a, b := signer(t, "a"), signer(t, "b")
	list := []byte(denyHead)
	signature, err := cms.Sign(list, b.cert, b.key)
	if err != nil {
		t.Fatal(err)
	}
	set := load(t, trust.Options{
		Root: folder(t, map[string]string{"etc/verity.d/b.crt": "rubbish"}), Given: given(a.cert),
		DenyAnchors: trust.Options{Folders: trust.DefaultFolders()}.Places(),
		DenyLists:   []trust.DenyFile{{Origin: "b.deny", Text: list, Signature: signature}},
	})
	checkLines(t, set, "b.deny: this deny list cannot be trusted", "/etc/verity.d/b.crt: no certificate in PEM")

	// Once, if the question is about those anchors too.
	set = load(t, trust.Options{
		Root: folder(t, map[string]string{"etc/verity.d/b.crt": "rubbish"}), Folders: trust.DefaultFolders(),
		DenyAnchors: trust.Options{Folders: trust.DefaultFolders()}.Places(),
		DenyLists:   []trust.DenyFile{{Origin: "b.deny", Text: list, Signature: signature}},
	})
	checkLines(t, set, "/etc/verity.d/b.crt: no certificate in PEM", "b.deny: this deny list cannot be trusted")
}

// Places of options are all that anchors come from.
func TestPlaces(t *testing.T) {
	t.Parallel()
	o := trust.Options{Given: []trust.Given{{Origin: "x"}}, Files: []string{"f"}, Folders: []string{"d"}, Firmware: true, VendorCAs: true, Chains: true}
	want := trust.Places{Given: o.Given, Files: o.Files, Folders: o.Folders, Firmware: true, VendorCAs: true, Chains: true}
	if diff := cmp.Diff(want, o.Places()); diff != "" {
		t.Error(diff)
	}
}
