package keys_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/keys"
)

func TestLoadGood(t *testing.T) {
	t.Parallel()
	rsaCert := block("CERTIFICATE", certificate(t, rsa2048()))
	p256Cert := block("CERTIFICATE", certificate(t, p256()))
	tests := map[string]struct{ key, cert string }{
		"RSA in PKCS #8":       {block("PRIVATE KEY", pkcs8(t, rsa2048())), rsaCert},
		"RSA in PKCS #1":       {block("RSA PRIVATE KEY", pkcs1(t, rsa2048())), rsaCert},
		"P-256 in PKCS #8":     {block("PRIVATE KEY", pkcs8(t, p256())), p256Cert},
		"P-256 in SEC 1":       {block("EC PRIVATE KEY", sec1(t, p256())), p256Cert},
		"P-384":                {block("PRIVATE KEY", pkcs8(t, p384())), block("CERTIFICATE", certificate(t, p384()))},
		"parameters before":    {block("EC PARAMETERS", []byte{6, 1, 1}) + block("EC PRIVATE KEY", sec1(t, p256())), p256Cert},
		"text around":          {"Private-Key:\n" + block("PRIVATE KEY", pkcs8(t, p256())), "Certificate:\n  Data:\n" + p256Cert + "end\n"},
		"both in one file":     {block("PRIVATE KEY", pkcs8(t, p256())) + p256Cert, block("PRIVATE KEY", pkcs8(t, p256())) + p256Cert},
		"carriage returns too": {strings.ReplaceAll(block("PRIVATE KEY", pkcs8(t, p256())), "\n", "\r\n"), strings.ReplaceAll(p256Cert, "\n", "\r\n")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair, err := keys.Load(write(t, test.key), write(t, test.cert))
			if err != nil {
				t.Fatal(err)
			}
			if pair.Certificate.Subject.CommonName != "signer" || pair.Signer == nil {
				t.Errorf("pair %+v", pair)
			}
			if pair.Warning != "" {
				t.Errorf("warning %q of a file of mode 0600", pair.Warning)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	goodKey := block("PRIVATE KEY", pkcs8(t, rsa2048()))
	goodCert := block("CERTIFICATE", certificate(t, rsa2048()))
	key8192, cert8192 := testdata(t, "rsa8192.key"), testdata(t, "rsa8192.pem")
	damaged := strings.Replace(goodKey, "\n-----END", "\n*-----END", 1)
	swap := "exchanged"
	tests := map[string]struct{ key, cert, want, hint string }{
		"empty key":              {"", goodCert, "it is empty", ""},
		"empty certificate":      {goodKey, "", "it is empty", ""},
		"text as key":            {"secret passphrase\n", goodCert, "holds no PEM block", ""},
		"certificate as key":     {goodCert, goodCert, "holds a certificate, not a private key", swap},
		"key as certificate":     {goodKey, goodKey, "holds a private key, not a certificate", swap},
		"public key as key":      {block("PUBLIC KEY", []byte("x")), goodCert, `"PUBLIC KEY", not a private key`, ""},
		"request as certificate": {goodKey, block("CERTIFICATE REQUEST", []byte("x")), `"CERTIFICATE REQUEST", not a certificate`, ""},
		"encrypted PKCS #8":      {testdata(t, "encrypted.key"), goodCert, "the key is encrypted", "--signer exec:"},
		"encrypted PKCS #1":      {testdata(t, "encrypted-pkcs1.key"), goodCert, "the key is encrypted", "openssl pkey"},
		"OpenSSH key":            {block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00")), goodCert, `form "OPENSSH PRIVATE KEY"`, "PKCS #8"},
		"junk in PKCS #8":        {block("PRIVATE KEY", []byte("hunter2 hunter2")), goodCert, "damaged", "RSA key of 2048"},
		"PKCS #1 called PKCS #8": {block("PRIVATE KEY", pkcs1(t, rsa2048())), goodCert, "damaged", ""},
		"junk certificate":       {goodKey, block("CERTIFICATE", []byte("junk")), "decoding", ""},
		"cut off key":            {goodKey[:len(goodKey)/2], goodCert, "damaged PEM block", ""},
		"damaged key":            {damaged, goodCert, "damaged PEM block", ""},
		"damaged, then good":     {goodKey, goodCert[:100] + "\n" + goodCert, "damaged PEM block", ""},
		"key in DER":             {string(pkcs8(t, rsa2048())), goodCert, "it is DER, not PEM", "openssl pkey"},
		"certificate in DER":     {goodKey, string(certificate(t, rsa2048())), "it is DER, not PEM", "openssl x509"},
		"two keys":               {goodKey + goodKey, goodCert, "holds 2 private keys", "only the signer's key"},
		"two certificates":       {goodKey, goodCert + goodCert, "holds 2 certificates", "openssl x509"},
		"huge":                   {goodKey, goodCert + strings.Repeat(" ", 256<<10), "larger than 256 KiB", ""},
		"mismatched pair":        {block("PRIVATE KEY", pkcs8(t, p256())), goodCert, "does not belong to certificate", "made for this key"},
		"mismatched, same kind":  {goodKey, testdata(t, "rsa2048.pem"), "does not belong to certificate", ""},
		"RSA 1024 key":           {block("PRIVATE KEY", pkcs8(t, rsa1024())), goodCert, "RSA key of 1024 bits", "2048 to 4096"},
		"RSA 1024 certificate":   {goodKey, testdata(t, "rsa1024.pem"), "RSA key of 1024 bits", "2048 to 4096"},
		"RSA 8192 key":           {key8192, goodCert, "RSA key of 8192 bits", "2048 to 4096"},
		"RSA 8192 certificate":   {key8192, cert8192, "RSA key of 8192 bits", "2048 to 4096"},
		"P-521 key":              {block("PRIVATE KEY", pkcs8(t, p521())), goodCert, "ECDSA key on P-521", "P-256 or P-384"},
		"P-521 certificate":      {goodKey, block("CERTIFICATE", certificate(t, p521())), "ECDSA key on P-521", "P-256 or P-384"},
		"Ed25519 key":            {block("PRIVATE KEY", pkcs8(t, ed())), goodCert, "neither RSA nor ECDSA", "P-256 or P-384"},
		"Ed25519 certificate":    {goodKey, block("CERTIFICATE", certificate(t, ed())), "neither RSA nor ECDSA", "P-256 or P-384"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keyFile, certFile := write(t, test.key), write(t, test.cert)
			_, err := keys.Load(keyFile, certFile)
			checkError(t, err, test.want, test.hint)
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), keyFile) && !strings.Contains(err.Error(), certFile) {
				t.Errorf("error %q names no file", err)
			}
			checkSilent(t, err, test.key)
		})
	}
}

func TestLoadMissingFiles(t *testing.T) {
	t.Parallel()
	cert := write(t, block("CERTIFICATE", certificate(t, p256())))
	missing := filepath.Join(t.TempDir(), "missing.pem")
	_, err := keys.Load(missing, cert)
	checkError(t, err, `reading private key "`+missing+`": no such file`, "")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not fs.ErrNotExist", err)
	}
	_, err = keys.Load(cert, missing)
	checkError(t, err, `reading certificate "`+missing+`": no such file`, "")
	_, err = keys.Load(t.TempDir(), cert)
	checkError(t, err, "is a directory", "")
}

func TestLoadWarnsOfOpenKey(t *testing.T) {
	t.Parallel()
	cert := write(t, block("CERTIFICATE", certificate(t, p256())))
	for mode, warned := range map[fs.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o602: true} {
		key := write(t, block("PRIVATE KEY", pkcs8(t, p256())))
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		pair, err := keys.Load(key, cert)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(pair.Warning, key); got != warned {
			t.Errorf("mode %v: warning %q", mode, pair.Warning)
		}
	}
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// checkSilent wants no part of a key file in an error: no line of its base64,
// and no eight bytes of its content.
func checkSilent(t *testing.T, err error, file string) {
	t.Helper()
	if !strings.Contains(file, "PRIVATE KEY") {
		return
	}
	message := err.Error()
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		if len(line) > 8 && !strings.HasPrefix(line, "-----") && strings.Contains(message, line) {
			t.Errorf("error %q quotes the key file", message)
		}
	}
	b, _ := pem.Decode([]byte(file))
	if b == nil {
		return
	}
	for piece := range slices.Chunk(b.Bytes, 8) {
		if len(piece) == 8 && (strings.Contains(message, string(piece)) || strings.Contains(message, base64.StdEncoding.EncodeToString(piece))) {
			t.Errorf("error %q quotes the key", message)
		}
	}
}
