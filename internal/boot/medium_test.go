package boot_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/sample"
)

// TestMedium links what a medium carries, wherever live systems have it mounted,
// and not what lies loose on it.
func TestMedium(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, at string
		initrd   bool // the pass runs there
		linked   bool
	}{
		{"dracut", "run/initramfs/live", false, true},
		{"dracut, in the initrd", "run/initramfs/live", true, true},
		{"live-boot", "run/live/medium", false, true},
		{"casper", "cdrom", false, true},
		{"casper, in an initrd whose folders go", "cdrom", true, false},
		{"elsewhere", "mnt", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "root=live:LABEL=COS_LIVE")
			n.leave(n.signed("tool"), test.at+"/extensions/tool.sysext.raw", test.at+"/extensions/tool.raw")
			n.leave(n.signed("plain"), test.at+"/extensions/plain.raw")
			n.leave(n.signed("loose"), test.at+"/loose.sysext.raw", test.at+"/extensions/deep/loose.sysext.raw", test.at+"/extensions/.hidden.sysext.raw")
			n.leave(sample.Image{Name: "unsigned"}, test.at+"/extensions/unsigned.sysext.raw")
			conf := n.signed("conf")
			conf.Kind = extension.Confext()
			n.leave(conf, test.at+"/extensions/conf.confext.raw")
			n.write(test.at+"/extensions/notes.txt", "")
			n.add(n.signed("stored"), "active", "common")
			r := n.run(func(o *boot.Options) {
				if !test.initrd {
					return
				}
				n.write("sysroot/etc/os-release", "ID=kairos\nVERSION_ID=1\n")
				target, err := os.OpenRoot(filepath.Join(n.dir, "sysroot"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { target.Close() })
				o.Target, o.InPlace = target, false
			})
			if !test.linked {
				check(t, "links", map[string]string{}, n.linked())
				return
			}
			check(t, "results", map[string]boot.Result{
				"tool": boot.LeftOut, "plain": boot.Linked, "unsigned": boot.Refused, "conf": boot.Linked,
			}, withoutTwins(r))
			check(t, "links", []string{"plain.raw", "tool.raw"}, slices.Sorted(maps.Keys(n.linked())))
			target, err := os.Readlink(filepath.Join(n.dir, "run/confexts/conf.confext.raw"))
			if want := "../../" + test.at + "/extensions/conf.confext.raw"; err != nil || target != want {
				t.Errorf("it leads to %q, want %q: %v", target, want, err)
			}
			if step := stepOf(r, "places"); step.Text != "the medium at /"+test.at {
				t.Errorf("step %+v", step)
			}
		})
	}
}

// withoutTwins are the results by name: of two images of a name, the one that lost.
func withoutTwins(r *boot.Report) map[string]boot.Result {
	all := map[string]boot.Result{}
	for _, x := range r.Extensions {
		if all[x.Name] != boot.LeftOut {
			all[x.Name] = x.Result
		}
	}
	return all
}

// TestMediumNotMounted looks at the labels of discs, and says what it cannot mount.
func TestMediumNotMounted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, cmdline, label string
		found                bool
	}{
		{"ours", "root=live:LABEL=OTHER", "UKI_ISO_INSTALL", true},
		{"the command line's", "root=live:CDLABEL=OTHER", "OTHER", true},
		{"somebody's", "root=live:LABEL=COS_LIVE", "cidata", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, test.cmdline)
			iso := make([]byte, 40<<10)
			copy(iso[32<<10:], "\x01CD001\x01\x00")
			copy(iso[32<<10+40:], test.label+strings.Repeat(" ", 32-len(test.label)))
			source := filepath.Join(t.TempDir(), "iso")
			if err := os.WriteFile(source, iso, 0o644); err != nil {
				t.Fatal(err)
			}
			sample.Disk(t, n.dir, "sr0", 11, sample.Partition{Type: sample.Linux, ID: stateID, Source: source})
			step := stepOf(n.run(), "places")
			if found := step.Bad && strings.Contains(step.Text, "medium /dev/sr01: mounting"); found != test.found {
				t.Errorf("step %+v", step)
			}
		})
	}
}
