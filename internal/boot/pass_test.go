package boot_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/test/sample"
)

type (
	contextT  = context.Context
	trustFunc = func(context.Context, *bootstate.Report) (*boot.Trust, error)
)

// merges merges nothing, and says that it did.
type merges struct{ err error }

func (m merges) Merge(context.Context, extension.Kind) (string, error) { return "native", m.err }

// TestSwitches reads the kernel's command line as systemd does.
func TestSwitches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cmdline string
		initrd  bool
		off     string
		linked  bool
	}{
		{"", false, "", true},
		{"inlay.boot=0", false, "inlay.boot=0", false},
		{"inlay.boot=no quiet", false, "inlay.boot=no", false},
		{"inlay.boot=0 inlay.boot=1", false, "", true},
		{`foo="a inlay.boot=0 b"`, false, "", true},
		{`inlay.boot="0"`, false, "inlay.boot=0", false},
		{"inlay.boot=", false, "", true},
		{"inlay.boot", false, "", true},
		{"inlay.bootx=0 xinlay.boot=0", false, "", true},
		{"rd.inlay.boot=0", false, "", true},
		{"rd.inlay.boot=0", true, "rd.inlay.boot=0", false},
		{"systemd.sysext=0", false, "", false},
		{"systemd.sysext=off", false, "", false},
		{"systemd.sysext=1", false, "", true},
		{"systemd.confext=0", false, "", true},
		{"rd.systemd.sysext=0", false, "", true},
		{"rd.systemd.sysext=0", true, "", false},
	} {
		t.Run(test.cmdline, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_ACTIVE "+test.cmdline)
			n.add(n.signed("tool"), "active")
			r := n.run(func(o *boot.Options) { o.InPlace = !test.initrd })
			if r.Off != test.off || (len(n.linked()) > 0) != test.linked {
				t.Errorf("off %q, links %v", r.Off, n.linked())
			}
		})
	}
}

// TestHang leaves out an image on a disk that answers no more; its neighbours go on.
func TestHang(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("bad"), "active")
	n.add(n.signed("good"), "active")
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	r := n.run(func(o *boot.Options) {
		o.PerImage = 2 * time.Second
		o.Opening(func(fileName string, _ func()) {
			if strings.HasPrefix(fileName, "bad") {
				<-stop
			}
		})
	})
	check(t, "results", map[string]boot.Result{"bad": boot.LeftOut, "good": boot.Linked}, results(r))
	for _, x := range r.Extensions {
		if x.Name == "bad" && !strings.Contains(x.Reason, "took too long") {
			t.Errorf("%q", x.Reason)
		}
	}
}

// TestSlow links an image whose check came on and took too long, if it is signed; in
// the strict mode it doesn't.
func TestSlow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		strict bool
		want   boot.Result
		depth  string
	}{{"as usual", false, boot.Linked, "top"}, {"strict", true, boot.LeftOut, ""}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_ACTIVE")
			n.add(n.signed("large"), "active")
			n.add(sample.Image{Name: "unsigned"}, "active")
			var before sync.Map // those that were opened once
			r := n.run(func(o *boot.Options) {
				o.PerImage, o.Strict = 2*time.Second, test.strict
				o.Opening(func(fileName string, on func()) {
					_, again := before.LoadOrStore(fileName, true)
					for begun := time.Now(); !again && time.Since(begun) < 3*time.Second; on() {
						time.Sleep(10 * time.Millisecond)
					}
				})
			})
			for _, x := range r.Extensions {
				if x.Name == "unsigned" && x.Result == boot.Linked {
					t.Error("an image is linked that nobody signed")
				}
				if x.Name == "large" && (x.Result != test.want || x.Depth != test.depth || x.Reason == "") {
					t.Errorf("%s, depth %q: %s", x.Result, x.Depth, x.Reason)
				}
			}
		})
	}
}

// TestStepHangs gives out a report though a step never ends, and hands over nothing.
func TestStepHangs(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("tool"), "active")
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	begun := time.Now()
	r := n.run(func(o *boot.Options) {
		o.Total = time.Second
		o.Trust = func(context.Context, *bootstate.Report) (*boot.Trust, error) { <-stop; return nil, errors.New("late") }
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	last := r.Steps[len(r.Steps)-1]
	if last.Step != "trust" || !last.Bad || !strings.Contains(last.Text, "hangs") {
		t.Errorf("%+v", last)
	}
	check(t, "links", map[string]string{}, n.linked())
	var kept boot.Report
	readJSON(t, filepath.Join(n.dir, boot.ReportFile), &kept)
	if len(kept.Steps) != len(r.Steps) {
		t.Errorf("the report that was kept has %d steps, not %d", len(kept.Steps), len(r.Steps))
	}
	if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, "sysext")); err == nil {
		t.Error("it was handed over")
	}
}

// TestOutOfTime links what was good before the time was over.
func TestOutOfTime(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.tries = 3
	n.add(n.signed("a-good"), "active")
	n.add(n.signed("hangs"), "active")
	n.add(n.signed("late"), "active")
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	r := n.run(func(o *boot.Options) {
		o.Total, o.PerImage = 4*time.Second, time.Minute
		o.Opening(func(fileName string, _ func()) {
			if strings.HasPrefix(fileName, "hangs") {
				<-stop
			}
		})
	})
	check(t, "results", map[string]boot.Result{"a-good": boot.Linked, "hangs": boot.LeftOut, "late": boot.LeftOut}, results(r))
	check(t, "links", map[string]string{"a-good.sysext.raw": "a-good.sysext.raw"}, n.linked())
	if _, err := os.Stat(filepath.Join(n.dir, boot.HandedOver, "sysext")); err != nil {
		t.Error(err)
	}
}

// TestDryRun changes nothing, of any kind of boot.
func TestDryRun(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string]bool{"ordinary": false, "trusted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_ACTIVE")
			n.tries = 1
			n.add(n.signed("tool"), "active")
			n.write("run/extensions/planted/x", "")
			n.write("run/verity.d/inlay-0123456789abcdef.crt", "old")
			n.write(boot.HandedOver+"/sysext", "")
			n.write(storeAt+"/.inlay/journal", "rubbish")
			n.write("etc/extensions/planted/x", "")
			if err := os.Symlink("../../"+storeAt+"/gone.sysext.raw", filepath.Join(n.dir, "run/extensions/gone.sysext.raw")); err != nil {
				t.Fatal(err)
			}
			before := n.tree()
			c := &covers{}
			r := n.run(func(o *boot.Options) {
				if trusted {
					c.trusted(o)
				}
				o.DryRun, o.Merger = true, merges{errors.New("called")}
			})
			check(t, "the tree", before, n.tree())
			if len(c.folders) > 0 {
				t.Errorf("it covers %q", c.folders)
			}
			if results(r)["tool"] != boot.Linked || !r.DryRun {
				t.Errorf("%+v", r.Extensions)
			}
			for _, m := range r.Merges {
				if m.Done || m.Error != "" {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

// TestStale removes links of ours that this boot doesn't want, and no others.
func TestStale(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("tool"), "active")
	n.add(n.signed("old"))
	n.write("srv/theirs.raw", "")
	for name, to := range map[string]string{
		"old.sysext.raw": "../../" + storeAt + "/old.sysext.raw", "gone.raw": "/" + storeAt + "/gone.raw",
		"theirs.raw": "../../srv/theirs.raw", "tool.sysext.raw": "/" + storeAt + "/active/tool.sysext.raw",
	} {
		if err := os.MkdirAll(filepath.Join(n.dir, "run/extensions"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(n.dir, "run/extensions", name)); err != nil {
			t.Fatal(err)
		}
	}
	n.run()
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw", "theirs.raw": "../../srv/theirs.raw"}, n.linked())
}

// TestNames has one name in several places: the profile's own wins, and it is said.
func TestNames(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("tool"), "active")
	im, err := os.ReadFile(sample.Make(t, n.signed("tool")))
	if err != nil {
		t.Fatal(err)
	}
	n.write(storeAt+"/tool.raw", string(im))
	n.write(storeAt+"/common/README", "")
	if err := os.Symlink("../tool.raw", filepath.Join(n.dir, storeAt, "common/tool.raw")); err != nil {
		t.Fatal(err)
	}
	r := n.run()
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
	found := false
	for _, x := range r.Extensions {
		found = found || x.FileName == "tool.raw" && x.Result == boot.LeftOut && strings.Contains(x.Reason, "for active, has the same name")
	}
	if !found {
		t.Errorf("%+v", r.Extensions)
	}
}

// TestInterrupted undoes a change that the power has ended before it reads the store.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("tool"), "active")
	n.add(n.signed("fresh"))
	root := n.root()
	s, err := store.Open(root, extension.Sysext(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context(), 0, "test")
	if err != nil {
		t.Fatal(err)
	}
	images, err := s.Images()
	if err != nil {
		t.Fatal(err)
	}
	for _, im := range images {
		if im.Name == "fresh" {
			if _, err := s.Enable([]store.Image{im}, []store.Profile{store.Active}); err != nil {
				t.Fatal(err)
			}
		}
	}
	journal, err := os.ReadFile(filepath.Join(n.dir, storeAt, ".inlay/journal"))
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(n.dir, storeAt, "active/fresh.sysext.raw")
	if _, err := os.Lstat(link); err != nil {
		t.Fatal(err)
	}
	// The power goes here: the lock is gone, and the journal stays.
	if err := unlock(); err != nil {
		t.Logf("unlocking: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(link); errors.Is(err, fs.ErrNotExist) {
		if err := os.Symlink("../fresh.sysext.raw", link); err != nil {
			t.Fatal(err)
		}
	}
	n.write(storeAt+"/.inlay/journal", string(journal))
	n.run()
	check(t, "links", map[string]string{"tool.sysext.raw": "tool.sysext.raw"}, n.linked())
}

// TestEarlier remembers the pass in the initial RAM disk.
func TestEarlier(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("tool"), "active")
	for range 2 {
		n.run(func(o *boot.Options) { o.Hook = "dracut" })
	}
	r := n.run(func(o *boot.Options) { o.Hook = "systemd" })
	if len(r.Earlier) != 2 || r.Earlier[1].Hook != "dracut" || r.Hook != "systemd" || len(r.Earlier[0].Linked) != 1 {
		t.Errorf("%+v", r.Earlier)
	}
	log, err := os.ReadFile(filepath.Join(n.dir, boot.LogFile))
	if err != nil || strings.Count(string(log), "sysext tool.sysext.raw: linked") != 3 {
		t.Errorf("%s, %v", log, err)
	}
}

// TestUnknownSigner: an ordinary boot lets in what it cannot judge, and systemd is
// told to do so, too; or it is left out.
func TestUnknownSigner(t *testing.T) {
	t.Parallel()
	stranger := sample.Pair(t, sample.Certificate{Name: "stranger"})
	open, err := trust.ParsePolicy("any")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		aside func(context.Context, extension.Kind) error
		want  boot.Result
	}{
		{"told", func(context.Context, extension.Kind) error { return nil }, boot.Linked},
		{"not to be told", func(context.Context, extension.Kind) error { return errors.New("read-only") }, boot.LeftOut},
		{"nobody to tell", nil, boot.LeftOut},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, "COS_ACTIVE")
			n.add(sample.Image{Name: "tool", Signer: stranger}, "active")
			n.add(sample.Image{Name: "plain"}, "active")
			r := n.run(func(o *boot.Options) {
				o.SetAside = test.aside
				o.Trust = n.trust(func(t *boot.Trust) { t.Policy = open })
			})
			check(t, "results", map[string]boot.Result{"tool": test.want, "plain": boot.Linked}, results(r))
		})
	}
}
