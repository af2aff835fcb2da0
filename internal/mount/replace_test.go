package mount_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

// stackOf makes an overlay over the folder host, or over what a merge there covers,
// in which the file which says name.
func stackOf(t *testing.T, m *mount.Mounter, dir, host, name string) *mount.Tree {
	t.Helper()
	layer := open(t, folder(t, filepath.Join(dir, "layers", name), map[string]string{"which": name}))
	defer layer.Close()
	below := open(t, host)
	if _, err := os.Stat(host + "/which"); err == nil {
		tree := must(m.Below(host))(t)
		defer func() { ok(t, tree.Close()) }()
		below = must(tree.Open("."))(t)
	}
	defer below.Close()
	return must(m.Overlay(mount.OverlayOptions{
		Lower: []*os.File{layer, below}, Flags: mount.ReadOnly | mount.NoDev, Source: "sysext",
	}))(t)
}

// propagations are those that a hierarchy may lie in.
func propagations() map[string]uintptr {
	return map[string]uintptr{"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED}
}

// TestReplace swaps a tree two hundred times, forty for each older kernel, below a thread that keeps opening one file of it.
func TestReplace(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		for name, propagation := range propagations() {
			t.Run(name, func(t *testing.T) {
				dir := scratch(t, propagation)
				usr := folder(t, dir+"/usr", map[string]string{"lib/always": "here", "persist/": ""})
				ok(t, unix.Mount("inner", usr+"/persist", "tmpfs", 0, ""))
				folder(t, usr+"/persist", map[string]string{"data": "d"})
				before := outsideStaging(t)

				first := stackOf(t, m, dir, usr, "first")
				graft(t, m, first, usr)
				ok(t, first.AttachTo(usr))
				ok(t, first.Close())
				var missed, seen atomic.Int64
				var away time.Duration // altogether
				stop, done := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(done)
					for {
						select {
						case <-stop:
							return
						default:
						}
						began := time.Now()
						f, err := os.Open(usr + "/which")
						if err != nil {
							missed.Add(1)
							away += time.Since(began)
							continue
						}
						f.Close()
						seen.Add(1)
					}
				}()
				rounds := 200
				if !m.Features().Detached {
					rounds = 40
				}
				var took time.Duration
				for i := range rounds {
					next := stackOf(t, m, dir, usr, "s"+strconv.Itoa(i%3))
					graft(t, m, next, usr)
					began := time.Now()
					did, err := m.Replace(usr, next)
					took += time.Since(began)
					if err != nil {
						t.Fatalf("round %d: %v", i, err)
					}
					want := mount.Beneath
					if !m.Features().Beneath {
						want = mount.Gap
					}
					if did.How != want || (did.Why == nil) != (want == mount.Beneath) {
						t.Fatalf("round %d: %s, because of %v", i, did.How, did.Why)
					}
					ok(t, errors.Join(did.Old.Close(), next.Close()))
					if got := read(t, usr+"/which"); got != "s"+strconv.Itoa(i%3) {
						t.Fatalf("round %d: %q", i, got)
					}
					if got := read(t, usr+"/persist/data"); got != "d" {
						t.Fatalf("round %d: what is mounted below is %q", i, got)
					}
				}
				close(stop)
				<-done
				t.Logf("%d times seen, %d missed; %v to swap; away for %v of each", seen.Load(), missed.Load(), took/time.Duration(rounds), away/time.Duration(rounds))
				if m.Features().Beneath && missed.Load() > 0 {
					t.Errorf("the file was missed %d times", missed.Load())
				}
				// One overlay, and on it what was mounted below.
				if got, want := len(outsideStaging(t)), len(before)+2; got != want {
					t.Errorf("%d mounts, want %d", got, want)
				}
				dev := at(t, usr).Device
				ok(t, mount.Detach(usr, dev))
				if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
					t.Errorf("not as it was (-before +after):\n%s", diff)
				}
			})
		}
	})
}

// graft clones what is mounted below path into tree.
func graft(t *testing.T, m *mount.Mounter, tree *mount.Tree, path string) {
	t.Helper()
	for _, sub := range mount.Submounts(outsideStaging(t), path) {
		clone := must(m.Clone(sub.MountPoint, true))(t)
		ok(t, tree.Graft(clone, strings.TrimPrefix(sub.MountPoint, path+"/")))
		ok(t, clone.Close())
	}
}

// TestPropagation is about what other mount namespaces see of a merge, a swap and
// its end.
func TestPropagation(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_SHARED)
		usr := folder(t, dir+"/usr", map[string]string{"persist/deeper/": ""})
		ok(t, unix.Mount("inner", usr+"/persist", "tmpfs", 0, ""))
		folder(t, usr+"/persist", map[string]string{"deeper/": ""})
		ok(t, unix.Mount("inmost", usr+"/persist/deeper", "tmpfs", 0, ""))
		folder(t, usr+"/persist/deeper", map[string]string{"data": "d"})
		if p := must(mount.PropagationOf(usr))(t); p.String() != "shared" {
			t.Fatalf("%+v", p)
		}
		others := map[string]int{}
		for _, how := range []string{"shared", "slave", "private"} {
			others[how] = elsewhere(t, how)
		}
		before := outsideStaging(t)
		theirs := map[string][]mount.Info{}
		for how, pid := range others {
			theirs[how] = must(mount.MountsOf(pid))(t)
		}
		// which returns what each of them sees.
		which := func() map[string]string {
			seen := map[string]string{}
			for how, pid := range others {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s/which", pid, usr))
				data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/root%s/persist/deeper/data", pid, usr))
				seen[how] = string(text) + string(data)
				if err != nil {
					seen[how] = "none" + string(data)
				}
			}
			return seen
		}
		first := stackOf(t, m, dir, usr, "first")
		graft(t, m, first, usr)
		ok(t, first.AttachTo(usr))
		firstDev := must(first.Device())(t)
		ok(t, first.Close())
		if diff := cmp.Diff(map[string]string{"shared": "firstd", "slave": "firstd", "private": "noned"}, which()); diff != "" {
			t.Errorf("merged: %s", diff)
		}
		late := elsewhere(t, "private") // keeps what it has
		second := stackOf(t, m, dir, usr, "second")
		graft(t, m, second, usr)
		did := must(m.Replace(usr, second))(t)
		t.Log(did.How, did.Why)
		ok(t, errors.Join(did.Old.Close(), second.Close()))
		if diff := cmp.Diff(map[string]string{"shared": "secondd", "slave": "secondd", "private": "noned"}, which()); diff != "" {
			t.Errorf("swapped: %s", diff)
		}
		holders := must(mount.Holders(t.Context(), firstDev))(t)
		if len(holders) != 1 || holders[0].Processes[0].PID != late || holders[0].Mounts[0].MountPoint != usr || holders[0].Own {
			t.Errorf("the old tree is held by %+v", holders)
		}
		if len(holders) == 1 && holders[0].Processes[0].Command == "" {
			t.Errorf("no name: %+v", holders[0].Processes)
		}
		ok(t, mount.Detach(usr, at(t, usr).Device))
		if diff := cmp.Diff(map[string]string{"shared": "noned", "slave": "noned", "private": "noned"}, which()); diff != "" {
			t.Errorf("ended: %s", diff)
		}
		if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
			t.Errorf("not as it was (-before +after):\n%s", diff)
		}
		for how, pid := range others {
			if diff := cmp.Diff(theirs[how], must(mount.MountsOf(pid))(t)); diff != "" {
				t.Errorf("not as it was in the %s namespace (-before +after):\n%s", how, diff)
			}
		}
		if got := read(t, usr+"/persist/deeper/data"); got != "d" {
			t.Errorf("what was mounted below has %q", got)
		}
	})
}

// TestReplaceFails is about a tree that cannot be attached.
func TestReplaceFails(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		usr := folder(t, dir+"/usr", nil)
		link := dir + "/link"
		ok(t, os.Symlink("usr", link))
		next := stackOf(t, m, dir, usr, "next")
		defer next.Close()
		for _, path := range []string{usr, link} {
			if _, err := m.Replace(path, next); err == nil || errors.Is(err, mount.ErrNotMounted) != (path == usr) {
				t.Errorf("%s is no mount: %v", path, err)
			}
			if err := mount.Detach(path, mount.Device{}); err == nil || errors.Is(err, mount.ErrNotMounted) != (path == usr) {
				t.Errorf("%s is no mount: %v", path, err)
			}
		}
		if err := next.AttachTo(link); err == nil {
			t.Error("a link was followed")
		}
		folder(t, dir, map[string]string{"plain": ""})
		if err := next.AttachTo(dir + "/plain"); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("on a file: %v", err)
		}
		if err := next.AttachTo(fmt.Sprintf("/proc/%d/root%s", elsewhere(t, "private"), usr)); !errors.Is(err, unix.EINVAL) {
			t.Errorf("in another namespace: %v", err)
		}
		first := stackOf(t, m, dir, usr, "first")
		ok(t, first.AttachTo(usr))
		dev := must(first.Device())(t)
		ok(t, first.Close())
		before := outsideStaging(t)
		if err := mount.Detach(usr, mount.Device{Major: 0, Minor: 1}); !errors.Is(err, mount.ErrNotMounted) {
			t.Errorf("another device: %v", err)
		}
		// A file cannot take the place of a folder.
		file := must(m.Clone(usr+"/which", false))(t)
		defer file.Close()
		if _, err := m.Replace(usr, file); err == nil {
			t.Error("a folder was replaced by a file")
		} else {
			t.Log(err)
		}
		if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
			t.Errorf("not as it was (-before +after):\n%s", diff)
		}
		// The kernel refuses the new tree when the old one has gone already.
		broken := stackOf(t, m, dir, usr, "broken")
		defer broken.Close()
		mount.Break(broken, open(t, dir))
		if _, err := m.Replace(usr, broken); err == nil {
			t.Error("a tree that is none was attached")
		}
		after := outsideStaging(t)
		again := func(mounts []mount.Info) []mount.Info {
			// It is a clone that is back.
			for i := range mounts {
				if mounts[i].MountPoint == usr {
					mounts[i].ID = 0
				}
			}
			slices.SortFunc(mounts, func(a, b mount.Info) int { return a.ID - b.ID })
			return mounts
		}
		if diff := cmp.Diff(again(before), again(after)); diff != "" {
			t.Errorf("not as it was (-before +after):\n%s", diff)
		}
		if got := read(t, usr+"/which"); got != "first" {
			t.Errorf("after a failure %q is there", got)
		}
		ok(t, mount.Detach(usr, dev))
	})
}

// TestReplaceBack brings an old tree back, as is done when a later one fails.
func TestReplaceBack(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_SHARED)
		usr := folder(t, dir+"/usr", map[string]string{"persist/": ""})
		ok(t, unix.Mount("inner", usr+"/persist", "tmpfs", 0, ""))
		folder(t, usr+"/persist", map[string]string{"data": "d"})
		before := outsideStaging(t)
		first := stackOf(t, m, dir, usr, "first")
		graft(t, m, first, usr)
		ok(t, first.AttachTo(usr))
		second := stackOf(t, m, dir, usr, "second")
		did := must(m.Replace(usr, second))(t)
		back := must(m.Replace(usr, did.Old))(t)
		if got := read(t, usr+"/which") + read(t, usr+"/persist/data"); got != "firstd" {
			t.Errorf("back is %q", got)
		}
		dev := must(first.Device())(t)
		ok(t, errors.Join(back.Old.Close(), did.Old.Close(), first.Close(), second.Close()))
		ok(t, mount.Detach(usr, dev))
		if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
			t.Errorf("not as it was (-before +after):\n%s", diff)
		}
	})
}

// TestBelow is about what a merge was made of, seen while it is there.
func TestBelow(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		for name, propagation := range propagations() {
			t.Run(name, func(t *testing.T) {
				dir := scratch(t, propagation)
				plain := folder(t, dir+"/plain", map[string]string{"host": "plain", "sub/": ""})
				mounted := folder(t, dir+"/mounted", map[string]string{"covered": ""})
				ok(t, unix.Mount("partition", mounted, "tmpfs", 0, ""))
				folder(t, mounted, map[string]string{"host": "mounted", "sub/": ""})
				for _, usr := range []string{plain, mounted} {
					ok(t, unix.Mount("inner", usr+"/sub", "tmpfs", 0, ""))
					folder(t, usr+"/sub", map[string]string{"not-cloned": ""})
					before := outsideStaging(t)
					if _, err := m.Below(usr + "/host"); !errors.Is(err, mount.ErrNotMounted) {
						t.Errorf("below a file: %v", err)
					}
					tree := stackOf(t, m, dir, usr, "on")
					graft(t, m, tree, usr)
					ok(t, tree.AttachTo(usr))
					ok(t, tree.Close())
					merged := outsideStaging(t)
					host := must(m.Below(usr))(t)
					layer := must(host.Open("."))(t)
					if got := read(t, host.Path()+"/host"); got != filepath.Base(usr) {
						t.Errorf("below is %q", got)
					}
					for _, name := range []string{"/which", "/sub/not-cloned"} {
						if _, err := os.Stat(host.Path() + name); err == nil {
							t.Errorf("%s is below, too", name)
						}
					}
					if depth := must(m.Depth(layer))(t); depth != 0 {
						t.Errorf("depth %d", depth)
					}
					ok(t, errors.Join(layer.Close(), host.Close()))
					if diff := cmp.Diff(merged, outsideStaging(t)); diff != "" {
						t.Errorf("looking changed it:\n%s", diff)
					}
					ok(t, mount.Detach(usr, at(t, usr).Device))
					if diff := cmp.Diff(before, outsideStaging(t)); diff != "" {
						t.Errorf("not as it was (-before +after):\n%s", diff)
					}
				}
			})
		}
	})
}
