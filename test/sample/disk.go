package sample

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"inlay/internal/efi"
	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/test/need"
)

// Types of partitions.
const (
	ESP   = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	Linux = "0fc63daf-8483-4772-8e79-3d69d8477de4"
)

// Partition is one of a [Disk].
type Partition struct {
	Type, ID, Label string
	// Source is a file with its content, or a block device that it is; "" is empty.
	Source string
	// Mounted is where the machine has it mounted, with a slash in front; "" is
	// nowhere.
	Mounted, FileSystem string
	// Options of that mount; "" is "rw".
	Options string
}

// partitionSize is what the kernel says that each of them has, in sectors.
const partitionSize = 1 << 20

// Disk gives the machine below dir a disk called name, as the kernel shows it: below
// /sys/class/block, /dev and in the list of mounts, in which major is its number.
func Disk(t testing.TB, dir, name string, major int, partitions ...Partition) {
	t.Helper()
	table := &gpt.Table{DiskGUID: parse(t, "11111111-2222-4333-8444-555555555555"), SectorSize: 512, Size: 8 << 20}
	sys := filepath.Join("sys/devices", name)
	write(t, dir, sys+"/size", strconv.Itoa(1<<24))
	link(t, dir, "sys/class/block/"+name, "../../devices/"+name)
	var mounts strings.Builder
	for i, p := range partitions {
		n := i + 1
		part := name + strconv.Itoa(n)
		table.Partitions = append(table.Partitions, gpt.Partition{
			Number: n, Type: parse(t, p.Type), GUID: parse(t, p.ID), First: uint64(2048 * n), Last: uint64(2048*n + 2047), Label: p.Label,
		})
		write(t, dir, sys+"/"+part+"/size", strconv.Itoa(partitionSize))
		write(t, dir, sys+"/"+part+"/partition", strconv.Itoa(n))
		link(t, dir, "sys/class/block/"+part, "../../devices/"+name+"/"+part)
		device := fmt.Sprintf("%d:%d", major, n)
		var stat unix.Stat_t
		switch {
		case p.Source == "":
			write(t, dir, "dev/"+part, "")
		case unix.Stat(p.Source, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFBLK:
			if err := os.MkdirAll(filepath.Join(dir, "dev"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mknod(filepath.Join(dir, "dev", part), unix.S_IFBLK|0o600, int(stat.Rdev)); err != nil {
				t.Fatal(err)
			}
			device = fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
		default:
			content, err := os.ReadFile(p.Source)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "dev/"+part, string(content))
		}
		write(t, dir, sys+"/"+part+"/dev", device+"\n")
		if p.Mounted != "" {
			options := p.Options
			if options == "" {
				options = "rw"
			}
			fmt.Fprintf(&mounts, "%d 1 %s / %s %s,relatime - %s /dev/%s %s\n", 100*major+n, device, p.Mounted, options, p.FileSystem, part, options)
		}
	}
	primary, backup, err := table.Encode()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, table.Size)
	copy(data, primary)
	copy(data[len(data)-len(backup):], backup)
	write(t, dir, "dev/"+name, string(data))
	at := filepath.Join(dir, "proc/self/mountinfo")
	old, err := os.ReadFile(at)
	if err != nil {
		old = []byte("1 0 0:1 / / rw - ext4 none rw\n")
	}
	write(t, dir, "proc/self/mountinfo", string(old)+mounts.String())
}

// StartedFrom has the boot loader of the machine below dir say that it was started
// from a partition.
func StartedFrom(t testing.TB, dir, id string) {
	t.Helper()
	text := []byte{6, 0, 0, 0} // attributes
	for _, c := range utf16.Encode([]rune(strings.ToUpper(id) + "\x00")) {
		text = binary.LittleEndian.AppendUint16(text, c)
	}
	write(t, dir, "sys/firmware/efi/efivars/"+efi.FileName("LoaderDevicePartUUID", efi.Loader()), string(text))
}

func parse(t testing.TB, text string) guid.GUID {
	t.Helper()
	g, err := guid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, dir, name, to string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

// Ext4 makes an ext4 with a label and what lies in a folder ("" is nothing), and
// returns the path of its image.
func Ext4(t testing.TB, label, folder string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "ext4")
	args := []string{"-q", "-F", "-L", label, "-O", "^has_journal"}
	if folder != "" {
		args = append(args, "-d", folder)
	}
	out, err := exec.CommandContext(t.Context(), need.Tool(t, "mkfs.ext4", "e2fsprogs"), append(args, image, "16M")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return image
}

// Loop attaches an image to a loop device for as long as the test runs.
func Loop(t testing.TB, image string) (node string) {
	t.Helper()
	losetup := need.Tool(t, "losetup", "mount")
	out, err := exec.CommandContext(t.Context(), losetup, "--find", "--show", image).Output()
	if err != nil {
		t.Fatalf("attaching %s: %v", image, err)
	}
	node = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command(losetup, "--detach", node).CombinedOutput(); err != nil { //nolint:noctx // the test's own has ended
			t.Errorf("detaching %s: %v\n%s", node, err, out)
		}
	})
	return node
}
