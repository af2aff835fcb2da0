package secureboot_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
)

func TestRevokeLists(t *testing.T) {
	t.Parallel()
	one, two := makePair(t, "one").Certificate, makePair(t, "two").Certificate
	tbs := sha256.Sum256(one.RawTBSCertificate)
	program := [32]byte{1}
	entry := func(data []byte) efi.Entry { return efi.Entry{Owner: owner(t), Data: data} }
	whole := func(cert *x509.Certificate) efi.List {
		return efi.List{Type: efi.X509(), Entries: []efi.Entry{entry(cert.Raw)}}
	}
	hashed := efi.List{Type: efi.X509SHA256(), Entries: []efi.Entry{entry(append(tbs[:], make([]byte, 16)...))}}
	programs := efi.List{Type: efi.SHA256(), Entries: []efi.Entry{entry(program[:]), entry(make([]byte, 32))}}
	for name, test := range map[string]struct {
		certs    []*x509.Certificate
		programs [][32]byte
		byHash   bool
		want     []efi.List
	}{
		"certificates":     {[]*x509.Certificate{one, two, one}, nil, false, []efi.List{whole(one), whole(two)}},
		"their hashes":     {[]*x509.Certificate{one, one}, nil, true, []efi.List{hashed}},
		"programs":         {nil, [][32]byte{program, {}, program}, false, []efi.List{programs}},
		"both":             {[]*x509.Certificate{one}, [][32]byte{program, {}}, false, []efi.List{whole(one), programs}},
		"both, but hashes": {[]*x509.Certificate{one}, [][32]byte{program, {}}, true, []efi.List{hashed, programs}},
	} {
		got, err := secureboot.RevokeLists(test.certs, test.programs, secureboot.RevokeOptions{Owner: owner(t), ByHash: test.byHash})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, certs := range map[string][]*x509.Certificate{"nothing": nil, "a certificate without bytes": {{}}} {
		if lists, err := secureboot.RevokeLists(certs, nil, secureboot.RevokeOptions{}); err == nil {
			t.Errorf("%s: %v", name, lists)
		}
	}
}

// What we write into dbx takes trust away here, in either form, and from what a
// revoked certificate has issued.
func TestRevokedIsNotTrusted(t *testing.T) {
	t.Parallel()
	db, gone := makePair(t, "db"), makePair(t, "gone")
	child := certifyBy(t, "child", gone)
	for name, byHash := range map[string]bool{"certificate": false, "hash": true} {
		lists, err := secureboot.RevokeLists([]*x509.Certificate{gone.Certificate}, [][32]byte{{1}}, secureboot.RevokeOptions{ByHash: byHash})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for variable, value := range map[string][]byte{
			"SecureBoot-" + efi.GlobalVariable().String(): {1},
			"SetupMode-" + efi.GlobalVariable().String():  {0},
			"PK-" + efi.GlobalVariable().String():         listOf(t, db.Certificate)[0].Marshal(),
			"KEK-" + efi.GlobalVariable().String():        listOf(t, db.Certificate)[0].Marshal(),
			"db-" + efi.ImageSecurity().String(): bytes.Join([][]byte{
				listOf(t, db.Certificate)[0].Marshal(), listOf(t, gone.Certificate)[0].Marshal(), listOf(t, child)[0].Marshal(),
			}, nil),
			"dbx-" + efi.ImageSecurity().String(): marshalAll(lists),
		} {
			content := efi.Variable{Attributes: efi.KeyAttributes, Data: value}.Marshal()
			if err := os.WriteFile(filepath.Join(dir, variable), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		set, err := trust.Load(trust.Options{Root: root, Firmware: true, EFIVars: "."})
		if err != nil {
			t.Fatal(err)
		}
		if len(set.Anchors) != 1 || !set.Anchors[0].Certificate.Equal(db.Certificate) {
			t.Errorf("%s: %d anchors are left, problems %v", name, len(set.Anchors), set.Problems)
		}
	}
}

func marshalAll(lists []efi.List) []byte {
	var b []byte
	for _, l := range lists {
		b = append(b, l.Marshal()...)
	}
	return b
}

// TestRevocationsAreEfitools compares digests with those of efitools, and has
// sbsigntool and virt-fw-vars read our update.
func TestRevocationsAreEfitools(t *testing.T) {
	t.Parallel()
	b := newToolbox(t)
	kek, db := makePair(t, "KEK"), makePair(t, "db")
	b.pair("db", db)
	output := b.run(`
		mkdir -p esp/EFI/BOOT esp/loader esp/bad
		cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi esp/EFI/BOOT/BOOTX64.EFI
		cp /usr/lib/efitools/*/HelloWorld.efi esp/
		ln -s HelloWorld.efi esp/link.efi
		echo no >esp/loader/loader.conf
		hash-to-efi-sig-list esp/EFI/BOOT/BOOTX64.EFI esp/HelloWorld.efi list
		cert-to-efi-hash-list -g $owner db.pem hash.esl >&2
		chmod -R a+rX esp`)
	var hashes []string
	for line := range strings.Lines(output) {
		if _, hash, ok := strings.Cut(line, "HASH IS "); ok {
			hashes = append(hashes, strings.TrimSpace(hash))
		}
	}
	esp, err := os.OpenRoot(filepath.Join(b.dir, "esp"))
	if err != nil {
		t.Fatal(err)
	}
	defer esp.Close()
	programs, err := secureboot.DigestPrograms(esp.FS())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	digests := make([][32]byte, 0, len(programs))
	for _, p := range programs {
		got = append(got, p.Name+" "+hex.EncodeToString(p.Digest[:]))
		digests = append(digests, p.Digest)
	}
	if len(hashes) != 2 {
		t.Fatalf("hashes %q", hashes)
	}
	if diff := cmp.Diff([]string{"EFI/BOOT/BOOTX64.EFI " + hashes[0], "HelloWorld.efi " + hashes[1]}, got); diff != "" {
		t.Errorf("(-theirs +ours):\n%s", diff)
	}
	lists, err := secureboot.RevokeLists([]*x509.Certificate{db.Certificate}, nil, secureboot.RevokeOptions{Owner: owner(t), ByHash: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.read("hash.esl"), marshalAll(lists)); diff != "" {
		t.Errorf("(-theirs +ours):\n%s", diff)
	}

	all, err := secureboot.RevokeLists([]*x509.Certificate{db.Certificate}, digests, secureboot.RevokeOptions{Owner: owner(t)})
	if err != nil {
		t.Fatal(err)
	}
	u, err := secureboot.NewUpdate("dbx", all, kek, secureboot.UpdateOptions{Append: true})
	if err != nil {
		t.Fatal(err)
	}
	b.write("dbx.auth", u.Marshal())
	b.run(`
		mkdir -p keys/dbx variables
		cp dbx.auth keys/dbx/
		sbkeysync --dry-run --verbose --keystore /w/keys --efivars-path /w/variables >sbkeysync
		virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.fd --set-dbx dbx.auth --print --verbose --output vars.fd >virt-fw-vars`)
	for file, wants := range map[string][]string{
		"sbkeysync":    {"/CN=db\n", hashes[0], hashes[1]},
		"virt-fw-vars": {"name=dbx ", hashes[0], hashes[1]},
	} {
		for _, want := range wants {
			if printed := string(b.read(file)); !strings.Contains(printed, want) {
				t.Errorf("%s does not print %q:\n%s", file, want, printed)
			}
		}
	}
}

func TestDigestProgramsRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		folder fs.FS
		want   string
	}{
		"no program": {fstest.MapFS{"a/x.EFI": {Data: []byte("no program")}}, `reading "a/x.EFI"`},
		"no folder":  {os.DirFS(filepath.Join(t.TempDir(), "none")), "looking for EFI programs"},
	} {
		if programs, err := secureboot.DigestPrograms(test.folder); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, error %v", name, programs, err)
		}
	}
	if programs, err := secureboot.DigestPrograms(fstest.MapFS{"x.txt": {}, "efi": {}}); err != nil || len(programs) != 0 {
		t.Errorf("%v, %v", programs, err)
	}
}
