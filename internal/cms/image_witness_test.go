package cms_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/cms"
	"inlay/test/debian"
)

// What verifies programs elsewhere takes our signatures, and refuses the program
// with one bit changed.
func TestToolsVerifyOurImageSignature(t *testing.T) {
	t.Parallel()
	tools, work := debian.Tools(t), t.TempDir()
	run := func(script string) string {
		t.Helper()
		return tools.Run(t, map[string]string{work: "/w"}, "sh", "-euc", "cd /w\n"+script)
	}
	for _, signer := range []string{"rsa", "rsa4096"} {
		write(t, filepath.Join(work, "cert.pem"), vector(t, signer+".pem"))
		printed := run(`
			cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi program.efi
			hash-to-efi-sig-list program.efi list`)
		_, text, _ := strings.Cut(printed, "HASH IS ")
		digest, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil || len(digest) != 32 {
			t.Fatalf("%q: %v", printed, err)
		}
		der, err := cms.SignImage([32]byte(digest), certificate(t, signer), privateKey(t, signer), certificate(t, "p256"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(work, "signature"), der)
		run(`
			sbattach --attach signature program.efi >&2
			sbverify --cert cert.pem program.efi >&2
			osslsigncode verify -CAfile cert.pem -in program.efi >&2
			cp program.efi changed.efi
			printf X | dd of=changed.efi bs=1 seek=5000 conv=notrunc status=none
			! sbverify --cert cert.pem changed.efi >&2
			! osslsigncode verify -CAfile cert.pem -in changed.efi >&2`)
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An independent implementation reads and verifies our signature of a program. It
// has to be told what the message digest is over: Authenticode hashes the inside
// of the sequence.
func TestSmallstepVerifiesOurImageSignature(t *testing.T) {
	t.Parallel()
	der, err := cms.SignImage(programDigest(t), certificate(t, "rsa"), privateKey(t, "rsa"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Content = inside(t, der)
	if err := parsed.Verify(); err != nil {
		t.Error(err)
	}
	parsed.Content = append(bytes.Clone(parsed.Content), 0)
	if err := parsed.Verify(); err == nil {
		t.Error("it accepts other content, so this test shows nothing")
	}
}

// inside returns the inside of the SpcIndirectDataContent.
func inside(t *testing.T, der []byte) []byte {
	t.Helper()
	input := cryptobyte.String(bare(t, der))
	context := casn1.Tag(0).ContextSpecific().Constructed()
	var signed, info, body, content cryptobyte.String
	if !input.ReadASN1(&signed, casn1.SEQUENCE) || !signed.SkipASN1(casn1.INTEGER) || !signed.SkipASN1(casn1.SET) ||
		!signed.ReadASN1(&info, casn1.SEQUENCE) || !info.SkipASN1(casn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&body, context) || !body.ReadASN1(&content, casn1.SEQUENCE) {
		t.Fatal("no content")
	}
	return content
}
