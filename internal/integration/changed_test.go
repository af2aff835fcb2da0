package integration_test

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/integration"
)

// TestChanged leaves alone what people have changed, and places less than before.
func TestChanged(t *testing.T) {
	t.Parallel()
	const unit = "usr/lib/systemd/system/inlay-boot.service"
	root := system(t, "usr/lib/systemd/systemd")
	o := integration.Options{Root: root}
	if _, err := integration.Install(o); err != nil {
		t.Fatal(err)
	}
	o.NoTrials = true
	r, err := integration.Install(o)
	if err != nil || !r.Done {
		t.Fatalf("without trials: %+v, %v", r, err)
	}
	gone := []string{"usr/lib/systemd/system/inlay-boot-good.service", "usr/lib/systemd/system/multi-user.target.wants/inlay-boot-good.service"}
	if diff := cmp.Diff(gone, r.Removed); diff != "" {
		t.Errorf("what was removed (-want +got):\n%s", diff)
	}
	all := tree(t, root)
	if strings.Contains(all[unit], "--trials") || all["usr/lib/systemd/system/inlay-boot-good.service"] != "" {
		t.Error("what belongs to trials stays")
	}
	if err := root.WriteFile(unit, []byte("[Unit]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := integration.Install(o); err == nil {
		t.Error("what people have changed is overwritten")
	}
	r, err = integration.Uninstall(o)
	if err != nil || !slices.Equal(r.Kept, []string{unit}) {
		t.Errorf("removing: %+v, %v", r, err)
	}
	if _, err := root.Stat(unit); err != nil {
		t.Error(err)
	}
	// What stays is still known.
	o.Force = true
	if r, err = integration.Uninstall(o); err != nil || !slices.Equal(r.Files, []string{unit}) {
		t.Errorf("removing all of it: %+v, %v", r, err)
	}
	if diff := cmp.Diff(map[string]string{"usr/lib/systemd/systemd": "usr/lib/systemd/systemd", "usr/bin/inlay": "usr/bin/inlay"}, tree(t, root)); diff != "" {
		t.Errorf("something is left (-want +got):\n%s", diff)
	}
	if err := root.MkdirAll(path.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile(unit, []byte("[Unit]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := integration.Install(o); err != nil {
		t.Error(err)
	}
	if got := tree(t, root)[unit]; !strings.Contains(got, "ExecStart") {
		t.Errorf("it is not placed by force: %q", got)
	}
}

// TestOthers takes out what is not asked for any more, and says so.
func TestOthers(t *testing.T) {
	t.Parallel()
	root := system(t, "etc/init.d/rcS")
	o := integration.Options{Root: root, Names: []string{integration.Systemd}, Trusted: true}
	if r, err := integration.Install(o); err != nil || len(r.Next) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	before := tree(t, root)
	o.Names, o.Trusted, o.DryRun = []string{integration.Busybox, integration.Busybox}, false, true
	r, err := integration.Install(o)
	if err != nil || !slices.Contains(r.Removed, "usr/lib/systemd/system/inlay-boot.service") || len(r.Files) != 2 {
		t.Errorf("what goes: %+v, %v", r, err)
	}
	for _, word := range []string{"--trusted-boot", "/etc/init.d/rcS"} {
		if !slices.ContainsFunc(r.Next, func(text string) bool { return strings.Contains(text, word) }) {
			t.Errorf("nothing is said of %s: %q", word, r.Next)
		}
	}
	if diff := cmp.Diff(before, tree(t, root)); diff != "" {
		t.Errorf("the dry run changed (-before +after):\n%s", diff)
	}
	o.DryRun = false
	if _, err := integration.Install(o); err != nil {
		t.Fatal(err)
	}
	for name := range tree(t, root) {
		if strings.HasPrefix(name, "usr/lib/systemd") {
			t.Errorf("%s is left", name)
		}
	}
}

// TestNext says what is left to do by hand, and only where something is.
func TestNext(t *testing.T) {
	t.Parallel()
	calling := system(t, "etc/init.d/rcS")
	if err := calling.WriteFile("etc/init.d/rcS", []byte("for i in /etc/init.d/S??*; do $i start; done\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, integration string
		root              *os.Root
		place, remove     int
	}{
		{"sysvinit that goes by names", integration.Sysvinit, system(t), 0, 0},
		{"sysvinit with an order", integration.Sysvinit, system(t, "etc/init.d/.depend.boot", "usr/bin/startpar"), 1, 1},
		{"sysvinit with an order that nothing goes by", integration.Sysvinit, system(t, "etc/init.d/.depend.boot"), 0, 0},
		{"busybox that calls them", integration.Busybox, calling, 0, 0},
		{"busybox without its script", integration.Busybox, system(t), 1, 0},
		{"an initrd", integration.Initramfs, system(t), 1, 1},
		{"OpenRC", integration.OpenRC, system(t), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := integration.Options{Root: c.root, Names: []string{c.integration}}
			if r, err := integration.Install(o); err != nil || len(r.Next) != c.place {
				t.Errorf("placing: %+v, %v", r, err)
			}
			if r, err := integration.Uninstall(o); err != nil || len(r.Next) != c.remove {
				t.Errorf("removing: %+v, %v", r, err)
			}
		})
	}
}

// TestLinks places below the root whatever its links say.
func TestLinks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		links map[string]string
		at    string // where the script lies; "" is nowhere
	}{
		"absolute":             {map[string]string{"etc": "/data/etc"}, "data/etc/init.d/inlay-boot"},
		"relative":             {map[string]string{"etc": "data/etc"}, "data/etc/init.d/inlay-boot"},
		"absolute, below":      {map[string]string{"etc/init.d": "/data/etc"}, "data/etc/inlay-boot"},
		"climbing":             {map[string]string{"etc": "../../../../../../../../tmp"}, ""},
		"leading nowhere":      {map[string]string{"etc": "/nowhere"}, ""},
		"a circle":             {map[string]string{"etc": "etc"}, ""},
		"the file is a link":   {map[string]string{"etc/init.d/inlay-boot": "/data/etc/victim"}, ""},
		"the folder is a file": {map[string]string{"etc/init.d": "/data/etc/victim"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := system(t, "data/etc/victim")
			for from, to := range c.links {
				if err := root.MkdirAll(path.Dir(from), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := root.Symlink(to, from); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, root)
			o := integration.Options{Root: root, Names: []string{integration.OpenRC}}
			r, err := integration.Install(o)
			if c.at == "" {
				if err == nil || !strings.Contains(err.Error(), "etc/init.d/inlay-boot") {
					t.Errorf("it was placed: %+v, %v", r, err)
				}
				if diff := cmp.Diff(before, tree(t, root)); diff != "" {
					t.Errorf("something was changed (-before +after):\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, root)[c.at]; !strings.Contains(got, "openrc-run") {
				t.Errorf("%s is %q", c.at, got)
			}
			if _, err := integration.Uninstall(o); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, tree(t, root)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}
