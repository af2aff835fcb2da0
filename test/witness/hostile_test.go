package witness_test

import (
	"crypto"
	"crypto/elliptic"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/hostile"
	"inlay/test/need"
	"inlay/test/sample"
)

// roomAfter is the image whose hash tree covers less than the data partition.
const roomAfter = "room after the data"

// TestHostileImages spoils images in every way that test/hostile knows, of our
// builder and of systemd-repart 257, and has the program as it ships judge them:
// result, the check that refused, why, and the exit code.
func TestHostileImages(t *testing.T) {
	t.Parallel()
	need.Root(t)
	ours := func(flags ...string) func(*testing.T, string, key) string {
		return func(t *testing.T, tree string, k key) string {
			return build(t, nil, k, "hello", "dir:"+tree, append(flags, "--arch", "amd64")...).Path
		}
	}
	rsa := func(t *testing.T) crypto.Signer { return sample.RSA(t, 2048) }
	p256 := func(t *testing.T) crypto.Signer { return sample.ECDSA(t, elliptic.P256()) }
	for name, c := range map[string]struct {
		key  func(*testing.T) crypto.Signer
		make func(t *testing.T, tree string, k key) string
	}{
		"inlay, RSA":                    {rsa, ours()},
		"inlay, P-256, squashfs":        {p256, ours("--filesystem", "squashfs")},
		"repart, RSA":                   {rsa, repartImage{}.make},
		"repart, P-256":                 {p256, repartImage{}.make},
		"repart, P-256, squashfs, 4096": {p256, repartImage{fileSystem: "squashfs", sector: 4096}.make},
		"repart, RSA, 4096":             {rsa, repartImage{sector: 4096}.make},
		"repart, RSA, squashfs":         {rsa, repartImage{fileSystem: "squashfs"}.make},
		"repart, P-256, ext4":           {p256, repartImage{fileSystem: "ext4"}.make},
		"repart, P-256, padded":         {p256, repartImage{padded: true}.make},
		"repart, P-256, " + roomAfter:   {p256, repartImage{room: true}.make},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := sample.Pair(t, sample.Certificate{Name: "witness", Key: c.key(t)})
			k := writePair(t, pair)
			set := hostile.Set{
				Image: hostile.Open(t, readFile(t, c.make(t, noisyTree(t, 1), k))),
				Other: hostile.Open(t, readFile(t, c.make(t, noisyTree(t, 2), k))),
				Pair:  pair,
			}
			for _, spoiled := range hostile.Cases() {
				t.Run(spoiled.Name, func(t *testing.T) {
					t.Parallel()
					path := filepath.Join(t.TempDir(), "hello.sysext.raw")
					if err := os.WriteFile(path, spoiled.Spoil(t, set), 0o600); err != nil {
						t.Fatal(err)
					}
					v := verify(t, path, "--certificate", k.certificate)
					if spoiled.Check == "" {
						v.wantSigned(t, "CN=witness")
						return
					}
					if spoiled.Name == "a bit of the file system's magic number" && strings.HasSuffix(name, roomAfter) {
						// Nobody knows any more where the file system ends.
						v.wantRefused(t, "superblock", "doesn't tell")
						return
					}
					v.wantRefused(t, string(spoiled.Check), spoiled.Reason)
				})
			}
		})
	}
}

// TestForeignBlockSize: asked for sectors of less than 4096 bytes, systemd-repart
// hashes in blocks of that size. Those are refused, and the refusal says what
// to do instead.
func TestForeignBlockSize(t *testing.T) {
	t.Parallel()
	need.Root(t)
	k := newKey(t)
	for sector, words := range map[int]string{
		512: "data block size 512, only 4096 is supported", 1024: "data block size 1024", 2048: "data block size 2048",
	} {
		path := repartImage{sector: sector}.make(t, noisyTree(t, 1), k)
		verify(t, path, "--certificate", k.certificate).wantRefused(t, "superblock", words)
	}
}
