package boot_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// TestCrash leaves out an image that brings its check down; its neighbours go on. A
// step that comes down ends the pass, and nothing is handed over.
func TestCrash(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("bad"), "active")
	n.add(n.signed("good"), "active")
	r := n.run(func(o *boot.Options) {
		o.Opening(func(fileName string, _ func()) {
			if strings.HasPrefix(fileName, "bad") {
				panic("a fault")
			}
		})
	})
	check(t, "results", map[string]boot.Result{"bad": boot.Refused, "good": boot.Linked}, results(r))
	r = n.run(func(o *boot.Options) {
		o.Trust = func(context.Context, *bootstate.Report) (*boot.Trust, error) { panic("a fault") }
	})
	if step := stepOf(r, "trust"); !step.Bad || !strings.Contains(step.Text, "a fault") {
		t.Errorf("%+v", r.Steps)
	}
	if got := n.names(boot.HandedOver); len(got) > 0 {
		t.Errorf("%q are handed over", got)
	}
}

// TestAwkward leaves out an image for whose name systemd would merge nothing at all.
func TestAwkward(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(n.signed("a,b"), "active")
	n.add(n.signed("good"), "active")
	r := n.run()
	check(t, "results", map[string]boot.Result{"a,b": boot.LeftOut, "good": boot.Linked}, results(r))
	r = n.run(func(o *boot.Options) { o.Merger = merges{} })
	check(t, "results if merged by us", map[string]boot.Result{"a,b": boot.Linked, "good": boot.Linked}, results(r))
}

// TestLines has one line for each thing, whatever it is called.
func TestLines(t *testing.T) {
	t.Parallel()
	r := boot.Report{
		Problems:   []string{"a\nb"},
		Extensions: []boot.Extension{{Kind: "sysext", FileName: "x\n2026 sysext y.raw: linked", Result: boot.Refused, Reason: "\x1b[2J"}},
	}
	if text := string(r.Lines()); strings.Count(text, "\n") != 2 || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
}

// TestNamesOfBad: what is bad wins over nothing.
func TestNamesOfBad(t *testing.T) {
	t.Parallel()
	n := newNode(t, "COS_ACTIVE")
	n.add(sample.Image{Name: "tool"}, "active", "common")
	im, err := os.ReadFile(sample.Make(t, n.signed("tool")))
	if err != nil {
		t.Fatal(err)
	}
	n.write(storeAt+"/tool.raw", string(im))
	if err := os.Symlink("../tool.raw", filepath.Join(n.dir, storeAt, "common/tool.raw")); err != nil {
		t.Fatal(err)
	}
	r := n.run()
	check(t, "links", map[string]string{"tool.raw": "tool.raw"}, n.linked())
	if len(r.Extensions) != 2 || r.Extensions[0].Result != boot.Refused || r.Extensions[1].Result != boot.Linked {
		t.Errorf("%+v", r.Extensions)
	}
}

// TestRequiredSignatures leaves out what the kernel would not take, and for which
// systemd would merge nothing at all, though the policy lets it in.
func TestRequiredSignatures(t *testing.T) {
	t.Parallel()
	open, err := trust.ParsePolicy("any")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		cmdline string
		ours    bool
		want    boot.Result
	}{
		{"", false, boot.Linked},
		{"dm_verity.require_signatures=1", false, boot.LeftOut},
		{"dm_verity.require_signatures=1", true, boot.Linked},
		{"systemd.allow_userspace_verity=0", false, boot.Linked},
	} {
		n := newNode(t, "COS_ACTIVE "+test.cmdline)
		n.add(sample.Image{Name: "plain"}, "active")
		n.add(sample.Image{Name: "tool", Signer: sample.Pair(t, sample.Certificate{Name: "stranger"})}, "active")
		r := n.run(func(o *boot.Options) {
			o.Trust = n.trust(func(t *boot.Trust) { t.Policy = open })
			o.SetAside = func(context.Context, extension.Kind) error { return nil }
			if test.ours {
				o.Merger = merges{}
			}
		})
		check(t, "results with "+test.cmdline, map[string]boot.Result{"plain": test.want, "tool": test.want}, results(r))
	}
}

// TestCommandWords takes words apart as the kernel does.
func TestCommandWords(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                           nil,
		" \n":                        nil,
		"a  b=c\td\n":                {"a", "b=c", "d"},
		`a="b c" "d e" f"g h"i`:      {"a=b c", "d e", "fg hi"},
		`a "" b`:                     {"a", "", "b"},
		`a "b c` + "\n":              {"a", "b c"},
		"x=\xff\xfe y":               {"x=\xff\xfe", "y"},
		`inlay.boot=1" inlay.boot=0`: {"inlay.boot=1 inlay.boot=0"},
	} {
		check(t, line, want, boot.CommandWords(line))
	}
}
