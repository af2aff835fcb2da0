package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/store"
	"inlay/test/need"
)

// smallDisk returns a folder with a file system of few bytes, which only the
// calling goroutine sees. It ends with the goroutine.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	runtime.LockOSThread() // and never unlocked: the thread goes with its mounts
	check(t, unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS))
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// fill leaves no byte free below dir.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	check(t, err)
	defer f.Close()
	for _, block := range []int{1 << 16, 1} {
		for {
			if _, err := f.Write(make([]byte, block)); err != nil {
				break
			}
		}
	}
	if free(t, dir) != 0 {
		t.Fatal("the disk is not full")
	}
}

func free(t *testing.T, dir string) uint64 {
	t.Helper()
	var v unix.Statfs_t
	check(t, unix.Statfs(dir, &v))
	return v.Bavail
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "4M")
	var calls []string
	s := open(nil, dir, func(call, _ string) error {
		calls = append(calls, call)
		return nil
	})
	defer s.Close()
	unlock := lock(nil, s)
	put(nil, s, "k3s_1.sysext.raw", "k3s, first")
	put(nil, s, "k3s_2.sysext.raw", "k3s, second")
	c, err := s.Enable(named(nil, s, "k3s_1.sysext.raw"), []store.Profile{store.Active, store.Common})
	keep(nil, c, err)
	unlock()
	old, was := snapshot(t, dir), free(t, dir)

	t.Log("an image of a known size is refused before it starts")
	calls = nil
	if _, err := s.Stage(8 << 20); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("staging 8 MiB on a disk of 4: %v", err)
	}
	if len(calls) > 0 {
		t.Errorf("before it is refused, it does %v", calls)
	}
	t.Log("and so is one for which there is room until another takes it")
	first, err := s.Stage(2 << 20)
	check(nil, err)
	if second, err := s.Stage(2 << 20); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("staging 2 MiB twice on a disk of 4: %v", err)
		second.Discard()
	}
	first.Discard()

	t.Log("one of an unknown size ends clean")
	st, err := s.Stage(-1)
	check(nil, err)
	for err == nil {
		_, err = st.Write(make([]byte, 1<<16))
	}
	if !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("writing until the disk is full: %v", err)
	}
	st.Discard()
	if got := free(t, dir); got != was {
		t.Errorf("%d blocks are free, want %d", got, was)
	}
	equal(t, "afterwards", old, snapshot(t, dir))

	t.Log("on a full disk a removal can be undone")
	fill(t, dir)
	unlock = lock(nil, s)
	c, err = s.Remove(named(nil, s, "k3s_1.sysext.raw"))
	check(nil, err)
	check(nil, c.Undo())
	unlock()
	check(nil, os.Rename(filepath.Join(dir, "filler"), filepath.Join(dir, storeAt, ".inlay", "filler")))
	equal(t, "undone", old, snapshot(t, dir))
	check(nil, os.Rename(filepath.Join(dir, storeAt, ".inlay", "filler"), filepath.Join(dir, "filler")))

	t.Log("and made")
	unlock = lock(nil, s)
	c, err = s.Remove(named(nil, s, "k3s_1.sysext.raw"))
	keep(nil, c, err)
	unlock()
	if images := named(nil, s, "k3s_1.sysext.raw"); images[0].Path != "" || free(t, dir) == 0 {
		t.Errorf("the image is still there: %+v, %d blocks free", images, free(t, dir))
	}
}
