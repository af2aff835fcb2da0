package mount_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

// TestInNamespaceOf merges in another process's namespace.
func TestInNamespaceOf(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, outer *mount.Mounter) {
		features := outer.Features()
		dir := scratch(t, unix.MS_PRIVATE)
		usr := folder(t, dir+"/usr", map[string]string{"sub/": ""})
		pid := elsewhere(t, "private")
		before := outsideStaging(t)
		staging := folder(t, dir+"/staging", nil)
		ran := false
		ok(t, mount.InNamespaceOf(pid, func() error {
			ran = true
			// What this mounts is there and not here.
			m := mount.New(mount.Options{Features: features, Staging: staging})
			defer func() { ok(t, m.Close()) }()
			tree := stackOf(t, m, dir, usr, "theirs")
			defer tree.Close()
			sub := must(m.Tmpfs(mount.TmpfsOptions{Mode: 0o755}))(t)
			defer sub.Close()
			ok(t, tree.Graft(sub, "sub"))
			if err := tree.AttachTo(usr); err != nil {
				return err
			}
			next := stackOf(t, m, dir, usr, "next")
			defer next.Close()
			graft(t, m, next, usr)
			did, err := m.Replace(usr, next)
			if err != nil {
				return err
			}
			t.Log(did.How)
			return did.Old.Close()
		}))
		if !ran {
			t.Error("it was not run")
		}
		if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
			t.Errorf("it shows here:\n%s", diff)
		}
		after := must(mount.MountsOf(pid))(t)
		// Others' mounts may go meanwhile: removing a folder takes away what is mounted
		// on it in any namespace.
		ours := slices.DeleteFunc(slices.Clone(after), func(i mount.Info) bool { return !strings.HasPrefix(i.MountPoint, dir+"/") })
		if len(ours) != 2 {
			t.Errorf("there are mounts %+v", ours)
		}
		if info, _ := mount.Covering(after, usr); info.Source != "sysext" || info.MountPoint != usr {
			t.Errorf("there is %+v", info)
		}
		if _, err := os.Stat(usr + "/which"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("here is the file, too: %v", err)
		}
	})
}

// TestOwnThread is about the threads that change their namespace: none of them
// may come back, and the main one, which /proc shows, must not be one of them.
func TestOwnThread(t *testing.T) {
	if !alone(t) {
		return
	}
	pid := elsewhere(t, "private")
	here := must(os.Readlink("/proc/self/ns/mnt"))(t)
	there := must(os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid)))(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := mount.InNamespaceOf(pid, func() error {
				at, err := os.Readlink("/proc/thread-self/ns/mnt")
				if err == nil && at != there {
					err = fmt.Errorf("run in %q, not in %q", at, there)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if at, err := os.Readlink("/proc/thread-self/ns/mnt"); at != here {
				t.Errorf("back in %q, not in %q: %v", at, here, err)
			}
		})
	}
	all.Wait()
	eventually(t, "all threads back", func() bool {
		threads := must(os.ReadDir("/proc/self/task"))(t)
		return !slices.ContainsFunc(threads, func(thread os.DirEntry) bool {
			at, err := os.Readlink("/proc/self/task/" + thread.Name() + "/ns/mnt")
			return err == nil && at != here
		})
	})
}

// TestStageHoldsNothing is about mounts of others, which the staging place's
// namespace must not keep busy.
func TestStageHoldsNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		device := image(t, "erofs", folder(t, t.TempDir(), map[string]string{"a": ""}))
		at := t.TempDir()
		ok(t, unix.Mount(device, at, "erofs", unix.MS_RDONLY, ""))
		tree := must(m.Tmpfs(mount.TmpfsOptions{Mode: 0o700}))(t)
		defer tree.Close()
		ok(t, unix.Unmount(at, 0))
		// A device that is mounted nowhere can be opened by one alone.
		eventually(t, "let go of the device", func() bool {
			fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
			if err != nil {
				return false
			}
			return unix.Close(fd) == nil
		})
	})
}

func TestSurvey(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := scratch(t, unix.MS_PRIVATE)
	dev := mounted(t, dir).Device
	pid := elsewhere(t, "private")
	var own, other int
	ok(t, mount.Survey(t.Context(), func(space mount.Namespace) bool {
		switch {
		case space.Own:
			own++
			if space.Processes[0].PID != os.Getpid() {
				t.Errorf("we are %d, not %+v", os.Getpid(), space.Processes)
			}
		case space.Processes[0].PID == pid:
			other++
			if got := space.Processes[0].Command; got != "sleep" && got != "sh" {
				t.Errorf("it is called %q", got)
			}
		}
		return true
	}))
	if own != 1 || other != 1 {
		t.Errorf("our namespace was seen %d times, the other one %d times", own, other)
	}
	holders := must(mount.Holders(t.Context(), dev))(t)
	if len(holders) != 1 || len(holders[0].Mounts) != 1 || holders[0].Mounts[0].MountPoint != dir || holders[0].Processes[0].PID != pid {
		t.Errorf("held by %+v", holders)
	}
	visits := 0
	ok(t, mount.Survey(t.Context(), func(mount.Namespace) bool { visits++; return false }))
	if visits != 1 {
		t.Errorf("%d visits after the first said that it is enough", visits)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := mount.Holders(ended, dev); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestInNamespaceOfRefused(t *testing.T) {
	var wrong *mount.NamespaceError
	err := mount.InNamespaceOf(math.MaxInt32, func() error {
		t.Error("it was run")
		return nil
	})
	if !errors.As(err, &wrong) || wrong.PID != math.MaxInt32 {
		t.Errorf("no such process: %v", err)
	}
	mine := errors.New("mine")
	if err := mount.InNamespaceOf(os.Getpid(), func() error { return mine }); !errors.Is(err, mine) {
		t.Errorf("in the same namespace: %v", err)
	}
}

// TestChroot merges in a root that is no mount itself, as package builds and
// rescue systems have it.
func TestChroot(t *testing.T) {
	const inside = "/inside"
	if _, err := os.Stat(inside); err == nil {
		each(t, func(t *testing.T, m *mount.Mounter) {
			usr := folder(t, "/usr", map[string]string{"sub/": ""})
			before := outsideStaging(t)
			ok(t, unix.Mount("inner", usr+"/sub", "tmpfs", 0, ""))
			tree := stackOf(t, m, "/tmp", usr, "chroot")
			defer tree.Close()
			graft(t, m, tree, usr)
			ok(t, tree.AttachTo(usr))
			next := stackOf(t, m, "/tmp", usr, "next")
			defer next.Close()
			graft(t, m, next, usr)
			did := must(m.Replace(usr, next))(t)
			ok(t, did.Old.Close())
			if got := read(t, "/usr/which"); got != "next" || at(t, "/usr/sub").Source != "inner" {
				t.Errorf("merged %q", got)
			}
			ok(t, mount.Detach(usr, at(t, usr).Device))
			ok(t, unix.Unmount(usr+"/sub", 0))
			if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
				t.Error(diff)
			}
		})
		return
	}
	if !alone(t) {
		return
	}
	root := filepath.Join(scratch(t, unix.MS_SHARED), "root")
	folder(t, root, map[string]string{"proc/": "", "tmp/": "", "inside": "", "dev/null": ""})
	// A test binary with the race detector is linked to libraries.
	for _, libraries := range []string{"/lib", "/lib64"} {
		if _, err := os.Stat(libraries); err == nil {
			folder(t, root+libraries, nil)
			ok(t, unix.Mount(libraries, root+libraries, "", unix.MS_BIND, ""))
		}
	}
	ok(t, unix.Mount("proc", root+"/proc", "proc", 0, ""))
	ok(t, unix.Mount("/dev/null", root+"/dev/null", "", unix.MS_BIND, ""))
	ok(t, os.WriteFile(root+"/test", []byte(read(t, "/proc/self/exe")), 0o755))
	before := outsideStaging(t)
	run(t, &syscall.SysProcAttr{Chroot: root}, "/test")
	if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
		t.Errorf("it shows outside:\n%s", diff)
	}
}
