package extension_test

import (
	"errors"
	"strings"
	"testing"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// matchCase is a host, an extension, and the rule by which it is passed over
// ("" if none), with words of the reason and the advice.
type matchCase struct {
	host, release        string
	rule, reason, advice string
	confext, initrd      bool
	systemd              int
}

func matchCases() map[string]matchCase {
	const acme = "ID=acme\nVERSION_ID=7\n"
	const level = "ID=acme\nVERSION_ID=7\nSYSEXT_LEVEL=2\n"
	c := func(host, release, rule string, words ...string) matchCase {
		m := matchCase{host: host, release: release, rule: rule}
		if len(words) == 2 {
			m.reason, m.advice = words[0], words[1]
		}
		return m
	}
	initrd := func(m matchCase) matchCase { m.initrd = true; return m }
	confext := func(m matchCase) matchCase { m.confext = true; return m }
	on := func(systemd int, m matchCase) matchCase { m.systemd = systemd; return m }
	return map[string]matchCase{
		"host: none":     c("", "ID=_any\n", extension.RuleHost, "no ID", "os-release"),
		"host: empty ID": c("ID=\nVERSION_ID=7\n", "ID=_any\n", extension.RuleHost),

		"release: empty":      c(acme, "", extension.RuleRelease, "says nothing", "inlay build"),
		"release: a comment":  c(acme, "# ID=_any\n", extension.RuleRelease),
		"release: no ID only": c(acme, "NAME=x\n", extension.RuleID),

		"scope: none":                       c(acme, "ID=_any\n", ""),
		"scope: none, in an initrd":         initrd(c(acme, "ID=_any\n", extension.RuleScope, "the host is an initrd", `SYSEXT_SCOPE="system portable initrd"`)),
		"scope: empty":                      c(acme, "ID=_any\nSYSEXT_SCOPE=\n", extension.RuleScope, "is empty", "SYSEXT_SCOPE=system"),
		"scope: empty, in an initrd":        initrd(c(acme, "ID=_any\nSYSEXT_SCOPE=\n", extension.RuleScope, "is empty", "SYSEXT_SCOPE=initrd")),
		"scope: blanks":                     c(acme, "ID=_any\nSYSEXT_SCOPE=\" \"\n", extension.RuleScope, "is empty", ""),
		"scope: fits":                       c(acme, "ID=_any\nSYSEXT_SCOPE=system\n", ""),
		"scope: fits by its second":         c(acme, "ID=_any\nSYSEXT_SCOPE=\"initrd\tsystem\"\n", ""),
		"scope: another":                    c(acme, "ID=_any\nSYSEXT_SCOPE=initrd\n", extension.RuleScope, `"initrd", and the host's is "system"`, `SYSEXT_SCOPE="initrd system"`),
		"scope: fits an initrd":             initrd(c(acme, "ID=_any\nSYSEXT_SCOPE=initrd\n", "")),
		"scope: another, in an initrd":      initrd(c(acme, "ID=_any\nSYSEXT_SCOPE=system\n", extension.RuleScope)),
		"scope: part of a word":             c(acme, "ID=_any\nSYSEXT_SCOPE=systems\n", extension.RuleScope),
		"scope: a blank beyond ASCII":       c(acme, "ID=_any\nSYSEXT_SCOPE=\"initrd\u00a0system\"\n", extension.RuleScope),
		"scope: the other kind's":           c(acme, "ID=_any\nCONFEXT_SCOPE=initrd\n", ""),
		"scope: a confext's":                confext(c(acme, "ID=_any\nCONFEXT_SCOPE=initrd\n", extension.RuleScope, "initrd", "CONFEXT_SCOPE")),
		"scope: before the architecture":    c(acme, "ID=_any\nSYSEXT_SCOPE=initrd\nARCHITECTURE=arm64\n", extension.RuleScope),
		"architecture: none":                c(acme, "ID=_any\n", ""),
		"architecture: empty":               c(acme, "ID=_any\nARCHITECTURE=\n", ""),
		"architecture: any":                 c(acme, "ID=_any\nARCHITECTURE=_any\n", ""),
		"architecture: own":                 c(acme, "ID=_any\nARCHITECTURE=x86-64\n", ""),
		"architecture: another":             c(acme, "ID=_any\nARCHITECTURE=arm64\n", extension.RuleArchitecture, "for arm64 machines, and the host is x86-64", "for x86-64"),
		"architecture: Go's":                c(acme, "ID=_any\nARCHITECTURE=amd64\n", extension.RuleArchitecture, `"amd64"`, "ARCHITECTURE=x86-64"),
		"architecture: Go's of another":     c(acme, "ID=_any\nARCHITECTURE=aarch64\n", extension.RuleArchitecture, `"aarch64"`, "ARCHITECTURE=arm64"),
		"architecture: UAPI's any":          c(acme, "ID=_any\nARCHITECTURE=any\n", extension.RuleArchitecture, `"any"`, "_any"),
		"architecture: upper case":          c(acme, "ID=_any\nARCHITECTURE=X86-64\n", extension.RuleArchitecture),
		"architecture: before the ID":       c(acme, "ID=other\nARCHITECTURE=arm64\n", extension.RuleArchitecture),
		"architecture: before a missing ID": c(acme, "ARCHITECTURE=arm64\n", extension.RuleArchitecture),

		"id: none":                     c(acme, "VERSION_ID=7\n", extension.RuleID, `no ID, and the host's is "acme"`, "ID=acme"),
		"id: empty":                    c(acme, "ID=\nVERSION_ID=7\n", extension.RuleID),
		"id: any":                      c(acme, "ID=_any\n", ""),
		"id: any, whatever the rest":   c(level, "ID=_any\nVERSION_ID=9\nSYSEXT_LEVEL=9\n", ""),
		"id: own":                      c(acme, "ID=acme\nVERSION_ID=7\n", ""),
		"id: another":                  c(acme, "ID=other\nVERSION_ID=7\n", extension.RuleID, `"other", and the host is "acme"`, "for acme"),
		"id: upper case":               c(acme, "ID=Acme\nVERSION_ID=7\n", extension.RuleID),
		"id: before the version":       c(acme, "ID=other\nVERSION_ID=6\n", extension.RuleID),
		"id: SYSEXT_ID is no ID":       c(acme, "ID=other\nSYSEXT_ID=acme\nVERSION_ID=7\n", extension.RuleID),
		"id: like":                     c(acme+"ID_LIKE=\"base other\"\n", "ID=other\nVERSION_ID=7\n", ""),
		"id: like, another version":    c(acme+"ID_LIKE=other\n", "ID=other\nVERSION_ID=6\n", extension.RuleVersion),
		"id: part of like":             c(acme+"ID_LIKE=others\n", "ID=other\nVERSION_ID=7\n", extension.RuleID),
		"id: all of like":              c(acme+"ID_LIKE=\"a b\"\n", "ID=\"a b\"\nVERSION_ID=7\n", extension.RuleID),
		"id: like, on 257":             on(257, c(acme+"ID_LIKE=other\n", "ID=other\nVERSION_ID=7\n", "")),
		"id: like, on 256":             on(256, c(acme+"ID_LIKE=other\n", "ID=other\nVERSION_ID=7\n", extension.RuleID, "systemd 257", "for acme")),
		"id: the extension's own like": c(acme, "ID=other\nID_LIKE=acme\nVERSION_ID=7\n", extension.RuleID),

		"version: host has none":                    c("ID=acme\n", "ID=acme\nVERSION_ID=6\n", ""),
		"version: host's is empty":                  c("ID=acme\nVERSION_ID=\n", "ID=acme\nVERSION_ID=6\n", ""),
		"version: host has none, a level is wanted": c("ID=acme\n", "ID=acme\nSYSEXT_LEVEL=1\n", ""),
		"version: same":                             c(acme, "ID=acme\nVERSION_ID=7\n", ""),
		"version: older":                            c(acme, "ID=acme\nVERSION_ID=6\n", extension.RuleVersion, "for acme 6, and the host is acme 7", "for acme 7"),
		"version: newer":                            c(acme, "ID=acme\nVERSION_ID=8\n", extension.RuleVersion),
		"version: equal but not the text":           c(acme, "ID=acme\nVERSION_ID=07\n", extension.RuleVersion),
		"version: none":                             c(acme, "ID=acme\n", extension.RuleVersion, "without a VERSION_ID", "VERSION_ID=7"),
		"version: empty":                            c(acme, "ID=acme\nVERSION_ID=\n", extension.RuleVersion, "without a VERSION_ID", ""),
		"version: IMAGE_VERSION is none":            c(acme, "ID=acme\nIMAGE_VERSION=7\n", extension.RuleVersion),

		"level: same, another version":      c(level, "ID=acme\nSYSEXT_LEVEL=2\nVERSION_ID=6\n", ""),
		"level: same, no version":           c(level, "ID=acme\nSYSEXT_LEVEL=2\n", ""),
		"level: another, same version":      c(level, "ID=acme\nSYSEXT_LEVEL=1\nVERSION_ID=7\n", extension.RuleLevel, `SYSEXT_LEVEL "1", and the host has "2"`, "SYSEXT_LEVEL=2"),
		"level: equal but not the text":     c(level, "ID=acme\nSYSEXT_LEVEL=2.0\n", extension.RuleLevel),
		"level: none, same version":         c(level, "ID=acme\nVERSION_ID=7\n", ""),
		"level: none, another version":      c(level, "ID=acme\nVERSION_ID=6\n", extension.RuleVersion),
		"level: empty, another version":     c(level, "ID=acme\nSYSEXT_LEVEL=\nVERSION_ID=6\n", extension.RuleVersion),
		"level: host has none":              c(acme, "ID=acme\nSYSEXT_LEVEL=2\nVERSION_ID=7\n", ""),
		"level: host has none, no version":  c(acme, "ID=acme\nSYSEXT_LEVEL=2\n", extension.RuleVersion),
		"level: host has it alone":          c("ID=acme\nSYSEXT_LEVEL=2\n", "ID=acme\nVERSION_ID=6\n", ""),
		"level: host has it alone, another": c("ID=acme\nSYSEXT_LEVEL=2\n", "ID=acme\nSYSEXT_LEVEL=1\n", extension.RuleLevel),
		"level: the other kind's":           confext(c(level, "ID=acme\nSYSEXT_LEVEL=1\nCONFEXT_LEVEL=1\nVERSION_ID=7\n", "")),
		"level: a confext's":                confext(c(level+"CONFEXT_LEVEL=3\n", "ID=acme\nCONFEXT_LEVEL=1\nVERSION_ID=7\n", extension.RuleLevel, "CONFEXT_LEVEL", "CONFEXT_LEVEL=3")),
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for name, c := range matchCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := extension.Sysext()
			if c.confext {
				k = extension.Confext()
			}
			h := extension.Host{Release: parse(t, c.host), Architecture: "x86-64", Initrd: c.initrd, Systemd: c.systemd}
			err := h.Match(k, parse(t, c.release))
			if c.rule == "" {
				if err != nil {
					t.Errorf("passed over: %v", err)
				}
				return
			}
			m, ok := errors.AsType[*extension.Mismatch](err)
			if !ok || m.Rule != c.rule {
				t.Fatalf("got %v, want a mismatch by the rule %q", err, c.rule)
			}
			advice := strings.Join(hint.Of(err), " ")
			if !strings.Contains(err.Error(), c.reason) || !strings.Contains(advice, c.advice) || advice == "" {
				t.Errorf("got %q with the hint %q, want words of %q and %q", err, advice, c.reason, c.advice)
			}
		})
	}
}

func TestMatchNothing(t *testing.T) {
	t.Parallel()
	anywhere := parse(t, "ID=_any\n")
	for name, err := range map[string]error{
		"no host":    extension.Host{}.Match(extension.Sysext(), anywhere),
		"no release": extension.Host{Release: parse(t, "ID=acme\n")}.Match(extension.Sysext(), nil),
	} {
		if _, ok := errors.AsType[*extension.Mismatch](err); !ok {
			t.Errorf("%s: got %v, want a mismatch", name, err)
		}
	}
}

func parse(t *testing.T, text string) *osrelease.Release {
	t.Helper()
	r, err := osrelease.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHostAt(t *testing.T) {
	t.Parallel()
	const etc, usr, initrd = "etc/os-release", "usr/lib/os-release", "etc/initrd-release"
	cases := map[string]struct {
		root   memory
		id     string
		initrd bool
		reason string
	}{
		"etc":                    {memory{etc: "ID=a\n"}, "a", false, ""},
		"usr":                    {memory{usr: "ID=b\n"}, "b", false, ""},
		"both":                   {memory{etc: "ID=a\n", usr: "ID=b\n"}, "a", false, ""},
		"a link":                 {memory{etc: "->" + usr, usr: "ID=b\n"}, "b", false, ""},
		"a link to nothing":      {memory{etc: "->gone", usr: "ID=b\n"}, "b", false, ""},
		"initrd":                 {memory{etc: "ID=a\n", initrd: "->" + etc}, "a", true, ""},
		"empty file for initrd":  {memory{etc: "ID=a\n", initrd: ""}, "a", true, ""},
		"link to nothing for it": {memory{etc: "ID=a\n", initrd: "->gone"}, "a", false, ""},
		"none":                   {memory{initrd: "ID=a\n"}, "", false, "no os-release"},
		"no ID":                  {memory{etc: "NAME=a\n", usr: "ID=b\n"}, "", false, "no ID"},
		"no text":                {memory{etc: "ID=\xff", usr: "ID=b\n"}, "", false, "UTF-8"},
		"unreadable":             {memory{etc: "broken", usr: "ID=b\n"}, "", false, "broken"},
		"unreadable initrd":      {memory{etc: "ID=a\n", initrd: "broken"}, "", false, "broken"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := extension.HostAt(c.root, "arm64")
			if c.reason != "" {
				wantRefusal(t, err, c.reason, "")
				if anywhere := parse(t, "ID=_any\n"); h.Match(extension.Sysext(), anywhere) == nil {
					t.Error("the host that comes with an error takes an extension")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Release.Get("ID") != c.id || h.Initrd != c.initrd || h.Architecture != "arm64" {
				t.Errorf("got %+v", h)
			}
		})
	}
}
