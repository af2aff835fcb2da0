package gpt_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/gpt"
	"inlay/test/need"
)

// diskFile writes the disk of newDisk to a file.
func diskFile(t *testing.T, sectorSize int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, newDisk(t, sectorSize), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSgdiskFindsNothing(t *testing.T) {
	t.Parallel()
	sgdisk := need.Tool(t, "sgdisk", "gdisk")
	out, err := exec.CommandContext(t.Context(), sgdisk, "--verify", diskFile(t, 512)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") || strings.Contains(string(out), "Warning") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSfdiskFindsNothing(t *testing.T) {
	t.Parallel()
	sfdisk := need.Tool(t, "sfdisk", "fdisk")
	out, err := exec.CommandContext(t.Context(), sfdisk, "--verify", diskFile(t, 512)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors detected") || !strings.Contains(string(out), "Using 3 out of 128 partitions") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestParseSfdisk reads a table that sfdisk made, with a hole in its entries.
func TestParseSfdisk(t *testing.T) {
	t.Parallel()
	sfdisk := need.Tool(t, "sfdisk", "fdisk")
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sfdisk, "--quiet", path)
	cmd.Stdin = strings.NewReader(`label: gpt
label-id: 6913F4B6-6690-4A57-A202-F1B53C56DBDF
1: start=2048 size=8 type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 name="root-x86-64" attrs="GUID:60"
3: start=4096 size=16 type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5 uuid=CA977224-9A98-40C9-BEF7-EAE884D35446
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tab, err := gpt.Parse(f, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := tab.DiskGUID.String(); got != "6913f4b6-6690-4a57-a202-f1b53c56dbdf" {
		t.Errorf("disk GUID %s", got)
	}
	var got []string
	for _, p := range tab.Partitions {
		d, _ := gpt.Lookup(p.Type)
		got = append(got, fmt.Sprintf("%d %s %q %d-%d %x", p.Number, d, p.Label, p.First, p.Last, p.Attributes))
	}
	want := `1 root-x86-64 "root-x86-64" 2048-2055 1000000000000000, 3 root-x86-64-verity "" 4096-4111 0`
	if strings.Join(got, ", ") != want || len(tab.Damage) > 0 {
		t.Errorf("got  %s\nwant %s\ndamage %v", strings.Join(got, ", "), want, tab.Damage)
	}
}

// TestKernelReadsLargeSectors shows a table in 4096-byte sectors to the kernel
// and to sfdisk, through a loop device.
func TestKernelReadsLargeSectors(t *testing.T) {
	t.Parallel()
	losetup, sfdisk := need.Tool(t, "losetup", "mount"), need.Tool(t, "sfdisk", "fdisk")
	need.Root(t)
	out, err := exec.CommandContext(t.Context(), losetup, "--find", "--show", "--read-only", "--sector-size", "4096", diskFile(t, 4096)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	device := strings.TrimSpace(string(out))
	// The test's context is over when the clean-up runs.
	t.Cleanup(func() {
		if err := exec.CommandContext(context.WithoutCancel(t.Context()), losetup, "--detach", device).Run(); err != nil {
			t.Errorf("detaching %s: %v", device, err)
		}
	})
	out, err = exec.CommandContext(t.Context(), sfdisk, "--verify", device).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors detected") || !strings.Contains(string(out), "Using 3 out of 128 partitions") {
		t.Errorf("%v\n%s", err, out)
	}
}
