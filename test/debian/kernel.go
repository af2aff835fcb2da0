package debian

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"inlay/test/need"
)

// kernelPackage depends on the newest kernel that Debian makes for virtual
// machines. NVMe, ext4, virtio over PCI and the serial line are built into it,
// so that it boots without an initramfs; the rest is modules.
const kernelPackage = "linux-image-cloud-amd64"

// Kernel is an unpacked Debian kernel package.
type Kernel struct {
	folder string
	// Version is the release as uname says it, the name of the modules' folder.
	Version string
}

// NewKernel returns the kernel for the virtual machines of suite trixie.
func NewKernel(t testing.TB) *Kernel {
	t.Helper()
	key := recipe{Name: "kernel", Suite: suite, Packages: []string{kernelPackage}, Revision: 1}
	need.Tool(t, "apt-get", "apt")
	need.Tool(t, "dpkg-deb", "dpkg")
	folder := Cached(t, key.Name, key, func(folder string) error {
		return makeKernel(t.Context(), folder)
	})
	versions, err := os.ReadDir(filepath.Join(folder, "usr/lib/modules"))
	if err != nil || len(versions) != 1 {
		t.Fatalf("the kernel package brings %d versions, want one (%v)", len(versions), err)
	}
	return &Kernel{folder: folder, Version: versions[0].Name()}
}

// Compressed returns the path of the kernel as firmware and ukify take it (bzImage).
func (k *Kernel) Compressed() string { return filepath.Join(k.folder, "boot/vmlinuz-"+k.Version) }

// Uncompressed returns the path of the same kernel as an ELF file, which QEMU
// starts directly (PVH): that saves a second and a half of emulated unpacking.
func (k *Kernel) Uncompressed() string { return filepath.Join(k.folder, "vmlinux") }

// Config returns the path of the options that the kernel was built with.
func (k *Kernel) Config() string { return filepath.Join(k.folder, "boot/config-"+k.Version) }

// Modules returns the folder with the modules, below which "kernel" lies. They
// are compressed (.ko.xz) and not indexed; their signatures stay valid when
// they are uncompressed.
func (k *Kernel) Modules() string { return filepath.Join(k.folder, "usr/lib/modules", k.Version) }

// makeKernel downloads the package that kernelPackage stands for and unpacks it
// into folder, with an apt state of its own: the host's suite is another one.
func makeKernel(ctx context.Context, folder string) error {
	uri, err := mirror(ctx)
	if err != nil {
		return err
	}
	state := filepath.Join(folder, "apt")
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, sub), 0o755); err != nil {
			return err
		}
	}
	source := "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + uri + " " + suite + " main\n"
	if err := os.WriteFile(filepath.Join(state, "sources.list"), []byte(source), 0o644); err != nil {
		return err
	}
	apt := func(program string, args ...string) (string, error) {
		options := []string{
			"-q", "-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root",
			"-o", "Dir::State=" + state, "-o", "Dir::State::status=/dev/null", "-o", "Dir::Cache=" + filepath.Join(state, "cache"),
			"-o", "Dir::Etc::sourcelist=" + filepath.Join(state, "sources.list"), "-o", "Dir::Etc::sourceparts=/dev/null",
			"-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		}
		command := exec.CommandContext(ctx, program, append(options, args...)...)
		command.Dir = state // where "download" puts its file
		output, err := command.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("running %s %q: %w\n%s", program, args, err, output)
		}
		return string(output), nil
	}
	if _, err := apt("apt-get", "update"); err != nil {
		return err
	}
	depends, err := apt("apt-cache", "depends", "--important", kernelPackage)
	if err != nil {
		return err
	}
	_, name, found := strings.Cut(depends, "Depends: ")
	if !found {
		return fmt.Errorf("package %q depends on nothing: %q", kernelPackage, depends)
	}
	name, _, _ = strings.Cut(name, "\n")
	if _, err := apt("apt-get", "download", name); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(state, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("downloading %q brought %q", name, packages)
	}
	if err := run(ctx, "dpkg-deb", "--extract", packages[0], folder); err != nil {
		return err
	}
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	return uncompress(folder)
}

// uncompress takes the ELF file out of the bzImage in folder/boot, by the boot
// protocol's header (kernel's Documentation/arch/x86/boot.rst).
func uncompress(folder string) error {
	images, err := filepath.Glob(filepath.Join(folder, "boot/vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("the kernel package holds the images %q", images)
	}
	image, err := os.ReadFile(images[0])
	if err != nil {
		return err
	}
	const headerEnd = 0x250
	if len(image) < headerEnd || string(image[0x202:0x206]) != "HdrS" {
		return fmt.Errorf("%q has no boot header", images[0])
	}
	sectors := int64(image[0x1f1])
	if sectors == 0 {
		sectors = 4 // an old default that the protocol keeps
	}
	start := (sectors+1)*512 + int64(binary.LittleEndian.Uint32(image[0x248:]))
	// The payload ends with four bytes of its uncompressed size, which are not zstd's.
	end := start + int64(binary.LittleEndian.Uint32(image[0x24c:])) - 4
	if start >= end || end > int64(len(image)) {
		return fmt.Errorf("%q says that its payload lies outside of it", images[0])
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return err
	}
	defer decoder.Close()
	elf, err := decoder.DecodeAll(image[start:end], nil)
	if err != nil {
		return fmt.Errorf("uncompressing the payload of %q: %w", images[0], err)
	}
	if len(elf) < 4 || string(elf[:4]) != "\x7fELF" {
		return errors.New("the kernel's payload is not an ELF file")
	}
	return os.WriteFile(filepath.Join(folder, "vmlinux"), elf, 0o644)
}
