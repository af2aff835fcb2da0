package debian_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
)

// TestDissectJudgesAnImage shows that the newest of the witnesses, which loops
// and mounts, works inside a root: systemd-repart makes an image, then
// systemd-dissect recognises it and holds it to a policy.
func TestDissectJudgesAnImage(t *testing.T) {
	t.Parallel()
	tools := debian.Tools(t)
	work := t.TempDir()
	binds := map[string]string{work: "/w"}
	release := filepath.Join(work, "tree/usr/lib/extension-release.d/extension-release.hello")
	if err := os.MkdirAll(filepath.Dir(release), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(release, []byte("ID=_any\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tools.Run(t, binds, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
		"-subj", "/CN=dissect test/", "-keyout", "/w/db.key", "-out", "/w/db.pem")
	tools.Run(t, binds, "systemd-repart", "--make-ddi=sysext", "--private-key=/w/db.key",
		"--certificate=/w/db.pem", "--copy-source=/w/tree", "/w/hello.raw")

	got := tools.Run(t, binds, "systemd-dissect", "/w/hello.raw")
	for _, want := range []string{"root-verity-sig", "✓ sysext for system"} {
		if !strings.Contains(got, want) {
			t.Errorf("systemd-dissect does not print %q:\n%s", want, got)
		}
	}
	tools.Run(t, binds, "systemd-dissect", "--validate", "--image-policy=root=signed", "/w/hello.raw")
	refused := tools.Command(t.Context(), t, binds,
		"systemd-dissect", "--validate", "--image-policy=root=encrypted", "/w/hello.raw")
	if output, err := refused.CombinedOutput(); err == nil {
		t.Errorf("an image without encryption passes a policy that asks for it:\n%s", output)
	}
}
