package mount_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/mount"
	"inlay/test/need"
)

func TestParseInfo(t *testing.T) {
	tests := []struct {
		name, text string
		want       []mount.Info
		wrong      string
	}{
		{"nothing", "", nil, ""},
		{
			"root", "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n",
			[]mount.Info{{
				ID: 27, Parent: 1, Device: mount.Device{Major: 254}, Root: "/", MountPoint: "/", Options: "rw,relatime",
				Super: "rw,discard", Type: "ext4", Source: "/dev/vda", Propagation: mount.Propagation{Shared: 1},
			}},
			"",
		},
		{
			"every propagation", "2 1 0:5 / /a rw shared:7 master:3 propagate_from:2 new_one:x - tmpfs tmpfs rw\n3 1 0:5 / /b rw unbindable - tmpfs t rw",
			[]mount.Info{
				{
					ID: 2, Parent: 1, Device: mount.Device{Minor: 5}, Root: "/", MountPoint: "/a", Options: "rw", Super: "rw", Type: "tmpfs",
					Source: "tmpfs", Propagation: mount.Propagation{Shared: 7, Master: 3, From: 2},
				},
				{
					ID: 3, Parent: 1, Device: mount.Device{Minor: 5}, Root: "/", MountPoint: "/b", Options: "rw", Super: "rw", Type: "tmpfs",
					Source: "t", Propagation: mount.Propagation{Unbindable: true},
				},
			},
			"",
		},
		{
			"escapes, and a source that is none", `5 1 0:9 /x\134y /with\040space\012line ro - fuse.a\043b  rw,lowerdir=a\040b` + "\n",
			[]mount.Info{{
				ID: 5, Parent: 1, Device: mount.Device{Minor: 9}, Root: `/x\y`, MountPoint: "/with space\nline", Options: "ro",
				Super: "rw,lowerdir=a b", Type: "fuse.a#b",
			}},
			"",
		},
		{"mount point that is a dash", "5 1 0:9 / - ro - a b c", []mount.Info{{
			ID: 5, Parent: 1, Device: mount.Device{Minor: 9}, Root: "/", MountPoint: "-", Options: "ro", Type: "a", Source: "b", Super: "c",
		}}, ""},
		{"short", "27 1 254:0 / /\n", nil, "line 1"},
		{"no dash", "27 1 254:0 / / rw shared:1 ext4 /dev/vda rw\n", nil, "line 1"},
		{"too long", "27 1 254:0 / / rw - ext4 /dev/vda rw more\n", nil, "line 1"},
		{"empty line", "\n", nil, "line 1"},
		{"no number", "x 1 254:0 / / rw - ext4 /dev/vda rw\n", nil, `"x"`},
		{"no device", "27 1 254 / / rw - ext4 /dev/vda rw\n", nil, `"254"`},
		{"large device", "27 1 0:4294967296 / / rw - ext4 /dev/vda rw\n", nil, "range"},
		{"no group", "27 1 0:1 / / rw shared:x - ext4 /dev/vda rw\n", nil, "shared:x"},
		{"half an escape", `27 1 0:1 / /\04 rw - ext4 /dev/vda rw`, nil, "half"},
		{"no escape", `27 1 0:1 / /\09x rw - ext4 /dev/vda rw`, nil, "09x"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := mount.ParseInfo(strings.NewReader(test.text))
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("error %v, want one that names %s", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// endless is a list of mounts without an end.
type endless struct{ line string }

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(e.line) && len(e.line) > 0 {
		n += copy(p[n:], e.line)
	}
	return n, nil
}

func TestParseInfoBound(t *testing.T) {
	t.Parallel()
	// One line without an end is what costs least to read.
	if _, err := mount.ParseInfo(endless{"x"}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("an endless list: %v", err)
	}
}

func TestPropagationString(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]mount.Propagation{
		"private": {}, "shared": {Shared: 1}, "slave": {Master: 1}, "shared,slave": {Shared: 1, Master: 2}, "unbindable": {Unbindable: true},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

// list makes mounts from lines of "id parent mountpoint".
func list(t *testing.T, lines ...string) []mount.Info {
	t.Helper()
	var mounts []mount.Info
	for _, line := range lines {
		var info mount.Info
		if _, err := fmt.Sscan(line, &info.ID, &info.Parent, &info.MountPoint); err != nil {
			t.Fatal(err)
		}
		mounts = append(mounts, info)
	}
	return mounts
}

func TestSubmounts(t *testing.T) {
	tests := []struct {
		name   string
		mounts []string
		path   string
		on     int // 0 for none
		want   []int
	}{
		{"none", []string{"1 0 /"}, "/usr", 1, nil},
		{"one, and what is beside", []string{"1 0 /", "2 1 /usr/local", "3 1 /usrlocal", "4 1 /opt"}, "/usr", 1, []int{2}},
		{"outermost only", []string{"1 0 /", "2 1 /usr/local", "3 2 /usr/local/bin", "4 3 /usr/local/bin/x"}, "/usr", 1, []int{2}},
		{"below a mount", []string{"1 0 /", "2 1 /usr", "3 2 /usr/b", "4 2 /usr/a"}, "/usr", 2, []int{4, 3}},
		{"covered by a merge", []string{"1 0 /", "2 1 /usr/local", "3 1 /usr", "4 3 /usr/local"}, "/usr", 3, []int{4}},
		{"merge over a mount", []string{"1 0 /", "2 1 /usr", "3 2 /usr/local", "4 2 /usr", "5 4 /usr/share"}, "/usr", 4, []int{5}},
		{"stack", []string{"1 0 /", "2 1 /usr/local", "3 2 /usr/local", "4 3 /usr/local/x"}, "/usr", 1, []int{3}},
		{"covered further down", []string{"1 0 /", "2 1 /usr/a/b", "3 1 /usr/a"}, "/usr", 1, []int{3}},
		{"two roots, one on the other", []string{"1 0 /", "2 1 /", "3 1 /usr/hidden", "4 2 /usr/seen"}, "/usr", 2, []int{4}},
		{"root", []string{"1 0 /", "2 1 /usr", "3 2 /usr/local", "4 1 /proc"}, "/", 1, []int{4, 2}},
		{"chroot that is no mount", []string{"5 3 /proc", "6 3 /usr/local"}, "/usr", 0, []int{6}},
		{"a circle", []string{"1 2 /usr", "2 1 /usr"}, "/usr", 0, nil},
		{"its own parent", []string{"1 1 /", "2 1 /usr"}, "/usr/x", 2, nil},
		{"of nobody", nil, "/usr", 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mounts := list(t, test.mounts...)
			on, found := mount.Covering(mounts, test.path)
			if on.ID != test.on || found != (test.on != 0) {
				t.Errorf("on mount %d, want %d", on.ID, test.on)
			}
			var got []int
			for _, info := range mount.Submounts(mounts, test.path) {
				got = append(got, info.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMounts has findmnt as its witness.
func TestMounts(t *testing.T) {
	findmnt := need.Tool(t, "findmnt", "util-linux")
	out, err := exec.CommandContext(t.Context(), findmnt, "--list", "--json", "--output", "ID,PARENT,TARGET,FSTYPE,MAJ:MIN,PROPAGATION,VFS-OPTIONS,FS-OPTIONS").Output()
	ok(t, err)
	var witness struct {
		FileSystems []struct {
			ID, Parent  int
			Target      string
			FSType      string
			Device      string `json:"maj:min"`
			Propagation string
			Options     string `json:"vfs-options"`
			Super       string `json:"fs-options"`
		}
	}
	ok(t, json.Unmarshal(out, &witness))
	mounts := map[int]mount.Info{}
	for _, info := range must(mount.Mounts())(t) {
		mounts[info.ID] = info
	}
	matched := 0
	for _, want := range witness.FileSystems {
		if strings.HasPrefix(want.Target, "/tmp/") {
			continue // other tests come and go
		}
		got := mounts[want.ID]
		if got.MountPoint != want.Target || got.Parent != want.Parent || got.Type != want.FSType || got.Device.String() != want.Device ||
			got.Propagation.String() != want.Propagation || got.Options != want.Options || got.Super != want.Super {
			t.Errorf("findmnt has %+v, we have %+v", want, got)
		}
		matched++
	}
	if matched == 0 {
		t.Error("nothing was compared")
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add("27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n", "/usr")
	f.Add("1 0 0:1 / / rw - a b c\n2 1 0:1 / /usr rw - a b c\n3 2 0:1 / /usr/\\040x rw master:2 - a  c\n", "/usr")
	f.Add("1 2 0:1 / /usr rw - a b c\n2 1 0:1 / /usr rw - a b c\n", "/usr")
	f.Fuzz(func(t *testing.T, text, path string) {
		mounts, err := mount.ParseInfo(strings.NewReader(text))
		if err != nil {
			return
		}
		below := mount.Submounts(mounts, path)
		for _, info := range below {
			if !strings.HasPrefix(info.MountPoint, path) {
				t.Errorf("%q is below %q", info.MountPoint, path)
			}
		}
	})
}
