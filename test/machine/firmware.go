package machine

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/internal/efi"
	"inlay/test/debian"
)

// Where the tools root keeps what a machine under Secure Boot starts with.
const (
	firmwareCode      = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	firmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	stub              = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
)

// Owner is the GUID that signature lists name as their owner; any will do.
const Owner = "6f0ab0f6-14fb-4dcc-b4d1-46c4f0b64f2c"

// Firmware is what the board of a Secure Boot machine holds: its variable store
// and the one thing that it boots from. Machines work on copies.
type Firmware struct {
	// Variables is the store; "" for that of a new board, in setup mode.
	Variables string
	// ESP is a disk to boot from, CD an ISO 9660 image in a drive, Stick such an
	// image on a USB stick. The kernel for virtual machines knows no USB: it finds the
	// same stick as a disk.
	ESP, CD, Stick string
	// Keep lets the machine's writes through to Variables.
	Keep bool
	// Reboots says that the machine may start anew, as it does after enrolling
	// keys; otherwise it ends there.
	Reboots bool
}

// NewBoard returns a variable store without keys, for a test to keep.
func NewBoard(t testing.TB) string {
	t.Helper()
	return copyOf(t, filepath.Join(debian.Tools(t).Folder(), firmwareVariables))
}

// Trust names the certificates (PEM files) that firmware trusts. db's sign boot
// programs, and become keys of the kernel's platform keyring.
type Trust struct {
	PK, KEK string
	DB      []string
	// DBX are the signature lists of dbx; without any there is no dbx.
	DBX []efi.List
	// Off switches Secure Boot off, with all keys in their places.
	Off bool
}

// Variables returns a variable store of OVMF with trust enrolled.
func (trust Trust) Variables(t testing.TB) string {
	t.Helper()
	work := t.TempDir()
	binds := map[string]string{work: "/w"}
	certificate := func(path string) string {
		inside := fmt.Sprintf("/certificates/%d.pem", len(binds))
		for bound, target := range binds {
			if bound == path {
				return target
			}
		}
		binds[path] = inside
		return inside
	}
	arguments := []string{
		"virt-fw-vars", "--input", firmwareVariables, "--output", "/w/variables.fd",
		"--set-pk", Owner, certificate(trust.PK), "--add-kek", Owner, certificate(trust.KEK),
	}
	for _, path := range trust.DB {
		arguments = append(arguments, "--add-db", Owner, certificate(path))
	}
	if len(trust.DBX) > 0 {
		// The tool wants an update, and does not look at the signature.
		update := efi.Update{Time: efi.NewStamp(time.Now()), PKCS7: []byte("unsigned")}
		for _, list := range trust.DBX {
			update.Data = append(update.Data, list.Marshal()...)
		}
		if err := os.WriteFile(filepath.Join(work, "dbx.auth"), update.Marshal(), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--set-dbx", "/w/dbx.auth")
	}
	if trust.Off {
		// Without the variable, firmware that has a PK switches it on.
		arguments = append(arguments, "--set-false", "SecureBootEnable")
	} else {
		arguments = append(arguments, "--secure-boot")
	}
	debian.Tools(t).Run(t, binds, arguments...)
	return filepath.Join(work, "variables.fd")
}

// UKI is a kernel with its command line in one signed EFI program.
type UKI struct {
	// Key and Certificate are PEM files of a signer that db holds.
	Key, Certificate string
	// Arguments are added to [DefaultArguments].
	Arguments []string
}

// Build returns the path of the EFI program.
func (u UKI) Build(t testing.TB) string {
	t.Helper()
	kernel := debian.NewKernel(t)
	work := t.TempDir()
	binds := map[string]string{
		work: "/w", kernel.Compressed(): "/vmlinuz", u.Key: "/uki.key", u.Certificate: "/uki.pem",
	}
	debian.Tools(t).Run(
		t, binds, "ukify", "build", "--linux=/vmlinuz",
		"--cmdline="+strings.Join(append(DefaultArguments(), u.Arguments...), " "),
		"--os-release=ID=debian\nVERSION_ID=13\n", "--uname="+kernel.Version, "--stub="+stub,
		"--secureboot-private-key=/uki.key", "--secureboot-certificate=/uki.pem",
		// This signer cannot say whether the kernel inside is signed already.
		"--signtool=systemd-sbsign", "--no-sign-kernel", "--output=/w/uki.efi",
	)
	return filepath.Join(work, "uki.efi")
}

// fallbackLoader is what firmware starts from a disk without a boot entry.
const fallbackLoader = "/EFI/BOOT/BOOTX64.EFI"

// BootDisk returns a disk that firmware boots program from.
func BootDisk(t testing.TB, program string) string {
	t.Helper()
	return ESP(t, map[string]string{fallbackLoader: program})
}

// espSize holds a dozen kernels' worth of files.
const espSize = 128 << 20

// ESP returns an EFI system partition (FAT, without a partition table around
// it) that holds files: path inside → path on the host.
func ESP(t testing.TB, files map[string]string) string {
	t.Helper()
	work := t.TempDir()
	image := filepath.Join(work, "esp.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, espSize); err != nil {
		t.Fatal(err)
	}
	tools := debian.Tools(t)
	binds := map[string]string{work: "/w"}
	tools.Run(t, binds, "mformat", "-i", "/w/esp.img", "-F", "::")
	made := map[string]bool{"/": true}
	for _, inside := range slices.Sorted(maps.Keys(files)) {
		for _, folder := range parents(inside) {
			if !made[folder] {
				made[folder] = true
				tools.Run(t, binds, "mmd", "-i", "/w/esp.img", "::"+folder)
			}
		}
		tools.Run(t, map[string]string{work: "/w", files[inside]: "/file"},
			"mcopy", "-i", "/w/esp.img", "/file", "::"+inside)
	}
	return image
}

// parents returns the folders above an absolute path, the highest first.
func parents(path string) []string {
	var folders []string
	for folder := filepath.Dir(path); folder != "/"; folder = filepath.Dir(folder) {
		folders = append(folders, folder)
	}
	slices.Reverse(folders)
	return folders
}
