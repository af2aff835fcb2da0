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

// RootImage returns the ext4 image of the Debian system with the modules that
// extensions need and [Init] as PID 1. It is made once and shared.
func RootImage(t testing.TB) string {
	t.Helper()
	system, kernel := debian.System(t), debian.NewKernel(t)
	mkfs := need.Tool(t, "mkfs.ext4", "e2fsprogs")
	key := map[string]any{
		"system": system.Folder(), "kernel": kernel.Modules(), "modules": modules(),
		"init": initScript, "script": modulesScript, "revision": 1,
	}
	const name = "root.ext4"
	folder := debian.Cached(t, "machine", key, func(folder string) error {
		root := filepath.Join(folder, "root")
		copying := exec.CommandContext(t.Context(), "cp", "-a", "--reflink=auto", system.Folder(), root)
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
		command := system.Command(t.Context(), t, map[string]string{kernel.Modules(): "/kernel", root: "/image"},
			append([]string{"sh", "-euc", modulesScript, "modules.sh", kernel.Version}, modules()...)...)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("adding the kernel's modules: %w\n%s", err, output)
		}
		if err := makeExt4(t.Context(), mkfs, root, filepath.Join(folder, name)); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
	return filepath.Join(folder, name)
}

// modules are what the kernel has not built in and machines may load.
func modules() []string {
	return []string{
		"autofs4", "dm_verity", "efivarfs", "erofs", "loop", "nls_ascii", "nls_cp437",
		"overlay", "qemu_fw_cfg", "squashfs", "vfat", "virtio_blk",
	}
}
