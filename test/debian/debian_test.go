package debian_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"inlay/test/debian"
)

func TestToolsAreNewEnough(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	for _, c := range []struct {
		name string
		argv []string
		want string
	}{
		{"systemd-dissect", []string{"systemd-dissect", "--version"}, `^systemd 257`},
		{"systemd-repart", []string{"systemd-repart", "--version"}, `^systemd 257`},
		{"systemd-sysext", []string{"systemd-sysext", "--version"}, `^systemd 257`},
		{"ukify", []string{"ukify", "--version"}, `^ukify 257`},
		{"fsck.erofs", []string{"fsck.erofs", "--version"}, `1\.8`},
		{"veritysetup", []string{"veritysetup", "--version"}, `^veritysetup 2\.`},
		{"QEMU", []string{"qemu-system-x86_64", "--version"}, `version 10\.`},
		{"sbsign", []string{"sbsign", "--version"}, `^sbsign`},
		{"virt-fw-vars", []string{"virt-fw-vars", "--help"}, `--set-pk`},
		{"firmware", []string{"ls", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"}, `secboot`},
		{"stub", []string{"ls", "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"}, `stub`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := tools.Run(t, nil, c.argv...); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("%q printed %q, want a match of %q", c.argv, got, c.want)
			}
		})
	}
}

// TestNewestIsNewer: what its witnesses are good for.
func TestNewestIsNewer(t *testing.T) {
	t.Parallel()
	got := debian.Newest(t).Run(t, nil, "systemd-sysext", "--version")
	version, _, _ := strings.Cut(strings.TrimPrefix(got, "systemd "), " ")
	if n, err := strconv.Atoi(version); err != nil || n < 259 {
		t.Errorf("it has %q, want a newer systemd", got)
	}
}

func TestCommandSeesItsBinds(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "in"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	single := filepath.Join(t.TempDir(), "single file")
	if err := os.WriteFile(single, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binds := map[string]string{work: "/w", single: ""}
	tools.Run(t, binds, "sh", "-ec", `cat /w/in "$1" >/w/out`, "sh", single)
	got, err := os.ReadFile(filepath.Join(work, "out"))
	if err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("the bound folder holds %q (%v)", got, err)
	}
}

func TestCommandLeavesTheRootAlone(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	tools.Run(t, nil, "sh", "-ec", "echo x >/stray; rm /usr/bin/openssl")
	if _, err := os.Lstat(filepath.Join(tools.Folder(), "stray")); err == nil {
		t.Error("a file that the command wrote is in the shared root")
	}
	if _, err := os.Lstat(filepath.Join(tools.Folder(), "usr/bin/openssl")); err != nil {
		t.Errorf("a file that the command removed is gone from the shared root: %v", err)
	}
}

func TestCommandHasARealRoot(t *testing.T) {
	t.Parallel()
	got := debian.Tools(t).Run(t, nil, "findmnt", "--noheadings", "--output", "FSTYPE,PROPAGATION", "/")
	if fields := strings.Fields(got); len(fields) != 2 || fields[0] != "overlay" || fields[1] != "shared" {
		t.Errorf("/ is %q, want a shared overlay mount", got)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	start := time.Now()
	// The background child holds the output pipe, so an orphan would show.
	if _, err := tools.Command(ctx, t, nil, "sh", "-c", "sleep 60 & sleep 60").Output(); err == nil {
		t.Error("a cancelled command reports success")
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the command ended %v after its start, so a process outlived the cancelling", took)
	}
}

func TestSystemAndKernelFitTogether(t *testing.T) {
	t.Parallel()
	system, kernel := debian.System(t), debian.NewKernel(t)
	if got := system.Run(t, nil, "systemctl", "--version"); !strings.HasPrefix(got, "systemd 257") {
		t.Errorf("the system has %q, want systemd 257", got)
	}
	for path, magic := range map[string]string{kernel.Uncompressed(): "\x7fELF", kernel.Compressed(): "MZ"} {
		image, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(image), magic) {
			t.Errorf("%q does not begin with %q (%v)", path, magic, err)
		}
	}
	if _, err := os.Stat(filepath.Join(kernel.Modules(), "kernel/drivers/md/dm-verity.ko.xz")); err != nil {
		t.Error(err)
	}
}
