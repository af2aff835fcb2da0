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
	"errors"
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
	// maxName leaves room for "-KEK" in the 64 characters of a common name.
	maxName = 60
)

// Algorithm is a kind and size of key: "rsa2048" and so on.
type Algorithm string

// The algorithms that Create knows.
const (
	RSA2048 Algorithm = "rsa2048" // what all firmware takes
	RSA3072 Algorithm = "rsa3072"
	RSA4096 Algorithm = "rsa4096"
	P256    Algorithm = "p256"
	P384    Algorithm = "p384"
)

// Algorithms returns the algorithms that Create knows, the default first.
func Algorithms() []Algorithm { return []Algorithm{RSA2048, RSA3072, RSA4096, P256, P384} }

// CreateOptions says what Create makes.
type CreateOptions struct {
	Name      string    // the certificate's common name is Name-db
	Dir       string    // created with mode 0700 if absent
	Algorithm Algorithm // RSA2048 if empty
	Days      int       // DefaultDays if zero
	Force     bool      // replace existing files
	// Clock gives the start of validity; nil is time.Now.
	Clock func() time.Time
	// Rand gives the serial number; nil is crypto/rand. Keys come from the
	// system's own source whatever is passed here: Go lets nobody else choose.
	Rand io.Reader
}

// Create makes a key and a self-signed certificate for signing extensions, in
// the files db.key (PKCS #8, mode 0600) and db.pem of a folder, and returns
// their paths. Existing files are an error that wraps fs.ErrExist, unless Force
// is set. A run that is killed leaves both files, none, or the key alone; never
// a certificate that belongs to another key. It may also leave its staging
// files, whose names begin with ".inlay-".
func Create(o CreateOptions) ([]string, error) {
	paths, err := create(o)
	if err != nil {
		return nil, fmt.Errorf("creating keys in %q: %w", o.Dir, err)
	}
	return paths, nil
}

// Check says whether Create would take o, before it touches any file.
func (o CreateOptions) Check() error { return o.complete() }

func create(o CreateOptions) ([]string, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	names := []string{"db.key", "db.pem"}
	// Making an RSA key can take seconds; a file in the way is known at once.
	if err := checkAbsent(o.Dir, names, o.Force); err != nil {
		return nil, err
	}
	key, err := generate(o.Algorithm)
	if err != nil {
		return nil, err
	}
	cert, err := selfSign(key, o)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	return install(o.Dir, o.Force, []file{
		{name: names[0], mode: 0o600, data: pem.EncodeToMemory(&pem.Block{Type: typePKCS8, Bytes: pkcs8})},
		{name: names[1], mode: 0o644, data: pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: cert})},
	})
}

// complete fills in the defaults and refuses what makes no certificate.
func (o *CreateOptions) complete() error {
	switch {
	case o.Name == "" || strings.TrimSpace(o.Name) != o.Name || !utf8.ValidString(o.Name) ||
		strings.ContainsFunc(o.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return hint.Wrap(fmt.Errorf("name %q cannot stand in a certificate", o.Name), "use letters, digits, dots and dashes")
	case utf8.RuneCountInString(o.Name) > maxName:
		return hint.Wrap(fmt.Errorf("name %q is longer than %d characters", o.Name, maxName), "choose a shorter one")
	case o.Dir == "":
		return hint.Wrap(errors.New("no folder is named"), "name the folder for the key and the certificate")
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
	return nil
}

func list(algorithms []Algorithm) string {
	words := make([]string, 0, len(algorithms))
	for _, a := range algorithms {
		words = append(words, string(a))
	}
	return strings.Join(words, ", ")
}

func generate(a Algorithm) (crypto.Signer, error) {
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

// selfSign returns the certificate of key in DER: not a CA, good for digital
// signatures only.
func selfSign(key crypto.Signer, o CreateOptions) ([]byte, error) {
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
		Subject:               pkix.Name{CommonName: o.Name + "-db"},
		NotBefore:             start,
		NotAfter:              start.AddDate(0, 0, o.Days),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		SubjectKeyId:          id[:20], // RFC 7093 section 2 method 4
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate: %w", err)
	}
	return der, nil
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
