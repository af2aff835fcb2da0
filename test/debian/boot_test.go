package debian_test

import (
	"os"
	"path/filepath"
	"testing"

	"inlay/test/debian"
)

// TestBoot checks what tests of services rely on.
func TestBoot(t *testing.T) {
	t.Parallel()
	system := debian.System(t)
	work := t.TempDir()
	got := system.Boot(t, map[string]string{work: "/w"},
		"systemctl enable systemd-sysext.service >&2; echo prepared >/etc/stray", `
		cat /proc/1/comm /etc/stray
		systemctl is-enabled systemd-sysext.service
		systemctl is-active multi-user.target
		systemctl --failed --quiet --no-legend
		ls /sys/class/net
		echo kept >/w/kept`)
	if want := "systemd\nprepared\nenabled\nactive\nlo\n"; got != want {
		t.Errorf("the script printed\n%q, want\n%q", got, want)
	}
	if kept, err := os.ReadFile(filepath.Join(work, "kept")); err != nil || string(kept) != "kept\n" {
		t.Errorf("the bound folder holds %q (%v)", kept, err)
	}
	if _, err := os.Lstat(filepath.Join(system.Folder(), "etc/stray")); err == nil {
		t.Error("a file that the container wrote is in the shared root")
	}
}
