package cli_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/erofs/go-erofs"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/smallstep/pkcs7"

	"inlay/internal/ddi"
)

// cmdSignedBy is "[!] signedby CERTIFICATE IMAGE": the image's signature is one
// of its root hash, as text, by that certificate, so an implementation that is
// not ours finds.
func cmdSignedBy(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signedby CERTIFICATE IMAGE")
	}
	certificate, err := parseCertificate([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	image := openImage(ts, args[1])
	err = signedBy(certificate, image)
	switch {
	case neg && err == nil:
		ts.Fatalf("%s is signed by %s", args[1], args[0])
	case !neg:
		ts.Check(err)
	default:
		ts.Logf("%v", err)
	}
}

func openImage(ts *testscript.TestScript, path string) *ddi.Image {
	f, err := os.Open(ts.MkAbs(path))
	ts.Check(err)
	ts.Defer(func() { f.Close() })
	info, err := f.Stat()
	ts.Check(err)
	image, err := ddi.Open(f, info.Size())
	ts.Check(err)
	return image
}

func signedBy(certificate *x509.Certificate, image *ddi.Image) error {
	root, err := image.RootHash()
	if err != nil {
		return err
	}
	signature, err := image.Signature()
	if err != nil {
		return err
	}
	parsed, err := pkcs7.Parse(signature.PKCS7)
	if err != nil {
		return err
	}
	if len(parsed.Certificates) != 1 || !parsed.Certificates[0].Equal(certificate) {
		return errors.New("the signature carries another certificate")
	}
	parsed.Content = []byte(hex.EncodeToString(root[:]))
	return parsed.Verify()
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM in the certificate's file")
	}
	return x509.ParseCertificate(block.Bytes)
}

// cmdImageCat is "imagecat IMAGE PATH": it writes what the file PATH in the
// image holds, to be matched or compared as stdout.
func cmdImageCat(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: imagecat IMAGE PATH")
	}
	files, err := erofs.Open(openImage(ts, args[0]).FileSystem())
	ts.Check(err)
	content, err := fs.ReadFile(files, strings.TrimPrefix(args[1], "/"))
	ts.Check(err)
	_, err = ts.Stdout().Write(content)
	ts.Check(err)
}

// testSigner is a program behind --signer exec:test-signer. It signs with the
// key in $SIGNER_KEY, or misbehaves as $SIGNER_MODE says.
func testSigner(in io.Reader, out io.Writer) error {
	var request struct {
		Version                   int
		Digest                    []byte
		Hash, Scheme, Certificate string
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return err
	}
	if _, err := parseCertificate([]byte(request.Certificate)); err != nil {
		return err
	}
	if request.Version != 1 || request.Hash != "sha256" || len(request.Digest) != 32 {
		return fmt.Errorf("an odd request: %+v", request)
	}
	mode := os.Getenv("SIGNER_MODE")
	switch mode {
	case "refuse":
		return errors.New("the PIN is wrong")
	case "silent":
		return nil
	case "rubbish":
		_, err := io.Copy(out, bytes.NewReader(noise(256)))
		return err
	}
	text, err := os.ReadFile(os.Getenv("SIGNER_KEY"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return errors.New("the key cannot sign")
	}
	signature, err := signer.Sign(rand.Reader, request.Digest, crypto.SHA256)
	if err != nil {
		return err
	}
	if mode == "base64" {
		signature = []byte(base64.StdEncoding.EncodeToString(signature) + "\n")
	}
	_, err = out.Write(signature)
	return err
}
