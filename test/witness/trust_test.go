package witness_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/internal/keys"
	"inlay/test/need"
	"inlay/test/sample"
)

// TestKeys: whose certificate, of which date, by whom issued, and how it is named
// on the command line.
func TestKeys(t *testing.T) {
	t.Parallel()
	year := 365 * 24 * time.Hour
	now := time.Now()
	ca := sample.Pair(t, sample.Certificate{Name: "ca", CA: true})
	notCA := sample.Pair(t, sample.Certificate{Name: "no-ca"})
	signer := sample.Pair(t, sample.Certificate{Name: "signer"})
	other := sample.Pair(t, sample.Certificate{Name: "other"})
	namesake := sample.Pair(t, sample.Certificate{Name: "signer"})
	expired := sample.Pair(t, sample.Certificate{Name: "expired", From: now.Add(-2 * year), To: now.Add(-year)})
	future := sample.Pair(t, sample.Certificate{Name: "future", From: now.Add(year), To: now.Add(2 * year)})
	issued := sample.Pair(t, sample.Certificate{Name: "issued", Issuer: ca, Serial: 5})
	smuggled := sample.Pair(t, sample.Certificate{Name: "smuggled", Issuer: notCA, Serial: 5})
	image := map[*keys.Pair]string{}
	file := map[*keys.Pair]string{}
	for _, p := range []*keys.Pair{ca, notCA, signer, other, namesake, expired, future, issued, smuggled} {
		image[p], file[p] = sample.Make(t, sample.Image{Signer: p}), writePair(t, p).certificate
	}
	both := filepath.Join(t.TempDir(), "both.pem")
	write(t, both, string(sample.PEM(other.Certificate, signer.Certificate)), 0o644)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "acme.crt"), string(sample.PEM(signer.Certificate)), 0o644)
	write(t, filepath.Join(folder, "other.pem"), string(sample.PEM(other.Certificate)), 0o644)
	for name, c := range map[string]struct {
		by    *keys.Pair
		flags []string
		words string // of the refusal; "" if it is good
	}{
		"the signer's":             {signer, []string{"--certificate", file[signer]}, ""},
		"the wrong key":            {other, []string{"--certificate", file[signer]}, "signed by CN=other, which is not the one trusted key"},
		"the second of two":        {signer, []string{"--certificate", file[other], "--certificate", file[signer]}, ""},
		"the second in a file":     {signer, []string{"--certificate", both}, ""},
		"a namesake":               {namesake, []string{"--certificate", file[signer]}, "another certificate under the issuer and serial number"},
		"expired":                  {expired, []string{"--certificate", file[expired]}, ""},
		"expired, dates count":     {expired, []string{"--certificate", file[expired], "--require-valid-dates"}, "expired on"},
		"to come, dates count":     {future, []string{"--certificate", file[future], "--require-valid-dates"}, "not valid before"},
		"valid, dates count":       {signer, []string{"--certificate", file[signer], "--require-valid-dates"}, ""},
		"issued":                   {issued, []string{"--certificate", file[ca]}, "not the one trusted key"},
		"issued, chains":           {issued, []string{"--certificate", file[ca], "--allow-chains"}, ""},
		"by no authority, chains":  {smuggled, []string{"--certificate", file[notCA], "--allow-chains"}, "not the one trusted key"},
		"the issuer by the issued": {ca, []string{"--certificate", file[issued], "--allow-chains"}, "not the one trusted key"},
		"pinned":                   {signer, []string{"--certificate", both, "--pin", print256(signer)}, ""},
		"another is pinned":        {signer, []string{"--certificate", both, "--pin", print256(other)}, "not among the pinned"},
		"pinned and not trusted":   {signer, []string{"--certificate", file[other], "--pin", print256(signer)}, "no key is trusted"},
		"a pin of each":            {signer, []string{"--certificate", both, "--pin", print256(other), "--pin", print256(signer)}, ""},
		"in a folder":              {signer, []string{"--trust-dir", folder}, ""},
		"in a folder, not .crt":    {other, []string{"--trust-dir", folder}, "not the one trusted key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verify(t, append(c.flags, image[c.by])...)
			if c.words == "" {
				v.wantSigned(t, "CN="+c.by.Certificate.Subject.CommonName)
				return
			}
			v.wantRefused(t, "signature", c.words)
		})
	}
}

// print256 is a fingerprint as openssl prints it.
func print256(p *keys.Pair) string {
	sum := fmt.Sprintf("%X", sha256.Sum256(p.Certificate.Raw))
	var pairs []string
	for i := 0; i < len(sum); i += 2 {
		pairs = append(pairs, sum[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// TestVerityFolders: systemd's folders of certificates below a root, with its
// rules of precedence, masks and links.
func TestVerityFolders(t *testing.T) {
	t.Parallel()
	signer, other := sample.Pair(t, sample.Certificate{Name: "signer"}), sample.Pair(t, sample.Certificate{Name: "other"})
	image := sample.Make(t, sample.Image{Signer: signer})
	mine, theirs := string(sample.PEM(signer.Certificate)), string(sample.PEM(other.Certificate))
	for name, c := range map[string]struct {
		files map[string]string // below the root; "->" makes a link
		words string
	}{
		"in /etc":                    {map[string]string{"etc/verity.d/a.crt": mine}, ""},
		"in /run":                    {map[string]string{"run/verity.d/a.crt": mine}, ""},
		"in /usr/local/lib":          {map[string]string{"usr/local/lib/verity.d/a.crt": mine}, ""},
		"in /usr/lib":                {map[string]string{"usr/lib/verity.d/a.crt": mine}, ""},
		"nowhere":                    {map[string]string{"etc/verity.d/a.pem": mine}, "no key is trusted here"},
		"hidden by its name":         {map[string]string{"usr/lib/verity.d/a.crt": mine, "etc/verity.d/a.crt": theirs}, "not the one trusted key"},
		"hides by its name":          {map[string]string{"usr/lib/verity.d/a.crt": theirs, "etc/verity.d/a.crt": mine}, ""},
		"/run goes before /usr":      {map[string]string{"usr/lib/verity.d/a.crt": mine, "run/verity.d/a.crt": theirs}, "not the one trusted key"},
		"another name hides nothing": {map[string]string{"usr/lib/verity.d/a.crt": mine, "etc/verity.d/b.crt": theirs}, ""},
		"masked":                     {map[string]string{"usr/lib/verity.d/a.crt": mine, "etc/verity.d/a.crt": "->/dev/null"}, "no key is trusted here"},
		"a link inside":              {map[string]string{"usr/share/a.pem": mine, "etc/verity.d/a.crt": "->/usr/share/a.pem"}, ""},
		"a link out":                 {map[string]string{"etc/verity.d/a.crt": "->../../../../../../a.pem"}, "no key is trusted here"},
		"broken":                     {map[string]string{"etc/verity.d/a.crt": "rubbish", "usr/lib/verity.d/b.crt": mine}, ""},
		"broken, and hides":          {map[string]string{"etc/verity.d/a.crt": "rubbish", "usr/lib/verity.d/a.crt": mine}, "no key is trusted here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := rootWith(t, c.files)
			write(t, filepath.Join(filepath.Dir(root), "a.pem"), mine, 0o644)
			v := verify(t, image, "--root", root)
			if c.words == "" {
				v.wantSigned(t, "CN=signer")
			} else {
				v.wantRefused(t, "signature", c.words)
			}
			if strings.HasPrefix(name, "broken") != (len(v.Problems) > 0) && name != "a link out" {
				t.Errorf("problems: %v", v.Problems)
			}
		})
	}
}

// rootWith makes a root folder with these files in it.
func rootWith(t *testing.T, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		target, link := strings.CutPrefix(text, "->")
		if !link {
			write(t, path, text, 0o644)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestDenyLists has openssl sign a list as the documents say: what it names is
// out, and a list that nobody can believe lets nothing in.
func TestDenyLists(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	signer, other := sample.Pair(t, sample.Certificate{Name: "signer"}), sample.Pair(t, sample.Certificate{Name: "other"})
	k, stranger := writePair(t, signer), writePair(t, other)
	denied := sample.Make(t, sample.Image{Signer: signer})
	kept := sample.Make(t, sample.Image{Signer: signer, Files: map[string]string{"usr/bin/other": "x"}})
	text := "inlay deny list 1\n# a comment\n" + rootHash(t, denied) + " hello 1.0: CVE-2026-1\n"
	sign := func(path, text string, k key) {
		write(t, path, text, 0o644)
		if out, err := exec.CommandContext(t.Context(), openssl, "smime", "-sign", "-binary", "-noattr", "-in", path,
			"-signer", k.certificate, "-inkey", k.private, "-outform", "der", "-out", path+".p7s").CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
	}
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	sign(in("good.deny"), text, k)
	sign(in("foreign.deny"), text, stranger)
	sign(in("changed.deny"), text, k)
	write(t, in("changed.deny"), strings.Replace(text, rootHash(t, denied)[:8], "00000000", 1), 0o644)
	write(t, in("unsigned.deny"), text, 0o644)
	trust := []string{"--certificate", k.certificate}

	v := verify(t, append(trust, "--deny-list", in("good.deny"), denied)...)
	v.wantRefused(t, "deny-list", "CVE-2026-1")
	verify(t, append(trust, "--deny-list", in("good.deny"), denied, "--policy", "any")...).wantRefused(t, "deny-list", "CVE-2026-1")
	verify(t, append(trust, "--deny-list", in("good.deny"), kept)...).wantSigned(t, "CN=signer")
	for _, name := range []string{"foreign.deny", "changed.deny"} {
		verify(t, append(trust, "--deny-list", in(name), kept)...).wantRefused(t, "deny-list", in(name))
	}
	v = verify(t, append(trust, "--deny-list", in("unsigned.deny"), kept)...)
	if v.code != codeMissing || len(v.Images) > 0 || !strings.Contains(v.stderr, "unsigned.deny.p7s") {
		t.Errorf("a list without its signature: %s", v)
	}

	// The machine's own, which count whoever is named.
	for name, words := range map[string]string{"good.deny": "CVE-2026-1", "unsigned.deny": "its signature", "foreign.deny": "CN=other"} {
		for _, place := range []string{"etc", "run", "usr/lib"} {
			files := map[string]string{"etc/verity.d/a.crt": string(readFile(t, k.certificate)), filepath.Join(place, "inlay/deny.d", name): string(readFile(t, in(name)))}
			if name != "unsigned.deny" {
				files[filepath.Join(place, "inlay/deny.d", name+".p7s")] = string(readFile(t, in(name+".p7s")))
			}
			root := rootWith(t, files)
			verify(t, denied, "--root", root).wantRefused(t, "deny-list", words)
			verify(t, append(trust, denied, "--root", root)...).wantRefused(t, "deny-list", words)
			if name == "good.deny" {
				verify(t, kept, "--root", root).wantSigned(t, "CN=signer")
			} else {
				verify(t, kept, "--root", root).wantRefused(t, "deny-list", words)
			}
		}
	}
}
