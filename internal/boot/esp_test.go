package boot_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/need"
	"inlay/test/sample"
)

const (
	espID     = "aaaaaaaa-2222-4333-8444-555555555555"
	activeAt  = "efi/EFI/kairos/active.efi.extra.d"
	passiveAt = "efi/EFI/kairos/passive.efi.extra.d"
)

// withESP gives the machine an EFI system partition that it was booted from, whose
// files lie below efi.
func (n *node) withESP() *node {
	n.t.Helper()
	sample.Disk(n.t, n.dir, "vda", 253, sample.Partition{Type: sample.ESP, ID: espID, Mounted: "/efi", FileSystem: "vfat"})
	sample.StartedFrom(n.t, n.dir, espID)
	n.write("efi/EFI/BOOT/BOOTX64.EFI", "loader")
	return n
}

// leave puts an image where an installer leaves it.
func (n *node) leave(im sample.Image, names ...string) {
	n.t.Helper()
	image, err := os.ReadFile(sample.Make(n.t, im))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, name := range names {
		n.write(name, string(image))
	}
}

// files lists the files and links below a folder, and what links lead to.
func (n *node) files(folder string) []string {
	n.t.Helper()
	all := []string{}
	err := filepath.WalkDir(filepath.Join(n.dir, folder), func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == ".inlay" {
			return fs.SkipDir
		}
		name, _ := filepath.Rel(filepath.Join(n.dir, folder), at)
		if target, err := os.Readlink(at); err == nil {
			all = append(all, name+" -> "+target)
		} else if !d.IsDir() {
			all = append(all, name)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// errs are why images stayed.
func errs(r *boot.Report) map[string]string {
	all := map[string]string{}
	for _, x := range r.Taken {
		all[x.From] = x.Error
	}
	return all
}

// TestTakeIn moves what an installer has left, and nothing else.
func TestTakeIn(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE").withESP()
	n.leave(n.signed("tool"), activeAt+"/tool.sysext.raw", passiveAt+"/tool.sysext.raw")
	n.leave(n.signed("only"), passiveAt+"/only.sysext.raw")
	conf := n.signed("conf")
	conf.Kind = extension.Confext()
	n.leave(conf, activeAt+"/conf.confext.raw")
	others := []string{"kernel.addon.efi", "secret.cred", "tool.raw", "notes.txt"}
	for _, other := range others {
		n.write(activeAt+"/"+other, other)
	}
	if err := os.MkdirAll(filepath.Join(n.dir, activeAt, "folder.sysext.raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := n.files("efi")

	r := n.run(func(o *boot.Options) { o.DryRun = true })
	check(t, "the partition after a dry run", before, n.files("efi"))
	if _, err := os.Stat(filepath.Join(n.dir, "var")); err == nil {
		t.Error("a dry run makes a store")
	}
	if len(r.Taken) != 4 {
		t.Errorf("a dry run tells of %d images", len(r.Taken))
	}

	r = n.run()
	check(t, "the store", []string{
		"active/tool.sysext.raw -> ../tool.sysext.raw", "only.sysext.raw", "passive/only.sysext.raw -> ../only.sysext.raw",
		"passive/tool.sysext.raw -> ../tool.sysext.raw", "tool.sysext.raw",
	}, n.files(storeAt))
	check(t, "the store of confexts", []string{"active/conf.confext.raw -> ../conf.confext.raw", "conf.confext.raw"}, n.files("var/lib/kairos/confexts"))
	var left []string
	for _, other := range others {
		left = append(left, "EFI/kairos/active.efi.extra.d/"+other)
	}
	check(t, "the partition", slices.Sorted(slices.Values(append(left, "EFI/BOOT/BOOTX64.EFI"))), n.files("efi"))
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	for _, x := range r.Taken {
		if x.Error != "" || len(x.Profiles) != 1 {
			t.Errorf("%+v", x)
		}
	}
	if len(r.Taken) != 4 || !slices.ContainsFunc(n.lines, func(l string) bool { return strings.HasPrefix(l, "take in: 4 taken from") }) {
		t.Errorf("taken %+v, lines %q", r.Taken, n.lines)
	}

	n.reboot()
	if r = n.run(); len(r.Taken) > 0 {
		t.Errorf("the next boot takes %+v", r.Taken)
	}
}

// TestTakeInFAT finds names in whatever case FAT shows them.
func TestTakeInFAT(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_PASSIVE").withESP()
	n.leave(n.signed("tool"), "efi/efi/KAIROS/PASSIVE.EFI.EXTRA.D/tool.SYSEXT.RAW")
	if err := os.RemoveAll(filepath.Join(n.dir, "efi/EFI")); err != nil {
		t.Fatal(err)
	}
	n.run()
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	check(t, "the partition", []string{}, n.files("efi"))
}

// TestTakeInBesides doesn't touch what the store has.
func TestTakeInBesides(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE").withESP()
	n.add(n.signed("same"))
	n.add(n.signed("other"), "active")
	n.add(n.signed("k3s_1.10"), "active")
	n.add(n.signed("k3s_1.10"), "active")
	same, err := os.ReadFile(filepath.Join(n.dir, storeAt, "same.sysext.raw"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(n.dir, storeAt, "other.sysext.raw"))
	if err != nil {
		t.Fatal(err)
	}
	n.write(activeAt+"/same.sysext.raw", string(same))
	other := n.signed("other")
	other.Files = map[string]string{"usr/bin/other": "another"}
	n.leave(other, activeAt+"/other.sysext.raw")
	n.leave(n.signed("k3s_1.9"), activeAt+"/k3s_1.9.sysext.raw")
	n.leave(n.signed("k3s_1.11"), activeAt+"/k3s_1.11.sysext.raw")
	n.write(activeAt+"/bad name:.sysext.raw", "unsigned rubbish is kept, and refused later")
	n.write(activeAt+"/..sysext.raw", "this one has no name")
	if f, err := os.Create(filepath.Join(n.dir, activeAt, "huge.sysext.raw")); err != nil || f.Truncate(10<<40) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	// A link that leads nowhere, and one as kairos-agent makes them.
	for name, target := range map[string]string{"same.sysext.raw": "/" + storeAt + "/same.sysext.raw", "k3s_1.11.sysext.raw": "../gone.sysext.raw"} {
		if err := os.Symlink(target, filepath.Join(n.dir, storeAt, "active", name)); err != nil {
			t.Fatal(err)
		}
	}
	r := n.run()
	why := errs(r)
	for from, want := range map[string]string{
		"same.sysext.raw": "", "k3s_1.9.sysext.raw": "", "k3s_1.11.sysext.raw": "", "bad name:.sysext.raw": "",
		"other.sysext.raw": "the store has another image of that name", "huge.sysext.raw": "not enough space", "..sysext.raw": "has no name",
	} {
		got, found := why["EFI/kairos/active.efi.extra.d/"+from]
		if !found || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q (told: %t), want %q", from, got, found, want)
		}
	}
	check(t, "the partition", []string{
		"EFI/BOOT/BOOTX64.EFI", "EFI/kairos/active.efi.extra.d/..sysext.raw",
		"EFI/kairos/active.efi.extra.d/huge.sysext.raw", "EFI/kairos/active.efi.extra.d/other.sysext.raw",
	}, n.files("efi"))
	if now, err := os.ReadFile(filepath.Join(n.dir, storeAt, "other.sysext.raw")); err != nil || string(now) != string(old) {
		t.Error("what the store had was replaced")
	}
	check(t, "links", []string{"k3s_1.10.sysext.raw", "k3s_1.11.sysext.raw", "other.sysext.raw", "same.sysext.raw"}, slices.Sorted(maps.Keys(n.linked())))
	if !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.HasPrefix(p, "k3s_1.9.sysext.raw is in the store and not enabled") }) {
		t.Errorf("problems %q", r.Problems)
	}
}

// TestTakeInNot leaves all where it is: in states whose system has no store to
// write to, and where nothing says what was booted.
func TestTakeInNot(t *testing.T) {
	t.Parallel()
	memory, err := os.MkdirTemp("/dev/shm", "inlay-test") //nolint:usetesting // in memory, which the test's own folder may not be
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	for _, test := range []struct {
		name, cmdline, problem string
		prepare                func(*node)
		change                 func(*boot.Options)
	}{
		{name: "recovery", cmdline: "COS_RECOVERY"},
		{name: "reset", cmdline: "kairos.reset COS_RECOVERY"},
		{name: "live", cmdline: "root=live:LABEL=X"},
		{name: "no loader", cmdline: "COS_ACTIVE", prepare: func(n *node) { n.remove("sys/firmware") }},
		{name: "another disk", cmdline: "COS_ACTIVE", problem: "no such partition", prepare: func(n *node) {
			sample.StartedFrom(n.t, n.dir, "cccccccc-2222-4333-8444-555555555555")
		}},
		{name: "a copy of the disk", cmdline: "COS_ACTIVE", problem: "/dev/vda1 and /dev/vdb1 are both partition", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vdb", 254, sample.Partition{Type: sample.ESP, ID: espID})
		}},
		{name: "a loader that lies", cmdline: "COS_ACTIVE", problem: "reading LoaderDevicePartUUID", prepare: func(n *node) { sample.StartedFrom(n.t, n.dir, "x") }},
		{name: "a store in memory", cmdline: "COS_ACTIVE", problem: "the store lies in memory", change: func(o *boot.Options) {
			root, err := os.OpenRoot(memory)
			if err != nil {
				t.Fatal(err)
			}
			o.Target, o.InPlace = root, false
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, test.cmdline).withESP()
			n.leave(n.signed("tool"), activeAt+"/tool.sysext.raw")
			if test.prepare != nil {
				test.prepare(n)
			}
			before := n.files("efi")
			var r *boot.Report
			if test.change != nil {
				r = n.run(test.change)
			} else {
				r = n.run()
			}
			check(t, "the partition", before, n.files("efi"))
			lines := n.lines
			for _, x := range r.Taken {
				lines = append(lines, x.Error)
			}
			told := strings.Join(lines, "\n")
			if !strings.Contains(told, test.problem) || test.problem == "" && strings.Contains(told, "take in") {
				t.Errorf("told %q, want %q", told, test.problem)
			}
		})
	}
}

// TestTakeInOverlay tells an overlay whose changes last from one that loses them.
func TestTakeInOverlay(t *testing.T) {
	if !alone(t) {
		return
	}
	need.FileSystem(t, "overlay")
	for _, lasting := range []bool{true, false} {
		n := newNode(t, "COS_ACTIVE").withESP()
		n.leave(n.signed("tool"), activeAt+"/tool.sysext.raw")
		for _, name := range []string{"lower/here", "rw/here", "var/here"} {
			n.write(name, "")
		}
		at := func(name string) string { return filepath.Join(n.dir, name) }
		if !lasting {
			if err := unix.Mount("tmpfs", at("rw"), "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		n.write("rw/upper/here", "")
		n.write("rw/work/.here", "")
		options := "lowerdir=" + at("lower") + ",upperdir=" + at("rw/upper") + ",workdir=" + at("rw/work")
		if err := unix.Mount("overlay", at("var"), "overlay", 0, options); err != nil {
			t.Fatal(err)
		}
		mounts, err := os.ReadFile(at("proc/self/mountinfo"))
		if err != nil {
			t.Fatal(err)
		}
		n.write("proc/self/mountinfo", string(mounts)+"20 1 0:99 / /var rw - overlay overlay rw,lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work\n")
		why := errs(n.run())["EFI/kairos/active.efi.extra.d/tool.sysext.raw"]
		if lasting != (why == "") || !lasting && !strings.Contains(why, "the store lies in memory") {
			t.Errorf("lasting %t: %q", lasting, why)
		}
		for _, name := range []string{"var", "rw"} {
			_ = unix.Unmount(at(name), unix.MNT_DETACH)
		}
	}
}

func (n *node) remove(name string) {
	n.t.Helper()
	if err := os.RemoveAll(filepath.Join(n.dir, name)); err != nil {
		n.t.Fatal(err)
	}
}
