package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/cms"
	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/trust"
)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// now lies within the dates of all certificates that say nothing else.
func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

// certify makes a certificate for name, issued by parent, or by itself if parent
// has no certificate. Parent or change may bring the key.
func certify(t testing.TB, name string, parent, self identity, change ...func(*x509.Certificate)) identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now().AddDate(-1, 0, 0),
		NotAfter:     now().AddDate(1, 0, 0),
	}
	for _, f := range change {
		f(template)
	}
	if self.key == nil {
		self.key = newKey(t)
	}
	issuer, key := parent.cert, parent.key
	if issuer == nil {
		issuer, key = template, self.key
	}
	if key == nil {
		t.Fatal("a parent without its key")
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, self.key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if self.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return self
}

// signer makes a self-signed certificate.
func signer(t testing.TB, name string, change ...func(*x509.Certificate)) identity {
	t.Helper()
	return certify(t, name, identity{}, identity{}, change...)
}

// authority makes a certificate that may issue others.
func authority(t testing.TB, name string, parent identity, change ...func(*x509.Certificate)) identity {
	t.Helper()
	return certify(t, name, parent, identity{}, append([]func(*x509.Certificate){isCA}, change...)...)
}

// leaf makes a certificate that parent issued.
func leaf(t testing.TB, parent identity, change ...func(*x509.Certificate)) identity {
	t.Helper()
	return certify(t, "leaf", parent, identity{}, change...)
}

func isCA(c *x509.Certificate) {
	c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func toPEM(certs ...*x509.Certificate) []byte {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text
}

// given trusts certificates under the origin "test".
func given(certs ...*x509.Certificate) []trust.Given {
	return []trust.Given{{Origin: "test", PEM: toPEM(certs...)}}
}

// message signs content with id's key, and brings exactly the certificates in
// embed.
func message(t testing.TB, content string, id identity, embed ...*x509.Certificate) *cms.SignedData {
	t.Helper()
	der, err := cms.Sign([]byte(content), id.cert, id.key)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, bring(t, der, embed...))
}

func parse(t testing.TB, der []byte) *cms.SignedData {
	t.Helper()
	sd, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return sd
}

// bring replaces the certificates in a message: nothing protects them.
func bring(t testing.TB, der []byte, embed ...*x509.Certificate) []byte {
	t.Helper()
	context0 := casn1.Tag(0).ContextSpecific().Constructed()
	input := cryptobyte.String(der)
	var info, kind, body, signed, version, digests, content, old, signers cryptobyte.String
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1Element(&kind, casn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&body, context0) || !body.ReadASN1(&signed, casn1.SEQUENCE) ||
		!signed.ReadASN1Element(&version, casn1.INTEGER) || !signed.ReadASN1Element(&digests, casn1.SET) ||
		!signed.ReadASN1Element(&content, casn1.SEQUENCE) || !signed.ReadASN1(&old, context0) ||
		!signed.ReadASN1Element(&signers, casn1.SET) {
		t.Fatal("not a message of internal/cms")
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(kind)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(version)
				b.AddBytes(digests)
				b.AddBytes(content)
				if len(embed) > 0 {
					b.AddASN1(context0, func(b *cryptobyte.Builder) {
						for _, cert := range embed {
							b.AddBytes(cert.Raw)
						}
					})
				}
				b.AddBytes(signers)
			})
		})
	})
	return b.BytesOrPanic()
}

func load(t testing.TB, o trust.Options) *trust.Set {
	t.Helper()
	set, err := trust.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// folder is a root folder with files in it: a text, or a link to what follows
// "-> ".
func folder(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// firmware is a root folder with efivars in it. Secure Boot is on unless vars say
// otherwise; a variable that is "absent" is.
func firmware(t testing.TB, vars map[string]string) *os.Root {
	t.Helper()
	all := map[string]string{"SecureBoot": "\x01", "SetupMode": "\x00", "PK": "", "KEK": "", "db": "", "dbx": ""}
	files := make(map[string]string)
	maps.Copy(all, vars)
	for name, value := range all {
		if value != "absent" {
			files["sys/firmware/efi/efivars/"+variable(name)] = string(efi.Variable{Attributes: 0x27, Data: []byte(value)}.Marshal())
		}
	}
	return folder(t, files)
}

// variable is the name of a variable's file.
func variable(name string) string {
	if strings.HasPrefix(name, "db") {
		return efi.FileName(name, efi.ImageSecurity())
	}
	return efi.FileName(name, efi.GlobalVariable())
}

// esl is a signature list.
func esl(kind guid.GUID, entries ...[]byte) string {
	l := efi.List{Type: kind}
	for _, data := range entries {
		l.Entries = append(l.Entries, efi.Entry{Data: data})
	}
	return string(l.Marshal())
}

func x509List(certs ...*x509.Certificate) string {
	var text strings.Builder
	for _, cert := range certs {
		text.WriteString(esl(efi.X509(), cert.Raw))
	}
	return text.String()
}

// names are the common names of the anchors with their origins.
func names(set *trust.Set) []string {
	list := []string{}
	for _, a := range set.Anchors {
		list = append(list, a.Certificate.Subject.CommonName+" "+a.Origin)
	}
	return list
}

// lines are the problems.
func lines(set *trust.Set) []string {
	list := []string{}
	for _, p := range set.Problems {
		list = append(list, p.Origin+": "+p.Text)
	}
	return list
}

// checkLines wants each problem to contain the text that stands in its place.
func checkLines(t *testing.T, set *trust.Set, want ...string) {
	t.Helper()
	got := lines(set)
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d: %q", len(got), len(want), got)
		return
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("problem %q, want one with %q", got[i], want[i])
		}
	}
}

// checkJudgement wants a standing and part of the reason.
func checkJudgement(t *testing.T, j trust.Judgement, standing trust.Standing, reason string) {
	t.Helper()
	if j.Standing != standing {
		t.Errorf("standing %v, want %v (%s)", j.Standing, standing, j.Reason)
	}
	if !strings.Contains(j.Reason, reason) {
		t.Errorf("reason %q, want one with %q", j.Reason, reason)
	}
	if j.Reason == "" || strings.ContainsAny(j.Reason+j.Advice, "\n\x1b") {
		t.Errorf("reason %q, advice %q: not one line each", j.Reason, j.Advice)
	}
	if (j.Advice == "") != (standing == trust.Trusted) {
		t.Errorf("advice %q for what is %v", j.Advice, standing)
	}
	if (standing == trust.Trusted || standing == trust.Expired) && (j.Anchor == nil || j.Signer == nil) {
		t.Errorf("%v, and no anchor or no signer", standing)
	}
}

func ed25519Key(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
