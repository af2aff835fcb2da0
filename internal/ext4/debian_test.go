package ext4_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"inlay/internal/gpt"
	"inlay/test/debian"
)

// TestNewerTools compares what we read of images by Debian trixie's tools, as
// they make them unasked, with what the kernel shows of them.
func TestNewerTools(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	source, work := tree(t, 100), t.TempDir()
	const partition = "[Partition]\nType=root\nFormat=ext4\nCopyFiles=/:/\nSizeMinBytes=48M\n"
	check(t, os.Mkdir(filepath.Join(work, "repart.d"), 0o755))
	check(t, os.WriteFile(filepath.Join(work, "repart.d/root.conf"), []byte(partition), 0o644))
	for name, command := range map[string][]string{
		"mkfs.ext4": {"mkfs.ext4", "-q", "-d", "/tree", "/w/mkfs.ext4", "48M"},
		"mkfs.ext3": {"mkfs.ext3", "-q", "-d", "/tree", "/w/mkfs.ext3", "48M"},
		"mkfs.ext2": {"mkfs.ext2", "-q", "-d", "/tree", "/w/mkfs.ext2", "48M"},
		"repart": {
			"systemd-repart", "--empty=create", "--size=auto", "--offline=yes", "--dry-run=no",
			"--definitions=/w/repart.d", "--root=/tree", "/w/repart",
		},
		"repart, mounted": {
			"systemd-repart", "--empty=create", "--size=auto", "--offline=no", "--dry-run=no",
			"--definitions=/w/repart.d", "--root=/tree", "/w/repart, mounted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tools.Run(t, map[string]string{work: "/w", source: "/tree"}, command...)
			image := filepath.Join(work, name)
			if command[0] == "systemd-repart" {
				image = cut(t, image)
			}
			shown, _ := mount(t, image, "ro")
			want := readOS(t, shown)
			if len(want) < 150 {
				t.Fatalf("the kernel shows %d names", len(want))
			}
			compare(t, want, read(t, image))
		})
	}
}

// cut makes a file of a disk's only partition.
func cut(t testing.TB, disk string) string {
	t.Helper()
	file, err := os.Open(disk)
	check(t, err)
	defer file.Close()
	info, err := file.Stat()
	check(t, err)
	table, err := gpt.Parse(file, info.Size())
	check(t, err)
	if len(table.Partitions) != 1 {
		t.Fatalf("%d partitions", len(table.Partitions))
	}
	p, sector := table.Partitions[0], int64(table.SectorSize)
	out, err := os.Create(filepath.Join(t.TempDir(), "partition"))
	check(t, err)
	defer out.Close()
	_, err = io.Copy(out, io.NewSectionReader(file, int64(p.First)*sector, int64(p.Last-p.First+1)*sector))
	check(t, err)
	return out.Name()
}
