package verity_test

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inlay/internal/verity"
	"inlay/test/need"
)

// TestVeritysetupAgrees has veritysetup and us judge the same devices, which
// either of us made: sound ones, and ones with a wrong byte in every region.
func TestVeritysetupAgrees(t *testing.T) {
	t.Parallel()
	const count = 128*128 + 129 // levels of 1, 2 and 130 blocks
	random := random(20, count)
	medium, small := random[:1000*blockSize], random[:blockSize]
	for name, from := range map[string]func(t *testing.T, w *witness){
		"ours":                func(t *testing.T, w *witness) { w.ours(t, params(t).Salt, random) },
		"ours, no salt":       func(t *testing.T, w *witness) { w.ours(t, nil, medium) },
		"ours, one block":     func(t *testing.T, w *witness) { w.ours(t, params(t).Salt, small) },
		"theirs":              func(t *testing.T, w *witness) { w.theirs(t, random) },
		"theirs, long salt":   func(t *testing.T, w *witness) { w.theirs(t, medium, "--salt="+strings.Repeat("a5", 256)) },
		"theirs, no salt":     func(t *testing.T, w *witness) { w.theirs(t, medium, "--salt=-") },
		"theirs, two blocks":  func(t *testing.T, w *witness) { w.theirs(t, random[:2*blockSize]) },
		"theirs, a few more":  func(t *testing.T, w *witness) { w.theirs(t, random[:129*blockSize]) },
		"theirs, of a prefix": func(t *testing.T, w *witness) { w.theirs(t, medium, "--data-blocks=555") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWitness(t)
			from(t, w)
			w.agree(t, "as it was made", true)
			data, tree := int64(w.super.DataBlocks)*blockSize, w.super.Size()
			for what, at := range map[string]int64{
				"first byte of data": 0, "data": data / 2, "last byte of data": data - 1,
			} {
				w.flip(t, w.data, at)
				w.agree(t, what, false)
				w.flip(t, w.data, at)
			}
			if tree > blockSize {
				for what, at := range map[string]int64{
					"top": blockSize, "padding of the top or a digest in it": 2*blockSize - 1, "tree": (blockSize + tree) / 2, "end of the tree": tree - 1,
				} {
					w.flip(t, w.hash, at)
					w.agree(t, what, false)
					w.flip(t, w.hash, at)
				}
			}
			w.root[0] ^= 1
			w.agree(t, "root hash", false)
			w.root[0] ^= 1
			w.agree(t, "as it was made, again", true)
			if err := os.Truncate(w.data, data-blockSize); err != nil {
				t.Fatal(err)
			}
			w.agree(t, "short data", false)
		})
	}
}

// witness is a device in files.
type witness struct {
	veritysetup string
	data, hash  string
	super       verity.Superblock
	root        [32]byte
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	folder := t.TempDir()
	return &witness{
		veritysetup: need.Tool(t, "veritysetup", "cryptsetup-bin"),
		data:        filepath.Join(folder, "data"), hash: filepath.Join(folder, "hash"),
	}
}

// ours has a Tree make it.
func (w *witness) ours(t *testing.T, salt, data []byte) {
	t.Helper()
	d := newDevice(t, salt, data)
	hash, err := io.ReadAll(io.NewSectionReader(d.hash, 0, d.super.Size()))
	if err != nil {
		t.Fatal(err)
	}
	w.super, w.root = d.super, d.root
	w.write(t, w.data, data)
	w.write(t, w.hash, hash)
}

// theirs has veritysetup make it.
func (w *witness) theirs(t *testing.T, data []byte, flags ...string) {
	t.Helper()
	w.write(t, w.data, data)
	out, err := exec.CommandContext(t.Context(), w.veritysetup, append([]string{"format", w.data, w.hash}, flags...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root := regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`).FindSubmatch(out)
	if root == nil {
		t.Fatalf("no root hash:\n%s", out)
	}
	w.root = [32]byte(unhex(t, string(root[1])))
	head, err := os.ReadFile(w.hash)
	if err != nil {
		t.Fatal(err)
	}
	if w.super, err = verity.ParseSuperblock(head); err != nil {
		t.Fatal(err)
	}
}

func (w *witness) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// flip turns a bit of a file round.
func (w *witness) flip(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// agree wants both of us to find the device sound, or neither.
func (w *witness) agree(t *testing.T, what string, sound bool) {
	t.Helper()
	err := w.verify(t)
	if (err == nil) != sound {
		t.Errorf("%s: we say %v", what, err)
	}
	out, err := w.run(t)
	if (err == nil) != sound {
		t.Errorf("%s: veritysetup says %v\n%s", what, err, out)
	}
}

func (w *witness) verify(t *testing.T) error {
	t.Helper()
	data, err := os.Open(w.data)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	hash, err := os.Open(w.hash)
	if err != nil {
		t.Fatal(err)
	}
	defer hash.Close()
	return device{w.super, w.root, data, hash}.verify(t, 0)
}

func (w *witness) run(t *testing.T) ([]byte, error) {
	t.Helper()
	return exec.CommandContext(t.Context(), w.veritysetup, "verify", w.data, w.hash, hex.EncodeToString(w.root[:])).CombinedOutput()
}

// TestVeritysetupAgreesOnLess has a superblock count fewer blocks than the tree
// covers. Only what lies behind the last digest shows it; a kernel doesn't mind.
func TestVeritysetupAgreesOnLess(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	w.ours(t, params(t).Salt, random(21, 300))
	hash, err := os.ReadFile(w.hash)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint64(hash[72:], 299)
	w.write(t, w.hash, hash)
	w.super.DataBlocks = 299
	w.agree(t, "fewer blocks", false)
}
