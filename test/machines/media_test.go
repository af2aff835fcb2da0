//go:build machines

package machines_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/machine"
	"inlay/test/need"
)

// bootFolder is where Debian keeps systemd's boot loader and stub.
const bootFolder = "usr/lib/systemd/boot/efi"

// mediaArguments is the command line of the systems that media carry here. How long a
// processor was stuck tells of the host that emulates it.
const mediaArguments = "console=ttyS0 panic=-1 mitigations=off no_timer_check nosoftlockup"

// miniature is a root file system that a medium can be made of: Debian's kernel
// and a PID 1 that says it is up. The whole of it is the initrd.
func miniature(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	kernel := debian.NewKernel(t)
	busybox, err := os.ReadFile(need.Tool(t, "busybox", "busybox-static"))
	if err != nil {
		t.Fatal(err)
	}
	linux, err := os.ReadFile(kernel.Compressed())
	if err != nil {
		t.Fatal(err)
	}
	loader := filepath.Join(debian.Tools(t).Folder(), bootFolder)
	for name, text := range map[string]string{
		"usr/bin/busybox":    string(busybox),
		"etc/os-release":     "ID=miniature\nNAME=Miniature\nVERSION_ID=1\n",
		"usr/lib/os-release": "ID=miniature\nNAME=Miniature\nVERSION_ID=1\n",
		"usr/lib/modules/" + kernel.Version + "/vmlinuz": string(linux),
		bootFolder + "/linuxx64.efi.stub":                readFile(t, filepath.Join(loader, "linuxx64.efi.stub")),
		bootFolder + "/systemd-bootx64.efi":              readFile(t, filepath.Join(loader, "systemd-bootx64.efi")),
		"init": `#!/usr/bin/busybox sh
/usr/bin/busybox mkdir -p /proc /sys /dev
/usr/bin/busybox mount -t proc proc /proc
/usr/bin/busybox mount -t sysfs sysfs /sys
/usr/bin/busybox mount -t devtmpfs devtmpfs /dev
exec >/dev/ttyS1
echo "MARK cmdline $(/usr/bin/busybox cat /proc/cmdline)"
echo "MARK certificates $(cd /usr/lib/verity.d && echo *)"
echo "MARK up"
/usr/bin/busybox sleep 600
`,
	} {
		writeFile(t, filepath.Join(root, name), text)
	}
	for _, name := range []string{"usr/bin/busybox", "init"} {
		if err := os.Chmod(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// medium is an installation medium and the keys that it was made with.
type medium struct{ folder, keys, iso string }

func newMedium(t *testing.T, root string) medium {
	t.Helper()
	folder := t.TempDir()
	m := medium{folder: folder, keys: filepath.Join(folder, "keys"), iso: filepath.Join(folder, "test.iso")}
	runInlay(t, "keys", "create", "test", "--output", m.keys, "--extension-key", "rsa2048")
	runInlay(t, "media", "iso", "dir:"+root, "--name", "test", "--output", folder, "--keys", m.keys,
		"--rootfs-as-initrd", "--cmdline", mediaArguments, "--secure-boot-enroll", "force")
	return m
}

// signedUKI makes the kernel image alone, signed with one pair of the set.
func (m medium) signedUKI(t *testing.T, root, pair string) string {
	t.Helper()
	folder := t.TempDir()
	runInlay(t, "media", "uki", "dir:"+root, "--output", folder, "--rootfs-as-initrd", "--cmdline", mediaArguments,
		"--private-key", filepath.Join(m.keys, pair+".key"), "--certificate", filepath.Join(m.keys, pair+".pem"))
	made, err := filepath.Glob(filepath.Join(folder, "*.efi"))
	if err != nil || len(made) == 0 {
		t.Fatalf("no kernel image in %s: %v", folder, err)
	}
	return made[0]
}

func line(words ...string) func(string) bool {
	return func(text string) bool { return containsAll(text, words...) }
}

// denied matches what OVMF says of a program whose signer it does not trust.
func denied(text string) bool { return containsAll(text, "failed to load", "Access Denied") }

// TestMediumEnrolsAndBoots goes the documents' road: a board without keys, a
// medium with them. systemd-boot enrols, the machine starts anew under Secure
// Boot, and boots the signed kernel image, from a disc as from a stick. What is
// signed with other keys does not boot on that board afterwards, and neither does
// what the set's key for extensions has signed.
func TestMediumEnrolsAndBoots(t *testing.T) {
	t.Parallel()
	root := miniature(t)
	m := newMedium(t, root)
	board := machine.NewBoard(t)

	enrol := machine.Start(t, machine.Machine{Firmware: &machine.Firmware{Variables: board, CD: m.iso, Keep: true, Reboots: true}})
	enrol.Wait(t, line("locked down from EFI Secure Boot"))
	cmdline := enrol.Wait(t, machine.Mark("cmdline"))
	certificates := enrol.Wait(t, machine.Mark("certificates"))
	enrol.Wait(t, machine.Mark("up"))
	enrol.Stop()
	if !strings.Contains(cmdline, mediaArguments) {
		t.Errorf("the kernel was started with %q, not with %q", cmdline, mediaArguments)
	}
	if !strings.Contains(certificates, "ext.crt") {
		t.Errorf("the system has the certificates %q, not that of the key for extensions", certificates)
	}

	stick := machine.Start(t, machine.Machine{Firmware: &machine.Firmware{Variables: board, Stick: m.iso}})
	stick.Wait(t, line("locked down from EFI Secure Boot"))
	stick.Wait(t, machine.Mark("up"))
	stick.Stop()

	foreign := newMedium(t, root)
	for name, boot := range map[string]*machine.Firmware{
		"a medium with other keys":        {Variables: board, CD: foreign.iso},
		"a kernel image with another key": {Variables: board, ESP: machine.BootDisk(t, foreign.signedUKI(t, root, "db"))},
		"one with the key for extensions": {Variables: board, ESP: machine.BootDisk(t, m.signedUKI(t, root, "ext"))},
		"one with the key that signs db":  {Variables: board, ESP: machine.BootDisk(t, m.signedUKI(t, root, "KEK"))},
	} {
		t.Log(name)
		running := machine.Start(t, machine.Machine{Firmware: boot})
		running.Wait(t, denied)
		running.Stop()
	}
}
