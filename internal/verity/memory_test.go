package verity_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
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

// zeroTree is the hash partition over 2 GiB of zeros. In each level all of its
// blocks are the same.
type zeroTree struct {
	levels [3][]byte // one block of each, the highest first
}

const zeroBlocks = 32 * 128 * 128

func newZeroTree() (z zeroTree, root [32]byte) {
	block := make([]byte, blockSize)
	for i, digests := range []int{128, 128, 32} {
		digest := sha256.Sum256(block)
		block = make([]byte, blockSize)
		copy(block, bytes.Repeat(digest[:], digests))
		z.levels[2-i] = block
	}
	return z, sha256.Sum256(block)
}

// ReadAt reads one block.
func (z zeroTree) ReadAt(p []byte, off int64) (int, error) {
	switch i := off / blockSize; {
	case i == 1:
		return copy(p, z.levels[0]), nil
	case i < 2+32:
		return copy(p, z.levels[1]), nil
	case i < 2+32+32*128:
		return copy(p, z.levels[2]), nil
	}
	return 0, io.EOF
}

// TestVerifyMemory verifies 2 GiB in a process of its own, which then reads
// bits of all of it.
func TestVerifyMemory(t *testing.T) {
	t.Parallel()
	if os.Getenv(memoryVariable) != "" {
		verifyZeros(t)
		return
	}
	const most = 32 << 10 // KiB; the promise is 64 << 10
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes more memory than what it watches")
	}
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
	tree, root := newZeroTree()
	s := verity.Superblock{DataBlocks: zeroBlocks}
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
