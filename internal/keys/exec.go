package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"inlay/internal/hint"
)

// The schemes that a request to an external signer names.
const (
	schemeRSA   = "rsa-pkcs1v15"
	schemeECDSA = "ecdsa"
)

// request is what an external signer gets on its standard input: one JSON
// object. docs/signing.md is its documentation; a field added later leaves the
// version, a changed one raises it.
type request struct {
	Version int `json:"version"`
	// Digest is the SHA-256 digest to sign, in base64 as encoding/json has it.
	Digest []byte `json:"digest"`
	Hash   string `json:"hash"`
	Scheme string `json:"scheme"`
	// Certificate is the signer's certificate in PEM, by which a program that
	// guards several keys finds the right one.
	Certificate string `json:"certificate"`
}

// Runner runs a program: input is its standard input, what it returns is the
// standard output. An error says why the program did not do its work. It ends
// the program when ctx is cancelled.
type Runner interface {
	Run(ctx context.Context, program string, input []byte) ([]byte, error)
}

// Exec returns a pair whose signer asks program for every signature: "exec:" on
// the command line. The certificate must be of a key that Load would take. The
// program is looked up at once, so that one that is not there is an error before
// any work is done, and started anew for each signature. The signer is of use
// only until ctx ends.
func Exec(ctx context.Context, program, certFile string) (Pair, error) {
	path, err := lookUp(program)
	if err != nil {
		return Pair{}, err
	}
	return ExecWith(ctx, Command{}, path, certFile)
}

// ExecWith is Exec with the runner passed in and the program taken as it is.
func ExecWith(ctx context.Context, runner Runner, program, certFile string) (Pair, error) {
	cert, err := LoadCertificate(certFile)
	if err != nil {
		return Pair{}, err
	}
	s := &external{certificate: cert, program: program}
	// crypto.Signer has no room for a context, so the call carries it along.
	s.run = func(input []byte) ([]byte, error) { return runner.Run(ctx, program, input) }
	return Pair{Certificate: cert, Signer: s}, nil
}

// external is a signer behind a program.
type external struct {
	certificate *x509.Certificate
	program     string
	run         func(input []byte) ([]byte, error)
}

// Public returns the key of the certificate.
func (s *external) Public() crypto.PublicKey { return s.certificate.PublicKey }

// Sign asks the program for a signature over digest, which must be SHA-256's,
// and returns it once it is verified with the certificate.
func (s *external) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.sign(digest, opts)
	if err != nil {
		err = hint.Default(err, "run it by hand on the JSON that docs/signing.md shows")
		return nil, fmt.Errorf("asking signer %q: %w", s.program, err)
	}
	return signature, nil
}

func (s *external) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, pss := opts.(*rsa.PSSOptions); pss || opts.HashFunc() != crypto.SHA256 || len(digest) != crypto.SHA256.Size() {
		return nil, errors.New("an external signer signs SHA-256 digests only, RSA by PKCS #1 v1.5")
	}
	scheme := schemeECDSA
	if _, ok := s.Public().(*rsa.PublicKey); ok {
		scheme = schemeRSA
	}
	input, err := json.Marshal(request{
		Version:     1,
		Digest:      digest,
		Hash:        "sha256",
		Scheme:      scheme,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: s.certificate.Raw})),
	})
	if err != nil {
		return nil, err
	}
	output, err := s.run(append(input, '\n'))
	if err != nil {
		return nil, err
	}
	if len(output) == 0 {
		return nil, errors.New("it wrote nothing to its standard output")
	}
	// Raw bytes or base64: the key itself tells which, since only one of them
	// verifies. Guessing from the first byte would fail (DER begins with "0").
	candidates := [][]byte{output}
	if decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(output))); err == nil {
		candidates = append(candidates, decoded)
	}
	for _, signature := range candidates {
		if verifies(s.Public(), digest, signature) {
			return signature, nil
		}
	}
	err = fmt.Errorf("what it wrote (%d bytes) is no signature of the digest by certificate %q", len(output), s.certificate.Subject)
	return nil, hint.Wrap(err, "the signature belongs on standard output, raw or in base64 (ECDSA: ASN.1 DER), made over the digest as it is given; see docs/signing.md")
}

// verifies says whether signature is one of a SHA-256 digest by pub.
func verifies(pub crypto.PublicKey, digest, signature []byte) bool {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	default:
		return false
	}
}
