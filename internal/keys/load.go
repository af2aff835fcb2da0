package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"inlay/internal/hint"
)

// maxFileSize bounds a key or certificate file; a certificate with a thousand
// names in it stays far below.
const maxFileSize = 256 << 10

// Load reads a private key and its certificate from PEM files and makes sure
// that they belong together. A key file that everybody can read or write is not
// an error, but the pair's Warning says so.
func Load(keyFile, certFile string) (Pair, error) {
	cert, err := LoadCertificate(certFile)
	if err != nil {
		return Pair{}, err
	}
	signer, warning, err := LoadKey(keyFile)
	if err != nil {
		return Pair{}, err
	}
	if !matches(signer.Public(), cert.PublicKey) {
		err := fmt.Errorf("private key %q does not belong to certificate %q, whose subject is %q", keyFile, certFile, cert.Subject)
		return Pair{}, hint.Wrap(err, "give the certificate that was made for this key")
	}
	return Pair{Certificate: cert, Signer: signer, Warning: warning}, nil
}

// LoadKey reads a private key from a PEM file. A file that everybody can read or
// write is not an error, but the warning says so.
func LoadKey(keyFile string) (signer crypto.Signer, warning string, err error) {
	signer, mode, err := loadKey(keyFile)
	if err != nil {
		err = hint.Default(err, "name the PEM file of the private key, such as the db.key that inlay keys create makes")
		return nil, "", fmt.Errorf("reading private key %q: %w", keyFile, err)
	}
	if mode.IsRegular() && mode.Perm()&0o006 != 0 {
		warning = fmt.Sprintf("private key %q is open to every user of this machine: chmod 600 closes it", keyFile)
	}
	return signer, warning, nil
}

// LoadCertificate reads the PEM file of a signer's certificate. The file must
// hold exactly one: with more, which one signs would be a guess.
func LoadCertificate(certFile string) (*x509.Certificate, error) {
	cert, err := loadCertificate(certFile)
	if err != nil {
		err = hint.Default(err, "name the PEM file of the certificate, such as the db.pem that inlay keys create makes")
		return nil, fmt.Errorf("reading certificate %q: %w", certFile, err)
	}
	return cert, nil
}

func loadCertificate(certFile string) (*x509.Certificate, error) {
	data, _, err := readFile(certFile)
	if err != nil {
		return nil, err
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	var found []*pem.Block
	key, other := false, ""
	for _, block := range blocks {
		switch {
		case block.Type == typeCertificate:
			found = append(found, block)
		case isPrivate(block.Type):
			key = true
		default:
			other = block.Type
		}
	}
	switch {
	case len(found) > 1:
		return nil, hint.Wrap(fmt.Errorf("it holds %d certificates, which leaves open which one signs", len(found)),
			"keep only the signer's certificate in the file (openssl x509 -in FILE -out NEW writes the first)")
	case len(found) == 0 && key:
		return nil, hint.Wrap(errors.New("it holds a private key, not a certificate"), "check that key and certificate are not exchanged")
	case len(found) == 0:
		return nil, fmt.Errorf("it holds a PEM block %q, not a certificate", shortType(other))
	}
	cert, err := x509.ParseCertificate(found[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	if err := checkPublic(cert.PublicKey); err != nil {
		return nil, err
	}
	return cert, nil
}

// loadKey returns the key in a file, and the file's mode.
func loadKey(keyFile string) (crypto.Signer, fs.FileMode, error) {
	data, mode, err := readFile(keyFile)
	if err != nil {
		return nil, 0, err
	}
	blocks, err := decodePEM(data)
	if err != nil {
		return nil, 0, err
	}
	var found []*pem.Block
	certificate, other := false, ""
	for _, block := range blocks {
		switch {
		case isPrivate(block.Type):
			found = append(found, block)
		case block.Type == typeCertificate:
			certificate = true
		case block.Type == typeECParams: // openssl ecparam -genkey writes it before the key
		default:
			other = block.Type
		}
	}
	switch {
	case len(found) > 1:
		return nil, 0, hint.Wrap(fmt.Errorf("it holds %d private keys", len(found)), "keep only the signer's key in the file")
	case len(found) == 0 && certificate:
		return nil, 0, hint.Wrap(errors.New("it holds a certificate, not a private key"), "check that key and certificate are not exchanged")
	case len(found) == 0:
		return nil, 0, fmt.Errorf("it holds a PEM block %q, not a private key", shortType(other))
	}
	signer, err := decodeKey(found[0])
	return signer, mode, err
}

// decodeKey decodes a private key. The decoder's own errors are dropped: they
// could quote what they stumbled over, and that is the key.
func decodeKey(block *pem.Block) (crypto.Signer, error) {
	if block.Type == typeEncrypted || block.Headers["Proc-Type"] != "" {
		return nil, hint.Wrap(errors.New("the key is encrypted"),
			"decrypt it for the build (openssl pkey -in FILE -out NEW), or keep it guarded behind --signer exec:PROGRAM")
	}
	var key any
	var err error
	switch block.Type {
	case typePKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case typePKCS1:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case typeSEC1:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, hint.Wrap(fmt.Errorf("a private key in the form %q is not read", shortType(block.Type)),
			"convert it to PKCS #8 with openssl pkey")
	}
	if err != nil {
		return nil, hint.Wrap(errors.New("the key is damaged or of a kind that is not accepted"), acceptedHint)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, hint.Wrap(errors.New("the key cannot sign"), acceptedHint)
	}
	if err := checkPublic(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// readFile reads a small file, or a pipe: shells hand secrets over as /dev/fd/N.
func readFile(name string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, bare(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, 0, bare(err)
	}
	if len(data) > maxFileSize {
		return nil, 0, fmt.Errorf("it is larger than %d KiB", maxFileSize>>10)
	}
	return data, info.Mode(), nil
}

// bare takes the operation and the paths off an error whose message will name
// the file anyway; what it is stays for errors.Is.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
