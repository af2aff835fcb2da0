//go:build machines

package machines_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cpio"
	"inlay/internal/keys"
	"inlay/internal/pcr"
	"inlay/internal/secureboot"
	"inlay/internal/uki"
	"inlay/test/debian"
	"inlay/test/machine"
)

// stubFolder is where Debian keeps systemd's stub and boot menu.
const stubFolder = "usr/lib/systemd/boot/efi"

// TestMeasuredBoot boots images of our own making under Secure Boot and compares
// what systemd's stub has measured with what we foretold, in all banks: of an
// image that firmware starts, and of a profile that the boot menu chooses.
func TestMeasuredBoot(t *testing.T) {
	t.Parallel()
	platform := newKeyPair(t, "platform", "rsa2048")
	pair, err := keys.Load(platform.key, platform.certificate)
	if err != nil {
		t.Fatal(err)
	}
	trust := machine.Trust{PK: platform.certificate, KEK: platform.certificate, DB: []string{platform.certificate}}

	parts, options := measuredParts(t)
	options.Signer = &pair
	single, measured := buildUKI(t, parts, options)
	parts.Profiles = []uki.Profile{{ID: "rescue", Title: "Rescue", Cmdline: parts.Cmdline + " inlay.profile=rescue"}}
	both, profiles := buildUKI(t, parts, options)
	measured = append(measured, profiles[1])

	disks := []string{
		machine.BootDisk(t, single),
		machine.ESP(t, map[string]string{
			"/EFI/BOOT/BOOTX64.EFI": signedMenu(t, pair),
			"/EFI/Linux/system.efi": both,
			"/loader/loader.conf":   fileOf(t, "timeout 0\ndefault system.efi@rescue\n"),
		}),
	}
	for i, want := range measured {
		p := newPayload(t)
		p.run(`modprobe efivarfs && mount -t efivarfs efivarfs /sys/firmware/efi/efivars`)
		p.run(`result state "secureboot=$(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-* | tr -d " ")` +
			` profile=$(sed -n 's/.*inlay.profile=\([a-z]*\).*/\1/p' /proc/cmdline)"`)
		p.run(`for bank in /sys/class/tpm/tpm0/pcr-*; do result "${bank##*pcr-}" "value=$(tr A-F a-f <"$bank/11")"; done`)
		results := machine.Run(t, machine.Machine{
			Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()}, TPM: true,
			Firmware: &machine.Firmware{Variables: trust.Variables(t), ESP: disks[i]},
		})
		state := map[string]string{"secureboot": "1", "profile": want.ID}
		if diff := cmp.Diff(state, results.Case(t, "state")); diff != "" {
			t.Errorf("the machine is not what this test is about (-want +got):\n%s", diff)
		}
		for bank, value := range want.PCR {
			if got := results.Case(t, string(bank))["value"]; got != hex.EncodeToString(value) {
				t.Errorf("profile %q, bank %s: PCR 11 is %s, and we foretold %x", want.ID, bank, got, value)
			}
		}
	}
}

// measuredParts are those of an image with all the sections that we write.
func measuredParts(t *testing.T) (uki.Parts, uki.Options) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	section := func(path string) *io.SectionReader {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return io.NewSectionReader(f, 0, info.Size())
	}
	return uki.Parts{
		Linux: section(debian.NewKernel(t).Compressed()),
		// Without an /init in it, the kernel goes on to the root file system.
		Initrd:    []*io.SectionReader{archive(t, "first"), archive(t, "second one")},
		Splash:    bitmap(),
		Cmdline:   strings.Join(machine.DefaultArguments(), " "),
		OSRelease: []byte("ID=debian\nVERSION_ID=13\nPRETTY_NAME=\"Measured\"\n"),
	}, uki.Options{
		Stub:   section(filepath.Join(debian.Tools(t).Folder(), stubFolder, "linuxx64.efi.stub")),
		PCRKey: key, Banks: pcr.Banks(),
	}
}

func buildUKI(t *testing.T, p uki.Parts, o uki.Options) (string, []uki.Measured) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "uki.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	result, err := uki.Build(t.Context(), f, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return f.Name(), result.Profiles
}

// signedMenu is systemd's boot menu with a signature by pair.
func signedMenu(t *testing.T, pair keys.Pair) string {
	t.Helper()
	loader := filepath.Join(debian.Tools(t).Folder(), stubFolder, "systemd-bootx64.efi")
	content, err := os.ReadFile(loader)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "loader.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := secureboot.SignProgram(bytes.NewReader(content), int64(len(content)), pair, f, secureboot.SignOptions{}); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// fileOf returns the path of a file with that content.
func fileOf(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, content)
	return path
}

// archive is one for the initrd, with a single file in it and of an odd length.
func archive(t *testing.T, name string) *io.SectionReader {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	if err := w.Header(cpio.Header{Name: name, Mode: cpio.Regular | 0o644, Inode: 1, Links: 1, Size: int64(len(name))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, name); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.WriteByte(0)
	return io.NewSectionReader(bytes.NewReader(b.Bytes()), 0, int64(b.Len()))
}

// bitmap is a splash of one black dot.
func bitmap() []byte {
	b := []byte("BM")
	for _, n := range []uint32{58, 0, 54, 40, 1, 1, 1 | 24<<16, 0, 4, 0, 0, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}
