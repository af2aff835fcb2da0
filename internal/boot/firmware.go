package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/rooted"
)

// mountFirmware mounts the firmware's variables where nobody has: an initial RAM disk
// of initramfs-tools doesn't, and without them neither the profile of a unified
// kernel image nor whom its firmware trusts can be told.
func (p *pass) mountFirmware() (string, error) {
	names, err := rooted.ReadNames(p.System, efivars, maxNames)
	switch {
	case errors.Is(err, fs.ErrNotExist): // no UEFI
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading %q: %w", "/"+efivars, err)
	case len(names) > 0 || p.DryRun || p.System.Name() != "/":
		return "", nil
	}
	at := filepath.Join(p.System.Name(), efivars)
	if err := unix.Mount("efivarfs", at, "efivarfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "", fmt.Errorf("the firmware's variables are not mounted, and mounting them at %q: %w", at, err)
	}
	return "the firmware's variables were not mounted, and are now", nil
}
