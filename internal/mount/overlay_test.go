package mount_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

func TestDetect(t *testing.T) {
	if !alone(t) {
		return
	}
	before := snapshot(t)
	f := mount.Detect()
	t.Logf("%+v", f)
	if diff := cmp.Diff(before, snapshot(t)); diff != "" {
		t.Error(diff)
	}
	// Each needs all that came before.
	order := []bool{f.Trees, f.Setattr, f.Beneath, f.LowerPlus, f.LowerFile, f.Detached}
	for i := range order[1:] {
		if order[i+1] && !order[i] {
			t.Errorf("feature %d without %d: %+v", i+1, i, f)
		}
	}
}

func TestOverlay(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		top := folder(t, dir+"/top", map[string]string{"both": "top", "only-top": "1", "sub/x": "x"})
		low := folder(t, dir+"/low", map[string]string{"both": "low", "only-low": "2", "sub/y": "y"})
		merged := folder(t, dir+"/merged", nil)
		tree := must(m.Overlay(mount.OverlayOptions{
			Lower: openAll(t, top, low), Source: "sysext", Flags: mount.ReadOnly | mount.NoDev | mount.NoSuid | mount.NoExec,
		}))(t)
		defer tree.Close()
		if got := read(t, tree.Path()+"/both"); got != "top" {
			t.Errorf("before it is attached: %q", got)
		}
		ok(t, tree.AttachTo(merged))
		for name, want := range map[string]string{"both": "top", "only-top": "1", "only-low": "2", "sub/x": "x", "sub/y": "y"} {
			if got := read(t, merged+"/"+name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if err := os.WriteFile(merged+"/new", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("writing: %v", err)
		}
		info := at(t, merged)
		dev := must(tree.Device())(t)
		want := mount.Info{MountPoint: merged, Root: "/", Type: "overlay", Source: "sysext", Device: dev, Options: "ro,nosuid,nodev,noexec,relatime"}
		got := info
		got.ID, got.Parent, got.Super = 0, 0, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(info.Super, "ro,") {
			t.Errorf("options of the file system: %q", info.Super)
		}
		if err := tree.AttachTo(merged); err == nil {
			t.Error("a tree can be attached twice")
		}
	})
}

// TestOverlayMutable is an overlay that can be written to, with systemd's options.
func TestOverlayMutable(t *testing.T) {
	if !alone(t) {
		return
	}
	options := []string{"redirect_dir=on", "metacopy=off", "index=off"}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		low := folder(t, dir+"/low", map[string]string{"old/file": "low"})
		mutable := folder(t, dir+"/deep/er/extensions.mutable", map[string]string{"usr/": "", ".systemd-usr-workdir/": ""})
		merged := folder(t, dir+"/merged", nil)
		write := func(t *testing.T, o mount.OverlayOptions) {
			t.Helper()
			tree := must(m.Overlay(o))(t)
			defer tree.Close()
			ok(t, tree.AttachTo(merged))
			defer func() { ok(t, mount.Detach(merged, must(tree.Device())(t))) }()
			ok(t, os.Rename(merged+"/old", merged+"/renamed"))
			ok(t, os.WriteFile(merged+"/new", []byte("n"), 0o644))
			info := at(t, merged)
			if !strings.Contains(info.Super, "redirect_dir=on") || !strings.Contains(info.Options, "noatime") || strings.HasPrefix(info.Options, "ro") {
				t.Errorf("options %q, of the file system %q", info.Options, info.Super)
			}
		}
		o := mount.OverlayOptions{Lower: openAll(t, low), Flags: mount.NoDev | mount.NoAtime, Options: options}
		o.Upper, o.Work = open(t, mutable+"/usr"), open(t, mutable+"/.systemd-usr-workdir")
		write(t, o)
		if got := read(t, mutable+"/usr/new"); got != "n" {
			t.Errorf("the writable layer has %q", got)
		}
		if got := read(t, low+"/old/file"); got != "low" {
			t.Errorf("the layer below has %q", got)
		}

		// On a file system in memory that nobody sees.
		tmpfs := must(m.Tmpfs(mount.TmpfsOptions{Mode: 0o700, Source: "ephemeral"}))(t)
		defer tmpfs.Close()
		root := must(tmpfs.Root())(t)
		defer root.Close()
		ok(t, root.Mkdir("upper", 0o755))
		ok(t, root.Mkdir("work", 0o755))
		o.Upper, o.Work = must(tmpfs.Open("upper"))(t), must(tmpfs.Open("work"))(t)
		defer o.Upper.Close()
		defer o.Work.Close()
		write(t, o)
		if got := read(t, tmpfs.Path()+"/upper/new"); got != "n" {
			t.Errorf("the file system in memory has %q", got)
		}
	})
}

func TestOverlayManyLayers(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		merged := folder(t, dir+"/merged", nil)
		// A name as long as a name can be, with all that means something to mount(2).
		long := strings.Repeat(`n,:\ `, 50)
		var layers []string
		for i := range mount.MaxLayers + 1 {
			name := fmt.Sprintf("%03d%s", i, long)
			layers = append(layers, folder(t, filepath.Join(dir, name, name), map[string]string{fmt.Sprintf("file%d", i): "", "who": fmt.Sprint(i)}))
		}
		files := openAll(t, layers...)
		for _, count := range []int{1, 2, 300, mount.MaxLayers} {
			t.Run(fmt.Sprint(count), func(t *testing.T) {
				tree := must(m.Overlay(mount.OverlayOptions{Lower: files[:count], Flags: mount.ReadOnly}))(t)
				defer tree.Close()
				ok(t, tree.AttachTo(merged))
				defer func() { ok(t, mount.Detach(merged, must(tree.Device())(t))) }()
				if got := read(t, merged+"/who"); got != "0" {
					t.Errorf("layer %s is on top", got)
				}
				entries := must(os.ReadDir(merged))(t)
				if len(entries) != count+1 {
					t.Errorf("%d files of %d layers", len(entries), count)
				}
			})
		}
		_, err := m.Overlay(mount.OverlayOptions{Lower: files, Flags: mount.ReadOnly})
		limit, is := errors.AsType[*mount.LimitError](err)
		if !is {
			t.Fatalf("501 layers: %v", err)
		}
		if diff := cmp.Diff(&mount.LimitError{Limit: mount.Layers, Have: 501, Max: 500}, limit); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOverlayFails is about what a refused overlay leaves behind, which each()
// looks for, and what it says.
func TestOverlayFails(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		a, b := folder(t, dir+"/a", map[string]string{"in/": ""}), folder(t, dir+"/b", nil)
		mutable := folder(t, dir+"/mutable", map[string]string{"upper/": "", "work/": ""})
		other := scratch(t, unix.MS_PRIVATE)
		lower := openAll(t, a, b)
		tests := []struct {
			name string
			o    mount.OverlayOptions
			says string
			is   error
		}{
			{"option that is none", mount.OverlayOptions{Lower: lower, Options: []string{"sugar=yes"}}, "", unix.EINVAL},
			{"option with a comma", mount.OverlayOptions{Lower: lower, Options: []string{"xino=off,suid"}}, "comma", nil},
			{"one inside of another", mount.OverlayOptions{Lower: openAll(t, a, a+"/in")}, "overlap", mount.ErrOverlap},
			{"the same twice", mount.OverlayOptions{Lower: openAll(t, a, a)}, "overlap", mount.ErrOverlap},
			{"no work folder", mount.OverlayOptions{Lower: lower, Upper: open(t, mutable+"/upper")}, "go together", nil},
			{"work folder elsewhere", mount.OverlayOptions{Lower: lower, Upper: open(t, mutable+"/upper"), Work: open(t, other)}, "another mount", unix.EXDEV},
			{"long option", mount.OverlayOptions{Lower: lower, Options: []string{"redirect_dir=" + strings.Repeat("x", 5000)}}, "", nil},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				mounts := outsideStaging(t)
				tree, err := m.Overlay(test.o)
				if err == nil {
					tree.Close()
					t.Fatal("it was made")
				}
				if !strings.Contains(err.Error(), test.says) || (test.is != nil && !errors.Is(err, test.is)) {
					t.Errorf("it says %v", err)
				}
				t.Log(err)
				if diff := cmp.Diff(mounts, outsideStaging(t)); diff != "" {
					t.Errorf("mounts left behind:\n%s", diff)
				}
				// Of the staging place no more than the place itself may be left.
				if staged := len(snapshot(t)) - len(outsideStaging(t)); staged > 1 {
					t.Errorf("%d mounts are left in the staging place", staged)
				}
			})
		}
		if limit, is := errors.AsType[*mount.LimitError](func() error {
			_, err := m.Overlay(tests[len(tests)-1].o)
			return err
		}()); !is || (limit.Limit != mount.StringLength && limit.Limit != mount.OptionPage) {
			t.Errorf("a long option: %v", limit)
		}
	})
}

// TestDepth is about overlays on overlays, and about a folder that lies inside of
// the hierarchy that it extends.
func TestDepth(t *testing.T) {
	if !alone(t) {
		return
	}
	each(t, func(t *testing.T, m *mount.Mounter) {
		dir := scratch(t, unix.MS_PRIVATE)
		usr := folder(t, dir+"/usr", map[string]string{"host": "h", "lib/extensions/x/usr/bin/x": "x"})
		inner := open(t, usr+"/lib/extensions/x/usr")
		host := open(t, usr)
		inside := must(mount.Overlap([]*os.File{inner, host}))(t)
		if diff := cmp.Diff([]int{0}, inside); diff != "" {
			t.Error(diff)
		}
		if none := must(mount.Overlap(openAll(t, dir+"/usr/lib/extensions", usr+"/lib/extensions/x/usr/bin")[:1]))(t); len(none) > 0 {
			t.Errorf("one folder overlaps with itself: %v", none)
		}
		if _, err := m.Overlay(mount.OverlayOptions{Lower: []*os.File{inner, host}}); !errors.Is(err, mount.ErrOverlap) {
			t.Fatalf("overlapping layers: %v", err)
		}
		apart := must(m.Isolate(inner))(t)
		defer apart.Close()
		layer := must(apart.Open("."))(t)
		defer layer.Close()
		one := must(m.Overlay(mount.OverlayOptions{Lower: []*os.File{layer, host}, Flags: mount.ReadOnly}))(t)
		defer one.Close()
		if got := read(t, one.Path()+"/bin/x") + read(t, one.Path()+"/host") + read(t, one.Path()+"/lib/extensions/x/usr/bin/x"); got != "xhx" {
			t.Errorf("merged: %q", got)
		}
		top := must(one.Open("."))(t)
		defer top.Close()
		for _, test := range []struct {
			dir  *os.File
			want int
		}{{host, 0}, {layer, 1}, {top, 2}} {
			if got := must(m.Depth(test.dir))(t); got != test.want {
				t.Errorf("depth %d, want %d", got, test.want)
			}
		}
		_, err := m.Overlay(mount.OverlayOptions{Lower: []*os.File{top, host}})
		limit, is := errors.AsType[*mount.LimitError](err)
		if !is || limit.Limit != mount.Depth || limit.Have != 3 || limit.Max != 2 {
			t.Errorf("a third level: %v", err)
		}
		t.Log(err)
	})
}
