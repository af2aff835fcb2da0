//go:build machines

package machines_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/test/machine"
	"inlay/test/sample"
)

// partitioned puts images of partitions onto a disk with a GUID partition table.
func partitioned(t *testing.T, types, ids, images []string) string {
	t.Helper()
	const sector, grain = 512, 1 << 20
	parse := func(text string) guid.GUID {
		g, err := guid.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	table := &gpt.Table{DiskGUID: parse("11111111-2222-4333-8444-555555555555"), SectorSize: sector}
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(grain)
	for i, image := range images {
		content, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(content, at); err != nil {
			t.Fatal(err)
		}
		end := at + int64(len(content))
		table.Partitions = append(table.Partitions, gpt.Partition{
			Number: i + 1, Type: parse(types[i]), GUID: parse(ids[i]), First: uint64(at / sector), Last: uint64(end/sector - 1),
		})
		at = (end + grain - 1) / grain * grain
	}
	table.Size = at + grain
	primary, backup, err := table.Encode()
	if err == nil {
		_, err = f.WriteAt(primary, 0)
	}
	if err == nil {
		_, err = f.WriteAt(backup, table.Size-int64(len(backup)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTakeInAndRecovery has the boot step take in what an installer left on a real
// FAT, that nobody has mounted, or that somebody has read-only; and reach from a
// recovery system the store that this made, on an ext4 that nobody has mounted.
func TestTakeInAndRecovery(t *testing.T) {
	t.Parallel()
	const id = "aaaaaaaa-2222-4333-8444-555555555555"
	image := buildImage(t, "take-in", withInlay, keyPair{})
	esp := machine.ESP(t, map[string]string{
		"/EFI/kairos/active.efi.extra.d/hello.sysext.raw":  image,
		"/EFI/kairos/PASSIVE.EFI.EXTRA.D/hello.sysext.raw": image,
		"/EFI/kairos/active.efi.extra.d/other.addon.efi":   image,
	})
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, ".state/var-lib-kairos.bind"), 0o755); err != nil {
		t.Fatal(err)
	}
	disk := partitioned(t, []string{sample.ESP, sample.Linux}, []string{id, "bbbbbbbb-2222-4333-8444-555555555555"},
		[]string{esp, sample.Ext4(t, "COS_PERSISTENT", folder)})
	variables := t.TempDir()
	sample.StartedFrom(t, variables, id)
	found, err := filepath.Glob(filepath.Join(variables, "sys/firmware/efi/efivars/*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	p := newPayload(t)
	p.add("inlay", inlay(t))
	p.add(filepath.Base(found[0]), found[0])
	p.add("hello.sysext.raw", image)
	p.run(`
for block in /sys/block/vd*; do
  [ "$(cat "$block/serial")" != state ] || disk=/dev/${block##*/}
done
mount -t tmpfs tmpfs /sys/firmware
mkdir -p /sys/firmware/efi/efivars /run/cos /run/look /state /var/lib/kairos
cp /payload/LoaderDevicePartUUID-* /sys/firmware/efi/efivars
cp /payload/inlay /run/inlay-program
chmod +x /run/inlay-program
mount "${disk}2" /state
mount --bind /state/.state/var-lib-kairos.bind /var/lib/kairos
store=/var/lib/kairos/extensions
look() { # CASE
  mounted=$(grep -c "${disk}1" /proc/mounts)
  mount -o ro "${disk}1" /run/look
  left=$(cd /run/look && find . -type f | sort | tr '\n' ,)
  umount /run/look
  result "$1" "status=$status mounted=$mounted left=$left stored=$(cd $store && find . -name '*.raw' | sort | tr '\n' ,) same=$(cmp -s $store/hello.sysext.raw /payload/hello.sysext.raw && echo yes) linked=$(readlink /run/extensions/hello.sysext.raw)"
}
boot() {
  /run/inlay-program boot --hook test
  status=$?
  cat /run/inlay/boot.json
}
touch /run/cos/active_mode
boot
look taken

mount "${disk}1" /run/look
mkdir -p /run/look/EFI/kairos/active.efi.extra.d
cp /payload/hello.sysext.raw /run/look/EFI/kairos/active.efi.extra.d/later.sysext.raw
umount /run/look
mkdir /efi
mount -o ro "${disk}1" /efi
boot
touch /efi/new 2>/dev/null && result readonly writable=yes || result readonly writable=no
look again
umount /efi

umount /var/lib/kairos /state
rm -r /run/cos/active_mode /run/extensions
touch /run/cos/recovery_mode
boot
result none "linked=$(ls /run/extensions 2>/dev/null) mounts=$(grep -c "${disk}2" /proc/mounts)"
mount "${disk}2" /state
mkdir -p /state/.state/var-lib-kairos.bind/extensions/recovery
ln -s /var/lib/kairos/extensions/hello.sysext.raw /state/.state/var-lib-kairos.bind/extensions/recovery/
umount /state
boot
boot
result recovery "status=$status linked=$(readlink /run/extensions/hello.sysext.raw) same=$(cmp -s /run/extensions/hello.sysext.raw /payload/hello.sysext.raw && echo yes) mounts=$(grep -c "${disk}2 /run/inlay/persistent ext4 ro,nosuid,nodev,noexec" /proc/mounts)"
systemd-sysext --no-reload merge
result merged "content=$(tr ' ' - </usr/share/inlay-test/content)"
systemd-sysext --no-reload unmerge
`)
	results := machine.Run(t, machine.Machine{
		Root: machine.RootImage(t), Disks: []machine.Disk{p.disk(), {Path: disk, Serial: "state"}},
	})
	const other = "./EFI/kairos/active.efi.extra.d/other.addon.efi,"
	for name, want := range map[string]map[string]string{
		"taken": {
			"status": "0", "mounted": "0", "left": other, "same": "yes", "linked": "../../var/lib/kairos/extensions/hello.sysext.raw",
			"stored": "./active/hello.sysext.raw,./hello.sysext.raw,./passive/hello.sysext.raw,",
		},
		"readonly": {"writable": "no"},
		"again": {
			"status": "0", "mounted": "1", "left": other, "same": "yes", "linked": "../../var/lib/kairos/extensions/hello.sysext.raw",
			"stored": "./active/hello.sysext.raw,./active/later.sysext.raw,./hello.sysext.raw,./later.sysext.raw,./passive/hello.sysext.raw,",
		},
		"none": {"linked": "", "mounts": "0"},
		"recovery": {
			"status": "0", "same": "yes", "mounts": "1",
			"linked": "../../run/inlay/persistent/.state/var-lib-kairos.bind/extensions/hello.sysext.raw",
		},
		"merged": {"content": contentWord()},
	} {
		if diff := cmp.Diff(want, results.Case(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
