package boot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/boot"
	"inlay/internal/mount"
	"inlay/internal/trust"
)

// TestCovers mounts them: what lay there is not to be seen, nobody can put anything
// there, and a second pass mounts nothing more.
func TestCovers(t *testing.T) {
	if !alone(t) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	planted := []string{"etc/extensions/evil/usr/bin/x", "var/lib/extensions/naked.raw", "usr/local/lib/confexts/evil/etc/x", "etc/verity.d/evil.crt"}
	for _, name := range planted {
		n.write(name, "evil")
	}
	c := &covers{}
	count := 0
	for pass := range 3 {
		r := n.run(c.trusted, func(o *boot.Options) {
			o.Cover = nil
			o.InMemory = func(root *os.Root, name string) bool {
				return strings.HasPrefix(name, "run/") || trust.InMemory(root, name)
			}
		})
		mounts, err := mount.Mounts()
		if err != nil {
			t.Fatal(err)
		}
		have := 0
		for _, m := range mounts {
			if strings.HasPrefix(m.MountPoint, n.dir+"/") {
				have++
				for _, option := range []string{"ro", "nodev", "nosuid", "noexec"} {
					if !strings.Contains(","+m.Options+",", ","+option+",") {
						t.Errorf("%s is mounted %s", m.MountPoint, m.Options)
					}
				}
			}
		}
		if pass == 0 {
			count = have
		}
		if have != count || have != len(r.Covered) || have < 7 {
			t.Errorf("pass %d: %d mounts, %+v", pass, have, r.Covered)
		}
		for _, name := range planted {
			if _, err := os.Lstat(filepath.Join(n.dir, name)); err == nil {
				t.Errorf("/%s can be seen", name)
			}
		}
		if err := os.WriteFile(filepath.Join(n.dir, "etc/extensions/late"), nil, 0o644); err == nil {
			t.Error("a cover can be written to")
		}
		if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, "sysext")); err != nil {
			t.Error(err)
		}
		check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	}
	// What somebody mounts over a cover is covered again.
	if err := unix.Mount("theirs", filepath.Join(n.dir, "etc/extensions"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	n.write("etc/extensions/evil/usr/bin/x", "evil")
	n.run(c.trusted, func(o *boot.Options) { o.Cover = nil })
	if _, err := os.Lstat(filepath.Join(n.dir, "etc/extensions/evil")); err == nil {
		t.Error("what was mounted over a cover can be seen")
	}
	mounts, err := mount.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if strings.HasPrefix(m.MountPoint, n.dir+"/") {
			_ = unix.Unmount(m.MountPoint, unix.MNT_DETACH)
		}
	}
}

// TestMountedInRun leaves alone what somebody has mounted in a run folder: it lies on
// a disk. Nothing is handed over then.
func TestMountedInRun(t *testing.T) {
	if !alone(t) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	n.write("home/work/file", "precious")
	n.write("run/extensions/work/x", "")
	at := filepath.Join(n.dir, "run/extensions/work")
	if err := unix.Mount(filepath.Join(n.dir, "home/work"), at, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	r := n.run((&covers{}).trusted)
	if text, err := os.ReadFile(filepath.Join(n.dir, "home/work/file")); err != nil || string(text) != "precious" {
		t.Errorf("what was mounted there is gone: %q, %v", text, err)
	}
	if got := n.names(boot.HandedOver); len(got) != 1 || got[0] != "confext" {
		t.Errorf("%q are handed over", got)
	}
	if step := stepOf(r, "sysext"); !step.Bad || !strings.Contains(step.Text, "/run/extensions/work") {
		t.Errorf("%+v", step)
	}
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
}
