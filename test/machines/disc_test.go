//go:build machines

package machines_test

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"inlay/test/machine"
)

// noise is text of so many bytes that does not get smaller when it is packed, and
// is the same each time.
func noise(size int) string {
	var text []byte
	for i := uint64(0); len(text) < size; i++ {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, i))
		text = append(text, sum[:]...)
	}
	return string(text[:size])
}

// TestLargeMediumBoots boots a disc whose EFI system partition is longer than
// what El Torito can count to: 32 MiB by its specification, four times that as
// OVMF takes it. The loader's configuration and entries lie behind that.
func TestLargeMediumBoots(t *testing.T) {
	t.Parallel()
	root := miniature(t)
	writeFile(t, filepath.Join(root, "usr/share/noise"), noise(60<<20))
	folder := t.TempDir()
	runInlay(t, "media", "iso", "dir:"+root, "--name", "large", "--output", folder, "--rootfs-as-initrd",
		"--cmdline", mediaArguments, "--entry", "two: quiet")
	disc := filepath.Join(folder, "large.iso")
	if info, err := os.Stat(disc); err != nil || info.Size() < 130<<20 {
		t.Fatalf("the disc is too small for this test: %v, %v", info, err)
	}
	running := machine.Start(t, machine.Machine{Firmware: &machine.Firmware{CD: disc}})
	running.Wait(t, line("Run /init as init process"))
	running.Stop()
}
