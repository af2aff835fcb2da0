package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/hint"
	"inlay/internal/store"
)

func storeWith(t testing.TB, names ...string) opened {
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, storeAt), 0o755))
	for _, n := range names {
		check(t, os.WriteFile(filepath.Join(dir, storeAt, n), nil, 0o644))
	}
	return open(t, dir, nil)
}

func finders() []string {
	return []string{
		"k3sv1.32.1.sysext.raw", "tailscale.sysext.raw", "tailscale-agent.sysext.raw", "nvidia+cuda_1.sysext.raw",
		"nvidiacuda.raw", "x_9.raw", "x_10.sysext.raw", "c++.sysext.raw",
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patterns  []string
		all       bool
		want      string // file names
		ambiguous string
		missing   bool
		advice    string
	}{
		"the documents' example":    {patterns: []string{"k3s"}, want: "k3sv1.32.1.sysext.raw"},
		"a file name":               {patterns: []string{"tailscale.sysext.raw"}, want: "tailscale.sysext.raw"},
		"a name":                    {patterns: []string{"tailscale"}, want: "tailscale.sysext.raw"},
		"a name, all":               {patterns: []string{"tailscale"}, all: true, want: "tailscale.sysext.raw"},
		"a name with .raw":          {patterns: []string{"k3sv1.32.1.raw"}, want: "k3sv1.32.1.sysext.raw"},
		"a loose name, suffixed":    {patterns: []string{"nvidiacuda.sysext.raw"}, want: "nvidiacuda.raw"},
		"plus in a name":            {patterns: []string{"nvidia+cuda_1"}, want: "nvidia+cuda_1.sysext.raw"},
		"plus in a part":            {patterns: []string{"ia+cu"}, ambiguous: "nvidia+cuda_1.sysext.raw nvidiacuda.raw"},
		"no expression, but a name": {patterns: []string{"c++"}, want: "c++.sysext.raw"},
		"no expression, but a part": {patterns: []string{"++"}, want: "c++.sysext.raw"},
		"several":                   {patterns: []string{"tail"}, ambiguous: "tailscale.sysext.raw tailscale-agent.sysext.raw"},
		"several, all":              {patterns: []string{"tail"}, all: true, want: "tailscale.sysext.raw tailscale-agent.sysext.raw"},
		"an expression":             {patterns: []string{"^t.*agent"}, want: "tailscale-agent.sysext.raw"},
		"the order of versions":     {patterns: []string{"^x_"}, all: true, want: "x_9.raw x_10.sysext.raw"},
		"each once":                 {patterns: []string{"k3s", "c++", "k3sv1.32.1"}, want: "c++.sysext.raw k3sv1.32.1.sysext.raw"},
		"one that isn't there":      {patterns: []string{"k3s", "tailscael"}, missing: true, advice: `did you mean "tailscale"`},
		"a wrong version":           {patterns: []string{"k3sv1.33.1"}, missing: true, advice: `did you mean "k3sv1.32.1"`},
		"nothing near":              {patterns: []string{"wireguard"}, missing: true},
		"no expression":             {patterns: []string{"a("}, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			images, err := storeWith(t, finders()...).Find(c.patterns, c.all)
			var got []string
			for _, i := range images {
				got = append(got, i.FileName)
			}
			if c.want != strings.Join(got, " ") {
				t.Errorf("found %q, want %q", got, c.want)
			}
			ambiguous, ok := errors.AsType[*store.AmbiguousError](err)
			switch {
			case c.ambiguous != "":
				if !ok || strings.Join(ambiguous.Names, " ") != c.ambiguous {
					t.Errorf("error %v, want one that names %q", err, c.ambiguous)
				}
			case c.missing:
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("error %v, want ErrNotFound", err)
				}
			case err != nil:
				t.Error(err)
			}
			if advice := strings.Join(hint.Of(err), " "); !strings.Contains(advice, c.advice) {
				t.Errorf("the advice is %q, want %q", advice, c.advice)
			}
		})
	}
	for _, p := range []string{"", strings.Repeat("a", 10000)} {
		if images, err := storeWith(t, "a.raw").Find([]string{p}, true); err == nil {
			t.Errorf("a pattern of %d bytes finds %v", len(p), images)
		}
	}
	if _, err := storeWith(t).Find([]string{"a"}, true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in an empty store: %v", err)
	}
}

func FuzzFind(f *testing.F) {
	for _, p := range []string{"k3s", "c++", "^t.*agent", "(", "[[:", "a{1000}", "\xff", ".", "x_9.raw"} {
		f.Add(p)
	}
	s := storeWith(f, finders()...)
	f.Fuzz(func(t *testing.T, p string) {
		images, err := s.Find([]string{p}, true)
		if (err == nil) != (len(images) > 0) {
			t.Errorf("%d images and the error %v", len(images), err)
		}
		for _, name := range finders() {
			if p == name && (len(images) != 1 || images[0].FileName != name) {
				t.Errorf("the name %q finds %v", p, images)
			}
		}
	})
}
