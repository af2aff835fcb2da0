package discover_test

import (
	"fmt"
	"strings"
	"testing"

	"inlay/internal/discover"
)

// TestPattern reads names by the rules of 257 and of 262; "" is none.
func TestPattern(t *testing.T) {
	t.Parallel()
	const bad = "" // a version that none is
	tests := map[string]struct{ old, now string }{
		"foo_1.raw":            {"1", "1"},
		"foo_1.0-rc1.raw":      {"1.0-rc1", "1.0-rc1"},
		"foo_1~rc1.raw":        {bad, "1~rc1"},
		"foo_1^post1.raw":      {bad, "1^post1"},
		"foo_1,2.raw":          {"1,2", bad},
		"foo_1+b.2.raw":        {"1+b.2", bad},
		"foo_1_2_3.raw":        {"1_2", bad},
		"foo_1_2.raw":          {"1", "1"},
		"foo_..raw":            {".", "."},
		"foo_...raw":           {"..", ".."},
		"foo_.raw":             {bad, bad},
		"foo_x86-64.raw":       {"x86-64", "x86-64"},
		"foo__x86-64.raw":      {bad, bad},
		"foo_1_x86-64.raw":     {"1 x86-64", "1 x86-64"},
		"foo_1_x86.raw":        {"1 x86", "1 x86"},
		"foo_1_arm64.raw":      {bad, bad},
		"foo_1_amd64.raw":      {"1", "1"},
		"foo_1_.raw":           {"1", "1"},
		"foo_1+3.raw":          {"1 +3", "1 +3"},
		"foo_1+3-2.raw":        {"1 +3-2", "1 +3-2"},
		"foo_1_x86+010-2.raw":  {"1 x86 +8-2", "1 x86 +8-2"},
		"foo_1+2+3.raw":        {"1+2 +3", bad},
		"foo_1+08.raw":         {"1+08", bad},
		"foo_1+3-.raw":         {"1+3-", bad},
		"foo_1+4294967296.raw": {"1+4294967296", bad},
		"foo_1 .raw":           {bad, bad},
		"foo_1:2.raw":          {bad, bad},
		"foo_ü.raw":            {bad, bad},
		"foo.raw":              {bad, bad},
		"foo-1.raw":            {bad, bad},
		"foobar_1.raw":         {bad, bad},
		"foo_1.img":            {bad, bad},
		"foo_.ra":              {bad, bad},
	}
	for name, test := range tests {
		for systemd, want := range map[int]string{256: test.old, 261: test.old, 262: test.now, 0: test.now} {
			p := discover.Pattern{Name: "foo", Suffix: ".raw", Systemd: systemd, Architecture: "x86-64"}
			pick, err := p.Read(name)
			if (err != nil) != (want == bad) || err == nil && described(pick) != want {
				t.Errorf("%s, systemd %d: %q, error %v, want %q", name, systemd, described(pick), err, want)
			}
		}
	}
}

func described(p discover.Pick) string {
	text := p.Version
	if p.Architecture != "" {
		text += " " + p.Architecture
	}
	if p.TriesLeft != discover.Untold {
		text += " +" + fmt.Sprint(p.TriesLeft)
		if p.TriesDone != 0 {
			text += "-" + fmt.Sprint(p.TriesDone)
		}
	}
	return text
}

// TestPickOrder: each name is preferred to all that follow it.
func TestPickOrder(t *testing.T) {
	t.Parallel()
	p := discover.Pattern{Name: "foo", Suffix: ".raw", Architecture: "arm64"}
	order := strings.Fields(`
		foo_3_arm+2.raw foo_3_zzz.raw foo_2_arm64.raw foo_2_arm64+9.raw foo_2_arm64+3.raw foo_2_arm64+3-1.raw foo_2_arm64+3-2.raw foo_2_arm.raw foo_2_b.raw foo_2_a.raw foo_2.raw
		foo_2~rc1_arm64.raw foo_1.10.raw foo_1.9+1.raw foo_9+0.raw foo_8_arm64+0-1.raw foo_8_arm64+0-4.raw foo_8+0.raw`)
	for i, a := range order {
		for j, b := range order {
			first, err := p.Read(a)
			if err != nil {
				t.Fatal(err)
			}
			second, err := p.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Compare(first, second); (got > 0) != (i < j) || (got < 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
}

// TestPickTyped: up to 261 the best must be of the right type, or there is none;
// since 262 only those count that are, but each must lead somewhere.
func TestPickTyped(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		scene
		old, now string
	}{
		"the best is a file":     {scene{"etc/extensions/foo.v/foo_1/x", "etc/extensions/foo.v/foo_2"}, "", "foo_1"},
		"the best is a folder":   {scene{"etc/extensions/foo.raw.v/foo_1.raw", "etc/extensions/foo.raw.v/foo_2.raw/"}, "", "foo_1.raw"},
		"the best dangles":       {scene{"etc/extensions/foo.v/foo_1/x", "etc/extensions/foo.v/foo_2 -> x"}, "", ""},
		"the next best dangles":  {scene{"etc/extensions/foo.v/foo_1 -> x", "etc/extensions/foo.v/foo_2/x"}, "foo_2", ""},
		"a foreign one dangles":  {scene{"etc/extensions/foo.v/foo_1_arm64 -> x", "etc/extensions/foo.v/foo_2/x"}, "foo_2", "foo_2"},
		"none is":                {scene{"etc/extensions/foo.v/foo_1", "etc/extensions/foo.v/foo_2"}, "", ""},
		"the best leads outside": {scene{"etc/extensions/foo.v/foo_1/x", "etc/extensions/foo.v/foo_2 -> ../../../../x"}, "", ""},
	}
	for name, test := range tests {
		for systemd, want := range map[int]string{257: test.old, 261: test.old, 262: test.now} {
			found := find(t, test.scene, discover.Options{Systemd: systemd})
			got := ""
			for _, c := range found.Candidates {
				got = c.Picked.Entry
				if len(c.Picked.Passed) != 1 || c.Picked.Passed[0].Reason == "" {
					t.Errorf("%s, systemd %d: passed over: %v", name, systemd, c.Picked.Passed)
				}
			}
			if got != want || (want == "") != (len(found.Skipped) == 1) {
				t.Errorf("%s, systemd %d: %q, want %q; skipped: %v", name, systemd, got, want, found.Skipped)
			}
		}
	}
}

// FuzzPattern: a name that is read is made of what was read from it, and the
// order is one.
func FuzzPattern(f *testing.F) {
	for _, name := range []string{"foo_1.raw", "foo_1.0_x86-64+3-1.raw", "foo_2_zzz+08.raw", "foo_1+2+3.raw", "foo_~^+0-0.raw", "foo__.raw", "foo_.raw", "foo_1+4294967295-.raw"} {
		f.Add("foo", ".raw", name, "foo_1_x86.raw", 262)
	}
	f.Add("a_b", "", "a_b_1_arm64", "a_b_+1", 257)
	f.Fuzz(func(t *testing.T, base, suffix, name, other string, systemd int) {
		p := discover.Pattern{Name: base, Suffix: suffix, Systemd: systemd, Architecture: "x86-64"}
		a, err := p.Read(name)
		if err != nil {
			return
		}
		if !strings.HasPrefix(name, base+"_"+a.Version) || !strings.HasSuffix(name, suffix) || a.Version == "" || a.Entry != name {
			t.Fatalf("%q: %+v", name, a)
		}
		if a.Architecture != "" && !strings.Contains(name, "_"+a.Architecture) {
			t.Fatalf("%q: %+v", name, a)
		}
		if strings.ContainsAny(a.Version, "/\x00 \n") {
			t.Fatalf("%q: the version %q", name, a.Version)
		}
		b, err := p.Read(other)
		if err != nil {
			return
		}
		if order := p.Compare(a, b); order != -p.Compare(b, a) || (order == 0) != (name == other) {
			t.Fatalf("%q and %q: %d", name, other, order)
		}
	})
}
