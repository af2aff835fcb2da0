package boot_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/test/sample"
)

// TestInitrdHandsOverNothing: the system that comes after it mounts more, over covers
// too, and has a pass of its own.
func TestInitrdHandsOverNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	n.run((&covers{}).trusted)
	if got := n.names(boot.HandedOver); len(got) != 2 {
		t.Fatalf("%q are handed over", got)
	}
	r := n.run((&covers{}).trusted, func(o *boot.Options) { o.InPlace = false })
	if got := n.names(boot.HandedOver); len(got) > 0 {
		t.Errorf("%q are handed over", got)
	}
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	for _, m := range r.Merges {
		if m.Done || m.Error != "" {
			t.Errorf("%+v", m)
		}
	}
}

// TestCertificatesOnDisk hands over nothing where systemd would read certificates from
// a disk that somebody has mounted in memory.
func TestCertificatesOnDisk(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	n.write("run/verity.d/theirs.crt", "theirs")
	r := n.run((&covers{}).trusted, func(o *boot.Options) {
		o.InMemory = func(_ *os.Root, name string) bool { return strings.HasPrefix(name, "usr/lib") }
	})
	if got := n.names(boot.HandedOver); len(got) > 0 {
		t.Errorf("%q are handed over", got)
	}
	if step := stepOf(r, "trust"); !step.Bad || !strings.Contains(step.Text, "unmount it") {
		t.Errorf("%+v", step)
	}
}

// TestBound tells who made the image that nothing keeps systemd from merging on its own.
func TestBound(t *testing.T) {
	t.Parallel()
	const told = "nothing keeps systemd from merging more"
	for _, bound := range []bool{false, true} {
		n := newNode(t, "rd.immucore.uki")
		for _, kind := range []string{"sysext", "confext"} {
			text := "[Service]\nEnvironment=A=B\n"
			if bound {
				text = "[Unit]\nConditionPathExists=/run/inlay/handed-over/" + kind + "\n"
			}
			n.write("usr/lib/systemd/system/systemd-"+kind+".service.d/50-inlay.conf", text)
		}
		r := n.run((&covers{}).trusted)
		if got := strings.Count(strings.Join(r.Problems, "\n"), told); bound != (got == 0) || !bound && got != 2 {
			t.Errorf("bound %v: %q", bound, r.Problems)
		}
		if r := n.run((&covers{}).trusted, func(o *boot.Options) { o.Merger = merges{} }); strings.Contains(strings.Join(r.Problems, "\n"), told) {
			t.Errorf("merged by us: %q", r.Problems)
		}
	}
}

// TestRetired takes certificates from systemd that others have laid down for this boot,
// and that don't count in it.
func TestRetired(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	revoked := sample.PEM(sample.Pair(t, sample.Certificate{Name: "revoked"}).Certificate)
	own := sample.PEM(n.signer.Certificate)
	n.write("run/verity.d/DB1.crt", string(own))
	n.write("run/verity.d/DB2.crt", string(revoked))
	n.write("run/verity.d/both.crt", string(own)+string(revoked))
	n.write("run/verity.d/notes.txt", string(revoked))
	r := n.run((&covers{}).trusted, func(o *boot.Options) { o.DryRun = true })
	if got := n.names("run/verity.d"); len(got) != 4 {
		t.Errorf("a dry run leaves %q, %+v", got, r.Steps)
	}
	r = n.run((&covers{}).trusted)
	got := slices.DeleteFunc(n.names("run/verity.d"), func(name string) bool { return strings.HasPrefix(name, "inlay-") })
	check(t, "certificates", []string{"DB1.crt", "both.crt", "notes.txt"}, got)
	check(t, "what was moved", []string{"DB2.crt"}, n.names("run/inlay/set-aside/verity.d"))
	if !strings.Contains(strings.Join(r.Problems, "\n"), "DB2.crt doesn't count") {
		t.Errorf("%q", r.Problems)
	}
	// Another boot that nobody has signed leaves others theirs.
	n.reboot()
	n.write("proc/cmdline", "COS_ACTIVE")
	n.write("run/verity.d/DB2.crt", string(revoked))
	n.run()
	if got := n.names("run/verity.d"); !slices.Contains(got, "DB2.crt") {
		t.Errorf("%q", got)
	}
}

// TestSetAsideTwice keeps what was moved away before.
func TestSetAsideTwice(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	for _, text := range []string{"first", "second", "third"} {
		n.write("run/extensions/planted/x", text)
		n.run((&covers{}).trusted)
	}
	for name, want := range map[string]string{"planted": "first", "planted.2": "second", "planted.3": "third"} {
		got, err := os.ReadFile(filepath.Join(n.dir, "run/inlay/set-aside/extensions", name, "x"))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
