package ddi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
	"inlay/test/need"
)

// run runs an outside tool and returns all that it says.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// save writes f to a file.
func save(t testing.TB, f *memory) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.raw")
	if err := os.WriteFile(path, f.bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openFile opens the image in a file.
func openFile(t testing.TB, path string) *ddi.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := ddi.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func checkTable(t *testing.T, path string) {
	t.Helper()
	if out := run(t, need.Tool(t, "sgdisk", "gdisk"), "--verify", path); !strings.Contains(out, "No problems found") || strings.Contains(out, "Warning") {
		t.Errorf("sgdisk: %s", out)
	}
	if out := run(t, need.Tool(t, "sfdisk", "fdisk"), "--verify", path); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk: %s", out)
	}
}

// TestWitnesses shows images of every form to the partition tools and to
// cryptsetup.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signer  signer
		reserve bool
		attach  signer
	}{
		"signed":            {signature(1200), false, nil},
		"deferred":          {noSignature, true, nil},
		"unsigned":          {noSignature, false, nil},
		"signed in place":   {noSignature, true, later(1200)},
		"signed by growing": {noSignature, false, later(1200)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := build(t, testBlocks, options(t), test.signer, test.reserve)
			if test.attach != nil {
				if _, err := ddi.Attach(f, f.end, test.attach(root)); err != nil {
					t.Fatal(err)
				}
			}
			if f.end%4096 != 0 {
				t.Errorf("%d bytes", f.end)
			}
			path := save(t, f)
			checkTable(t, path)
			veritysetup := need.Tool(t, "veritysetup", "cryptsetup-bin")
			// The data device of veritysetup cannot have an offset.
			data := filepath.Join(t.TempDir(), "data")
			if err := os.WriteFile(data, readAll(t, open(t, f).FileSystem()), 0o600); err != nil {
				t.Fatal(err)
			}
			offset := fmt.Sprintf("--hash-offset=%d", ddi.DataOffset+testBlocks*4096)
			run(t, veritysetup, "verify", offset, data, path, hex.EncodeToString(root[:]))
			said := strings.Join(strings.Fields(run(t, veritysetup, "dump", offset, path)), " ")
			for _, want := range []string{
				"UUID: 898929e6-7747-423e-8593-3659ba461e7c", "Data blocks: 600",
				"Salt: c65b6ab68edf421fcc0cb48ba60f7f14f5186b4d003d21ab3b334b91de16759c",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("veritysetup dump doesn't say %q: %s", want, said)
				}
			}
		})
	}
}

// TestOpenRepart reads a signed image of this machine's systemd-repart.
func TestOpenRepart(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "systemd-repart", "systemd")
	key, cert, der := keyPair(t)
	dir := t.TempDir()
	definitions, path := filepath.Join(dir, "definitions"), filepath.Join(dir, "image.raw")
	if err := os.Mkdir(definitions, 0o700); err != nil {
		t.Fatal(err)
	}
	// 252 cannot make an EROFS; it copies the blocks of a finished one.
	for name, text := range map[string]string{
		"data":                          string(content(testBlocks)),
		"definitions/10-root.conf":      "[Partition]\nType=root-x86-64\nVerity=data\nVerityMatchKey=k\nCopyBlocks=" + dir + "/data\n",
		"definitions/20-verity.conf":    "[Partition]\nType=root-x86-64-verity\nVerity=hash\nVerityMatchKey=k\n",
		"definitions/30-signature.conf": "[Partition]\nType=root-x86-64-verity-sig\nVerity=signature\nVerityMatchKey=k\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, tool, "--definitions="+definitions, "--empty=create", "--size=auto", "--dry-run=no",
		"--seed=0123456789abcdef0123456789abcdef", "--private-key="+key, "--certificate="+cert, path)

	im := openFile(t, path)
	if len(im.Table.Damage) > 0 || im.Architecture != "x86-64" {
		t.Errorf("damage %v, architecture %s", im.Table.Damage, im.Architecture)
	}
	stated, err := im.StatedRoot()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := im.Signature()
	if err != nil {
		t.Fatal(err)
	}
	if sig.RootHash != stated || sig.Fingerprint != sha256.Sum256(der) || len(sig.PKCS7) < 200 {
		t.Errorf("signature %+v, root hash %x", sig, stated)
	}
	// Before 255 systemd-repart made hash trees over blocks of 512 bytes. Those
	// are told, and not believed.
	root, err := im.RootHash()
	if err != nil && !strings.Contains(err.Error(), "data block size 512, only 4096 is supported") || err == nil && root != stated {
		t.Errorf("root hash %x, stated %x: %v", root, stated, err)
	}
	// The golden vectors of TestSeed, as this version has them.
	got := []string{im.Table.DiskGUID.String(), im.Signed.GUID.String(), im.Signed.Label}
	want := []string{"6913f4b6-6690-4a57-a202-f1b53c56dbdf", "ca977224-9a98-40c9-bef7-eae884d35446", "root-x86-64-verity-sig"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b := make([]byte, testBlocks*4096)
	if _, err := im.FileSystem().ReadAt(b, 0); err != nil || string(b) != string(content(testBlocks)) {
		t.Errorf("the data partition holds something else: %v", err)
	}
}

// keyPair writes a new key and its certificate.
func keyPair(t *testing.T) (key, cert string, der []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key, cert = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for path, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: pkcs8}, cert: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, cert, der
}
