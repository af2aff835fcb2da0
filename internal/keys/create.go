package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
)

// DefaultDays is how long a certificate is valid unless asked otherwise: ten
// years, about the life of a node. Neither firmware nor kernel nor systemd looks
// at the date of a signer's certificate, so a short life protects nobody; but
// whoever does ask for valid dates would refuse its own extensions, and the key
// in the firmware is the hardest one to replace.
const DefaultDays = 3650

const (
	// maxDays keeps the end before the year 10000, where X.509's time ends.
	maxDays = 36500
	// maxName leaves room for "-KEK" or "-ext" in the 64 characters of a common name.
	maxName = 60
)

// Algorithm is a kind and size of key: "rsa2048" and so on.
type Algorithm string

// The algorithms that Generate knows.
const (
	RSA2048 Algorithm = "rsa2048" // what all firmware takes
	RSA3072 Algorithm = "rsa3072"
	RSA4096 Algorithm = "rsa4096"
	P256    Algorithm = "p256"
	P384    Algorithm = "p384"
)

// Algorithms returns the algorithms that Generate knows, the default first.
func Algorithms() []Algorithm { return []Algorithm{RSA2048, RSA3072, RSA4096, P256, P384} }

// FirmwareAlgorithms returns those that UEFI firmware takes for PK, KEK and db,
// the default first: it is required to know RSA 2048, and no ECDSA at all.
func FirmwareAlgorithms() []Algorithm { return []Algorithm{RSA2048, RSA3072, RSA4096} }

// Options says what New makes.
type Options struct {
	// Name and Role make the certificate's common name, Name-Role.
	Name, Role string
	Algorithm  Algorithm // RSA2048 if empty
	// Signer is the key, if there is one already.
	Signer crypto.Signer
	Days   int // DefaultDays if zero
	// Issuer signs the certificate; without one the key signs its own.
	Issuer *Pair
	// Clock gives the start of validity; nil is time.Now.
	Clock func() time.Time
	// Rand gives the serial number; nil is crypto/rand. Keys come from the
	// system's own source whatever is passed here: Go lets nobody else choose.
	Rand io.Reader
}

// Check says whether New would take o, before it makes anything.
func (o Options) Check() error { return o.complete() }

// New makes a key and its certificate: not a CA, good for digital signatures
// only, and self-signed unless an issuer is given. An RSA key of 4096 bits can
// take seconds.
func New(o Options) (Pair, error) {
	if err := o.complete(); err != nil {
		return Pair{}, err
	}
	key := o.Signer
	if key == nil {
		var err error
		if key, err = Generate(o.Algorithm); err != nil {
			return Pair{}, err
		}
	}
	cert, err := certify(key, o)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Certificate: cert, Signer: key}, nil
}

// complete fills in the defaults and refuses what makes no certificate.
func (o *Options) complete() error {
	switch {
	case o.Name == "" || strings.TrimSpace(o.Name) != o.Name || !utf8.ValidString(o.Name) ||
		strings.ContainsFunc(o.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return hint.Wrap(fmt.Errorf("name %q cannot stand in a certificate", o.Name), "use letters, digits, dots and dashes")
	case utf8.RuneCountInString(o.Name) > maxName:
		return hint.Wrap(fmt.Errorf("name %q is longer than %d characters", o.Name, maxName), "choose a shorter one")
	}
	o.Algorithm = Algorithm(strings.ToLower(string(o.Algorithm)))
	if o.Algorithm == "" {
		o.Algorithm = RSA2048
	}
	if !slices.Contains(Algorithms(), o.Algorithm) {
		return hint.Wrap(fmt.Errorf("algorithm %q is not known", o.Algorithm), fmt.Sprintf("choose one of %s", list(Algorithms())))
	}
	if o.Days == 0 {
		o.Days = DefaultDays
	}
	if o.Days < 0 || o.Days > maxDays {
		return hint.Wrap(fmt.Errorf("a certificate cannot be valid for %d days", o.Days), fmt.Sprintf("give 1 to %d days", maxDays))
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o.checkIssuer()
}

// checkIssuer refuses an issuer whose certificates nobody could check.
func (o *Options) checkIssuer() error {
	if o.Issuer == nil {
		return nil
	}
	ca := o.Issuer.Certificate
	start := o.Clock().Truncate(time.Second)
	switch days := int(ca.NotAfter.Sub(start).Hours() / 24); {
	case !ca.BasicConstraintsValid || !ca.IsCA:
		return hint.Wrap(fmt.Errorf("the issuer %q is not a certification authority", ca.Subject), "give the certificate of a CA (CA:TRUE), and its key")
	case ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0:
		return hint.Wrap(fmt.Errorf("the issuer %q must not sign certificates, by its key usage", ca.Subject), "give the certificate of a CA that may (keyCertSign)")
	case start.Before(ca.NotBefore) || days < 1:
		return hint.Wrap(fmt.Errorf("the issuer %q is valid from %s to %s", ca.Subject, day(ca.NotBefore), day(ca.NotAfter)), "give a CA that is valid now")
	case o.Days > days:
		return hint.Wrap(fmt.Errorf("certificates for %d days would outlive their issuer %q, which ends on %s", o.Days, ca.Subject, day(ca.NotAfter)),
			fmt.Sprintf("ask for at most %d days", days))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func list(algorithms []Algorithm) string {
	words := make([]string, 0, len(algorithms))
	for _, a := range algorithms {
		words = append(words, string(a))
	}
	return strings.Join(words, ", ")
}

// Generate makes a key.
func Generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, fmt.Errorf("algorithm %q is not known", a)
	}
}

// certify returns the certificate of key.
func certify(key crypto.Signer, o Options) (*x509.Certificate, error) {
	serial, err := serialNumber(o.Rand)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	id := sha256.Sum256(spki)
	start := o.Clock().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: o.Name + "-" + o.Role},
		NotBefore:             start,
		NotAfter:              start.AddDate(0, 0, o.Days),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		SubjectKeyId:          id[:20], // RFC 7093 section 2 method 4
	}
	issuer, signer := template, key
	if o.Issuer != nil {
		issuer, signer = o.Issuer.Certificate, o.Issuer.Signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// serialNumber returns a positive number of 128 random bits, the first of them
// set: a signature names its signer by issuer and serial number, and issuers'
// names repeat.
func serialNumber(random io.Reader) (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	b[0] |= 0x80
	return new(big.Int).SetBytes(b), nil
}

// EncodeKey returns a private key as PEM (PKCS #8).
func EncodeKey(key crypto.Signer) ([]byte, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typePKCS8, Bytes: pkcs8}), nil
}

// EncodeCertificate returns a certificate as PEM.
func EncodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: cert.Raw})
}
