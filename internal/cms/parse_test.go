package cms_test

import (
	"bytes"
	"crypto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/hint"
)

func TestParseGood(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signer       string
		digest       crypto.Hash
		certificates int
	}{
		"rsa":               {"rsa", crypto.SHA256, 1},
		"rsa4096":           {"rsa4096", crypto.SHA256, 1},
		"p256":              {"p256", crypto.SHA256, 1},
		"p384":              {"p384", crypto.SHA256, 1},
		"good-nocerts":      {"rsa", crypto.SHA256, 0},
		"good-nocerts-p256": {"p256", crypto.SHA256, 0},
		"good-chain":        {"rsa", crypto.SHA256, 2},
		"good-sha384":       {"p384", crypto.SHA384, 1},
		"good-sha512":       {"rsa", crypto.SHA512, 1},
		"good-cms-rsa":      {"rsa", crypto.SHA256, 1},
		"good-cms-p256":     {"p256", crypto.SHA256, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := cms.Parse(vector(t, name+".p7s"))
			if err != nil {
				t.Fatal(err)
			}
			cert := certificate(t, test.signer)
			if parsed.Digest != test.digest {
				t.Errorf("digest %v, want %v", parsed.Digest, test.digest)
			}
			if len(parsed.Certificates) != test.certificates {
				t.Errorf("%d certificates, want %d", len(parsed.Certificates), test.certificates)
			}
			if got, want := parsed.Issuer.String(), cert.Issuer.String(); got != want {
				t.Errorf("issuer %q, want %q", got, want)
			}
			if parsed.Serial.Cmp(cert.SerialNumber) != 0 {
				t.Errorf("serial number %v, want %v", parsed.Serial, cert.SerialNumber)
			}
			switch signer := parsed.Signer(); {
			case test.certificates == 0 && signer != nil:
				t.Errorf("signer %q out of nowhere", signer.Subject)
			case test.certificates > 0 && (signer == nil || !signer.Equal(cert)):
				t.Error("the embedded signer is not found")
			}
			if err := parsed.Verify(vector(t, "content"), cert); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ want, hint string }{
		"bad-attributes":  {"signed attributes", "-noattr"},
		"bad-attached":    {"inside the message", "-nodetach"},
		"bad-sha1":        {"digest algorithm SHA-1", "-md sha256"},
		"bad-sha224":      {"digest algorithm SHA-224", "-md sha256"},
		"bad-two-signers": {"more than one signer", ""},
		"bad-keyid":       {"version 3", "-keyid"},
		"bad-pss":         {"has parameters", ""},
		"bad-indefinite":  {"definite length", ""},
		"bad-pem":         {"text, not DER", "-outform der"},
		"bad-smime":       {"text, not DER", "-outform der"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := cms.Parse(vector(t, name+".p7s"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if advice := strings.Join(hint.Of(err), "\n"); !strings.Contains(advice, test.hint) {
				t.Errorf("hint %q, want one with %q", advice, test.hint)
			}
		})
	}
}

// Every hostile vector has a row in one of the two tests that refuse.
func TestEveryBadVectorIsTested(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/bad-*.p7s")
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	var source strings.Builder
	for _, file := range []string{"parse_test.go", "verify_test.go"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.WriteString(string(data))
	}
	for _, name := range names {
		if base := strings.TrimSuffix(filepath.Base(name), ".p7s"); !strings.Contains(source.String(), `"`+base) {
			t.Errorf("no test names %q", base)
		}
	}
}

func TestParseRefusesChangedStructure(t *testing.T) {
	t.Parallel()
	good := vector(t, "rsa.p7s")
	certs := vector(t, "rsa.pem")
	replace := func(old, with string) []byte {
		if bytes.Count(good, []byte(old)) == 0 {
			t.Fatalf("the vector holds no %x", old)
		}
		return bytes.Replace(good, []byte(old), []byte(with), 1)
	}
	const head = "\x30\x82\x05\x0e\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82\x04\xff\x30\x82\x04\xfb\x02\x01\x01"
	tests := map[string]struct {
		der  []byte
		want string
	}{
		"empty":              {nil, "not a DER sequence"},
		"PEM certificate":    {certs, "text, not DER"},
		"trailing NUL":       {append(bytes.Clone(good), 0), "1 bytes follow"},
		"twice":              {append(bytes.Clone(good), good...), "bytes follow"},
		"too long":           {make([]byte, 64<<10+1), "too many"},
		"bare signed data":   {good[19:], "not signed data"},
		"indefinite length":  {append([]byte{0x30, 0x80}, append(bytes.Clone(good[4:]), 0, 0)...), "definite length"},
		"long form length":   {append([]byte{0x30, 0x83, 0, 0x05, 0x0e}, good[4:]...), "definite length"},
		"version 2":          {replace(head, head[:len(head)-1]+"\x02"), "version 2"},
		"version 3":          {replace(head, head[:len(head)-1]+"\x03"), "version 3"},
		"enveloped data":     {replace("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"), "not signed data"},
		"other content type": {replace("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05"), "only plain data"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := cms.Parse(test.der); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	for n := range good {
		if _, err := cms.Parse(good[:n]); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
}

func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/*.p7s")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		f.Add(vector(f, filepath.Base(name)))
	}
	rsa, p256, content := certificate(f, "rsa"), certificate(f, "p256"), vector(f, "content")
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := cms.Parse(der)
		if err != nil {
			return
		}
		if parsed.Digest != crypto.SHA256 && parsed.Digest != crypto.SHA384 && parsed.Digest != crypto.SHA512 {
			t.Errorf("digest %v", parsed.Digest)
		}
		if len(parsed.Certificates) > 16 || len(parsed.Signature) == 0 || parsed.Serial == nil {
			t.Error("a message out of bounds")
		}
		_ = parsed.Signer()
		_ = parsed.Verify(content, rsa)
		_ = parsed.Verify(content, p256)
		if _, err := cms.Parse(append(bytes.Clone(der), 0)); err == nil {
			t.Error("the same with a trailing byte is accepted")
		}
	})
}
