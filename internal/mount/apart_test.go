package mount_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

// TestApart: what is unmounted apart is there for everybody else, and what was
// opened apart shows what lies beneath it, until it is closed.
func TestApart(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, propagation := range map[string]uintptr{"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED, "slave": unix.MS_SLAVE} {
		t.Run(name, func(t *testing.T) {
			base := scratch(t, propagation)
			folder(t, base, map[string]string{"place/below": "below", "sub/": ""})
			place := filepath.Join(base, "place")
			ok(t, unix.Mount("top", place, "tmpfs", 0, ""))
			folder(t, place, map[string]string{"top": "top"})
			before := snapshot(t)
			testApart(t, base)
			if diff := cmp.Diff(before, snapshot(t)); diff != "" {
				t.Errorf("mounts (-before +after):\n%s", diff)
			}
			ok(t, unix.Unmount(place, 0)) // nothing holds on to it
		})
	}
}

func testApart(t *testing.T, base string) {
	t.Helper()
	apart := must(mount.NewApart())(t)
	place := filepath.Join(base, "place")
	var root *os.Root
	ok(t, apart.Run(func() error {
		dev, err := deviceAt(place)
		if err != nil {
			return err
		}
		if err := mount.Detach(place, dev); err != nil {
			return err
		}
		if err := unix.Mount("apart", filepath.Join(base, "sub"), "tmpfs", 0, ""); err != nil {
			return err
		}
		root, err = os.OpenRoot(base)
		return err
	}))
	if got, err := root.ReadFile("place/below"); err != nil || string(got) != "below" {
		t.Errorf("apart there is %q, %v", got, err)
	}
	if got := read(t, filepath.Join(place, "top")); got != "top" {
		t.Errorf("here there is %q", got)
	}
	injected := errors.New("injected")
	if err := apart.Run(func() error { return injected }); !errors.Is(err, injected) {
		t.Errorf("got %v", err)
	}
	// Another thread of this process is where it was.
	if _, err := deviceAt(filepath.Join(place, "top")); err != nil {
		t.Error(err)
	}
	ok(t, root.Close())
	ok(t, apart.Close())
	ok(t, apart.Close())
}

func deviceAt(path string) (mount.Device, error) {
	f, err := os.Open(path)
	if err != nil {
		return mount.Device{}, err
	}
	defer f.Close()
	return mount.DeviceOf(f)
}

// TestApartElsewhere: it is a copy of the namespace that the caller has entered.
func TestApartElsewhere(t *testing.T) {
	if !alone(t) {
		return
	}
	base := scratch(t, unix.MS_PRIVATE)
	pid := elsewhere(t, "private")
	folder(t, base, map[string]string{"place/below": "below", "sub/": ""})
	ok(t, mount.InNamespaceOf(pid, func() error {
		if err := unix.Mount("top", filepath.Join(base, "place"), "tmpfs", 0, ""); err != nil {
			return err
		}
		folder(t, filepath.Join(base, "place"), map[string]string{"top": "top"})
		testApart(t, base)
		return nil
	}))
	if got := read(t, filepath.Join(base, "place/below")); got != "below" {
		t.Errorf("here there is %q", got)
	}
}

// TestApartInChroot: a root folder that is no mount is the copy's root folder, too.
func TestApartInChroot(t *testing.T) {
	if !alone(t) {
		return
	}
	base := scratch(t, unix.MS_SHARED)
	folder(t, base, map[string]string{"root/place/below": "below", "root/sub/": "", "root/proc/": "", "root/dev/": "", "outside": "outside"})
	inside := filepath.Join(base, "root")
	ok(t, unix.Mount("proc", filepath.Join(inside, "proc"), "proc", 0, ""))
	ok(t, unix.Mount("top", filepath.Join(inside, "place"), "tmpfs", 0, ""))
	folder(t, filepath.Join(inside, "place"), map[string]string{"top": "top"})
	ok(t, unix.Chroot(inside))
	ok(t, unix.Chdir("/"))
	testApart(t, "/")
	if got := read(t, "/place/top"); got != "top" {
		t.Errorf("here there is %q", got)
	}
	// For the cleaning up.
	ok(t, leaveChroot())
}

// leaveChroot takes this process back to the root of its mount namespace: from a
// working folder that is outside of its root, there is a way up.
func leaveChroot() error {
	err := errors.Join(unix.Mkdir("/dev/deeper", 0o700), unix.Chroot("/dev/deeper"))
	for range 64 {
		err = errors.Join(err, unix.Chdir(".."))
	}
	return errors.Join(err, unix.Chroot("."))
}
