package boot_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/keys"
	"inlay/internal/uki"
	"inlay/test/sample"
)

// program makes an EFI program without any code, of sections: name, content, name…
func program(sections ...string) []byte {
	const headers, unit, page = 2048, 512, 4096
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], 0x8664)
	le.PutUint16(b[70:], uint16(len(sections)/2))
	le.PutUint16(b[84:], 240)
	le.PutUint16(b[88:], 0x20b)
	le.PutUint32(b[88+32:], page)
	le.PutUint32(b[88+36:], unit)
	le.PutUint32(b[88+60:], headers)
	le.PutUint16(b[88+68:], 10)
	le.PutUint16(b[88+70:], 0x100)
	le.PutUint32(b[88+108:], 16)
	address := uint32(page)
	for i := 0; i < len(sections); i += 2 {
		content := sections[i+1]
		raw := make([]byte, (len(content)+unit-1)/unit*unit)
		copy(raw, content)
		header := b[88+240+20*i:]
		copy(header[:8], sections[i])
		le.PutUint32(header[8:], uint32(len(content)))
		le.PutUint32(header[12:], address)
		le.PutUint32(header[16:], uint32(len(raw)))
		le.PutUint32(header[20:], uint32(len(b)))
		le.PutUint32(header[36:], 0x40000040)
		address += (max(uint32(len(content)), 1) + page - 1) / page * page
		b = slices.Concat(b, raw)
	}
	le.PutUint32(b[88+56:], address)
	return b
}

// image makes a unified kernel image with a command line, signed unless by is nil.
func image(t *testing.T, cmdline string, by *keys.Pair) string {
	t.Helper()
	part := func(b []byte) *io.SectionReader { return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b))) }
	stub := program(".text", "code", ".sbat", "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"+strings.Repeat("\x00", 600), ".sdmagic", "#### LoaderInfo: systemd-stub 257.13-1 ####")
	f, err := os.Create(filepath.Join(t.TempDir(), "image.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = uki.Build(t.Context(), f, uki.Parts{
		Linux: part(program(".text", "kernel")), Initrd: []*io.SectionReader{part([]byte("initrd"))}, Cmdline: cmdline, Uname: "6.12", OSRelease: []byte("ID=toy\n"),
	}, uki.Options{Stub: part(stub), Signer: by})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func word(c *x509.Certificate) string {
	return "inlay.anchor=" + base64.StdEncoding.EncodeToString(c.Raw)
}

// TestBuiltIn takes anchors from the command line that the signed image carries, and
// from no other.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	db := sample.Pair(t, sample.Certificate{Name: "db", Key: rsaKey(t)})
	other := sample.Pair(t, sample.Certificate{Name: "other", Key: rsaKey(t)})
	kek := sample.Pair(t, sample.Certificate{Name: "kek", Key: rsaKey(t)})
	one, two := sample.Pair(t, sample.Certificate{Name: "one"}), sample.Pair(t, sample.Certificate{Name: "two"})
	booted := "rd.immucore.uki " + word(one.Certificate)
	loader := func(at string) map[string]string { return map[string]string{"StubImageIdentifier": at} }
	for _, test := range []struct {
		name    string
		cmdline string // of the kernel
		inside  string // of the image
		signer  *keys.Pair
		at      string // where the image lies
		loader  map[string]string
		want    int // anchors
		problem string
	}{
		{"its own", booted, booted, db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 1, ""},
		{"another case", booted, booted, db, "EFI/KAIROS/Active.EFI", loader(`\EFI\kairos\active.efi`), 1, ""},
		{"by the loader's word", booted, booted, db, "EFI/kairos/active.efi", map[string]string{"LoaderImageIdentifier": `\EFI\kairos\active.efi`}, 1, ""},
		{"added from outside", "rd.immucore.uki " + word(two.Certificate), "rd.immucore.uki", db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "anybody could have added it"},
		{"added to its own", booted + " " + word(two.Certificate), booted, db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 1, "anybody could have added it"},
		{"of an image that was not booted", "rd.immucore.uki", booted, db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, ""},
		{"part of a word", "rd.immucore.uki", `rd.immucore.uki "x=` + word(one.Certificate) + `"`, db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, ""},
		{"signed by another", booted, booted, other, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "the image"},
		{"signed by a key in KEK alone", booted, booted, kek, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "the image"},
		{"not signed", booted, booted, nil, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "not signed"},
		{"no image", booted, booted, db, "EFI/kairos/passive.efi", loader(`\EFI\kairos\active.efi`), 0, "looking for the booted image"},
		{"nobody says which", booted, booted, db, "EFI/kairos/active.efi", nil, 0, "doesn't say which image"},
		{"out of the partition", booted, booted, db, "EFI/kairos/active.efi", loader(`\..\..\EFI\kairos\active.efi`), 1, ""},
		{"no certificate", "rd.immucore.uki inlay.anchor=eHh4", "inlay.anchor=eHh4", db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "not used"},
		{"no base64", "rd.immucore.uki inlay.anchor=%%%", "inlay.anchor=%%%", db, "EFI/kairos/active.efi", loader(`\EFI\kairos\active.efi`), 0, "not used"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, test.cmdline)
			n.write("run/cos/efi/EFI/here", "")
			n.write("run/cos/efi/"+test.at, image(t, test.inside, test.signer))
			n.firmware(db.Certificate, test.loader)
			n.variable("KEK", kek.Certificate)
			given, problems := boot.BuiltIn(t.Context(), n.root())
			if len(given) != test.want {
				t.Errorf("%d anchors, %v", len(given), problems)
			}
			for _, g := range given {
				if string(g.PEM) != string(sample.PEM(one.Certificate)) {
					t.Errorf("another certificate, by %s", g.Origin)
				}
			}
			var texts []string
			for _, p := range problems {
				texts = append(texts, p.Origin+": "+p.Text)
			}
			if said := strings.Join(texts, "\n"); (test.problem == "") != (said == "") || !strings.Contains(said, test.problem) {
				t.Errorf("problems: %s", said)
			}
		})
	}
}

// TestBuiltInRevoked: who was taken back in dbx vouches for no image.
func TestBuiltInRevoked(t *testing.T) {
	t.Parallel()
	db, one := sample.Pair(t, sample.Certificate{Name: "db", Key: rsaKey(t)}), sample.Pair(t, sample.Certificate{Name: "one"})
	booted := "rd.immucore.uki " + word(one.Certificate)
	n := newNode(t, booted)
	n.write("run/cos/efi/EFI/kairos/active.efi", image(t, booted, db))
	n.firmware(db.Certificate, map[string]string{"StubImageIdentifier": `\EFI\kairos\active.efi`})
	n.revoke(db.Certificate)
	if given, problems := boot.BuiltIn(t.Context(), n.root()); len(given) > 0 || len(problems) == 0 {
		t.Errorf("%d anchors, %v", len(given), problems)
	}
}
