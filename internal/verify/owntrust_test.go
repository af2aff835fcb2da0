package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/trust"
	"inlay/internal/verify"
	"inlay/test/sample"
)

// TestOwnTrust has a folder bring each way in which an extension could serve its own
// merge, by itself and around corners.
func TestOwnTrust(t *testing.T) {
	t.Parallel()
	link := func(to string) func(string) error {
		return func(at string) error { return os.Symlink(to, at) }
	}
	file := func(at string) error { return os.WriteFile(at, []byte("x"), 0o644) }
	folder := func(at string) error { return os.Mkdir(at, 0o755) }
	for _, test := range []struct {
		name, at string
		make     func(string) error
		refused  string // "" is let in
	}{
		{"a program", "usr/bin/tool", file, ""},
		{"a service of its own", "usr/lib/systemd/system/tool.service", file, ""},
		{"a drop-in of its own", "usr/lib/systemd/system/tool.service.d/10.conf", file, ""},
		{"a certificate", "usr/lib/verity.d/key.crt", file, "brings /usr/lib/verity.d"},
		{"an empty folder of certificates", "usr/lib/verity.d", folder, "brings /usr/lib/verity.d"},
		{"a link for a folder of certificates", "usr/lib/verity.d", link("/srv/keys"), "brings /usr/lib/verity.d"},
		{"certificates in /usr/local", "usr/local/lib/verity.d/key.crt", file, "brings /usr/local/lib/verity.d"},
		{"certificates in /etc", "etc/verity.d/key.crt", file, "brings /etc/verity.d"},
		{"our configuration", "etc/inlay/config.yaml", file, "brings /etc/inlay"},
		{"the image's configuration", "usr/lib/inlay/config.yaml", file, "brings /usr/lib/inlay"},
		{"further extensions", "usr/lib/confexts/x/etc/y", file, "brings /usr/lib/confexts"},
		{"a drop-in of the merge", "usr/lib/systemd/system/systemd-sysext.service.d/60.conf", file, "systemd-sysext.service.d"},
		{"a drop-in in /usr/local", "usr/local/lib/systemd/system/systemd-confext.service.d/60.conf", file, "systemd-confext.service.d"},
		{"a drop-in for all services", "usr/lib/systemd/system/service.d/60.conf", file, "service.d"},
		{"a unit of the merge", "etc/systemd/system/systemd-sysext.service", file, "systemd-sysext.service"},
		{"our unit, masked", "usr/lib/systemd/system/inlay-boot.service", link("/dev/null"), "inlay-boot.service"},
		{"settings of the merge", "usr/lib/systemd/sysext.conf.d/60.conf", file, "sysext.conf.d"},
		{"a link to another folder of its own", "usr/lib/systemd/system", link("../other"), "would hide the system's own settings"},
		{"a link around a corner", "usr/local/lib", link("/usr/lib"), ""},
		{"a link out of it", "usr/local/lib", link("/srv/lib"), "a link out of the extension"},
		{"a link in place of the system's units", "usr/lib/systemd", link("/srv/systemd"), "would hide the system's own settings"},
		{"a file in place of the system's units", "usr/lib/systemd/system", file, "would hide the system's own settings"},
		{"a whiteout of the system's units", "usr/lib/systemd", func(at string) error { return unix.Mknod(at, unix.S_IFCHR, 0) }, "would hide the system's own settings"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "tool")
			for _, name := range []string{"usr/lib/extension-release.d", "usr/lib/other", filepath.Dir(test.at)} {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "usr/lib/extension-release.d/extension-release.tool"), []byte("ID=_any\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := test.make(filepath.Join(dir, test.at)); err != nil {
				t.Skip(err) // devices take root
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			open, err := trust.ParsePolicy("any")
			if err != nil {
				t.Fatal(err)
			}
			for _, asked := range []bool{false, true} {
				v, err := verify.Run(t.Context(), &verify.Subject{Path: dir, Folder: root}, verify.Options{Policy: open, NoOwnTrust: asked})
				if err != nil {
					t.Fatal(err)
				}
				want := test.refused
				if !asked {
					want = ""
				}
				switch {
				case want == "" && !v.Trusted():
					t.Errorf("asked %v: refused: %v", asked, v.Err)
				case want != "" && (v.Trusted() || v.Refusal.Check != verify.CheckOwnTrust || !strings.Contains(v.Refusal.Reason, want) || len(v.Refusal.Hints) == 0):
					t.Errorf("asked %v: %+v", asked, v.Refusal)
				}
			}
		})
	}
	v := verdictOn(t, map[string]string{"usr/lib/verity.d/key.crt": "x"})
	if v.Trusted() || v.Refusal.Check != verify.CheckOwnTrust {
		t.Errorf("of a signed image: %+v", v.Refusal)
	}
	if v := verdictOn(t, map[string]string{"usr/bin/tool": "x"}); !v.Trusted() {
		t.Errorf("of a signed image: %+v", v.Refusal)
	}
}

// verdictOn signs an image and judges it.
func verdictOn(t *testing.T, files map[string]string) *verify.Verdict {
	t.Helper()
	signer := sample.Pair(t, sample.Certificate{})
	s, err := verify.Open(sample.Make(t, sample.Image{Signer: signer, Files: files}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	anchors, err := trust.Load(trust.Options{Given: []trust.Given{{Origin: "test", PEM: sample.PEM(signer.Certificate)}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.Run(t.Context(), s, verify.Options{Anchors: anchors, NoOwnTrust: true})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
