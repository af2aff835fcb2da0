package machine

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
)

// resultsDescriptor is the file behind the second serial line: the first of the
// extra files that a child process gets.
const resultsDescriptor = "/dev/fd/3"

// Init is the path of PID 1 in the images of [RootImage].
const Init = "/usr/sbin/inlay-test-init"

// DefaultArguments is the kernel's command line of all machines. The root is
// the one NVMe disk: with two of them the kernel's scan may swap their names.
func DefaultArguments() []string {
	return []string{
		"console=ttyS0", "panic=-1", "root=/dev/nvme0n1", "rootfstype=ext4", "rw", "init=" + Init,
		"quiet", "audit=0", "mitigations=off", "init_on_alloc=0", "randomize_kstack_offset=0", "no_timer_check", "nosoftlockup",
	}
}

// qemu returns the arguments for m, and the files that QEMU must see.
func (m Machine) qemu(t testing.TB) (arguments []string, binds map[string]string) {
	t.Helper()
	binds = map[string]string{}
	file := func(path string) string {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(path, ",") { // QEMU's own separator
			t.Fatalf("the path %q has a comma", path)
		}
		binds[path] = ""
		return path
	}
	drive := func(id, path string, keep bool) string {
		text := fmt.Sprintf("file=%s,if=none,id=%s,format=raw", file(path), id)
		if !keep {
			text += ",snapshot=on"
		}
		return text
	}

	arguments = []string{
		// Page tables of five levels would only take longer to walk in software.
		"-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "1", "-m", "768",
		"-display", "none", "-nodefaults", "-monitor", "none",
		"-serial", "stdio",
		"-chardev", "file,id=results,path=" + resultsDescriptor, "-serial", "chardev:results",
	}
	if !m.Reboots && (m.Firmware == nil || !m.Firmware.Reboots) {
		arguments = append(arguments, "-no-reboot")
	}
	if m.Firmware == nil {
		kernel := debian.NewKernel(t)
		arguments = append(
			arguments, "-machine", "q35",
			"-kernel", file(kernel.Uncompressed()),
			"-append", strings.Join(append(DefaultArguments(), m.Arguments...), " "),
		)
		if m.Initrd != "" {
			arguments = append(arguments, "-initrd", file(m.Initrd))
		}
	} else {
		variables := m.Firmware.Variables
		switch {
		case variables == "":
			variables = NewBoard(t)
		case !m.Firmware.Keep:
			variables = copyOf(t, variables)
		}
		arguments = append(
			arguments, "-machine", "q35,smm=on",
			"-global", "driver=cfi.pflash01,property=secure,value=on",
			"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+firmwareCode,
			"-drive", "if=pflash,format=raw,unit=1,file="+file(variables),
		)
		switch f := m.Firmware; {
		case f.CD != "":
			arguments = append(arguments, "-drive", drive("boot", f.CD, false)+",media=cdrom", "-device", "ide-cd,drive=boot,bootindex=0")
		case f.Stick != "":
			arguments = append(
				arguments, "-drive", drive("boot", f.Stick, false), "-device", "qemu-xhci", "-device", "usb-storage,drive=boot,bootindex=0,removable=on",
				"-drive", drive("stick", f.Stick, false), "-device", "virtio-blk-pci,drive=stick,serial=stick",
			)
		default:
			arguments = append(arguments, "-drive", drive("boot", f.ESP, false), "-device", "virtio-blk-pci,drive=boot,serial=esp,bootindex=0")
		}
		for _, argument := range m.Arguments {
			// The stub adds these to the signed command line.
			arguments = append(arguments, "-smbios", "type=11,value=io.systemd.stub.kernel-cmdline-extra="+argument)
		}
	}
	if m.TPM {
		arguments = append(arguments, tpmArguments()...)
	}
	if m.Root != "" {
		arguments = append(arguments, "-drive", drive("root", m.Root, false), "-device", "nvme,drive=root,serial=root")
	}
	for i, disk := range m.Disks {
		id := fmt.Sprintf("disk%d", i)
		arguments = append(
			arguments, "-drive", drive(id, disk.Path, disk.Keep),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s", id, disk.Serial),
		)
	}
	return arguments, binds
}

// copyOf returns a copy of path that the test may write.
func copyOf(t testing.TB, path string) string {
	t.Helper()
	source, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.CreateTemp(t.TempDir(), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	return target.Name()
}
