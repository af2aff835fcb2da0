package boot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/boot"
	testmount "inlay/test/mount"
	"inlay/test/sample"
)

const (
	stateID = "bbbbbbbb-2222-4333-8444-555555555555"
	bindAt  = ".state/var-lib-kairos.bind/extensions"
	seenAt  = "run/inlay/persistent"
)

// alone runs the test that calls it once more, in a mount namespace of its own, and
// reports true there.
func alone(t *testing.T) bool {
	t.Helper()
	return testmount.Alone(t, "ext4")
}

// state makes the folder of a node's state, with a store at a place of it, as
// kairos-agent links it.
func (n *node) state(at string) string {
	n.t.Helper()
	dir := n.t.TempDir()
	for name, profile := range map[string]string{"rescue": "recovery", "all": "common", "usual": "active"} {
		image, err := os.ReadFile(sample.Make(n.t, n.signed(name)))
		if err != nil {
			n.t.Fatal(err)
		}
		file := name + ".sysext.raw"
		if err := os.MkdirAll(filepath.Join(dir, at, profile), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, at, file), image, 0o644); err != nil {
			n.t.Fatal(err)
		}
		if err := os.Symlink("/"+storeAt+"/"+file, filepath.Join(dir, at, profile, file)); err != nil {
			n.t.Fatal(err)
		}
	}
	return dir
}

// stepOf is the line of the report about where extensions lie.
func stepOf(r *boot.Report, name string) boot.Step {
	i := slices.IndexFunc(r.Steps, func(s boot.Step) bool { return s.Step == name })
	if i < 0 {
		return boot.Step{}
	}
	return r.Steps[i]
}

// TestRecovery reaches the store of a node whose recovery system has not mounted it.
func TestRecovery(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, test := range []struct{ name, cmdline, at string }{
		{"as Kairos lays it out", "COS_RECOVERY", bindAt},
		{"plain", "COS_RECOVERY", storeAt},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t, test.cmdline)
			node := sample.Loop(t, sample.Ext4(t, "COS_PERSISTENT", n.state(test.at)))
			sample.Disk(t, n.dir, "vda", 253, sample.Partition{Type: sample.ESP, ID: espID}, sample.Partition{Type: sample.Linux, ID: stateID, Source: node})
			want := map[string]string{}
			for _, file := range []string{"rescue.sysext.raw", "all.sysext.raw"} {
				want[file] = "../../" + seenAt + "/" + test.at + "/" + file
			}

			r := n.run(func(o *boot.Options) { o.DryRun = true })
			if _, err := os.Stat(filepath.Join(n.dir, "run/inlay")); err == nil || len(r.Extensions) != 2 {
				t.Errorf("a dry run: %v, extensions %+v", err, r.Extensions)
			}

			r = n.run()
			defer func() {
				if err := syscall.Unmount(filepath.Join(n.dir, seenAt), syscall.MNT_DETACH); err != nil {
					t.Errorf("unmounting: %v", err)
				}
			}()
			check(t, "links", want, n.linked())
			if err := os.WriteFile(filepath.Join(n.dir, seenAt, "new"), nil, 0o644); err == nil {
				t.Error("the partition is writable")
			}
			for _, x := range r.Extensions {
				if x.Path != "/"+seenAt+"/"+test.at+"/"+x.FileName {
					t.Errorf("it lies at %q", x.Path)
				}
			}
			// Once more, in the running system: where it is mounted by now.
			mounts, err := os.ReadFile(filepath.Join(n.dir, "proc/self/mountinfo"))
			if err != nil {
				t.Fatal(err)
			}
			number, err := os.ReadFile(filepath.Join(n.dir, "sys/devices/vda/vda2/dev"))
			if err != nil {
				t.Fatal(err)
			}
			n.write("proc/self/mountinfo", string(mounts)+"9 1 "+strings.TrimSpace(string(number))+" / /"+seenAt+" ro - ext4 /dev/vda2 ro\n")
			n.run()
			check(t, "links of the second run", want, n.linked())
		})
	}
}

// TestReset copies what a reset uses of the node's store: it is to format the
// partition, which nobody may hold.
func TestReset(t *testing.T) {
	if !alone(t) {
		return
	}
	n := newNode(t, "kairos.reset COS_RECOVERY")
	n.tries = 3
	node := sample.Loop(t, sample.Ext4(t, "COS_PERSISTENT", n.state(bindAt)))
	sample.Disk(t, n.dir, "vda", 253, sample.Partition{Type: sample.Linux, ID: stateID, Source: node})
	const at = "run/inlay/reset/" + storeAt
	want := map[string]string{"rescue.sysext.raw": "../../" + at + "/rescue.sysext.raw", "all.sysext.raw": "../../" + at + "/all.sysext.raw"}
	var first os.FileInfo
	for range 2 {
		r := n.run()
		check(t, "links", want, n.linked())
		for _, x := range r.Extensions {
			if x.Trial != nil || x.Path != "/"+at+"/"+x.FileName {
				t.Errorf("%+v", x)
			}
		}
		info, err := os.Stat(filepath.Join(n.dir, at, "rescue.sysext.raw"))
		if err != nil || first != nil && !os.SameFile(first, info) {
			t.Errorf("it was copied anew, and the copy may be in use: %v", err)
		}
		first = info
	}
	if _, err := os.Stat(filepath.Join(n.dir, seenAt)); err == nil {
		t.Error("the partition is mounted")
	}
	// Others need memory, too.
	run := filepath.Join(n.dir, "run")
	if err := syscall.Mount("small", run, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	r := n.run()
	check(t, "links without room", map[string]string{}, n.linked())
	if told := strings.Join(r.Problems, "\n"); strings.Count(told, "cannot be copied into memory: it has") != 2 {
		t.Errorf("problems %q", r.Problems)
	}
	if err := syscall.Unmount(run, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(node, os.O_RDWR|syscall.O_EXCL, 0); err != nil {
		t.Errorf("the partition is held: %v", err)
	} else {
		f.Close()
	}
}

// TestRecoveryElsewhere is about nodes whose state is mounted, or cannot be.
func TestRecoveryElsewhere(t *testing.T) {
	t.Parallel()
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(locked, append([]byte("LUKS\xba\xbe\x00\x02"), make([]byte, 8192)...), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := sample.Ext4(t, "COS_PERSISTENT", "")
	state := func(p sample.Partition) sample.Partition {
		p.Type, p.ID, p.FileSystem = sample.Linux, stateID, "ext4"
		return p
	}
	own := map[string]string{"baked.sysext.raw": "baked.sysext.raw"}
	for _, test := range []struct {
		name    string
		prepare func(*node)
		want    map[string]string
		step    string
		bad     bool
		problem string
	}{
		{name: "mounted elsewhere", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty, Mounted: "/usr/local"}))
			n.copy(n.state(bindAt), "usr/local")
		}, want: map[string]string{
			"rescue.sysext.raw": "../../usr/local/" + bindAt + "/rescue.sysext.raw", "all.sysext.raw": "../../usr/local/" + bindAt + "/all.sysext.raw",
		}, step: "the store on /dev/vda1: /usr/local/" + bindAt, problem: "what is enabled in /" + storeAt + " of the system itself is passed over"},
		{name: "mounted where it belongs", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty, Mounted: "/var"}))
		}, want: own},
		{name: "no store on it", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty, Mounted: "/usr/local"}))
			n.write("usr/local/here", "")
		}, want: own, step: "/dev/vda1 has nothing for this boot"},
		{name: "nothing for this profile", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty, Mounted: "/usr/local"}))
			n.copy(n.state(bindAt), "usr/local")
			n.remove("usr/local/" + bindAt + "/recovery")
			n.remove("usr/local/" + bindAt + "/common")
		}, want: own, step: "/dev/vda1 has nothing for this boot"},
		{name: "no disk", prepare: func(*node) {}, want: own, bad: true, step: "the node's store is unreachable: no partition is labelled COS_PERSISTENT"},
		{name: "encrypted", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, sample.Partition{Type: sample.Linux, ID: espID, Source: locked}, state(sample.Partition{Source: locked, Label: "persistent"}))
		}, want: own, bad: true, step: "the node's store is unreachable: /dev/vda2 is encrypted, and locked: unlock it"},
		{name: "two of them", prepare: func(n *node) {
			for i, name := range []string{"vda", "vdb"} {
				sample.Disk(n.t, n.dir, name, 253+i, state(sample.Partition{Source: empty}))
			}
		}, want: own, bad: true, step: "/dev/vda1, /dev/vdb1 are all labelled COS_PERSISTENT"},
		{name: "two of them, one beside what was booted", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty}))
			sample.Disk(n.t, n.dir, "vdb", 254, state(sample.Partition{Source: empty, Mounted: "/usr/local"}), sample.Partition{Type: sample.ESP, ID: espID})
			sample.StartedFrom(n.t, n.dir, espID)
			n.write("usr/local/here", "")
		}, want: own, step: "/dev/vdb1 has nothing for this boot"},
		{name: "no file system", prepare: func(n *node) {
			sample.Disk(n.t, n.dir, "vda", 253, state(sample.Partition{Source: empty}))
			n.write("dev/vda1", strings.Repeat("\x00", 8192))
		}, want: own, bad: true, step: "no partition is labelled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_RECOVERY")
			n.add(n.signed("baked"), "recovery")
			test.prepare(n)
			r := n.run()
			check(t, "links", test.want, n.linked())
			step := stepOf(r, "places")
			if !strings.Contains(step.Text, test.step) || step.Bad != test.bad || test.step == "" && step.Text != "" {
				t.Errorf("step %+v, want %q", step, test.step)
			}
			if told := strings.Join(r.Problems, "\n"); !strings.Contains(told, test.problem) {
				t.Errorf("problems %q, want %q", told, test.problem)
			}
		})
	}
}

// TestRecoveryFromInitrd links to where the booted system will see the store.
func TestRecoveryFromInitrd(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_RECOVERY")
	sample.Disk(t, n.dir, "vda", 253, sample.Partition{
		Type: sample.Linux, ID: stateID, Source: sample.Ext4(t, "COS_PERSISTENT", ""), Mounted: "/sysroot/usr/local", FileSystem: "ext4",
	})
	n.write("sysroot/etc/os-release", "ID=kairos\n")
	n.copy(n.state(bindAt), "sysroot/usr/local")
	r := n.run(func(o *boot.Options) {
		target, err := os.OpenRoot(filepath.Join(n.dir, "sysroot"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { target.Close() })
		o.Target, o.InPlace = target, false
	})
	target, err := os.Readlink(filepath.Join(n.dir, "run/extensions/rescue.sysext.raw"))
	if want := "../../usr/local/" + bindAt + "/rescue.sysext.raw"; err != nil || target != want {
		t.Errorf("it leads to %q, want %q: %v\n%+v", target, want, err, r)
	}
}

// copy copies a folder into the machine.
func (n *node) copy(from, to string) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Join(n.dir, filepath.Dir(to)), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if out, err := exec.CommandContext(n.t.Context(), "cp", "-a", from, filepath.Join(n.dir, to)).CombinedOutput(); err != nil {
		n.t.Fatalf("%v\n%s", err, out)
	}
}
