package boot_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// covers stands in for mounting them: it notes which.
type covers struct {
	folders []string
	failed  map[string]error
}

func (c *covers) cover(folders []string) map[string]error {
	c.folders = append(c.folders, folders...)
	return c.failed
}

// trusted makes the boot a trusted one, of the active profile.
func (c *covers) trusted(o *boot.Options) {
	o.State = &bootstate.Report{State: bootstate.Active, Profile: "active", TrustedBoot: true, UKI: true, SecureBoot: true}
	o.Cover = c.cover
	o.InMemory = func(_ *os.Root, name string) bool {
		return strings.HasPrefix(name, "usr/lib") || strings.HasPrefix(name, "run")
	}
}

// searched are the folders of extensions but for the run folder, by kind.
func searched() map[string][]string {
	return map[string][]string{
		"sysext":  {"etc/extensions", "var/lib/extensions", "usr/local/lib/extensions", "usr/lib/extensions"},
		"confext": {"var/lib/confexts", "usr/local/lib/confexts", "usr/lib/confexts"},
	}
}

// TestNothingElse plants a folder, a naked image and an image of the same name in
// each folder in which systemd looks: under a trusted boot none of it counts.
func TestNothingElse(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	signed, err := os.ReadFile(sample.Make(t, n.signed("tool")))
	if err != nil {
		t.Fatal(err)
	}
	for kind, folders := range searched() {
		for _, folder := range append(folders, "run/"+path.Base(folders[0])) {
			n.write(folder+"/planted/usr/lib/extension-release.d/extension-release.planted", "ID=_any\n")
			n.write(folder+"/tool/usr/bin/tool", "evil")
			n.write(folder+"/naked.raw", "hsqs")
			n.write(folder+"/tool."+kind+".raw", string(signed))
			n.write(folder+"/late.raw.v/late_1.raw", string(signed))
		}
	}
	c := &covers{}
	r := n.run(c.trusted)
	for kind, folders := range searched() {
		for _, folder := range folders {
			if !slices.Contains(c.folders, folder) {
				t.Errorf("%s: /%s stays open", kind, folder)
			}
			i := slices.IndexFunc(r.Covered, func(x boot.Covered) bool { return x.Path == "/"+folder })
			if i < 0 || !slices.Contains(r.Covered[i].Holds, "planted") || r.Covered[i].Error != "" {
				t.Errorf("/%s: the report doesn't say what was in it: %+v", folder, r.Covered)
			}
		}
		in, err := os.ReadDir(filepath.Join(n.dir, "run", path.Base(folders[0])))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range in {
			if kind != "sysext" || e.Name() != "tool.sysext.raw" || e.Type() != os.ModeSymlink {
				t.Errorf("%s: %s is left in the run folder", kind, e.Name())
			}
		}
	}
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	for _, file := range []string{"planted", "tool", "naked.raw", "tool.sysext.raw", "late.raw.v"} {
		i := slices.IndexFunc(r.Extensions, func(x boot.Extension) bool {
			return x.Path == "/run/extensions/"+file && x.Result == boot.Refused && x.Reason != ""
		})
		if i < 0 {
			t.Errorf("nobody is told of /run/extensions/%s", file)
		}
	}
	for _, kind := range []string{"sysext", "confext"} {
		if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, kind)); err != nil {
			t.Errorf("%s is not handed over: %v", kind, err)
		}
	}
	// Another boot that nobody has signed leaves others their folders.
	n.reboot()
	n.write("proc/cmdline", "COS_ACTIVE")
	n.write("run/extensions/theirs/usr/bin/x", "")
	n.write("run/extensions/tool.sysext.raw", "theirs")
	c = &covers{}
	r = n.run(func(o *boot.Options) { o.Cover = c.cover })
	if len(c.folders) > 0 || len(r.Covered) > 0 {
		t.Errorf("an ordinary boot covers %q", c.folders)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "run/extensions/theirs/usr/bin/x")); err != nil {
		t.Error(err)
	}
}

// TestSettingsCovered covers what a disk could say of certificates and of the merge.
func TestSettingsCovered(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	want := []string{"etc/verity.d", "usr/local/lib/verity.d"}
	for _, unit := range []string{"systemd-sysext.service.d", "systemd-confext.service.d", "inlay-boot.service.d", "systemd-.service.d", "inlay-.service.d"} {
		want = append(want, "etc/systemd/system/"+unit, "etc/systemd/system.control/"+unit, "etc/systemd/system.attached/"+unit, "usr/local/lib/systemd/system/"+unit)
	}
	for _, folder := range append(want, "usr/lib/systemd/system/systemd-sysext.service.d", "etc/systemd/system/ssh.service.d", "usr/lib/verity.d") {
		n.write(folder+"/50.conf", "x")
	}
	c, reloaded := &covers{}, 0
	var failed error
	reload := func(o *boot.Options) {
		o.Reload = func(contextT) error {
			reloaded++
			return failed
		}
	}
	r := n.run(c.trusted, reload)
	if reloaded != 1 || len(n.names(boot.HandedOver)) != 2 {
		t.Errorf("systemd was reloaded %d times, to forget what it had read: %+v", reloaded, r.Steps)
	}
	failed = errors.New("it does not answer")
	if n.run(c.trusted, reload); len(n.names(boot.HandedOver)) != 0 {
		t.Errorf("what systemd has not forgotten counts: %q is handed over", n.names(boot.HandedOver))
	}
	for _, folder := range want {
		if !slices.Contains(c.folders, folder) {
			t.Errorf("/%s stays open", folder)
		}
	}
	for _, folder := range []string{"usr/lib/systemd/system/systemd-sysext.service.d", "etc/systemd/system/ssh.service.d", "usr/lib/verity.d", "run/verity.d"} {
		if slices.Contains(c.folders, folder) {
			t.Errorf("/%s is covered", folder)
		}
	}
	// Without the image in memory, nobody knows where its certificates are from.
	c = &covers{}
	n.run(c.trusted, func(o *boot.Options) { o.InMemory = func(*os.Root, string) bool { return false } })
	if !slices.Contains(c.folders, "usr/lib/verity.d") {
		t.Error("/usr/lib/verity.d of a disk stays open")
	}
}

// TestUncovered hands over nothing that could not be closed, and what is not about it
// all the same.
func TestUncovered(t *testing.T) {
	t.Parallel()
	link := func(to, at string) func(*node) {
		return func(n *node) {
			n.write("srv/elsewhere/x", "")
			if err := os.MkdirAll(filepath.Dir(filepath.Join(n.dir, at)), 0o755); err != nil {
				n.t.Fatal(err)
			}
			if err := os.Symlink(to, filepath.Join(n.dir, at)); err != nil {
				n.t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name    string
		prepare func(*node)
		failed  map[string]error
		open    []string // kinds
		covered string   // one that must be
	}{
		{"all is well", func(*node) {}, nil, nil, "etc/extensions"},
		{"mounting fails", func(*node) {}, map[string]error{"var/lib/confexts": errors.New("no memory")}, []string{"confext"}, "etc/extensions"},
		{"certificates stay open", func(*node) {}, map[string]error{"etc/verity.d": errors.New("no memory")}, []string{"confext", "sysext"}, "etc/extensions"},
		{"a link for a folder", link("/srv/elsewhere", "etc/extensions"), nil, []string{"sysext"}, "var/lib/extensions"},
		{"a link to the run folder", link("../run/extensions", "etc/extensions"), nil, []string{"sysext"}, "var/lib/extensions"},
		{"a link above, to an ordinary place", link("../srv/elsewhere", "usr/local"), nil, nil, "etc/extensions"},
		{"a link above, to what the image has", func(n *node) {
			n.write("usr/lib/verity.d/key.crt", "")
			n.write("usr/lib/systemd/system/systemd-sysext.service.d/50.conf", "")
			link("../lib", "usr/local/lib")(n)
		}, nil, nil, "etc/extensions"},
		{"a link above, to the store", func(n *node) { link("kairos", "var/lib/x")(n); link("lib/kairos", "var/liby")(n) }, nil, nil, "etc/extensions"},
		{"a unit in place of the image's", func(n *node) { n.write("etc/systemd/system/systemd-sysext.service", "[Service]\n") }, nil, []string{"sysext"}, "etc/extensions"},
		{"a unit below an absolute link", func(n *node) {
			link("/srv/units", "etc/systemd")(n)
			n.write("srv/units/system/systemd-confext.service", "[Service]\n")
		}, nil, []string{"confext"}, "etc/extensions"},
		{"another name of a unit", link("/usr/lib/systemd/system/systemd-sysext.service", "etc/systemd/system.attached/other.service"), nil, []string{"sysext"}, "etc/extensions"},
		{"a unit that is wanted", link("/usr/lib/systemd/system/systemd-sysext.service", "etc/systemd/system/sysinit.target.wants/systemd-sysext.service"), nil, nil, "etc/extensions"},
		{"the image's own unit, by a link above", func(n *node) {
			n.write("usr/lib/systemd/system/systemd-sysext.service", "[Service]\n")
			link("../lib", "usr/local/lib")(n)
		}, nil, nil, "etc/extensions"},
		{"a file in place of units", func(n *node) { n.write("etc/systemd/system", "") }, nil, nil, "etc/extensions"},
		{"a unit that is masked", link("/dev/null", "etc/systemd/system/systemd-sysext.service"), nil, nil, "etc/extensions"},
		{"a file for a folder", func(n *node) { n.write("etc/extensions", "") }, nil, nil, "var/lib/extensions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "rd.immucore.uki")
			n.add(n.signed("tool"), "active")
			n.write("var/lib/x", "")
			if err := os.Remove(filepath.Join(n.dir, "var/lib/x")); err != nil {
				t.Fatal(err)
			}
			test.prepare(n)
			c := &covers{failed: test.failed}
			r := n.run(c.trusted)
			var open []string
			for _, kind := range []string{"confext", "sysext"} {
				if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, kind)); err != nil {
					open = append(open, kind)
				}
			}
			check(t, "kinds that are not handed over", test.open, open)
			for _, m := range r.Merges {
				if slices.Contains(open, m.Kind) != (m.Error != "") {
					t.Errorf("the report says of %s: %q", m.Kind, m.Error)
				}
			}
			if !slices.Contains(c.folders, test.covered) {
				t.Errorf("/%s stays open", test.covered)
			}
			for _, folder := range []string{"run/extensions", "usr/lib/verity.d", "usr/lib/systemd/system/systemd-sysext.service.d", "srv/elsewhere", "var/lib/kairos/extensions"} {
				if slices.Contains(c.folders, folder) {
					t.Errorf("/%s, which must stay, is covered", folder)
				}
			}
		})
	}
}

// TestOffAndTrusted keeps others out though the step is switched off, and hands over
// nothing; nor after a pass that did.
func TestOffAndTrusted(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	n.add(n.signed("tool"), "active")
	n.write("etc/extensions/planted/x", "")
	n.run((&covers{}).trusted)
	n.write("proc/cmdline", "rd.immucore.uki "+boot.Switch)
	c := &covers{}
	r := n.run(c.trusted)
	if r.Off != boot.Switch || !slices.Contains(c.folders, "etc/extensions") || len(r.Extensions) > 0 {
		t.Errorf("off %q, covers %q, %v", r.Off, c.folders, r.Extensions)
	}
	for _, kind := range []string{"sysext", "confext"} {
		if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, kind)); err == nil {
			t.Errorf("%s is handed over", kind)
		}
	}
}

// TestOwnTrust refuses an extension that serves its own merge, unless it may.
func TestOwnTrust(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	im := n.signed("keys")
	im.Files = map[string]string{"usr/lib/verity.d/more.crt": "x"}
	n.add(im, "active")
	n.add(n.signed("tool"), "active")
	r := n.run((&covers{}).trusted)
	check(t, "results", map[string]boot.Result{"keys": boot.Refused, "tool": boot.Linked}, results(r))
	for _, x := range r.Extensions {
		if x.Name == "keys" && !strings.Contains(x.Reason, "/usr/lib/verity.d") {
			t.Errorf("%q", x.Reason)
		}
	}
	n.reboot()
	r = n.run((&covers{}).trusted, func(o *boot.Options) { o.Trust = n.trust(func(t *boot.Trust) { t.OwnTrust = true }) })
	check(t, "results if it may", map[string]boot.Result{"keys": boot.Linked, "tool": boot.Linked}, results(r))
}

// TestExport lays down the anchors that count before anything is linked, and takes
// away those that count no longer.
func TestExport(t *testing.T) {
	t.Parallel()
	n := newNode(t, "rd.immucore.uki")
	n.write("run/verity.d/inlay-0123456789abcdef.crt", "of an earlier pass")
	n.write("run/verity.d/theirs.crt", "theirs")
	image := func(t *boot.Trust) { t.Image = []byte("policy: signed\n") }
	for range 2 {
		n.run((&covers{}).trusted, func(o *boot.Options) { o.Trust = n.trust(image) })
		names := n.names("run/verity.d")
		if len(names) != 2 || !strings.HasPrefix(names[0], "inlay-") || names[1] != "theirs.crt" {
			t.Fatalf("%q", names)
		}
		at := filepath.Join(n.dir, "run/verity.d", names[0])
		text, err := os.ReadFile(at)
		if err != nil || string(text) != string(sample.PEM(n.signer.Certificate)) {
			t.Errorf("%q, %v", text, err)
		}
		if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%v, %v", info, err)
		}
		if text, err := os.ReadFile(filepath.Join(n.dir, "run/inlay/image-config.yaml")); err != nil || string(text) != "policy: signed\n" {
			t.Errorf("the image's configuration is not kept: %q, %v", text, err)
		}
	}
	// What systemd has anyway needs no copy on an ordinary boot.
	n.reboot()
	n.write("proc/cmdline", "COS_ACTIVE")
	own := string(sample.PEM(n.signer.Certificate))
	n.write("etc/verity.d/acme.crt", own)
	n.write("etc/verity.d/both.crt", string(sample.PEM(sample.Pair(t, sample.Certificate{Name: "first"}).Certificate))+own)
	origin := func(where string) func(*boot.Trust) {
		return func(t *boot.Trust) { t.Anchors.Anchors[0].Origin = where }
	}
	n.run(func(o *boot.Options) { o.Trust = n.trust(origin("/etc/verity.d/acme.crt")) })
	if names := n.names("run/verity.d"); len(names) > 0 {
		t.Errorf("%q", names)
	}
	// It reads one certificate of a file.
	n.run(func(o *boot.Options) { o.Trust = n.trust(origin("/etc/verity.d/both.crt")) })
	if names := n.names("run/verity.d"); len(names) != 1 {
		t.Errorf("%q", names)
	}
	n.run(func(o *boot.Options) { o.Trust = n.trust(origin("configuration /etc/inlay/config.yaml:4")) })
	if names := n.names("run/verity.d"); len(names) != 1 {
		t.Errorf("%q", names)
	}
	// Nobody is left to trust: nor is a copy.
	n.run(func(o *boot.Options) { o.Trust = n.trust(func(t *boot.Trust) { t.Anchors = &trust.Set{} }) })
	if names := n.names("run/verity.d"); len(names) > 0 {
		t.Errorf("%q", names)
	}
}

// TestKernelOnly leaves out what would keep systemd from merging anything: images
// whose signers the kernel doesn't know where it alone is to look, and those signed
// through a chain.
func TestKernelOnly(t *testing.T) {
	t.Parallel()
	from := func(origin string) func(*boot.Options, *node) {
		return func(o *boot.Options, n *node) {
			o.Trust = n.trust(func(t *boot.Trust) { t.Anchors.Anchors[0].Origin = origin })
		}
	}
	for _, test := range []struct {
		name, cmdline, parameter string
		change                   func(*boot.Options, *node)
		want                     boot.Result
	}{
		{"in KEK", "", "", from("firmware KEK"), boot.Linked},
		{"in db", "dm_verity.require_signatures=1", "", from("firmware KEK, firmware db"), boot.Linked},
		{"in KEK, by the kernel alone", "dm-verity.require_signatures=1", "", from("firmware KEK"), boot.LeftOut},
		{"in KEK, by the module's word", "", "Y\n", from("firmware KEK"), boot.LeftOut},
		{"in KEK, not by systemd", "systemd.allow_userspace_verity=no", "", from("firmware KEK"), boot.LeftOut},
		{"in KEK, where none is asked for", "dm_verity.require_signatures=1", "", func(o *boot.Options, n *node) {
			o.Trust = n.trust(func(t *boot.Trust) {
				t.Anchors.Anchors[0].Origin = "firmware KEK"
				t.Policy, _ = trust.ParsePolicy("any")
			})
		}, boot.LeftOut},
		{"in KEK, but merged by us", "dm_verity.require_signatures=1", "", func(o *boot.Options, n *node) {
			from("firmware KEK")(o, n)
			o.Merger = merges{}
		}, boot.Linked},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "rd.immucore.uki "+test.cmdline)
			if test.parameter != "" {
				n.write("sys/module/dm_verity/parameters/require_signatures", test.parameter)
			}
			n.add(n.signed("tool"), "active")
			r := n.run((&covers{}).trusted, func(o *boot.Options) { test.change(o, n) })
			check(t, "results", map[string]boot.Result{"tool": test.want}, results(r))
		})
	}
}
