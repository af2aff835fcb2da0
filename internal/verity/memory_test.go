package verity_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"inlay/internal/verity"
)

// memoryVariable makes TestVerifyMemory the one that is measured.
const memoryVariable = "INLAY_TEST_VERIFY_MEMORY"

// zeros is a device of nothing else, without an end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// zeroTree is the hash partition over zeros, 128 to some power of blocks of
// them: in each level all of its blocks are the same.
type zeroTree struct {
	levels [][]byte // one block of each, the highest first
}

func newZeroTree(height int) (zeroTree, [32]byte) {
	var z zeroTree
	block := make([]byte, blockSize)
	for range height {
		digest := sha256.Sum256(block)
		block = bytes.Repeat(digest[:], blockSize/len(digest))
		z.levels = append([][]byte{block}, z.levels...)
	}
	return z, sha256.Sum256(block)
}

func (z zeroTree) ReadAt(p []byte, off int64) (int, error) {
	for n := range p {
		at := off + int64(n)
		end, count := int64(2*blockSize), int64(1)
		level := 0
		for at >= end {
			count *= 128
			end += count * blockSize
			if level++; level == len(z.levels) {
				return n, io.EOF
			}
		}
		p[n] = z.levels[level][at%blockSize]
	}
	return len(p), nil
}

// TestVerifyMemory verifies 8 GiB in a process of its own, which then reads
// bits of all of it.
func TestVerifyMemory(t *testing.T) {
	t.Parallel()
	if os.Getenv(memoryVariable) != "" {
		verifyZeros(t)
		return
	}
	const most = 32 << 10 // KiB
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^TestVerifyMemory$", "-test.v")
	c.Env = append(os.Environ(), memoryVariable+"=1")
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	_, said, _ := strings.Cut(string(text), "VmHWM:")
	var used int
	if _, err := fmt.Sscan(said, &used); err != nil {
		t.Skipf("this system doesn't tell a process its peak of memory: %s", text)
	}
	t.Logf("%d MiB", used>>10)
	if used > most {
		t.Errorf("verifying and reading took %d KiB, more than %d", used, most)
	}
}

func verifyZeros(t *testing.T) {
	tree, root := newZeroTree(3)
	s := verity.Superblock{DataBlocks: 128 * 128 * 128}
	if err := verity.Verify(t.Context(), s, root, zeros{}, tree, verity.VerifyOptions{Workers: 8}); err != nil {
		t.Fatal(err)
	}
	r := verity.NewReader(s, root, zeros{}, tree)
	p := make([]byte, 100)
	for off := int64(5); off < r.Size(); off += 64 * blockSize {
		if _, err := r.ReadAt(p, off); err != nil {
			t.Fatal(err)
		}
	}
	// What counts for the parent's own peak must not count for this one, as it
	// does in what wait(2) reports.
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Log(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "VmHWM:") {
			t.Log(line)
		}
	}
}
