package secureboot_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inlay/internal/pe"
	"inlay/internal/secureboot"
	"inlay/test/debian"
	"inlay/test/need"
)

// debianPrograms are real ones: of an odd size with data behind the last section,
// systemd's, and the kernel, which Debian has signed already.
func debianPrograms(t *testing.T) map[string][]byte {
	t.Helper()
	root := debian.Tools(t).Folder()
	all := make(map[string][]byte)
	for name, path := range map[string]string{
		"hello.efi":        filepath.Join(root, "usr/lib/efitools/x86_64-linux-gnu/HelloWorld.efi"),
		"systemd-boot.efi": filepath.Join(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi"),
		"stub.efi":         filepath.Join(root, "usr/lib/systemd/boot/efi/linuxx64.efi.stub"),
		"kernel.efi":       debian.NewKernel(t).Compressed(),
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

// verify says whether sbverify accepts the program with the certificate.
func (b *toolbox) verify(certificate, program string) error {
	b.t.Helper()
	return b.root.Command(b.t.Context(), b.t, map[string]string{b.dir: "/w"}, "sbverify", "--cert", "/w/"+certificate, "/w/"+program).Run()
}

// sbverify and osslsigncode accept what we sign, and not what changed since.
func TestOthersVerifyOurPrograms(t *testing.T) {
	t.Parallel()
	box := newToolbox(t)
	osslsigncode := need.Tool(t, "osslsigncode", "osslsigncode")
	db, other := makePair(t, "db"), makePair(t, "other")
	box.pair("db", db)
	box.pair("other", other)
	for name, b := range debianPrograms(t) {
		alone := signProgram(t, b, db, secureboot.SignOptions{Replace: true})
		box.write(name, alone)
		if err := box.verify("db.pem", name); err != nil {
			t.Errorf("%s: sbverify refuses: %v", name, err)
		}
		if err := box.verify("other.pem", name); err == nil {
			t.Errorf("%s: sbverify accepts another certificate", name)
		}
		said, err := exec.CommandContext(t.Context(), osslsigncode, "verify", "-CAfile", filepath.Join(box.dir, "db.pem"),
			"-in", filepath.Join(box.dir, name)).CombinedOutput()
		sums := regexp.MustCompile(`(?m)^(?:Current|Calculated) message digest *: (\w+)`).FindAllSubmatch(said, -1)
		if err != nil || !bytes.Contains(said, []byte("Signature verification: ok")) || bytes.Contains(said, []byte("invalid PE checksum")) ||
			len(sums) != 2 || !bytes.Equal(sums[0][1], sums[1][1]) {
			t.Errorf("%s: osslsigncode refuses: %v\n%s", name, err, said)
		}

		box.write(name, signProgram(t, alone, other, secureboot.SignOptions{}))
		for _, cert := range []string{"db.pem", "other.pem"} {
			if err := box.verify(cert, name); err != nil {
				t.Errorf("%s signed twice: sbverify refuses %s: %v", name, cert, err)
			}
		}
		alone[len(b)/2] ^= 1
		box.write(name, alone)
		if err := box.verify("db.pem", name); err == nil {
			t.Errorf("%s: sbverify accepts what has changed, so this test shows nothing", name)
		}
	}
}

// We accept what sbsign, osslsigncode and systemd-sbsign sign, over and under a
// signature of ours, and write the same certificate table as sbattach.
func TestOthersSignPrograms(t *testing.T) {
	t.Parallel()
	box := newToolbox(t)
	db, other := makePair(t, "db"), makePair(t, "other")
	box.pair("db", db)
	for name, b := range debianPrograms(t) {
		if f, err := pe.Parse(bytes.NewReader(b), int64(len(b))); err != nil || len(f.Certificates) > 0 && name != "kernel.efi" {
			t.Fatal(name, err)
		}
		box.write("bare-"+name, b)
		box.write("ours-"+name, signProgram(t, b, other, secureboot.SignOptions{}))
		for tool, line := range map[string]string{
			"sbsign":         "sbsign --key db.key --cert db.pem --output out.efi",
			"systemd-sbsign": "/usr/lib/systemd/systemd-sbsign sign --private-key db.key --certificate db.pem --output out.efi",
			"osslsigncode":   "osslsigncode sign -h sha256 -key db.key -certs db.pem -out out.efi -in",
		} {
			for _, before := range []string{"bare-", "ours-"} {
				if tool == "osslsigncode" && (before == "ours-" || name == "kernel.efi") {
					continue // it knows one entry in the table, and replaces it
				}
				box.root.Run(t, map[string]string{box.dir: "/w"}, "sh", "-euc", "cd /w; rm -f out.efi; "+line+" "+before+name)
				out := box.read("out.efi")
				s, err := verifyProgram(out, db.Certificate)
				if err != nil || s.By != db.Certificate {
					t.Errorf("%s%s by %s: %v", before, name, tool, err)
				}
				if _, err := verifyProgram(out, other.Certificate); (err == nil) != (before == "ours-") {
					t.Errorf("%s%s by %s: our signature: %v", before, name, tool, err)
				}
			}
		}
	}
}

// sbattach takes our signature off and puts it on again: nothing is changed.
func TestSbattachOurPrograms(t *testing.T) {
	t.Parallel()
	box := newToolbox(t)
	b := debianPrograms(t)["systemd-boot.efi"]
	signed := signProgram(t, b, makePair(t, "db"), secureboot.SignOptions{})
	box.write("signed.efi", signed)
	box.write("bare.efi", b)
	said := box.root.Run(t, map[string]string{box.dir: "/w"}, "sh", "-euc", `cd /w
		sbattach --detach signature signed.efi; sbattach --attach signature bare.efi
		sbattach --remove signed.efi; sbverify --list bare.efi`)
	if !strings.Contains(said, "CN") || !bytes.Equal(box.read("bare.efi")[:0x400], signed[:0x400]) {
		t.Errorf("attached, the headers are others, or sbverify sees no signer:\n%s", said)
	}
	if removed := box.read("signed.efi"); !bytes.Equal(removed[0x400:], b[0x400:]) {
		t.Error("with the signature taken off, the program is another")
	}
}
