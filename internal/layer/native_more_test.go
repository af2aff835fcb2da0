package layer_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/test/need"
)

// TestNativeRollBack: a merge that fails when some hierarchies are in place takes
// them back, and brings back what was there.
func TestNativeRollBack(t *testing.T) {
	if !alone(t) {
		return
	}
	injected := errors.New("injected")
	for _, verb := range []string{"merge", "refresh", "fewer", "refresh of what is mutable"} {
		t.Run(verb, func(t *testing.T) {
			h := newHost(t, unix.MS_SHARED)
			mode := layer.Immutable
			if strings.HasSuffix(verb, "mutable") {
				mode = layer.Mutable
			}
			h.naked("old", "erofs", map[string]string{"usr/bin/old": "old", "opt/old": "old", "srv/old": "old"})
			h.more = func(r *layer.Request) { r.Mutable, r.Hierarchies = mode, []string{"/opt", "/srv", "/usr"} }
			if verb != "merge" {
				h.merge()
			}
			h.extension("new", map[string]string{"usr/bin/new": "new", "opt/new": "new"})
			before, files := places(h.mounts()), h.everything()
			if verb == "fewer" { // what is none any more is unmerged first
				h.more = func(r *layer.Request) { r.Hierarchies = []string{"/opt", "/usr"} }
			}
			h.fault = func(path string) error {
				if strings.HasSuffix(path, "/usr") {
					return injected
				}
				return nil
			}
			if _, err := h.do("refresh", layer.RunOptions{}); !errors.Is(err, injected) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(before, places(h.mounts())); diff != "" {
				t.Errorf("mounts (-before +after):\n%s", diff)
			}
			if verb != "merge" && (h.read("opt/old") != "old" || h.read("usr/bin/old") != "old" || h.read("srv/old") != "old") {
				t.Error("what was merged is gone")
			}
			if h.read("opt/new") == "new" {
				t.Error("half of it is merged")
			}
			if verb == "merge" {
				h.remove("run/inlay/layer.lock")
				h.remove("run/inlay")
			}
			if diff := cmp.Diff(files, h.everything()); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
			h.fault = nil
			h.refresh()
			h.unmerge()
			h.noLoops()
			if len(h.mounts()) != 1 {
				t.Errorf("mounts are left: %+v", h.mounts())
			}
		})
	}
}

// places are mounts without their numbers.
func places(mounts []mount.Info) []string {
	var all []string
	for _, m := range mounts {
		all = append(all, m.MountPoint+" "+m.Device.String()+" "+m.Options+" "+m.Propagation.String())
	}
	slices.Sort(all)
	return all
}

// TestNativeAttributes: folders that the host has, too, keep the host's owner and
// mode, whatever an extension has; its own it keeps.
func TestNativeAttributes(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.write("usr/share/games/high/score", "0")
	set := func(name string, mode uint32, owner int) {
		t.Helper()
		h.check(os.Chown(h.path(name), owner, owner))
		h.check(unix.Chmod(h.path(name), mode))
	}
	set("usr", 0o711, 3)
	set("usr/share/games", 0o2755, 60)
	set("usr/share/games/high", 0o1777, 61)
	h.extension("one", map[string]string{"usr/share/games/high/one": "one", "usr/share/mine/one": "one"})
	for name, mode := range map[string]uint32{"usr": 0o777, "usr/share": 0o700, "usr/share/games": 0o700, "usr/share/games/high": 0o700, "usr/share/mine": 0o2750} {
		set("var/lib/extensions/one/"+name, mode, 1000)
	}
	h.merge()
	for name, want := range map[string][2]uint32{
		"usr": {0o711, 3}, "usr/share": {0o755, 0}, "usr/share/games": {0o2755, 60}, "usr/share/games/high": {0o1777, 61}, "usr/share/mine": {0o2750, 1000},
	} {
		var stat unix.Stat_t
		h.check(unix.Stat(h.path(name), &stat))
		if got := [2]uint32{stat.Mode & 0o7777, stat.Uid}; got != want || stat.Gid != want[1] {
			t.Errorf("%s has the mode %#o and the owner %d, want %#o and %d", name, got[0], got[1], want[0], want[1])
		}
	}
	if h.read("usr/share/games/high/one") != "one" || h.read("usr/share/games/high/score") != "0" {
		t.Error("files are missing")
	}
}

// TestNativePlaces merges extensions that are no plain file or folder: a block
// device, a subvolume, a version of a folder of them, a link, a usr partition.
func TestNativePlaces(t *testing.T) {
	if !alone(t) {
		return
	}
	need.FileSystem(t, "btrfs")
	h := newHost(t, unix.MS_SHARED)
	run := func(tool, pkg string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), need.Tool(t, tool, pkg), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", tool, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	aside := func(name, to string) {
		t.Helper()
		h.write(to, h.read("var/lib/extensions/"+name+".raw"))
		h.check(os.Remove(h.path("var/lib/extensions/" + name + ".raw")))
	}

	h.naked("device", "erofs", map[string]string{"usr/bin/device": "device"})
	aside("device", "srv/device")
	loop := run("losetup", "util-linux", "--find", "--show", "--read-only", h.path("srv/device"))
	t.Cleanup(func() { run("losetup", "util-linux", "--detach", loop) })
	h.write("dev/", "")
	h.check(unix.Mount("/dev", h.path("dev"), "", unix.MS_BIND, ""))
	h.check(os.Symlink(loop, h.path("var/lib/extensions/device")))

	h.naked("file", "erofs", map[string]string{"usr/bin/file": "file"})
	aside("file", "srv/images/file-1.raw")
	h.check(os.Symlink("../../../srv/images/file-1.raw", h.path("var/lib/extensions/file.raw")))

	for _, v := range []string{"1.0", "2.0"} {
		h.folder("var/lib/extensions/picked.v/picked_"+v, "picked", map[string]string{"usr/bin/picked": v})
	}

	disk := h.path("srv/disk")
	h.write("srv/disk", "")
	h.check(os.Truncate(disk, 128<<20))
	run("mkfs.btrfs", "btrfs-progs", "-q", disk)
	h.write("var/lib/extensions/", "")
	h.write("srv/btrfs/", "")
	// A subvolume's time is not only that of what was done to it: what is written out
	// half a minute later moves it, and so does a file's time of access when that is
	// read for the first time (by us, or with relatime by anybody). systemd 262
	// refreshes once more then, and so do we; here nothing is to move.
	run("mount", "mount", "-o", "loop,noatime", disk, h.path("srv/btrfs"))
	run("btrfs", "btrfs-progs", "subvolume", "create", h.path("srv/btrfs/subvolume"))
	h.folder("srv/btrfs/subvolume", "subvolume", map[string]string{"usr/bin/subvolume": "subvolume"})
	run("btrfs", "btrfs-progs", "filesystem", "sync", h.path("srv/btrfs"))
	h.check(os.Symlink("/srv/btrfs/subvolume", h.path("var/lib/extensions/subvolume")))

	// A disk image with a usr partition alone.
	h.usrImage("usr-only", map[string]string{"bin/usr-only": "usr-only", "local/bin/local": "local"})

	want := map[string]string{"usr/bin/device": "device", "usr/bin/file": "file", "usr/bin/picked": "2.0", "usr/bin/subvolume": "subvolume", "usr/bin/usr-only": "usr-only"}
	for _, hierarchies := range [][]string{nil, {"/usr/bin"}} {
		h.more = func(r *layer.Request) { r.Hierarchies = hierarchies }
		h.refresh()
		for name, text := range want {
			if got := h.read(name); got != text {
				t.Errorf("%v: %s is %q: %+v", hierarchies, name, got, h.item(strings.TrimPrefix(name, "usr/bin/")))
			}
		}
		if got := h.read("usr/local/bin/local") == "local"; got != (hierarchies == nil) {
			t.Errorf("%v: /usr/local of the usr partition shows: %v", hierarchies, got)
		}
		if r := h.refresh(); !r.Unchanged {
			t.Errorf("%v: a refresh without a change did something", hierarchies)
		}
	}
	h.unmerge()
	h.check(unix.Unmount(h.path("srv/btrfs"), 0)) // nothing holds on to it
}

// usrImage makes a disk image of a usr partition with an erofs of files.
func (h *host) usrImage(name string, files map[string]string) {
	h.t.Helper()
	tree, system, image := h.t.TempDir(), h.t.TempDir()+"/erofs", h.t.TempDir()+"/image"
	inside := &host{t: h.t, dir: tree, kind: h.kind}
	inside.write(strings.TrimPrefix(h.kind.ReleaseFile(name), "usr/"), "ID=_any\n")
	for file, text := range files {
		inside.write(file, text)
	}
	if out, err := exec.CommandContext(h.t.Context(), need.Tool(h.t, "mkfs.erofs", "erofs-utils"), system, tree).CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(system)
	h.check(err)
	h.check(os.WriteFile(image, nil, 0o644))
	h.check(os.Truncate(image, 4<<20))
	table := exec.CommandContext(h.t.Context(), need.Tool(h.t, "sfdisk", "fdisk"), "--quiet", image)
	table.Stdin = strings.NewReader("label: gpt\nstart=2048, size=4096, type=8484680c-9521-48c6-9c11-b0720656f69e, name=usr-x86-64\n")
	if out, err := table.CombinedOutput(); err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	h.check(err)
	_, err = f.WriteAt(data, 1<<20)
	h.check(errors.Join(err, f.Close()))
	h.place(image, name)
}

// TestNativeAtOnce: of two merges at once, one merges; refreshes wait for each other.
func TestNativeAtOnce(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wg.Go(func() {
			_, err := h.do("merge", layer.RunOptions{})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	done := 0
	for err := range results {
		if already := (*layer.MergedError)(nil); err == nil {
			done++
		} else if !asMerged(err, &already) {
			t.Errorf("got %v", err)
		}
	}
	if done != 1 || len(h.mounts()) != 2 {
		t.Errorf("%d have merged: %+v", done, h.mounts())
	}
	for range 4 {
		wg.Go(func() {
			if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(h.mounts()) != 2 {
		t.Errorf("after refreshes at once: %+v", h.mounts())
	}
}

// TestNativeBusy: a merge doesn't wait for ever, and ends when it is told to.
func TestNativeBusy(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	h.write("run/inlay/", "")
	lock, err := os.Create(h.path("run/inlay/layer.lock"))
	h.check(err)
	h.check(unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	h.wait = 50 * time.Millisecond
	if _, err := h.do("merge", layer.RunOptions{}); !errors.Is(err, layer.ErrBusy) || len(hint.Of(err)) == 0 {
		t.Errorf("got %v", err)
	}
	h.wait = time.Hour
	var cancel context.CancelFunc
	h.ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := h.do("merge", layer.RunOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	h.check(lock.Close())
	if _, err := h.do("merge", layer.RunOptions{}); !errors.Is(err, context.Canceled) || len(h.mounts()) != 1 {
		t.Errorf("cancelled already: %v", err)
	}
	h.ctx = nil
	h.merge()
}

// TestNativeUnprivileged: without privileges it is said what is missing.
func TestNativeUnprivileged(t *testing.T) {
	const variable, nobody = "INLAY_LAYER_NOBODY", 65534
	if dir := os.Getenv(variable); dir != "" {
		h := newKind(&host{t: t, dir: dir})
		_, err := h.do("merge", layer.RunOptions{})
		if err == nil || !strings.Contains(strings.Join(hint.Of(err), "\n"), "run it as root") {
			t.Errorf("got %v %q", err, hint.Of(err))
		}
		return
	}
	if !alone(t) {
		return
	}
	for _, mine := range []bool{false, true} {
		h := newHost(t, unix.MS_PRIVATE)
		h.extension("one", map[string]string{"usr/bin/one": "one"})
		h.check(os.Chmod(h.dir+"/..", 0o755))
		if mine {
			h.check(os.Chown(h.path("run"), nobody, nobody))
		}
		program := h.path("layer.test")
		data, err := os.ReadFile(os.Args[0])
		h.check(err)
		h.check(os.WriteFile(program, data, 0o755))
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestNativeUnprivileged$")
		cmd.Dir, cmd.Env = "/", append(os.Environ(), variable+"="+h.dir, "TMPDIR=/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("own folders %v: %v\n%s", mine, err, out)
		}
	}
}

// TestNativeOptions: systemd's variable for options counts, but for options that
// would change the layers.
func TestNativeOptions(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	with := func(mode layer.Mode, text string) {
		h.more = func(r *layer.Request) {
			r.Mutable = mode
			r.Getenv = func(name string) string {
				return map[string]string{"SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS": text}[name]
			}
		}
	}
	with(layer.Immutable, "noexec,xino=on")
	h.merge()
	if usr := h.at("usr"); usr.Options != "ro,nodev,noexec,relatime" || !strings.Contains(usr.Super, "xino=on") {
		t.Errorf("/usr is mounted as %+v", usr)
	}
	if r := h.refresh(); !r.Unchanged {
		t.Error("a refresh without a change did something")
	}
	if got := h.read("usr/.systemd-sysext/origin"); !strings.Contains(got, `"mountOptions": "noexec,xino=on"`) {
		t.Errorf("the origin is %s", got)
	}
	with(layer.Ephemeral, "xino=on") // in place of what a writable one gets otherwise
	if h.refresh(); h.at("usr").Options != "rw,nodev,relatime" {
		t.Errorf("/usr is mounted as %+v", h.at("usr"))
	}
	before := h.mounts()
	for _, bad := range []string{"lowerdir=/etc", "xino=on,upperdir=/etc", "workdir=/x", "lowerdir+=/etc"} {
		with(layer.Immutable, bad)
		_, err := h.do("refresh", layer.RunOptions{})
		if err == nil || !strings.Contains(err.Error(), "would change the layers") || len(hint.Of(err)) == 0 {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	if diff := cmp.Diff(before, h.mounts()); diff != "" {
		t.Errorf("mounts (-before +after):\n%s", diff)
	}
}

// TestNativeBacking: the marker names the block device that the host's folder is on.
func TestNativeBacking(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, kind := range []string{"ext4", "btrfs"} {
		need.FileSystem(t, kind)
		h := newHost(t, unix.MS_PRIVATE)
		h.write("disk", "")
		h.check(os.Truncate(h.path("disk"), 128<<20))
		for _, args := range [][]string{{need.Tool(t, "mkfs."+kind, "e2fsprogs"), "-q", h.path("disk")}, {"mount", "-o", "loop", h.path("disk"), h.path("usr")}} {
			if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
		}
		var stat unix.Stat_t
		h.check(unix.Stat(h.at("usr").Source, &stat))
		h.extension("one", map[string]string{"usr/bin/one": "one"})
		h.merge()
		want := mount.Device{Major: unix.Major(stat.Rdev), Minor: unix.Minor(stat.Rdev)}.String() + "\n"
		if got := h.read("usr/.systemd-sysext/backing"); got != want {
			t.Errorf("%s: the marker has %q, want %q", kind, got, want)
		}
		h.unmerge()
		h.check(unix.Unmount(h.path("usr"), 0))
	}
}
