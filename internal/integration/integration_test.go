package integration_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/integration"
)

// system is a root that has the files named.
func system(t *testing.T, files ...string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(files, "usr/bin/inlay") {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// tree lists all files and links below root.
func tree(t *testing.T, root *os.Root) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Type() == fs.ModeSymlink:
			target, err := root.Readlink(name)
			all[name] = "-> " + target
			return err
		case !d.IsDir():
			text, err := root.ReadFile(name)
			all[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"Kairos", []string{"usr/lib/systemd/systemd", "usr/lib/dracut/modules.d/99base/module-setup.sh"}, []string{integration.Systemd, integration.Dracut}},
		{"Debian", []string{"usr/lib/systemd/systemd", "usr/share/initramfs-tools/hooks/fsck", "etc/rcS.d/README"}, []string{integration.Systemd, integration.Initramfs}},
		{"Alpine", []string{"sbin/openrc-run", "etc/init.d/rcS"}, []string{integration.OpenRC}},
		{"Devuan", []string{"etc/rcS.d/S01hostname.sh"}, []string{integration.Sysvinit}},
		{"buildroot", []string{"etc/init.d/rcS"}, []string{integration.Busybox}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, integration.Detect(system(t, test.files...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestInstall places each integration, twice, and takes it out again.
func TestInstall(t *testing.T) {
	t.Parallel()
	for _, name := range integration.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := system(t)
			before := tree(t, root)
			o := integration.Options{Root: root, Names: []string{name}}
			o.DryRun = true
			r, err := integration.Install(o)
			if err != nil || r.Done || len(r.Files) == 0 {
				t.Fatalf("the dry run: %+v, %v", r, err)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("the dry run changed (-before +after):\n%s", diff)
			}
			o.DryRun = false
			if r, err = integration.Install(o); err != nil || !r.Done {
				t.Fatalf("placing: %+v, %v", r, err)
			}
			placed := tree(t, root)
			for _, file := range r.Files {
				text, ok := placed[file]
				if !ok || strings.Contains(text, "@") {
					t.Errorf("%s: %q", file, text)
				}
				info, err := root.Lstat(file)
				if err != nil {
					t.Fatal(err)
				}
				if script := strings.HasPrefix(text, "#!"); info.Mode().IsRegular() && script != (info.Mode()&0o111 == 0o111) {
					t.Errorf("%s has mode %v", file, info.Mode())
				}
			}
			if r, err = integration.Install(o); err != nil || r.Done {
				t.Errorf("placing it again: %+v, %v", r, err)
			}
			if diff := cmp.Diff(placed, tree(t, root)); diff != "" {
				t.Errorf("placing it again changed (-before +after):\n%s", diff)
			}
			if r, err = integration.Uninstall(o); err != nil || !r.Done || len(r.Kept) > 0 {
				t.Errorf("removing: %+v, %v", r, err)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}

// TestTrusted has systemd ask for signatures, statically.
func TestTrusted(t *testing.T) {
	t.Parallel()
	root := system(t)
	_, err := integration.Install(integration.Options{Root: root, Names: []string{integration.Systemd}, Trusted: true, Hierarchies: "/usr/bin:/usr/lib"})
	if err != nil {
		t.Fatal(err)
	}
	for file, words := range map[string][]string{
		"usr/lib/systemd/system/systemd-sysext.service.d/50-inlay.conf": {
			"ExecStart=\nExecStart=systemd-sysext refresh --image-policy=root=signed+absent:usr=signed+absent --mutable=no\n",
			"ExecReload=\nExecReload=systemd-sysext refresh ", "Environment=SYSTEMD_SYSEXT_HIERARCHIES=/usr/bin:/usr/lib\n",
		},
		"usr/lib/systemd/system/systemd-sysext-sysroot.service.d/50-inlay.conf": {
			"ConditionPathExists=/run/inlay/handed-over/sysext\n", "Environment=SYSTEMD_SYSEXT_HIERARCHIES=/usr/bin:/usr/lib\n",
			"ExecStart=\nExecStart=systemd-sysext --root=/sysroot refresh --image-policy=root=signed+absent:usr=signed+absent --mutable=no\n",
		},
		"usr/lib/systemd/system/systemd-confext-sysroot.service.d/50-inlay.conf": {"ConditionPathExists=/run/inlay/handed-over/confext\n"},
		"usr/lib/systemd/system/systemd-confext.service.d/50-inlay.conf":         {"ExecStart=\nExecStart=systemd-confext refresh --image-policy=root=signed+absent"},
	} {
		text := tree(t, root)[file]
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%s lacks %q:\n%s", file, word, text)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	damaged := system(t)
	if err := damaged.MkdirAll("usr/lib/inlay", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := damaged.WriteFile("usr/lib/inlay/boot-install.json", []byte(`{"files":[{"path":"../etc/passwd","link":"x"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]integration.Options{
		"no init":          {Root: system(t)},
		"unknown":          {Root: system(t), Names: []string{integration.Dracut, "launchd"}},
		"relative program": {Root: system(t), Names: []string{integration.Dracut}, Program: "inlay"},
		"odd program":      {Root: system(t), Names: []string{integration.Dracut}, Program: "/usr/bin/inlay';reboot;'"},
		"damaged manifest": {Root: damaged, Names: []string{integration.Dracut}},
	} {
		if r, err := integration.Install(o); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := integration.Uninstall(integration.Options{Root: damaged}); err == nil {
		t.Error("a damaged manifest is believed")
	}
}
