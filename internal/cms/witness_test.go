package cms_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smallstep/pkcs7"

	"inlay/internal/cms"
	"inlay/test/need"
)

// OpenSSL verifies what we sign, with the flags that systemd passes.
func TestOpenSSLVerifiesOurs(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	for _, signer := range []string{"rsa", "rsa4096", "p256", "p384"} {
		for _, command := range []string{"smime", "cms"} {
			t.Run(command+" "+signer, func(t *testing.T) {
				t.Parallel()
				der, err := cms.Sign(vector(t, "content"), certificate(t, signer), privateKey(t, signer))
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "ours.p7s")
				if err := os.WriteFile(file, der, 0o600); err != nil {
					t.Fatal(err)
				}
				verify := func(content string) error {
					return exec.CommandContext(t.Context(), openssl, command, "-verify", "-binary", "-inform", "der", "-in", file,
						"-content", content, "-certfile", "testdata/"+signer+".pem", "-nointern", "-noverify", "-out", os.DevNull).Run()
				}
				if err := verify("testdata/content"); err != nil {
					t.Errorf("openssl refuses: %v", err)
				}
				if err := verify("testdata/README.md"); err == nil {
					t.Error("openssl accepts other content, so this test shows nothing")
				}
			})
		}
	}
}

// An independent implementation reads and verifies what we sign.
func TestSmallstepVerifiesOurs(t *testing.T) {
	t.Parallel()
	for _, signer := range []string{"rsa", "rsa4096", "p256", "p384"} {
		t.Run(signer, func(t *testing.T) {
			t.Parallel()
			der, err := cms.Sign(vector(t, "content"), certificate(t, signer), privateKey(t, signer))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := pkcs7.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			parsed.Content = vector(t, "content")
			if err := parsed.Verify(); err != nil {
				t.Error(err)
			}
			parsed.Content = []byte("other")
			if err := parsed.Verify(); err == nil {
				t.Error("it accepts other content, so this test shows nothing")
			}
		})
	}
}

// We verify what OpenSSL signs today, with keys that it makes now.
func TestOursVerifiesOpenSSL(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	keys := map[string][]string{
		"RSA 3072": {"-newkey", "rsa:3072"},
		"P-256":    {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"P-384":    {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"},
	}
	for name, options := range keys {
		for _, command := range []string{"smime", "cms"} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				key, cert, out := filepath.Join(dir, "key"), filepath.Join(dir, "cert"), filepath.Join(dir, "sig")
				run(t, openssl, append([]string{"req", "-x509", "-noenc", "-subj", "/CN=fresh", "-keyout", key, "-out", cert}, options...)...)
				run(t, openssl, command, "-sign", "-noattr", "-binary", "-md", "sha256", "-outform", "der",
					"-in", "testdata/content", "-signer", cert, "-inkey", key, "-out", out)
				der, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				parsed, err := cms.Parse(der)
				if err != nil {
					t.Fatal(err)
				}
				if err := parsed.Verify(vector(t, "content"), readCertificate(t, cert)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, output)
	}
}

func readCertificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("no PEM block in %q", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
