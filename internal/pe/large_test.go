package pe_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/internal/pe"
)

// memoryVariable makes TestLarge the one that is measured.
const memoryVariable = "INLAY_TEST_PE_MEMORY"

// sparse leaves out what is zero anyway.
type sparse struct {
	*os.File
	zeros []byte
}

func (s *sparse) WriteAt(p []byte, at int64) (int, error) {
	if len(p) <= len(s.zeros) && bytes.Equal(p, s.zeros[:len(p)]) {
		return len(p), nil
	}
	return s.File.WriteAt(p, at)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestLarge makes, hashes and signs a program with an initrd of 256 MiB, in a
// process of its own, whose memory is looked at.
func TestLarge(t *testing.T) {
	t.Parallel()
	if os.Getenv(memoryVariable) != "" {
		large(t)
		return
	}
	const most = 32 << 10 // KiB
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector takes more memory than what it watches")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^TestLarge$", "-test.v")
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
	t.Logf("%d MiB\n%s", used>>10, text)
	if used > most {
		t.Errorf("it took %d KiB, more than %d", used, most)
	}
}

func large(t *testing.T) {
	const initrd = 256 << 20
	file, err := os.Create(filepath.Join(t.TempDir(), "large.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := &sparse{file, make([]byte, 1<<20)}
	start := time.Now()
	lap := func(what string) {
		t.Logf("%s in %.2f s", what, time.Since(start).Seconds())
		start = time.Now()
	}

	stub := parse(t, vector(t, "tiny.efi"))
	size, err := pe.Extend(w, stub, []pe.NewSection{
		{Name: ".initrd", Data: io.LimitReader(zeros{}, initrd), Size: initrd}, section(".cmdline", "quiet"),
	}, pe.ExtendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(size); err != nil { // the last bytes were zeros
		t.Fatal(err)
	}
	lap("extended")
	f, err := pe.Parse(file, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Digest(sha256.New()); err != nil {
		t.Fatal(err)
	}
	lap("hashed")
	if size, err = pe.Certify(w, f, [][]byte{sequence(100)}); err != nil {
		t.Fatal(err)
	}
	lap("signed")
	f, err = pe.Parse(file, size)
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := f.Sum(); err != nil || sum != f.Checksum || len(f.Certificates) != 1 || size < initrd {
		t.Errorf("%d bytes, checksum %#x, want %#x (%v)", size, f.Checksum, sum, err)
	}
	lap("checked")
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
