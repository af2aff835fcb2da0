package witness_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"inlay/internal/keys"
	"inlay/test/debian"
	"inlay/test/sample"
)

// writePair writes a key and its certificate for programs to use.
func writePair(t *testing.T, pair *keys.Pair) key {
	t.Helper()
	folder := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(pair.Signer)
	if err != nil {
		t.Fatal(err)
	}
	k := key{filepath.Join(folder, "db.key"), filepath.Join(folder, "db.pem")}
	write(t, k.private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
	write(t, k.certificate, string(sample.PEM(pair.Certificate)), 0o644)
	return k
}

// noisyTree makes the tree of an extension "hello" with a file that nothing
// compresses: more blocks of data than one block of hashes holds.
func noisyTree(t *testing.T, seed uint64) string {
	t.Helper()
	noise := make([]byte, 600<<10)
	r := rand.New(rand.NewPCG(seed, seed))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "usr/share/noise"), string(noise), 0o644)
	return tree
}

// repartImage says what to have systemd-repart 257 make.
type repartImage struct {
	fileSystem string // "" is erofs
	sector     int    // 0 leaves the choice to systemd-repart
	room       bool   // the data partition is larger than what the hash tree covers
	padded     bool   // the hash tree covers more than the file system
}

// Definitions of partitions for systemd-repart: its own ones for extensions allow
// neither ext4 nor a size.
const (
	dataDefinition = "[Partition]\nType=root\nVerity=data\nVerityMatchKey=root\nCopyBlocks=/w/fs\nSizeMinBytes=%d\nSizeMaxBytes=%d\n"
	hashDefinition = "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n"
	signDefinition = "[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n"
)

// make has systemd-repart pack tree as a signed sysext "hello" for x86-64 and
// returns the path of the image.
func (im repartImage) make(t *testing.T, tree string, k key) string {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(tree, "usr/lib/extension-release.d/extension-release.hello"), "ID=_any\n", 0o644)
	tools := debian.Tools(t)
	binds := map[string]string{folder: "/w", tree: "/tree", filepath.Dir(k.private): "/keys"}
	args := []string{"systemd-repart", "--architecture=x86-64", "--private-key=/keys/db.key", "--certificate=/keys/db.pem"}
	if im.sector != 0 {
		args = append(args, fmt.Sprintf("--sector-size=%d", im.sector))
	}
	if im.fileSystem == "ext4" || im.room || im.padded {
		const size = 4 << 20
		if im.fileSystem == "ext4" {
			tools.Run(t, binds, "mke2fs", "-q", "-t", "ext4", "-d", "/tree", "/w/fs", fmt.Sprintf("%dk", size>>10))
		} else {
			tools.Run(t, binds, "mkfs.erofs", "--quiet", "/w/fs", "/tree")
		}
		if im.padded {
			if err := os.Truncate(filepath.Join(folder, "fs"), size); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(folder, "defs/10-root.conf"), fmt.Sprintf(dataDefinition, size, size), 0o644)
		write(t, filepath.Join(folder, "defs/20-root-verity.conf"), hashDefinition, 0o644)
		write(t, filepath.Join(folder, "defs/30-root-verity-sig.conf"), signDefinition, 0o644)
		args = append(args, "--definitions=/w/defs", "--empty=create", "--size=auto", "--dry-run=no")
	} else {
		args = append([]string{"env", "SYSTEMD_REPART_OVERRIDE_FSTYPE=" + im.fileSystem}, args...)
		if im.fileSystem == "" {
			args = args[2:]
		}
		args = append(args, "--make-ddi=sysext", "--copy-source=/tree")
	}
	tools.Run(t, binds, append(args, "/w/hello.sysext.raw")...)
	return filepath.Join(folder, "hello.sysext.raw")
}

// readFile returns the content of a file.
func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
