package layer_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/osrelease"
	"inlay/internal/trust"
	"inlay/test/need"
	"inlay/test/sample"
)

// image puts a disk image of our builder where it is found.
func (h *host) image(name string, im sample.Image) {
	h.t.Helper()
	im.Name, im.Kind = name, h.kind
	if im.Release == nil {
		im.Release = []osrelease.Field{{Key: "ID", Value: "_any"}}
	}
	h.place(sample.Make(h.t, im), name)
}

// place puts an image file where it is found.
func (h *host) place(file, name string) {
	h.t.Helper()
	data, err := os.ReadFile(file)
	h.check(err)
	h.write("var/lib/extensions/"+name+".raw", string(data))
}

// naked makes a file system of an extension's tree.
func (h *host) naked(name, kind string, files map[string]string) {
	h.t.Helper()
	tree, file := h.t.TempDir(), filepath.Join(h.t.TempDir(), name+".raw")
	inside := &host{t: h.t, dir: tree, kind: h.kind}
	inside.folder("", name, files)
	var tool []string
	switch kind {
	case "erofs":
		tool = []string{need.Tool(h.t, "mkfs.erofs", "erofs-utils"), file, tree}
	case "squashfs":
		tool = []string{need.Tool(h.t, "mksquashfs", "squashfs-tools"), tree, file, "-quiet", "-no-progress"}
	case "ext4":
		tool = []string{need.Tool(h.t, "mkfs.ext4", "e2fsprogs"), "-q", "-d", tree, file, "8M"}
	case "btrfs":
		tool = []string{need.Tool(h.t, "mkfs.btrfs", "btrfs-progs"), "-q", "--rootdir", tree, file}
		h.check(os.WriteFile(file, nil, 0o644))
		h.check(os.Truncate(file, 128<<20))
	}
	if out, err := exec.CommandContext(h.t.Context(), tool[0], tool[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %v\n%s", tool, err, out)
	}
	h.place(file, name)
}

// loops returns the loop devices of a host's images.
func (h *host) loops() []string {
	h.t.Helper()
	var stat unix.Stat_t
	h.check(unix.Stat(h.dir, &stat))
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	h.check(err)
	var all []string
	for _, file := range files {
		name := strings.Split(file, "/")[3]
		f, err := os.Open("/dev/" + name)
		if err != nil {
			continue // gone meanwhile, as others are
		}
		info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
		f.Close()
		if err == nil && info.Device == stat.Dev {
			all = append(all, name)
		}
	}
	return all
}

// noLoops waits until no loop device of the host's is left: the kernel lets go of
// file systems a moment after they were unmounted.
func (h *host) noLoops() {
	h.t.Helper()
	for range 100 {
		if len(h.loops()) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.t.Errorf("loop devices are left: %v", h.loops())
}

// TestNativeImages merges every form of image.
func TestNativeImages(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	want := map[string]string{}
	names := []string{"disk", "disk-squashfs"}
	h.image("disk", sample.Image{Files: map[string]string{"usr/bin/disk": "disk"}})
	h.image("disk-squashfs", sample.Image{FileSystem: "squashfs", Files: map[string]string{"usr/bin/disk-squashfs": "disk-squashfs"}})
	for _, kind := range []string{"erofs", "squashfs", "ext4", "btrfs"} {
		need.FileSystem(t, kind)
		h.naked(kind, kind, map[string]string{"usr/bin/" + kind: kind})
		names = append(names, kind)
	}
	h.extension("folder", map[string]string{"usr/bin/folder": "folder"})
	names = append(names, "folder")
	slices.Sort(names)
	for _, name := range names {
		want["usr/bin/"+name] = name
	}
	r := h.merge()
	if got := strings.Join(r.Merged[0].Extensions, " "); got != strings.Join(names, " ") {
		t.Errorf("merged %q, want %q", got, names)
	}
	for file, text := range want {
		if got := h.read(file); got != text {
			t.Errorf("%s is %q: %+v", file, got, h.item(text))
		}
	}
	if loops := h.loops(); len(loops) != 4 {
		t.Errorf("loop devices: %v", loops)
	}
	if e := h.item("erofs"); e.Guarantee != layer.Unprotected || e.State != layer.Merge {
		t.Errorf("the report has %+v", e)
	}
	if again := h.refresh(); !again.Unchanged {
		t.Error("a refresh without a change did something")
	}
	r, err := h.do("refresh", layer.RunOptions{Always: true})
	if err != nil || r.Unchanged || h.read("usr/bin/ext4") != "ext4" {
		t.Errorf("%+v, %v", r, err)
	}
	h.unmerge()
	h.noLoops()
}

// TestNativeSigned merges a signed image by a copy of it: this machine has no
// device-mapper. What becomes of the file afterwards is not seen.
func TestNativeSigned(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	pair := sample.Pair(t, sample.Certificate{})
	anchors, err := trust.Load(trust.Options{Given: []trust.Given{{Origin: "test", PEM: sample.PEM(pair.Certificate)}}})
	h.check(err)
	h.more = func(r *layer.Request) { r.Policy, r.Anchors, r.User = trust.Policy{}, anchors, os.Getuid() }
	text := strings.Repeat("what was signed\n", 100_000)
	h.image("signed", sample.Image{Signer: pair, Files: map[string]string{"usr/share/text": text}})
	h.image("unsigned", sample.Image{Files: map[string]string{"usr/share/unsigned": "x"}})
	h.extension("folder", map[string]string{"usr/share/folder": "x"})
	h.merge()
	if h.read("usr/share/text") != text {
		t.Errorf("the file is not what was signed: %+v", h.item("signed"))
	}
	e := h.item("signed")
	if e.Guarantee != layer.ByCheckedCopy || e.Protection != "signed" || len(e.RootHash) != 64 || e.Signer == "" {
		t.Errorf("the report has %+v", e)
	}
	for _, name := range []string{"unsigned", "folder"} {
		if e := h.item(name); e.State != layer.Refused || e.Reason == "" || e.Guarantee != "" {
			t.Errorf("the report has %+v", e)
		}
	}
	file := h.path("var/lib/extensions/signed.raw")
	data, err := os.ReadFile(file)
	h.check(err)
	h.check(os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "signed", "forged")), 0o644))
	h.check(os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0o600))
	if h.read("usr/share/text") != text {
		t.Error("a change of the file is seen in what was merged")
	}
	// What is merged stays; a refresh refuses it.
	r := h.refresh()
	if len(r.Merged) != 0 || len(r.Unmerged) != 1 || h.item("signed").State != layer.Refused {
		t.Errorf("%+v, %+v", r, h.item("signed"))
	}
}

// TestNativeOneBad: one image among twenty that is broken, in each way, is named,
// and nineteen are merged.
func TestNativeOneBad(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	for n := range 19 {
		name := fmt.Sprintf("good%02d", n)
		files := map[string]string{"usr/share/" + name: name}
		if n%5 == 0 {
			h.naked(name, "erofs", files)
		} else {
			h.extension(name, files)
		}
	}
	good := sample.Make(t, sample.Image{Name: "bad"})
	data, err := os.ReadFile(good)
	h.check(err)
	for _, c := range []struct {
		name, text string
	}{
		{"empty", ""},
		{"rubbish", strings.Repeat("rubbish", 5000)},
		{"cut short", string(data[:len(data)/2])},
		{"a changed byte", string(data[:1<<20]) + "X" + string(data[1<<20+1:])},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := *h
			h.t = t
			h.write("var/lib/extensions/bad.raw", c.text)
			r := h.refresh()
			if len(r.Merged) != 1 || len(r.Merged[0].Extensions) != 19 {
				t.Errorf("merged %+v", r.Merged)
			}
			if e := h.item("bad"); e.State == layer.Merge || e.Reason == "" {
				t.Errorf("the report has %+v", e)
			}
			for n := range 19 {
				if name := fmt.Sprintf("good%02d", n); h.read("usr/share/"+name) != name {
					t.Errorf("%s is not merged", name)
				}
			}
		})
	}
}

// TestNativeUnmountable: an image that only the kernel finds something wrong with
// is left out, with the kernel's reason.
func TestNativeUnmountable(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("good", map[string]string{"usr/share/good": "good"})
	h.naked("bad", "btrfs", map[string]string{"usr/share/bad": "bad"})
	file := h.path("var/lib/extensions/bad.raw")
	data, err := os.ReadFile(file)
	h.check(err)
	// The checksum of the superblock, which is 64 KiB into it.
	data[64<<10] ^= 1
	h.check(os.WriteFile(file, data, 0o644))
	r := h.merge()
	if e := h.item("bad"); e.State != layer.Unreadable || e.Reason == "" || len(r.Merged) != 1 || strings.Join(r.Merged[0].Extensions, "") != "good" {
		t.Errorf("merged %+v, the report has %+v", r.Merged, e)
	}
	h.noLoops()
}

// TestNativeConfext: nothing of a confext can be executed, unless that is asked for.
func TestNativeConfext(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.kind = extension.Confext()
	h.folder("var/lib/confexts/one", "one", map[string]string{"etc/one.conf": "one"})
	h.merge()
	if etc := h.at("etc"); etc.Options != "ro,nosuid,nodev,noexec,relatime" || etc.Source != "confext" || h.read("etc/one.conf") != "one" {
		t.Errorf("/etc is mounted as %+v", etc)
	}
	if got := h.read("etc/.systemd-confext/confexts"); got != "one\n" {
		t.Errorf("the marker has %q", got)
	}
	may, mustNot := false, true
	h.more = func(r *layer.Request) { r.NoExec = &may }
	if h.refresh(); h.at("etc").Options != "ro,nosuid,nodev,relatime" {
		t.Errorf("/etc is mounted as %+v", h.at("etc"))
	}
	h.unmerge()
	h.kind = extension.Sysext()
	h.extension("two", map[string]string{"usr/bin/two": "two"})
	h.more = func(r *layer.Request) { r.NoExec = &mustNot }
	if h.merge(); h.at("usr").Options != "ro,nodev,noexec,relatime" {
		t.Errorf("/usr is mounted as %+v", h.at("usr"))
	}
}
