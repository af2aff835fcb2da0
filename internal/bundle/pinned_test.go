package bundle_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/bundle"
	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// TestPinned: on a trusted boot, what runs or goes into the system or to where
// extensions lie needs a digest that the signed image names; what a configuration on
// the disk pins doesn't do.
func TestPinned(t *testing.T) {
	t.Parallel()
	const known = "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
	const other = "sha256:0e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
	const at = "127.0.0.1:1/x"
	dir := t.TempDir()
	for _, name := range []string{"var/lib/extensions", "var/srv", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../lib/extensions", filepath.Join(dir, "var/srv/elsewhere")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for _, test := range []struct {
		rootFS, target string
		local          bool
		refused        string // "" is let in, and fails for want of a registry
	}{
		{"/", "run://" + at, false, "is to run"},
		{"/", "run://" + at + "@" + other, false, "is to run"},
		{"/", "run://" + at + "@" + known, false, ""},
		{"/srv/data", "run://" + at, false, "is to run"},
		{"/", "run:///srv/image.tar", true, "is to run"},
		{"/var/lib/extensions/x", "container://" + at, false, "goes to where extensions lie"},
		{"/var/lib/extensions/x", "container://" + at + "@" + other, false, "goes to where extensions lie"},
		{"/var/lib/extensions/x", "docker://" + at + "@" + known, false, ""},
		{"/var/srv/elsewhere/x", "container://" + at, false, "goes to where extensions lie"},
		{"/var/lib", "container://" + at, false, "goes to where extensions lie"},
		{"/etc/extensions/x", "container://" + at, false, "goes to where extensions lie"},
		{"/run/confexts/x", "container://" + at, false, "goes to where extensions lie"},
		{"/var/lib/kairos/extensions", "container://" + at, false, "goes to where extensions lie"},
		{"/usr/lib/x", "container://" + at, false, "goes into the system"},
		{"/usr/local/bin", "container://" + at, false, "goes into the system"},
		{"/opt/x", "container://" + at, false, "goes into the system"},
		{"/root/.ssh", "container://" + at, false, "goes into the system"},
		{"/boot/x", "container://" + at, false, "goes into the system"},
		{"/home", "container://" + at, false, "goes into the system"},
		{"/srv/x", "container://" + at, false, ""},
		{"/var/lib/models", "container://" + at, false, ""},
	} {
		t.Run(test.rootFS+" "+test.target, func(t *testing.T) {
			t.Parallel()
			if test.local {
				if err := os.MkdirAll(filepath.Join(dir, "srv"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "srv/image.tar"), []byte("x"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, dryRun := range []bool{true, false} {
				r := bundle.ApplyRequest{
					Bundles: []config.Bundle{{RootFS: test.rootFS, LocalFile: test.local, Targets: []string{test.target}, Origin: "/oem/90.yaml:1"}},
					Root:    root, DryRun: dryRun, GoArchitecture: "amd64", Pinned: &bundle.Pinned{Digests: []source.Digest{known}},
					Source: source.Options{Insecure: true},
				}
				steps, err := bundle.Apply(t.Context(), r)
				said := strings.Contains(err.Error(), "this is a trusted boot")
				if said != (test.refused != "") || said && (!strings.Contains(err.Error(), test.refused) || len(hint.Of(err)) == 0) || steps[0].State != bundle.Failed {
					t.Errorf("%v", err)
				}
				if r.Pinned = nil; test.refused != "" && !test.local {
					if _, err = bundle.Apply(t.Context(), r); err == nil || strings.Contains(err.Error(), "trusted boot") {
						t.Errorf("on another boot: %v", err)
					}
				}
			}
		})
	}
}
