package mount_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
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
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		usr := folder(t, dir+"/usr", map[string]string{"sub/": ""})
		pid := elsewhere(t, "private")
		before, theirs := outsideStaging(t), must(mount.MountsOf(pid))(t)
		staging := folder(t, dir+"/staging", nil)
		ran := false
		ok(t, mount.InNamespaceOf(pid, func() error {
			ran = true
			// What this mounts is there and not here.
			m := mount.New(mount.Options{Features: m.Features(), Staging: staging})
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
		if len(after) != len(theirs)+2 {
			t.Errorf("%d mounts there, before there were %d", len(after), len(theirs))
		}
		if info, _ := mount.Covering(after, usr); info.Source != "sysext" || info.MountPoint != usr {
			t.Errorf("there is %+v", info)
		}
		if _, err := os.Stat(usr + "/which"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("here is the file, too: %v", err)
		}
	})
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
	ok(t, unix.Mount("proc", root+"/proc", "proc", 0, ""))
	ok(t, unix.Mount("/dev/null", root+"/dev/null", "", unix.MS_BIND, ""))
	ok(t, os.WriteFile(root+"/test", []byte(read(t, "/proc/self/exe")), 0o755))
	before := outsideStaging(t)
	run(t, &syscall.SysProcAttr{Chroot: root}, "/test")
	if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
		t.Errorf("it shows outside:\n%s", diff)
	}
}
