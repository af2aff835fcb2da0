package boot_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/keys"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// node is a machine below a folder, booted as its command line says.
type node struct {
	t      *testing.T
	dir    string
	signer *keys.Pair
	boots  int
	merger boot.Merger
	tries  int
	lines  []string
}

const storeAt = "var/lib/kairos/extensions"

func newNode(t *testing.T, cmdline string) *node {
	n := &node{t: t, dir: t.TempDir(), signer: sample.Pair(t, sample.Certificate{Name: "acme"})}
	n.write("proc/cmdline", cmdline)
	n.write("etc/os-release", "ID=kairos\nVERSION_ID=1\n")
	n.reboot()
	return n
}

// reboot begins another boot: memory is empty.
func (n *node) reboot() {
	n.boots++
	n.write("proc/sys/kernel/random/boot_id", fmt.Sprintf("boot-%d\n", n.boots))
	if err := os.RemoveAll(filepath.Join(n.dir, "run")); err != nil {
		n.t.Fatal(err)
	}
	n.write("run/here", "")
}

func (n *node) write(name, text string) {
	n.t.Helper()
	at := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// add puts an image into the store and enables it for profiles. Its file is new
// each time.
func (n *node) add(im sample.Image, profiles ...string) {
	n.t.Helper()
	image, err := os.ReadFile(sample.Make(n.t, im))
	if err != nil {
		n.t.Fatal(err)
	}
	file := im.Name + ".sysext.raw"
	n.write(filepath.Join(storeAt, "new"), string(image))
	if err := os.Rename(filepath.Join(n.dir, storeAt, "new"), filepath.Join(n.dir, storeAt, file)); err != nil {
		n.t.Fatal(err)
	}
	for _, p := range profiles {
		at := filepath.Join(n.dir, storeAt, p)
		if err := os.MkdirAll(at, 0o755); err != nil {
			n.t.Fatal(err)
		}
		_ = os.Remove(filepath.Join(at, file))
		if err := os.Symlink("../"+file, filepath.Join(at, file)); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *node) signed(name string) sample.Image { return sample.Image{Name: name, Signer: n.signer} }

func (n *node) root() *os.Root {
	n.t.Helper()
	root, err := os.OpenRoot(n.dir)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { root.Close() })
	return root
}

func (n *node) run(change ...func(*boot.Options)) *boot.Report {
	n.t.Helper()
	n.lines = nil
	root := n.root()
	o := boot.Options{
		Target: root, System: root, InPlace: true, Architecture: "x86-64", Merger: n.merger, Tries: n.tries,
		Line:  func(line string) { n.lines = append(n.lines, line) },
		Trust: n.trusts,
	}
	for _, c := range change {
		c(&o)
	}
	return boot.Run(n.t.Context(), o)
}

// trusts is whom the node trusts: its signer.
func (n *node) trusts(context.Context, *bootstate.Report) (*boot.Trust, error) {
	anchors, err := trust.Load(trust.Options{Given: []trust.Given{{Origin: "test", PEM: sample.PEM(n.signer.Certificate)}}})
	return &boot.Trust{Anchors: anchors, Because: "the test says so"}, err
}

func (n *node) good() {
	n.t.Helper()
	root := n.root()
	if _, err := boot.Good(n.t.Context(), root, root, time.Now()); err != nil {
		n.t.Fatal(err)
	}
}

// linked are the links of the run folder and what they lead to.
func (n *node) linked() map[string]string {
	n.t.Helper()
	links := map[string]string{}
	entries, _ := os.ReadDir(filepath.Join(n.dir, "run/extensions"))
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(n.dir, "run/extensions", e.Name()))
		if err != nil {
			n.t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(n.dir, "run/extensions", e.Name())); err != nil {
			n.t.Errorf("the link leads nowhere: %v", err)
		}
		links[e.Name()] = strings.TrimPrefix(target, "../../"+storeAt+"/")
	}
	return links
}

func results(r *boot.Report) map[string]boot.Result {
	all := map[string]boot.Result{}
	for _, x := range r.Extensions {
		all[x.Name] = x.Result
	}
	return all
}

func check(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestProfiles links what the booted profile uses, and what all do.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, cmdline string
		want          []string
	}{
		{"active", "root=LABEL=COS_ACTIVE", []string{"a", "c"}},
		{"passive", "root=LABEL=COS_PASSIVE", []string{"c", "p"}},
		{"recovery", "root=LABEL=COS_RECOVERY", []string{"c", "r"}},
		{"auto-reset", "kairos.reset root=LABEL=COS_RECOVERY", []string{"c", "r"}},
		{"unknown", "quiet", []string{"c"}},
		{"live", "root=live:LABEL=COS_LIVE", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, test.cmdline)
			for name, profile := range map[string]string{"a": "active", "p": "passive", "r": "recovery", "c": "common"} {
				n.add(n.signed(name), profile)
			}
			n.add(n.signed("none"))
			n.run()
			var want []string
			for _, name := range test.want {
				want = append(want, name+".sysext.raw")
			}
			check(t, "links", want, slices.Sorted(maps.Keys(n.linked())))
		})
	}
}

// TestRefused has a good neighbour of everything bad.
func TestRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("good"), "active")
	n.add(sample.Image{Name: "unsigned"}, "active")
	n.add(sample.Image{Name: "stranger", Signer: sample.Pair(t, sample.Certificate{Name: "stranger"})}, "active")
	foreign := n.signed("foreign")
	foreign.Arch = "arm64"
	n.add(foreign, "active")
	n.write(storeAt+"/rubbish.sysext.raw", "rubbish")
	if err := os.Symlink("../rubbish.sysext.raw", filepath.Join(n.dir, storeAt, "active/rubbish.sysext.raw")); err != nil {
		t.Fatal(err)
	}
	r := n.run()
	check(t, "results", map[string]boot.Result{
		"good": boot.Linked, "unsigned": boot.Refused, "stranger": boot.Refused, "foreign": boot.Refused, "rubbish": boot.Refused,
	}, results(r))
	check(t, "links", map[string]string{"good.sysext.raw": "good.sysext.raw"}, n.linked())
	for _, x := range r.Extensions {
		if x.Result == boot.Refused && x.Reason == "" {
			t.Errorf("%s is refused without a reason", x.Name)
		}
	}
}

// TestTrial boots an extension that breaks the boot until it is left out, falls back
// to the one before, and takes up the next.
func TestTrial(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.tries = 2
	n.add(n.signed("tool"), "active")
	n.add(n.signed("other"), "active")
	n.run()
	n.good()
	if err := os.MkdirAll(filepath.Join(n.dir, storeAt, ".inlay/good/active"), 0o755); err != nil {
		t.Fatal(err)
	}
	// As the store does when an image is replaced.
	if err := os.Link(filepath.Join(n.dir, storeAt, "tool.sysext.raw"), filepath.Join(n.dir, storeAt, ".inlay/good/active/tool.sysext.raw")); err != nil {
		t.Fatal(err)
	}
	n.add(n.signed("tool"), "active")
	n.add(n.signed("fresh"), "active")
	all := map[string]string{"tool.sysext.raw": "tool.sysext.raw", "other.sysext.raw": "other.sysext.raw", "fresh.sysext.raw": "fresh.sysext.raw"}
	for range n.tries {
		n.reboot()
		n.run()
		check(t, "links while on trial", all, n.linked())
		n.run() // once more in the same boot
	}
	n.reboot()
	r := n.run()
	check(t, "links when the tries are spent", map[string]string{"tool.sysext.raw": ".inlay/good/active/tool.sysext.raw", "other.sysext.raw": "other.sysext.raw"}, n.linked())
	for _, x := range r.Extensions {
		if x.Name != "other" && !strings.Contains(x.Reason, "2 boots with it were not marked good") {
			t.Errorf("%s: %s: %q", x.Name, x.Result, x.Reason)
		}
	}
	n.good()
	n.reboot()
	n.run()
	check(t, "links after a good boot with what was before", map[string]string{"tool.sysext.raw": ".inlay/good/active/tool.sysext.raw", "other.sysext.raw": "other.sysext.raw"}, n.linked())
	n.add(n.signed("tool"), "active")
	n.reboot()
	n.run()
	n.good()
	n.reboot()
	n.run()
	check(t, "links with a new image", map[string]string{"tool.sysext.raw": "tool.sysext.raw", "other.sysext.raw": "other.sysext.raw"}, n.linked())
	if _, err := os.Lstat(filepath.Join(n.dir, storeAt, ".inlay/good/active/tool.sysext.raw")); err == nil {
		t.Error("what nothing falls back to is kept")
	}
}

// TestUnwritableTrials: what cannot be counted is on no trial, and what had all its
// boots before stays out.
func TestUnwritableTrials(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.tries = 1
	n.add(n.signed("breaks"), "active")
	n.run()
	n.reboot()
	check(t, "results", map[string]boot.Result{"breaks": boot.LeftOut}, results(n.run()))
	n.add(n.signed("fresh"), "active")
	n.write(storeAt+"/.inlay/aside/boot.new/in/the/way", "")
	for range 3 {
		n.reboot()
		r := n.run()
		check(t, "results", map[string]boot.Result{"breaks": boot.LeftOut, "fresh": boot.Linked}, results(r))
		if !strings.Contains(strings.Join(r.Problems, "\n"), "cannot be counted") {
			t.Errorf("nobody is told: %q", r.Problems)
		}
	}
}

// TestDamagedTrials links everything where trials cannot be counted.
func TestDamagedTrials(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.tries = 1
	n.add(n.signed("tool"), "active")
	n.write(storeAt+"/.inlay/boot.json", "rubbish")
	for range 3 {
		n.reboot()
		r := n.run()
		check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
		if len(r.Problems) == 0 {
			t.Error("nobody is told")
		}
	}
}
