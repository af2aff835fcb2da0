package machine

import (
	"context"
	_ "embed" // the guest's PID 1 and the script that picks modules
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/test/debian"
	"inlay/test/need"
)

var (
	//go:embed init.sh
	initScript string
	//go:embed modules.sh
	modulesScript string
	//go:embed trim.sh
	trimScript string
)

// Ext4 returns an ext4 image with the content of folder, made without mounting.
func Ext4(t testing.TB, folder string) string {
	t.Helper()
	image, err := os.CreateTemp(t.TempDir(), "*.ext4")
	if err != nil {
		t.Fatal(err)
	}
	image.Close()
	if err := makeExt4(t.Context(), need.Tool(t, "mkfs.ext4", "e2fsprogs"), folder, image.Name()); err != nil {
		t.Fatal(err)
	}
	return image.Name()
}

// slack is the free room of an image, for its own tables and what a test writes.
const slack = 64 << 20

func makeExt4(ctx context.Context, mkfs, folder, image string) error {
	var size int64
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		const block = 4096
		size += (info.Size() + block - 1) / block * block
		return nil
	})
	if err != nil {
		return fmt.Errorf("measuring %q: %w", folder, err)
	}
	file, err := os.OpenFile(image, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(size+size/8+slack), file.Close()); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, mkfs, "-q", "-F", "-d", folder, "-m", "0",
		"-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", image)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("making %q: %w\n%s", image, err, output)
	}
	return nil
}

// RootImage returns the ext4 image of the Debian system that has systemd, which gets
// to multi-user.target there if the payload asks for it.
func RootImage(t testing.TB) string {
	t.Helper()
	return ImageOf(t, debian.System(t))
}

// ImageOf returns an ext4 image of a Debian system with the modules that extensions
// need and [Init] as PID 1. It is made once and shared.
func ImageOf(t testing.TB, system *debian.Root) string {
	t.Helper()
	kernel := debian.NewKernel(t)
	mkfs := need.Tool(t, "mkfs.ext4", "e2fsprogs")
	key := map[string]any{
		"system": system.Folder(), "kernel": kernel.Modules(), "modules": modules(),
		"init": initScript, "script": modulesScript, "trim": trimScript, "revision": 1,
	}
	const name = "root.ext4"
	folder := debian.Cached(t, "machine", key, func(folder string) error {
		root := filepath.Join(folder, "root")
		if err := prepareRoot(t.Context(), system, root); err != nil {
			return err
		}
		if err := addModules(t, system, kernel, root, modules()); err != nil {
			return err
		}
		if err := makeExt4(t.Context(), mkfs, root, filepath.Join(folder, name)); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
	return filepath.Join(folder, name)
}

// SystemSerial is the serial of a disk with another system than RootImage's, as
// [NewestImage]: a payload that asks for systemd becomes that one's.
const SystemSerial = "system"

// NewestImage is an ext4 image of the newest systemd that Debian has, for a disk
// called [SystemSerial]. It has no modules and no udev.
func NewestImage(t testing.TB) string {
	t.Helper()
	system := debian.Newest(t)
	mkfs := need.Tool(t, "mkfs.ext4", "e2fsprogs")
	key := map[string]any{"system": system.Folder(), "init": initScript, "trim": trimScript, "revision": 1}
	const name = "root.ext4"
	folder := debian.Cached(t, "machine-newest", key, func(folder string) error {
		root := filepath.Join(folder, "root")
		if err := prepareRoot(t.Context(), system, root); err != nil {
			return err
		}
		if err := makeExt4(t.Context(), mkfs, root, filepath.Join(folder, name)); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
	return filepath.Join(folder, name)
}

// LiveRoot returns the folder of the system that RootImage is made of, for media: with
// the modules to read discs, and without what only installs packages.
func LiveRoot(t testing.TB) string {
	t.Helper()
	system, kernel := debian.System(t), debian.NewKernel(t)
	wanted := append(modules(), "ahci", "sr_mod")
	without := []string{
		"boot", "usr/bin/apt*", "usr/bin/dpkg*", "usr/bin/perl*", "usr/bin/sqv", "usr/lib/apt", "usr/lib/locale",
		"usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/libapt*", "usr/lib/x86_64-linux-gnu/perl-base",
		"usr/share/bash-completion", "usr/share/common-licenses", "usr/share/doc", "usr/share/keyrings",
		"usr/share/perl5", "usr/share/zsh", "usr/lib/systemd/catalog", "usr/lib/systemd/systemd-networkd", "var/cache", "var/lib/apt", "var/lib/dpkg",
	}
	key := map[string]any{
		"system": system.Folder(), "kernel": kernel.Modules(), "modules": wanted, "without": without,
		"init": initScript, "script": modulesScript, "trim": trimScript, "revision": 1,
	}
	const name = "root"
	folder := debian.Cached(t, "machine-live", key, func(folder string) error {
		root := filepath.Join(folder, name)
		if err := prepareRoot(t.Context(), system, root); err != nil {
			return err
		}
		for _, pattern := range without {
			found, err := filepath.Glob(filepath.Join(root, pattern))
			for _, path := range found {
				err = errors.Join(err, os.RemoveAll(path))
			}
			if err != nil {
				return fmt.Errorf("leaving out %q: %w", pattern, err)
			}
		}
		return addModules(t, system, kernel, root, wanted)
	})
	return filepath.Join(folder, name)
}

// addModules puts modules of the kernel, and what they take, into root.
func addModules(t testing.TB, system *debian.Root, kernel *debian.Kernel, root string, names []string) error {
	t.Helper()
	command := system.Command(t.Context(), t, map[string]string{kernel.Modules(): "/kernel", root: "/image"},
		append([]string{"sh", "-euc", modulesScript, "modules.sh", kernel.Version}, names...)...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("adding the kernel's modules: %w\n%s", err, output)
	}
	return nil
}

// prepareRoot makes root a copy of the system that can be booted.
func prepareRoot(ctx context.Context, system *debian.Root, root string) error {
	copying := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", system.Folder(), root)
	if output, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("copying the system: %w\n%s", err, output)
	}
	for _, sub := range []string{"payload", "etc/verity.d", "var/lib/extensions", "var/lib/confexts"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, Init), []byte(initScript), 0o755); err != nil {
		return err
	}
	trim := exec.CommandContext(ctx, "sh", "-euc", trimScript, "trim.sh", root)
	if output, err := trim.CombinedOutput(); err != nil {
		return fmt.Errorf("trimming the system: %w\n%s", err, output)
	}
	return nil
}

// modules are what the kernel has not built in and machines may load.
func modules() []string {
	return []string{
		"autofs4", "dm_verity", "efivarfs", "erofs", "isofs", "loop", "nls_ascii", "nls_cp437",
		"overlay", "qemu_fw_cfg", "squashfs", "vfat", "virtio_blk",
	}
}
