package machine

import (
	"context"
	_ "embed" // the guest's first script
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/need"
)

//go:embed busybox.sh
var busyboxScript string

// BusyboxInit is the path of PID 1 in the images of [BusyboxImage], for the kernel's
// command line.
const BusyboxInit = "/sbin/init"

// BusyboxImage returns an ext4 image of a system without systemd, without udev, and
// without any library: busybox with its init, the kernel's modules that extensions
// need, and what lies in the folder overlay.
func BusyboxImage(t testing.TB, overlay string) string {
	t.Helper()
	busybox, system, kernel := need.Tool(t, "busybox", "busybox-static"), debian.System(t), debian.NewKernel(t)
	key := map[string]any{
		"system": system.Folder(), "kernel": kernel.Modules(), "modules": modules(),
		"init": busyboxScript, "script": modulesScript, "revision": 1,
	}
	made := debian.Cached(t, "machine-busybox", key, func(folder string) error {
		return makeBusybox(t.Context(), t, folder, busybox, system, kernel)
	})
	folder := filepath.Join(t.TempDir(), "root")
	for _, from := range []string{filepath.Join(made, "root"), overlay} {
		if output, err := exec.CommandContext(t.Context(), "cp", "-a", "--reflink=auto", "-T", from, folder).CombinedOutput(); err != nil {
			t.Fatalf("copying %q: %v\n%s", from, err, output)
		}
	}
	return Ext4(t, folder)
}

func makeBusybox(ctx context.Context, t testing.TB, folder, busybox string, system *debian.Root, kernel *debian.Kernel) error {
	root := filepath.Join(folder, "root")
	for _, sub := range []string{"bin", "sbin", "usr/bin", "usr/sbin", "etc/init.d", "proc", "sys", "dev", "run", "tmp", "payload", "var/lib", "root"} {
		if err := os.MkdirAll(filepath.Join(root, sub), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"etc/inittab": "::sysinit:/etc/init.d/rcS\n", "etc/init.d/rcS": busyboxScript,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	if output, err := exec.CommandContext(ctx, "cp", "-L", busybox, filepath.Join(root, "bin/busybox")).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %q: %w\n%s", busybox, err, output)
	}
	applets, err := exec.CommandContext(ctx, busybox, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("listing busybox's applets: %w", err)
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name == "bin/busybox" {
			continue
		}
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("/bin/busybox", at); err != nil {
			return err
		}
	}
	// /lib is where busybox looks for modules.
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		return err
	}
	command := system.Command(ctx, t, map[string]string{kernel.Modules(): "/kernel", root: "/image"},
		append([]string{"sh", "-euc", modulesScript, "modules.sh", kernel.Version}, modules()...)...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("adding the kernel's modules: %w\n%s", err, output)
	}
	return nil
}
