package disk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"inlay/internal/disk"
	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/test/need"
)

// machine is a root with the kernel's view of disks: the content of each, and how many
// partitions it has.
func machine(t *testing.T, disks map[string][]byte, partitions map[string]int) *os.Root {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "sys/class/block"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../../"+to, filepath.Join(dir, "sys/class/block", name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range disks {
		write("sys/devices/pci/"+name+"/size", strconv.Itoa(len(data)/512)+"\n")
		write("dev/"+name, string(data))
		link(name, "devices/pci/"+name)
		for n := 1; n <= partitions[name]; n++ {
			p := name + strconv.Itoa(n)
			write("sys/devices/pci/"+name+"/"+p+"/size", "2048\n")
			write("sys/devices/pci/"+name+"/"+p+"/partition", strconv.Itoa(n)+"\n")
			write("dev/"+p, strings.Repeat("\x00", 2048*512))
			link(p, "devices/pci/"+name+"/"+p)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func parse(t *testing.T, s string) guid.GUID {
	t.Helper()
	g, err := guid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

// table is a disk with two partitions.
func table(t *testing.T) []byte {
	t.Helper()
	size := int64(8 << 20)
	tab := &gpt.Table{DiskGUID: parse(t, "11111111-2222-4333-8444-555555555555"), SectorSize: 512, Size: size, Partitions: []gpt.Partition{
		{Number: 1, Type: parse(t, esp), GUID: parse(t, "aaaaaaaa-2222-4333-8444-555555555555"), First: 2048, Last: 4095, Label: "esp"},
		{Number: 2, Type: parse(t, "0fc63daf-8483-4772-8e79-3d69d8477de4"), GUID: parse(t, "bbbbbbbb-2222-4333-8444-555555555555"), First: 4096, Last: 6143},
	}}
	data := make([]byte, size)
	primary, backup, err := tab.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(data, primary)
	copy(data[size-int64(len(backup)):], backup)
	return data
}

func TestDevices(t *testing.T) {
	t.Parallel()
	damaged := table(t)
	copy(damaged[512+16:], "xxxx") // both headers
	copy(damaged[len(damaged)-512+16:], "xxxx")
	root := machine(t, map[string][]byte{"vda": table(t), "vdb": make([]byte, 1<<20), "vdc": damaged, "loop0": nil}, map[string]int{"vda": 2, "vdc": 1})
	all, problems, err := disk.Devices(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range all {
		got = append(got, d.Node()+" "+d.Type.String()[:8]+" "+d.ID.String()[:8])
	}
	want := "/dev/vda1 c12a7328 aaaaaaaa, /dev/vda2 0fc63daf bbbbbbbb, /dev/vdb 00000000 00000000, /dev/vdc1 00000000 00000000"
	if strings.Join(got, ", ") != want {
		t.Errorf("found %q,\nwant %q", strings.Join(got, ", "), want)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "vdc") {
		t.Errorf("problems %v", problems)
	}
	empty, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if all, _, err := disk.Devices(empty); err != nil || len(all) > 0 {
		t.Errorf("without /sys: %v, %v", all, err)
	}
}

// TestLabel reads the labels that the file systems' own tools write.
func TestLabel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, kind, tool, pkg, label string
		args                         []string
	}{
		{"ext4", "ext4", "mkfs.ext4", "e2fsprogs", "COS_PERSISTENT", []string{"-q", "-F", "-L", "COS_PERSISTENT"}},
		{"sixteen bytes", "ext4", "mkfs.ext4", "e2fsprogs", "0123456789abcdef", []string{"-q", "-F", "-L", "0123456789abcdef"}},
		{"no label", "ext4", "mkfs.ext4", "e2fsprogs", "", []string{"-q", "-F"}},
		{"FAT16", "vfat", "mkfs.vfat", "dosfstools", "COS_GRUB", []string{"-F16", "-n", "COS_GRUB"}},
		{"FAT32", "vfat", "mkfs.vfat", "dosfstools", "UKI ESP", []string{"-F32", "-n", "UKI ESP"}},
		{"FAT without", "vfat", "mkfs.vfat", "dosfstools", "", []string{"-F32"}},
		{"btrfs", "btrfs", "mkfs.btrfs", "btrfs-progs", "state of the node", []string{"-q", "-L", "state of the node"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			f, err := os.Create(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(128 << 20); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), need.Tool(t, test.tool, test.pkg), append(test.args, image)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := disk.Label(f, test.kind); got != test.label {
				t.Errorf("label %q, want %q", got, test.label)
			}
		})
	}
	if got := disk.Label(strings.NewReader(strings.Repeat("\xff", 4096)), "ext4"); got != "" {
		t.Errorf("no text reads as %q", got)
	}
	if got := disk.Label(strings.NewReader("short"), "xfs"); got != "" {
		t.Errorf("what is too short reads as %q", got)
	}
}

func FuzzLabel(f *testing.F) {
	f.Add([]byte("LUKS\xba\xbe\x00\x02"), "crypto_LUKS")
	f.Fuzz(func(_ *testing.T, image []byte, kind string) {
		disk.Label(strings.NewReader(string(image)), kind)
	})
}

// TestNode finds the node of a name that cannot have its slashes below /sys.
func TestNode(t *testing.T) {
	t.Parallel()
	if got := (disk.Device{Name: "cciss!c0d0p1"}).Node(); got != "/dev/cciss/c0d0p1" {
		t.Errorf("%q", got)
	}
}

// TestProblemsInOrder tells of several disks in one order.
func TestProblemsInOrder(t *testing.T) {
	t.Parallel()
	disks, partitions := map[string][]byte{}, map[string]int{}
	names := []string{"sda", "sdb", "sdc", "sdd", "sde"}
	for _, name := range names {
		disks[name], partitions[name] = make([]byte, 4096), 1
	}
	root := machine(t, disks, partitions)
	for _, name := range names {
		if err := root.Remove("dev/" + name); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		_, problems, err := disk.All(root)
		if err != nil || len(problems) != len(names) {
			t.Fatalf("%v, %v", problems, err)
		}
		for i, name := range names {
			if !strings.Contains(problems[i].Error(), name) {
				t.Fatalf("%v", problems)
			}
		}
	}
}
