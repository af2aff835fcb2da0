// Package debian makes Debian root folders out of packages, once, and runs
// programs inside them. The tests take their outside witnesses from there
// (systemd-dissect, systemd-repart and fsck.erofs newer than the host's, QEMU,
// the Secure Boot tools), and the virtual machines their user space and kernel.
//
// Everything comes from the Debian mirror that this machine's apt is configured
// for. What is made lies in a cache folder ([CacheVariable]) under a name that
// holds a hash of the recipe, so that a changed recipe is made anew; a package
// that the mirror updates is not noticed. Left out on purpose: other
// architectures than amd64, and roots made without being root.
package debian

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"inlay/test/need"
)

// suite is the Debian release of the roots, but for Newest: the first with
// systemd 257.
const suite = "trixie"

// recipe is what a root is made of. Its hash is part of the root's name.
type recipe struct {
	Name     string
	Suite    string
	Packages []string
	// Exclude lists paths (dpkg's path-exclude patterns) that stay unpacked.
	Exclude []string
	// Revision is raised when the way of making changes, not the content.
	Revision int
	// Expired takes lists of packages that are out of date, too: a suite that is
	// never released says for a week only that its lists are good, and a mirror may
	// have rested for longer.
	Expired bool `json:",omitempty"`
}

// Tools returns the root with the witnesses: systemd's dissect, repart, sysext
// and ukify (257), erofs-utils 1.8, cryptsetup, sbsign, efitools, virt-fw-vars,
// openssl, osslsigncode, swtpm, xorriso, QEMU 10 and OVMF. Making it takes about half a minute.
func Tools(t testing.TB) *Root {
	t.Helper()
	return open(t, recipe{
		Name:  "tools",
		Suite: suite,
		Packages: []string{
			"cpio", "cryptsetup-bin", "dosfstools", "e2fsprogs", "efitools", "erofs-utils", "kmod",
			// What systemd-measure signs with; it only suggests them.
			"libtss2-esys-3.0.2-0t64", "libtss2-rc0t64",
			"mtools", "openssl",
			"osslsigncode", "ovmf", "python3-virt-firmware", "qemu-system-x86", "sbsigntool", "squashfs-tools", "swtpm",
			"systemd", "systemd-boot-efi", "systemd-container", "systemd-repart", "systemd-ukify", "xorriso", "zstd",
		},
		Exclude:  manuals(),
		Revision: 1,
	})
}

// System returns the root that the virtual machines boot: systemd 257, udev,
// dbus, device-mapper and file system tools, without a kernel (see [NewKernel]).
func System(t testing.TB) *Root {
	t.Helper()
	return open(t, recipe{
		Name:  "system",
		Suite: suite,
		Packages: []string{
			"cryptsetup-bin", "dbus", "dmsetup", "erofs-utils", "kmod", "squashfs-tools",
			"systemd", "systemd-container", "systemd-sysv", "udev", "xz-utils",
		},
		Exclude:  append(manuals(), "/usr/share/zoneinfo/*", "/usr/share/i18n/*", "/usr/lib/udev/hwdb.d/*", "/usr/share/doc/*"),
		Revision: 1,
	})
}

// Sysvinit returns the root of a system whose init is sysvinit's, with the scripts of
// sysv-rc.
func Sysvinit(t testing.TB) *Root {
	t.Helper()
	return open(t, withoutSystemd("sysvinit", "sysvinit-core", "sysv-rc"))
}

// OpenRC returns the root of a system whose services OpenRC runs, started by
// sysvinit's init.
func OpenRC(t testing.TB) *Root {
	t.Helper()
	return open(t, withoutSystemd("openrc", "sysvinit-core", "openrc"))
}

func withoutSystemd(name string, packages ...string) recipe {
	return recipe{
		Name: name, Suite: suite, Packages: append(packages, "kmod", "xz-utils"), Exclude: manuals(), Revision: 1,
	}
}

// Engines returns the root with newer container engines than the host's:
// Docker 26, whose archives name layers by digest, and Podman 5.
func Engines(t testing.TB) *Root {
	t.Helper()
	return open(t, recipe{
		Name:     "engines",
		Suite:    suite,
		Packages: []string{"ca-certificates", "crun", "docker.io", "podman"},
		Exclude:  manuals(),
		Revision: 1,
	})
}

// Initrds returns the root with what makes initial RAM disks: dracut, and
// initramfs-tools with busybox.
func Initrds(t testing.TB) *Root {
	t.Helper()
	return open(t, recipe{
		Name:  "initrds",
		Suite: suite,
		Packages: []string{
			"busybox", "cpio", "dracut-core", "initramfs-tools-core", "kmod", "udev", "xz-utils", "zstd",
		},
		Exclude:  manuals(),
		Revision: 1,
	})
}

// Newest returns the root with the newest systemd that Debian has: that of the
// suite where packages come first, or the next one while nothing can be installed
// of that. It is for what systemd does itself, and brings no other tools but the
// library by which that asks for dm-verity.
func Newest(t testing.TB) *Root {
	t.Helper()
	need.Root(t)
	var errs []error
	for _, suite := range []string{"sid", "testing"} {
		root, err := made(t, recipe{
			Name: "newest", Suite: suite, Packages: []string{"dbus", "libcryptsetup12", "systemd", "systemd-container", "systemd-sysv"},
			Exclude: manuals(), Revision: 1, Expired: true,
		})
		if err == nil {
			return root
		}
		errs = append(errs, err)
	}
	t.Fatal(errors.Join(errs...))
	return nil
}

// manuals are the patterns of files that no test reads. The licences stay.
func manuals() []string {
	return []string{
		"/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*",
		"/usr/share/doc/*/*.gz", "/usr/share/doc/*/examples/*",
	}
}

// open returns the root of r from the cache and makes it first if it is absent.
func open(t testing.TB, r recipe) *Root {
	t.Helper()
	need.Root(t)
	root, err := made(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func made(t testing.TB, r recipe) (*Root, error) {
	t.Helper()
	bootstrap := need.Tool(t, "mmdebstrap", "mmdebstrap")
	folder, err := cached(t, r.Name, r, func(folder string) error {
		mirror, err := mirror(t.Context())
		if err != nil {
			return err
		}
		return r.make(t.Context(), bootstrap, mirror, folder)
	})
	return &Root{folder: folder}, err
}

// make unpacks and configures the packages of r below folder.
func (r recipe) make(ctx context.Context, bootstrap, mirror, folder string) error {
	args := []string{
		// A mount namespace of its own: whatever is mounted below the new root
		// is gone with the process, so a stale one can be deleted safely.
		"--mount", "--propagation", "private", "--",
		bootstrap, "--mode=root", "--variant=minbase", "--format=directory",
		"--dpkgopt=force-unsafe-io",
	}
	if r.Expired {
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	}
	for _, pattern := range r.Exclude {
		args = append(args, "--dpkgopt=path-exclude="+pattern)
	}
	for _, name := range r.Packages {
		args = append(args, "--include="+name)
	}
	args = append(args, r.Suite, filepath.Join(folder, rootFolder), "deb "+mirror+" "+r.Suite+" main")
	if err := run(ctx, "unshare", args...); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(folder, mountFolder), 0o755)
}
