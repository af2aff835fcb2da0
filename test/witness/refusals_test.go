package witness_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/internal/ddi"
	"inlay/test/hostile"
	"inlay/test/need"
	"inlay/test/sample"
)

// TestToolsAgree holds our verdict against those of veritysetup and openssl, on
// images of ours and of systemd-repart: what is good is good to them too, and
// what they find broken we refuse.
func TestToolsAgree(t *testing.T) {
	t.Parallel()
	need.Root(t)
	ours := func(t *testing.T, tree string, k key) string {
		return build(t, nil, k, "hello", "dir:"+tree, "--arch", "amd64").Path
	}
	const verity, signature = "veritysetup", "openssl"
	// Who of the two notices; "" if neither does, as nothing is wrong.
	spoiled := map[string]string{
		"nothing":                                             "",
		"signed anew by the same key":                         "",
		"a bit of the first block of data":                    verity,
		"a bit in the middle of the data":                     verity,
		"a bit of the salt":                                   verity,
		"a bit of the tree's top":                             verity,
		"a bit of a leaf of the tree":                         verity,
		"a bit of the signature itself":                       signature,
		"the signature of another image under this root hash": signature,
	}
	for name, c := range map[string]struct {
		key  crypto.Signer
		make func(t *testing.T, tree string, k key) string
	}{
		"inlay, RSA":          {sample.RSA(t, 2048), ours},
		"inlay, P-256":        {sample.ECDSA(t, elliptic.P256()), ours},
		"inlay, P-384":        {sample.ECDSA(t, elliptic.P384()), ours},
		"repart, RSA":         {sample.RSA(t, 2048), repartImage{}.make},
		"repart, P-256, 4096": {sample.ECDSA(t, elliptic.P256()), repartImage{sector: 4096, fileSystem: "squashfs"}.make},
		"repart, ext4":        {sample.ECDSA(t, elliptic.P256()), repartImage{fileSystem: "ext4"}.make},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := sample.Pair(t, sample.Certificate{Name: "witness", Key: c.key})
			k := writePair(t, pair)
			set := hostile.Set{
				Image: hostile.Open(t, readFile(t, c.make(t, noisyTree(t, 1), k))),
				Other: hostile.Open(t, readFile(t, c.make(t, noisyTree(t, 2), k))),
				Pair:  pair,
			}
			tried := 0
			for _, h := range hostile.Cases() {
				who, wanted := spoiled[h.Name]
				if !wanted {
					continue
				}
				tried++
				b := h.Spoil(t, set)
				path := filepath.Join(t.TempDir(), "hello.sysext.raw")
				write(t, path, string(b), 0o644)
				if v := verify(t, path, "--certificate", k.certificate); (v.code == codeGood) != (who == "") {
					t.Errorf("%s: %s", h.Name, v)
				}
				if err := veritysetup(t, set.Image, b); (err != nil) != (who == verity) {
					t.Errorf("%s: veritysetup: %v", h.Name, err)
				}
				for _, err := range opensslOn(t, set.Image, b, k) {
					if (err != nil) != (who == signature) {
						t.Errorf("%s: openssl: %v", h.Name, err)
					}
				}
			}
			if tried != len(spoiled) {
				t.Errorf("%d of %d cases are known", tried, len(spoiled))
			}
		})
	}
}

// veritysetup has it check b, a copy of im, by im's root hash.
func veritysetup(t *testing.T, im *hostile.Image, b []byte) error {
	t.Helper()
	folder := t.TempDir()
	data, tree, _ := im.Parts(b)
	write(t, filepath.Join(folder, "data"), string(data), 0o644)
	write(t, filepath.Join(folder, "tree"), string(tree), 0o644)
	return tell(t, need.Tool(t, "veritysetup", "cryptsetup-bin"), "verify", filepath.Join(folder, "data"), filepath.Join(folder, "tree"), fmt.Sprintf("%x", im.Root))
}

// opensslOn has both of openssl's readers check the signature in b, a copy of im,
// over im's root hash.
func opensslOn(t *testing.T, im *hostile.Image, b []byte, k key) []error {
	t.Helper()
	folder := t.TempDir()
	_, _, partition := im.Parts(b)
	s, err := ddi.ParseSignature(partition)
	if err != nil {
		t.Fatal(err)
	}
	message, content := filepath.Join(folder, "p7s"), filepath.Join(folder, "text")
	write(t, message, string(s.PKCS7), 0o644)
	write(t, content, string(ddi.SignedText(im.Root)), 0o644)
	var errs []error
	for _, reader := range []string{"smime", "cms"} {
		errs = append(errs, tell(t, need.Tool(t, "openssl", "openssl"), reader, "-verify", "-binary", "-inform", "der", "-in", message,
			"-content", content, "-certfile", k.certificate, "-nointern", "-noverify", "-out", os.DevNull))
	}
	return errs
}

// tell runs a program; the error is that it found something wrong.
func tell(t *testing.T, name string, args ...string) error {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}
