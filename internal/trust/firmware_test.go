package trust_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/trust"
)

func TestFirmware(t *testing.T) {
	t.Parallel()
	pk, kek, db, two := signer(t, "pk"), signer(t, "kek"), signer(t, "db"), signer(t, "two")
	microsoft := signer(t, "ms", func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "ms", Organization: []string{"Microsoft Corporation"}}
	})
	byMicrosoft := leaf(t, microsoft)
	weak := certify(t, "weak", identity{}, identity{key: ed25519Key(t)})
	vars := func(more ...string) map[string]string {
		v := map[string]string{"PK": x509List(pk.cert), "KEK": x509List(kek.cert), "db": x509List(db.cert)}
		for i := 0; i < len(more); i += 2 {
			v[more[i]] = more[i+1]
		}
		return v
	}
	all := []string{"pk firmware PK", "kek firmware KEK", "db firmware db"}
	none := []string{}
	hash := string(make([]byte, 32))

	tests := map[string]struct {
		vars     map[string]string
		anchors  []string
		problems []string
	}{
		"all":                  {vars(), all, nil},
		"secure boot off":      {vars("SecureBoot", "\x00"), none, []string{"firmware: no key of it is used: secure boot is off"}},
		"secure boot unset":    {vars("SecureBoot", "absent"), none, []string{"reading variable SecureBoot: not there"}},
		"secure boot odd":      {vars("SecureBoot", "\x02"), none, []string{"reading variable SecureBoot"}},
		"secure boot long":     {vars("SecureBoot", "\x01\x00"), none, []string{"reading variable SecureBoot"}},
		"secure boot empty":    {vars("SecureBoot", ""), none, []string{"reading variable SecureBoot"}},
		"setup mode":           {vars("SetupMode", "\x01"), none, []string{"firmware: no key of it is used: the firmware is in setup mode"}},
		"setup mode unset":     {vars("SetupMode", "absent"), none, []string{"reading variable SetupMode: not there"}},
		"setup mode odd":       {vars("SetupMode", "\x00\x00"), none, []string{"reading variable SetupMode"}},
		"no UEFI":              {vars("SecureBoot", "absent", "SetupMode", "absent", "PK", "absent", "KEK", "absent", "db", "absent", "dbx", "absent"), none, []string{"no UEFI here"}},
		"no dbx":               {vars("dbx", "absent"), all, []string{"firmware dbx: not there"}},
		"no db":                {vars("db", "absent"), all[:2], []string{"firmware db: not used: not there"}},
		"no PK":                {vars("PK", "absent"), all[1:], []string{"firmware PK: not used: not there"}},
		"in two variables":     {vars("KEK", x509List(pk.cert)), []string{"pk firmware PK, firmware KEK", "db firmware db"}, nil},
		"several lists":        {vars("db", x509List(db.cert, two.cert)+esl(efi.SHA256(), []byte(hash))), append(all[:3:3], "two firmware db"), nil},
		"hashes are ignored":   {vars("db", esl(efi.SHA256(), []byte(hash))), all[:2], nil},
		"unknown type":         {vars("db", x509List(db.cert)+esl(guid.GUID{1}, []byte("x"))), all, []string{"firmware db: list 2 is not used: its type is 01000000-"}},
		"no certificate":       {vars("db", x509List(db.cert)+esl(efi.X509(), []byte("rubbish"))), all, []string{"firmware db: list 2, entry 1 is not used"}},
		"cut":                  {vars("db", x509List(db.cert)+x509List(two.cert)[:100]), all[:2], []string{"firmware db: malformed, so nothing of it is used"}},
		"bytes after it":       {vars("db", x509List(db.cert)+"\x00"), all[:2], []string{"firmware db: malformed"}},
		"empty":                {vars("db", ""), all[:2], nil},
		"weak key":             {vars("db", x509List(weak.cert)), all[:2], []string{"firmware db: CN=weak has an unsupported key"}},
		"vendor":               {vars("db", x509List(microsoft.cert, db.cert)), all, []string{"firmware: 1 vendor certificates are not trusted"}},
		"vendor's own":         {vars("KEK", x509List(byMicrosoft.cert), "db", x509List(microsoft.cert)), all[:1], []string{"firmware: 2 vendor certificates are not trusted"}},
		"vendor and no dbx":    {vars("db", x509List(microsoft.cert), "dbx", "x"), none, []string{"firmware dbx: nobody is trusted"}},
		"dbx malformed":        {vars("dbx", "rubbish"), none, []string{"firmware dbx: nobody is trusted, since what it revokes cannot be told"}},
		"dbx with trailing":    {vars("dbx", x509List(two.cert)+"\x00"), none, []string{"firmware dbx: nobody is trusted"}},
		"dbx, no certificate":  {vars("dbx", esl(efi.X509(), []byte("rubbish"))), none, []string{"firmware dbx: nobody is trusted"}},
		"dbx, unknown type":    {vars("dbx", esl(guid.GUID{1}, []byte("x"))), none, []string{"are not understood"}},
		"dbx, hashes of files": {vars("dbx", esl(efi.SHA256(), []byte(hash))), all, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{Root: firmware(t, test.vars), Firmware: true})
			if diff := cmp.Diff(test.anchors, names(set)); diff != "" {
				t.Error(diff)
			}
			checkLines(t, set, test.problems...)
		})
	}

	t.Run("vendors asked for", func(t *testing.T) {
		t.Parallel()
		set := load(t, trust.Options{Root: firmware(t, vars("db", x509List(microsoft.cert))), Firmware: true, VendorCAs: true})
		if diff := cmp.Diff(append(all[:2:2], "ms firmware db"), names(set)); diff != "" {
			t.Error(diff)
		}
		checkLines(t, set)
	})
	t.Run("vendor given by hand", func(t *testing.T) {
		t.Parallel()
		set := load(t, trust.Options{Root: firmware(t, vars("db", x509List(microsoft.cert))), Firmware: true, Given: given(microsoft.cert)})
		if diff := cmp.Diff(append([]string{"ms test"}, all[:2]...), names(set)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("vendor signs", func(t *testing.T) {
		t.Parallel()
		root := firmware(t, vars("db", x509List(microsoft.cert)))
		for _, chains := range []bool{false, true} {
			set := load(t, trust.Options{Root: root, Firmware: true, Chains: chains})
			j := set.Judge(message(t, content, microsoft, microsoft.cert), []byte(content), trust.JudgeOptions{})
			checkJudgement(t, j, trust.Unknown, "is a vendor's and was not asked for")
		}
	})
	t.Run("not asked for", func(t *testing.T) {
		t.Parallel()
		set := load(t, trust.Options{Root: firmware(t, vars())})
		if len(set.Anchors)+len(set.Problems) > 0 {
			t.Error(names(set), lines(set))
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		t.Parallel()
		root := firmware(t, vars())
		if err := os.Rename(filepath.Join(root.Name(), "sys/firmware/efi/efivars"), filepath.Join(root.Name(), "vars")); err != nil {
			t.Fatal(err)
		}
		checkLines(t, load(t, trust.Options{Root: root, Firmware: true}), "firmware dbx: nobody is trusted, since what it revokes cannot be told: no variables at /sys/firmware/efi/efivars")
		if diff := cmp.Diff(all, names(load(t, trust.Options{Root: root, Firmware: true, EFIVars: "/vars"}))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("without attributes", func(t *testing.T) {
		t.Parallel()
		root := firmware(t, vars())
		if err := os.WriteFile(filepath.Join(root.Name(), "sys/firmware/efi/efivars", variable("db")), []byte("\x27\x00"), 0o644); err != nil {
			t.Fatal(err)
		}
		checkLines(t, load(t, trust.Options{Root: root, Firmware: true}), "firmware db: not used: reading a firmware variable")
	})
}

// tbs is an entry of dbx that revokes cert by the hash of what is signed of it.
func tbs(hash crypto.Hash, cert *x509.Certificate, time string) []byte {
	h := hash.New()
	h.Write(cert.RawTBSCertificate)
	return append(h.Sum(nil), time...)
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	const always = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	const later = "\x33\x08\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // 2099
	const rubbish = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	a, good := signer(t, "a"), signer(t, "good")
	renewed := certify(t, "a", identity{}, identity{key: a.key})
	root := authority(t, "root", identity{})
	middle := authority(t, "middle", root)
	end := leaf(t, middle)
	namesake := leaf(t, authority(t, "root", identity{}))
	whole := func(cert *x509.Certificate) []byte {
		h := crypto.SHA256.New()
		h.Write(cert.Raw)
		return h.Sum(nil)
	}

	tests := map[string]struct {
		dbx     string
		known   []*x509.Certificate // in db
		id      identity
		embed   []*x509.Certificate
		revoked bool
		reason  string
	}{
		"not revoked":              {"", nil, a, certs(a), false, ""},
		"another":                  {x509List(good.cert), nil, a, certs(a), false, ""},
		"certificate":              {x509List(a.cert), nil, a, certs(a), true, "the firmware's dbx revokes it"},
		"certificate, none inside": {x509List(a.cert), nil, a, nil, true, "dbx revokes it"},
		"second entry":             {x509List(good.cert, a.cert), nil, a, certs(a), true, "dbx revokes it"},
		"SHA-256":                  {esl(efi.X509SHA256(), tbs(crypto.SHA256, a.cert, always)), nil, a, certs(a), true, "dbx revokes it"},
		"SHA-384":                  {esl(efi.X509SHA384(), tbs(crypto.SHA384, a.cert, always)), nil, a, certs(a), true, "dbx revokes it"},
		"SHA-512":                  {esl(efi.X509SHA512(), tbs(crypto.SHA512, a.cert, always)), nil, a, certs(a), true, "dbx revokes it"},
		"second hash":              {esl(efi.X509SHA256(), tbs(crypto.SHA256, good.cert, always), tbs(crypto.SHA256, a.cert, always)), nil, a, certs(a), true, "dbx revokes it"},
		"since some day":           {esl(efi.X509SHA256(), tbs(crypto.SHA256, a.cert, later)), nil, a, certs(a), true, "dbx revokes it"},
		"since rubbish":            {esl(efi.X509SHA256(), tbs(crypto.SHA256, a.cert, rubbish)), nil, a, certs(a), true, "dbx revokes it"},
		"hash of the whole":        {esl(efi.X509SHA256(), append(whole(a.cert), always...)), nil, a, certs(a), false, ""},
		"PE hash of the TBS":       {esl(efi.SHA256(), tbs(crypto.SHA256, a.cert, "")), nil, a, certs(a), false, ""},
		"PE hash of the whole":     {esl(efi.SHA256(), whole(a.cert)), nil, a, certs(a), false, ""},
		"renewed with the key":     {x509List(a.cert), nil, renewed, certs(renewed), true, "dbx revokes CN=a, which issued it"},
		"issuer":                   {x509List(middle.cert), nil, end, certs(end), true, "dbx revokes CN=middle, which issued it"},
		"issuer's issuer":          {x509List(root.cert), certs(middle), end, certs(end), true, "dbx revokes CN=root"},
		"issuer's issuer, brought": {x509List(root.cert), nil, end, certs(end, middle), true, "dbx revokes CN=root"},
		"issuer by hash":           {esl(efi.X509SHA256(), tbs(crypto.SHA256, middle.cert, always)), certs(middle), end, certs(end), true, "dbx revokes CN=middle"},
		"issuer by hash, brought":  {esl(efi.X509SHA256(), tbs(crypto.SHA256, middle.cert, always)), nil, end, certs(end, middle), true, "dbx revokes CN=middle"},
		"namesake of the issuer":   {x509List(root.cert), nil, namesake, certs(namesake), false, ""},
		"what it issued":           {x509List(end.cert), nil, middle, certs(middle), false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machine := firmware(t, map[string]string{"db": x509List(append(test.known, good.cert)...), "dbx": test.dbx})
			signed := message(t, content, test.id, test.embed...)
			sets := map[string]*trust.Set{
				"given":     load(t, trust.Options{Root: machine, Firmware: true, Given: given(test.id.cert)}),
				"not asked": load(t, trust.Options{Root: machine, Given: given(test.id.cert)}),
				"db": load(t, trust.Options{
					Root:     firmware(t, map[string]string{"db": x509List(append(test.known, good.cert, test.id.cert)...), "dbx": test.dbx}),
					Firmware: true,
				}),
			}
			for from, set := range sets {
				j := set.Judge(signed, []byte(content), trust.JudgeOptions{})
				if !test.revoked {
					checkJudgement(t, j, trust.Trusted, "")
					continue
				}
				checkJudgement(t, j, trust.Revoked, test.reason)
				if !equal(anchorOf(j), test.id.cert) || !equal(j.Signer, test.id.cert) {
					t.Errorf("%s: anchor %v", from, j.Anchor)
				}
			}

			// A flipped bit is worse than a revocation.
			if j := sets["db"].Judge(signed, []byte("other"), trust.JudgeOptions{}); j.Standing != trust.Bad {
				t.Errorf("other content: %v", j.Standing)
			}
			// Who is revoked and was never trusted is told so too, if the message
			// says who it is.
			if test.revoked && test.embed != nil {
				set := load(t, trust.Options{Root: machine, Firmware: true})
				checkJudgement(t, set.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Revoked, test.reason)
			}
			// Where there are no variables there is no dbx.
			set := load(t, trust.Options{Given: given(test.id.cert)})
			checkJudgement(t, set.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Trusted, "")
		})
	}
}

// Revoked certificates are no anchors that anybody could hand on.
func TestRevokedAreNoAnchors(t *testing.T) {
	t.Parallel()
	ca := authority(t, "ca", identity{})
	a, b := leaf(t, ca), signer(t, "b")
	for _, off := range []string{"\x01", "\x00"} { // whatever Secure Boot does
		set := load(t, trust.Options{
			Root:     firmware(t, map[string]string{"SecureBoot": off, "dbx": x509List(ca.cert)}),
			Firmware: true, Given: given(a.cert, b.cert, ca.cert),
		})
		if diff := cmp.Diff([]string{"b test"}, names(set)); diff != "" {
			t.Error(diff)
		}
		want := []string{
			"test: CN=leaf is not trusted: the firmware's dbx revokes CN=ca, which issued it",
			"test: CN=ca is not trusted: the firmware's dbx revokes it",
		}
		if got := lines(set); len(got) < 2 || !cmp.Equal(want, got[len(got)-2:]) {
			t.Errorf("problems %q", got)
		}
	}
}

func TestRevokedInChains(t *testing.T) {
	t.Parallel()
	top, gone := authority(t, "top", identity{}), authority(t, "gone", identity{})
	middle := authority(t, "middle", top)
	crossed := certify(t, "middle", gone, identity{key: middle.key}, isCA)
	end := leaf(t, middle)
	for name, test := range map[string]struct {
		dbx, embed []*x509.Certificate
		standing   trust.Standing
	}{
		"nothing":                      {nil, certs(end, middle), trust.Trusted},
		"leaf":                         {certs(end), certs(end, middle), trust.Revoked},
		"middle":                       {certs(middle), certs(end, middle), trust.Revoked},
		"top":                          {certs(top), certs(end, middle), trust.Revoked},
		"crossed":                      {certs(crossed), certs(end, middle), trust.Revoked},
		"other issuer of the crossed":  {certs(gone), certs(end, middle, crossed), trust.Revoked},
		"another, which issued nobody": {certs(signer(t, "top")), certs(end, middle), trust.Trusted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{
				Root: firmware(t, map[string]string{"dbx": x509List(test.dbx...)}), Firmware: true, Chains: true, Given: given(top.cert),
			})
			j := set.Judge(message(t, content, end, test.embed...), []byte(content), trust.JudgeOptions{})
			checkJudgement(t, j, test.standing, "signed by CN=leaf")
		})
	}
}

// Who is named as issuer, and whose signature cannot be checked, is taken for the
// issuer by a revocation, and not by a chain.
func TestIssuerThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	ca := authority(t, "ca", identity{})
	plain := leaf(t, ca)
	// ecdsa-with-SHA256 becomes an algorithm that nobody knows.
	der := bytes.ReplaceAll(plain.cert.Raw, []byte("\x2a\x86\x48\xce\x3d\x04\x03\x02"), []byte("\x2a\x86\x48\xce\x3d\x04\x03\x7f"))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	odd := identity{cert, plain.key}
	signed := message(t, content, odd, odd.cert)

	good := load(t, trust.Options{Given: given(odd.cert)})
	checkJudgement(t, good.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Trusted, "")
	revoked := load(t, trust.Options{Root: firmware(t, map[string]string{"dbx": x509List(ca.cert)}), Firmware: true, Given: given(odd.cert)})
	checkJudgement(t, revoked.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Revoked, "dbx revokes CN=ca, which issued it")
	chained := load(t, trust.Options{Given: given(ca.cert), Chains: true})
	checkJudgement(t, chained.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Unknown, "it did not sign CN=leaf")
}

func TestUnreadableFirmware(t *testing.T) {
	t.Parallel()
	a := signer(t, "a")
	root := firmware(t, map[string]string{"db": x509List(a.cert)})
	for _, name := range []string{"dbx", "db"} {
		file := filepath.Join(root.Name(), "sys/firmware/efi/efivars", variable(name))
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o755); err != nil { // root can read everything else
			t.Fatal(err)
		}
		set := load(t, trust.Options{Root: root, Firmware: true})
		if len(set.Anchors) > 0 || !strings.Contains(strings.Join(lines(set), "\n"), "firmware dbx: nobody is trusted, since what it revokes cannot be told: a folder") {
			t.Errorf("%q, %q", names(set), lines(set))
		}
	}
}
