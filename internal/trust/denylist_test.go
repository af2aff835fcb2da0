package trust_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

const denyHead = "inlay deny list 1\n"

// digits is a root hash, and its text.
func digits(c byte) (root [32]byte, text string) {
	copy(root[:], bytes.Repeat([]byte{c}, 32))
	return root, strings.Repeat(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]), 32)
}

func TestParseDenyList(t *testing.T) {
	t.Parallel()
	root, text := digits(0xab)
	root2, text2 := digits(0x01)
	tests := map[string]struct {
		text string
		want []trust.Denial
		bad  string
	}{
		"empty list":          {denyHead, nil, ""},
		"one":                 {denyHead + text + "\n", []trust.Denial{{Root: root}}, ""},
		"with a reason":       {denyHead + text + " tools 1.0: CVE-1\n", []trust.Denial{{Root: root, Reason: "tools 1.0: CVE-1"}}, ""},
		"spaces":              {denyHead + text + "   tools  \n", []trust.Denial{{Root: root, Reason: "tools"}}, ""},
		"comments and blanks": {denyHead + "# why\n\n#" + text + "\n" + text2 + " é\n", []trust.Denial{{Root: root2, Reason: "é"}}, ""},
		"nothing":             {"", nil, `line 1: not "inlay deny list 1"`},
		"no head":             {text + "\n", nil, "line 1"},
		"other version":       {"inlay deny list 2\n", nil, "line 1"},
		"head not ended":      {"inlay deny list 1", nil, "line 1"},
		"head with CR":        {"inlay deny list 1\r\n", nil, "line 1"},
		"blank before head":   {"\n" + denyHead, nil, "line 1"},
		"mark before head":    {"\ufeff" + denyHead, nil, "line 1"},
		"not ended":           {denyHead + text, nil, "line 2: it does not end with a newline"},
		"CR":                  {denyHead + text + "\r\n", nil, "line 2: a control character"},
		"tab":                 {denyHead + text + "\tx\n", nil, "line 2: a control character"},
		"NUL":                 {denyHead + "# \x00\n", nil, "line 2: a control character"},
		"not UTF-8":           {denyHead + "# \xff\n", nil, "line 2: not UTF-8"},
		"upper case":          {denyHead + "\n" + strings.ToUpper(text) + "\n", nil, "line 3: not a root hash"},
		"short":               {denyHead + text[:63] + "\n", nil, "line 2: not a root hash"},
		"even shorter":        {denyHead + text[:62] + "\n", nil, "line 2: not a root hash"},
		"long":                {denyHead + text + "ab\n", nil, "line 2: not a root hash"},
		"indented":            {denyHead + " " + text + "\n", nil, "line 2: not a root hash"},
		"colon":               {denyHead + text + ": x\n", nil, "line 2: not a root hash"},
		"no digits":           {denyHead + "hello\n", nil, "line 2: not a root hash"},
		"long line":           {denyHead + "#" + strings.Repeat("x", 1024) + "\n", nil, "line 2: longer than 1024"},
		"just not long":       {denyHead + "#" + strings.Repeat("x", 1023) + "\n", nil, ""},
		"large":               {denyHead + strings.Repeat("\n", 8<<20), nil, "too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := trust.ParseDenyList([]byte(test.text))
			if (err != nil) != (test.bad != "") || err != nil && !strings.Contains(err.Error(), test.bad) {
				t.Fatalf("error %v, want one with %q", err, test.bad)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	root, text := digits(0xab)
	root2, text2 := digits(0x01)
	a, other := signer(t, "a"), signer(t, "other")
	ca := authority(t, "ca", identity{})
	end := leaf(t, ca)
	signedBy := func(text string, id identity) string {
		der, err := cms.Sign([]byte(text), id.cert, id.key)
		if err != nil {
			t.Fatal(err)
		}
		return string(der)
	}
	list := denyHead + text + " tools 1.0\n"
	list2 := denyHead + text2 + "\n"
	const etc, usr = "etc/inlay/deny.d/", "usr/lib/inlay/deny.d/"
	tests := map[string]struct {
		files   map[string]string
		options trust.Options
		reason  string // of root
		second  string // of root2
		bad     string
	}{
		"none":     {nil, trust.Options{}, "", "", ""},
		"one":      {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, a)}, trust.Options{}, "tools 1.0 (deny list /etc/inlay/deny.d/x.deny)", "", ""},
		"no names": {map[string]string{etc + "x.deny": list2, etc + "x.deny.p7s": signedBy(list2, a)}, trust.Options{}, "", "deny list /etc/inlay/deny.d/x.deny", ""},
		"all count": {map[string]string{
			etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, a), usr + "x.deny": list2, usr + "x.deny.p7s": signedBy(list2, a),
		}, trust.Options{}, "tools 1.0", "deny list /usr/lib", ""},
		"as bytes":     {nil, trust.Options{DenyLists: []trust.DenyFile{{Origin: "given", Text: []byte(list), Signature: []byte(signedBy(list, a))}}}, "tools 1.0 (deny list given)", "", ""},
		"chain":        {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, end)}, trust.Options{Chains: true}, "tools 1.0", "", ""},
		"chain, off":   {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, end)}, trust.Options{}, "", "", "none of the 2 trusted keys"},
		"no signature": {map[string]string{etc + "x.deny": list}, trust.Options{}, "", "", `reading deny list "/etc/inlay/deny.d/x.deny": its signature, /etc/inlay/deny.d/x.deny.p7s: not there`},
		"no signature, bytes": {
			nil, trust.Options{DenyLists: []trust.DenyFile{{Origin: "given", Text: []byte(list)}}}, "", "", `reading deny list "given": it has no signature`,
		},
		"empty signature":  {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": ""}, trust.Options{}, "", "", "it has no signature"},
		"broken signature": {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": "rubbish"}, trust.Options{}, "", "", "reading PKCS #7"},
		"stranger":         {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, other)}, trust.Options{}, "", "", "signed by CN=other"},
		"changed":          {map[string]string{etc + "x.deny": list + "# \n", etc + "x.deny.p7s": signedBy(list, a)}, trust.Options{}, "", "", "the signature is broken"},
		"cut":              {map[string]string{etc + "x.deny": denyHead, etc + "x.deny.p7s": signedBy(list, a)}, trust.Options{}, "", "", "the signature is broken"},
		"malformed":        {map[string]string{etc + "x.deny": "x", etc + "x.deny.p7s": signedBy("x", a)}, trust.Options{}, "", "", "line 1"},
		"masked":           {map[string]string{etc + "x.deny": "-> /dev/null", usr + "x.deny": list, usr + "x.deny.p7s": signedBy(list, a)}, trust.Options{}, "tools 1.0", "", "/etc/inlay/deny.d/x.deny"},
		"dangling":         {map[string]string{etc + "x.deny": "-> x"}, trust.Options{}, "", "", "x.deny"},
		"no folder":        {map[string]string{"etc/inlay/deny.d": "x"}, trust.Options{}, "", "", `reading deny list "/etc/inlay/deny.d": not a directory`},
		"one good, one bad": {map[string]string{
			etc + "a.deny": list, etc + "a.deny.p7s": signedBy(list, a), etc + "b.deny": list2,
		}, trust.Options{}, "tools 1.0", "", "b.deny"},
		"other names":         {map[string]string{etc + "x.deny.p7s": "rubbish", etc + "y": "rubbish", etc + "x.deny.bak": "x"}, trust.Options{}, "", "", ""},
		"signer revoked":      {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, a)}, trust.Options{Firmware: true}, "", "", "dbx revokes it"},
		"signer unpinned":     {map[string]string{etc + "x.deny": list, etc + "x.deny.p7s": signedBy(list, a)}, trust.Options{Fingerprints: []string{strings.Repeat("0", 64)}}, "tools 1.0", "", ""},
		"comment is the list": {map[string]string{etc + "x.deny": denyHead + "#" + text + "\n", etc + "x.deny.p7s": signedBy(denyHead+"#"+text+"\n", a)}, trust.Options{}, "", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := test.options
			files := map[string]string{}
			maps.Copy(files, test.files)
			if o.Firmware {
				o.Root = firmware(t, map[string]string{"dbx": x509List(a.cert)})
				for name, text := range files {
					write(t, o.Root, name, text)
				}
			} else {
				o.Root = folder(t, files)
			}
			o.Given, o.DenyFolders = given(a.cert, ca.cert), trust.DefaultDenyFolders()
			set := load(t, o)

			reason, denied, err := set.Denied(root)
			switch {
			case test.reason != "":
				if !denied || err != nil || !strings.Contains(reason, test.reason) {
					t.Errorf("denied %v for %q, error %v", denied, reason, err)
				}
			case test.bad == "":
				if denied || err != nil || reason != "" {
					t.Errorf("denied %v for %q, error %v", denied, reason, err)
				}
			}
			reason, denied, err = set.Denied(root2)
			switch {
			case test.bad != "":
				if err == nil || !strings.Contains(err.Error(), test.bad) || len(hint.Of(err)) == 0 || !denied {
					t.Errorf("denied %v, error %v, want one with %q and advice", denied, err, test.bad)
				}
				if problems := strings.Join(lines(set), "\n"); !strings.Contains(problems, "this deny list cannot be trusted, so no image is") {
					t.Errorf("problems %q", problems)
				}
			case err != nil || denied != (test.second != "") || !strings.Contains(reason, test.second):
				t.Errorf("second: denied %v for %q, error %v", denied, reason, err)
			}
		})
	}

	for name, set := range map[string]*trust.Set{"zero": {}, "nil": nil} {
		if _, denied, err := set.Denied(root); denied || err != nil {
			t.Errorf("%s set: denied %v, error %v", name, denied, err)
		}
	}
}

func FuzzDenyList(f *testing.F) {
	_, text := digits(0xab)
	f.Add([]byte(denyHead + "# why\n\n" + text + " tools 1.0\n" + text + "\n"))
	f.Add([]byte(denyHead + text))
	f.Add([]byte("inlay deny list 1"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		denials, err := trust.ParseDenyList(text)
		if err != nil {
			if denials != nil {
				t.Error("an error and a list")
			}
			return
		}
		// What was understood says the same when written again.
		var again strings.Builder
		again.WriteString(denyHead)
		for _, d := range denials {
			again.WriteString(strings.TrimSpace(hexText(d.Root)+" "+d.Reason) + "\n")
		}
		second, err := trust.ParseDenyList([]byte(again.String()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(denials, second); diff != "" {
			t.Error(diff)
		}
	})
}
