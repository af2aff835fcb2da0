package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/bootstate"
	"inlay/internal/node"
	"inlay/internal/osrelease"
	"inlay/internal/store"
	"inlay/test/sample"
)

// TestExplain: the first stage that stops an extension is named, with what mends
// it; and what is suggested does so.
func TestExplain(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	alien := []osrelease.Field{{Key: "ID", Value: "alien"}, {Key: "VERSION_ID", Value: "1"}}
	enable := func(t *testing.T, m machine, now bool, profiles ...store.Profile) {
		t.Helper()
		r := of(use(profiles...), "tool")
		r.Now = now
		_, err := m.Enable(t.Context(), r)
		must(t, err)
	}
	for name, c := range map[string]struct {
		image          sample.Image
		prepare        func(*testing.T, machine) machine
		stopped, found string
		command        string
	}{
		"in the store": {
			stopped: "enabled", found: "for no profile", command: "enable tool --active --now",
		},
		"for another profile": {
			prepare: func(t *testing.T, m machine) machine { enable(t, m, true, store.Recovery, store.Passive); return m },
			stopped: "enabled", found: "for passive, recovery, and not for active, which is booted", command: "enable tool --active --now",
		},
		"on a live medium": {
			prepare: func(t *testing.T, m machine) machine {
				enable(t, m, false, store.Active)
				return m.with(t, booted(bootstate.Report{State: bootstate.LiveCD}))
			},
			stopped: "enabled", found: "for active, and what was booted has no profile", command: "enable tool --common --now",
		},
		"until the next boot": {
			prepare: func(t *testing.T, m machine) machine { enable(t, m, false, store.Active); return m },
			stopped: "linked", found: "not before the next boot", command: "enable tool --active --now",
		},
		"passed over": {
			prepare: func(t *testing.T, m machine) machine {
				m.merger.leaves = []string{"tool"}
				enable(t, m, true, store.Active)
				return m
			},
			stopped: "merged", found: "left it out", command: "enable tool --active --now",
		},
		"merged": {
			prepare: func(t *testing.T, m machine) machine { enable(t, m, true, store.Common); return m },
		},
		"of another system": {
			image:   sample.Image{Release: alien},
			stopped: "compatible", found: "alien",
		},
		"no longer let in": {
			prepare: func(t *testing.T, m machine) machine {
				enable(t, m, true, store.Active)
				return m.with(t, trusting(t, certificate))
			},
			stopped: "trusted", found: "sign", command: "disable tool --active --now",
		},
		"no longer let in, enabled for others": {
			prepare: func(t *testing.T, m machine) machine {
				enable(t, m, true, store.Common, store.Recovery)
				return m.with(t, trusting(t, certificate))
			},
			stopped: "trusted", found: "sign", command: "disable tool --recovery --common --now",
		},
		"no longer let in, not in use": {
			prepare: func(t *testing.T, m machine) machine { return m.with(t, trusting(t, certificate)) },
			stopped: "trusted", found: "sign", command: "inlay verify ",
		},
		"signed": {
			image:   sample.Image{Signer: mine},
			prepare: func(t *testing.T, m machine) machine { return m.with(t, trusting(t, certificate)) },
			stopped: "enabled", found: "for no profile", command: "enable tool",
		},
		"gone": {
			prepare: func(t *testing.T, m machine) machine {
				enable(t, m, true, store.Active)
				must(t, os.Remove(filepath.Join(m.root, "var/lib/kairos/extensions/tool.sysext.raw")))
				return m
			},
			stopped: "stored", found: "gone", command: "remove tool",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			c.image.Name = "tool"
			m.have(t, c.image)
			if c.prepare != nil {
				m = c.prepare(t, m)
			}
			e, err := m.Explain(t.Context(), "tool")
			must(t, err)
			if e.Stopped != c.stopped {
				t.Fatalf("stopped at %q, want %q: %+v", e.Stopped, c.stopped, e.Stages)
			}
			if c.stopped == "" {
				if e.Why != "" || !e.Merged {
					t.Errorf("%+v", e)
				}
				return
			}
			checkStop(t, e, c.found, c.command)
			if got := m.entry(t, "tool").Why; got != e.Why {
				t.Errorf("status says %q, explain %q", got, e.Why)
			}
		})
	}
}

// TestTyped: what is advised can be typed, whatever an image is called.
func TestTyped(t *testing.T) {
	t.Parallel()
	m := boot(t, func(o *node.Options) { o.Program = "kairos-agent" })
	m.have(t, sample.Image{Name: "tool"})
	at := filepath.Join(m.root, "var/lib/kairos/extensions")
	must(t, os.Rename(filepath.Join(at, "tool.sysext.raw"), filepath.Join(at, "it's $(touch x).sysext.raw")))
	must(t, os.MkdirAll(filepath.Join(at, "common"), 0o755))
	must(t, os.Symlink("../it's $(touch x).sysext.raw", filepath.Join(at, "common/it's $(touch x).sysext.raw")))
	e, err := m.Explain(t.Context(), "touch x")
	must(t, err)
	if want := `kairos-agent sysext disable 'it'\''s $(touch x)' --common --now --root ` + m.root; e.Command != want {
		t.Errorf("advised %s, want %s", e.Command, want)
	}
}

// checkStop looks at the first stage that is not done.
func checkStop(t *testing.T, e *node.Explanation, found, command string) {
	t.Helper()
	for _, s := range e.Stages {
		if s.Done {
			if s.Command != "" {
				t.Errorf("%s is done, and %q mends it", s.Stage, s.Command)
			}
			continue
		}
		if s.Stage != e.Stopped {
			t.Errorf("%s is not done, and stopped is %s", s.Stage, e.Stopped)
		}
		if !strings.Contains(s.Found, found) || !strings.Contains(s.Command, command) || (command == "") != (s.Command == "") {
			t.Errorf("found %q, want … %q; command %q, want … %q", s.Found, found, s.Command, command)
		}
		break
	}
	if !strings.Contains(e.Why, found) {
		t.Errorf("why is %q, want … %q", e.Why, found)
	}
}

// TestInfo shows the release file and the files.
func TestInfo(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.have(t, sample.Image{Name: "tool", Files: map[string]string{"usr/bin/tool": "tool", "usr/share/tool/data": "data"}})
	info, err := m.Info(t.Context(), "tool")
	must(t, err)
	want := []string{"/usr/bin/tool", "/usr/lib/extension-release.d/extension-release.tool", "/usr/share/tool/data"}
	if strings.Join(info.Files, " ") != strings.Join(want, " ") || len(info.Release) == 0 || info.Unread != "" {
		t.Errorf("%+v", info)
	}
	if _, err := m.Info(t.Context(), "none"); !node.NotFound(err) {
		t.Errorf("got %v", err)
	}
}
