package verity_test

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/verity"
	"inlay/test/need"
)

// TestVeritysetup lets cryptsetup check a tree of three levels, and read its
// superblock.
func TestVeritysetup(t *testing.T) {
	t.Parallel()
	veritysetup := need.Tool(t, "veritysetup", "cryptsetup-bin")
	const count = 128*128 + 1
	tree := verity.NewTree(params(t))
	data := blocks(count)
	tree.HashBlocks(0, data)
	root, err := tree.Finish(count)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dataFile, hashFile := filepath.Join(dir, "data"), filepath.Join(dir, "hash")
	hash, err := os.Create(hashFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(hash); err != nil {
		t.Fatal(err)
	}
	if err := hash.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dataFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), veritysetup, "verify", dataFile, hashFile, hex.EncodeToString(root[:])).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	root[0]++
	if out, err := exec.CommandContext(t.Context(), veritysetup, "verify", dataFile, hashFile, hex.EncodeToString(root[:])).CombinedOutput(); err == nil {
		t.Errorf("veritysetup takes a wrong root hash\n%s", out)
	}
	out, err := exec.CommandContext(t.Context(), veritysetup, "dump", hashFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		"UUID: 898929e6-7747-423e-8593-3659ba461e7c", "Hash type: 1", "Data blocks: 16385", "Data block size: 4096",
		"Hash block size: 4096", "Hash algorithm: sha256", "Salt: " + hex.EncodeToString(params(t).Salt),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("veritysetup dump doesn't say %q:\n%s", want, out)
		}
	}
}
