package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/disk"
	"inlay/test/sample"
)

// fake is a machine below a folder with disks of partitions.
func fake(t *testing.T, disks ...[]sample.Partition) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	for i, partitions := range disks {
		sample.Disk(t, dir, "vd"+string(rune('a'+i)), 253+i, partitions...)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

const (
	one = "aaaaaaaa-2222-4333-8444-555555555555"
	two = "bbbbbbbb-2222-4333-8444-555555555555"
)

func TestByID(t *testing.T) {
	t.Parallel()
	root, _ := fake(t, []sample.Partition{{Type: sample.ESP, ID: one}, {Type: sample.Linux, ID: two, Label: "persistent"}}, []sample.Partition{{Type: sample.ESP, ID: one}})
	if d, err := disk.ByID(root, parse(t, two)); err != nil || d.Node() != "/dev/vda2" || d.Label != "persistent" {
		t.Errorf("found %+v: %v", d, err)
	}
	if _, err := disk.ByID(root, parse(t, one)); err == nil || !strings.Contains(err.Error(), "/dev/vda1 and /dev/vdb1 are both") {
		t.Errorf("of two: %v", err)
	}
	if _, err := disk.ByID(root, parse(t, sample.Linux)); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("of none: %v", err)
	}
}

// TestMountedAt finds where the whole of a device can be seen.
func TestMountedAt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, lines, want string
		writable          bool
	}{
		{name: "nowhere"},
		{"read-only", "10 1 253:1 / /efi ro - vfat /dev/vda1 ro", "efi", false},
		{"a mount that forbids it", "10 1 253:1 / /efi ro,nosuid - vfat /dev/vda1 rw", "efi", false},
		{"writable later", "10 1 253:1 / /efi ro - vfat /dev/vda1 rw\n11 1 253:1 / /boot/efi rw - vfat /dev/vda1 rw", "boot/efi", true},
		{"a folder of it", "10 1 253:1 /EFI /efi rw - vfat /dev/vda1 rw", "", false},
		{"hidden by another", "10 1 253:1 / /efi rw - vfat /dev/vda1 rw\n11 10 0:50 / /efi rw - tmpfs none rw", "", false},
		{"under another", "10 1 253:1 / /efi/deep rw - vfat /dev/vda1 rw\n11 1 0:50 / /efi rw - tmpfs none rw", "", false},
		{"by its name", "10 1 0:40 / /state rw - btrfs /dev/vda1 rw", "state", true},
		{"another device", "10 1 253:2 / /efi rw - vfat /dev/vda2 rw", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, dir := fake(t, []sample.Partition{{Type: sample.ESP, ID: one}, {Type: sample.ESP, ID: two}})
			at := filepath.Join(dir, "proc/self/mountinfo")
			if err := os.WriteFile(at, []byte("1 0 0:1 / / rw - ext4 none rw\n"+test.lines), 0o644); err != nil {
				t.Fatal(err)
			}
			got, writable, err := disk.Device{Name: "vda1"}.MountedAt(root)
			if err != nil || got != test.want || writable != test.writable {
				t.Errorf("found %q, %t: %v", got, writable, err)
			}
		})
	}
}

// TestLook passes over what is a part of another device.
func TestLook(t *testing.T) {
	t.Parallel()
	iso := filepath.Join(t.TempDir(), "iso")
	content := make([]byte, 40<<10)
	copy(content[32<<10:], "\x01CD001\x01\x00")
	copy(content[32<<10+40:], "UKI_ISO_INSTALL                 ")
	if err := os.WriteFile(iso, content, 0o644); err != nil {
		t.Fatal(err)
	}
	state := sample.Ext4(t, "COS_PERSISTENT", "")
	root, dir := fake(t, []sample.Partition{
		{Type: sample.Linux, ID: one, Source: state},
		{Type: sample.Linux, ID: two, Source: state},
		{Type: sample.Linux, ID: sample.Linux, Source: iso},
		{Type: sample.Linux, ID: sample.ESP},
	})
	if err := os.MkdirAll(filepath.Join(dir, "sys/devices/vda/vda2/holders/dm-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, problems, err := disk.All(root)
	if err != nil || len(problems) > 0 || len(all) != 5 {
		t.Fatalf("found %v, %v: %v", all, problems, err)
	}
	found, problems := disk.Look(root, all)
	var got []string
	for _, d := range found {
		got = append(got, d.Name+" "+d.Kind+" "+d.Superblock)
	}
	if want := "vda1 ext4 COS_PERSISTENT, vda3 iso9660 UKI_ISO_INSTALL"; strings.Join(got, ", ") != want || len(problems) > 0 {
		t.Errorf("found %q, problems %v", got, problems)
	}
}
