package extension

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// Rules by which a host passes over an extension, in systemd's order.
const (
	RuleHost         = "host"
	RuleRelease      = "release"
	RuleScope        = "scope"
	RuleArchitecture = "architecture"
	RuleID           = "id"
	RuleLevel        = "level"
	RuleVersion      = "version"
)

// idLikeSince is the systemd that began to match with the host's ID_LIKE: 258,
// and 257 in its later point releases (measured in 257.13), which count here.
const idLikeSince = 257

// Mismatch says why systemd passes over an extension on a host.
type Mismatch struct {
	// Rule is one of the Rule words.
	Rule string
	// Reason says what the extension wants and what the host has.
	Reason string
}

func (m *Mismatch) Error() string { return m.Reason }

// mismatch is a Mismatch with its advice.
func mismatch(rule, advice, format string, args ...any) error {
	return hint.Wrap(&Mismatch{rule, fmt.Sprintf(format, args...)}, advice)
}

// Match returns nil if systemd takes an extension of kind k with the release
// file r on this host, else a *Mismatch that carries a hint. The rules are
// extension_release_validate's, in its order; all compare texts, not versions.
func (h Host) Match(k Kind, r *osrelease.Release) error {
	switch {
	case h.Release == nil || h.Release.Get(KeyID) == "":
		return mismatch(RuleHost, "add an ID to the host's /etc/os-release",
			"the host's os-release has no ID, without which systemd merges nothing")
	case r == nil || len(r.Fields()) == 0:
		return mismatch(RuleRelease, "build the extension with inlay build, which adds a release file",
			"the extension's release file says nothing")
	}
	if err := h.matchScope(k, r); err != nil {
		return err
	}
	if err := h.matchArchitecture(r.Get(KeyArchitecture)); err != nil {
		return err
	}
	if r.Get(KeyID) == Any {
		return nil
	}
	if err := h.matchID(r); err != nil {
		return err
	}
	return h.matchVersion(k, r)
}

// matchScope tells a scope that is there but empty, which fits no host, from
// none, which fits all but an initial RAM disk.
func (h Host) matchScope(k Kind, r *osrelease.Release) error {
	text, given := r.Lookup(k.ScopeKey)
	if !given {
		text = ScopeSystem + " " + ScopePortable
	}
	if slices.Contains(words(text), h.scope()) {
		return nil
	}
	advice := fmt.Sprintf("to use it here, build it with %s=%q", k.ScopeKey, strings.TrimSpace(text+" "+h.scope()))
	switch {
	case !given:
		return mismatch(RuleScope, advice, "the extension has no %s, which makes it one for running systems, and the host is an initrd", k.ScopeKey)
	case len(words(text)) == 0:
		return mismatch(RuleScope, fmt.Sprintf("build it without %s, or with %s=%s", k.ScopeKey, k.ScopeKey, h.scope()),
			"the extension's %s is empty, which fits no host", k.ScopeKey)
	}
	return mismatch(RuleScope, advice, "the extension is for the scope %q, and the host's is %q", text, h.scope())
}

func (h Host) matchArchitecture(word string) error {
	if word == "" || word == Any || word == h.Architecture {
		return nil
	}
	if !slices.Contains(systemdWords(), word) {
		right := h.Architecture
		if a, err := ArchitectureNamed(word); err == nil {
			right = a.Word
		}
		return mismatch(RuleArchitecture, fmt.Sprintf("build it with ARCHITECTURE=%s, or %s for every host", right, Any),
			"the extension's ARCHITECTURE is %q, a word that systemd does not have, and the host's is %q", word, h.Architecture)
	}
	return mismatch(RuleArchitecture, "get the build for "+h.Architecture,
		"the extension is for %s machines, and the host is %s", word, h.Architecture)
}

func (h Host) matchID(r *osrelease.Release) error {
	want, own, like := r.Get(KeyID), h.Release.Get(KeyID), words(h.Release.Get(KeyIDLike))
	if want == "" {
		return mismatch(RuleID, fmt.Sprintf("build it with ID=%s, or ID=%s if it runs on every system", own, Any),
			"the extension's release file has no ID, and the host's is %q", own)
	}
	if want == own {
		return nil
	}
	advice := fmt.Sprintf("get the build for %s, or build it with ID=%s if it runs on every system", own, Any)
	if !slices.Contains(like, want) {
		return mismatch(RuleID, advice, "the extension is for the system %q, and the host is %q", want, own)
	}
	if h.systemd() >= idLikeSince {
		return nil
	}
	return mismatch(RuleID, advice, "the extension is for the system %q, and the host is %q; that it is like %q counts from systemd %d on, and the host has %d",
		want, own, want, idLikeSince, h.systemd())
}

// matchVersion lets the level decide where both sides have one, and VERSION_ID
// else. A host without either takes every version, as a rolling one must.
func (h Host) matchVersion(k Kind, r *osrelease.Release) error {
	level, version := h.Release.Get(k.LevelKey), h.Release.Get(KeyVersionID)
	wantLevel, wantVersion := r.Get(k.LevelKey), r.Get(KeyVersionID)
	switch {
	case level != "" && wantLevel != "":
		if level == wantLevel {
			return nil
		}
		return mismatch(RuleLevel, fmt.Sprintf("get the build for %s=%s", k.LevelKey, level),
			"the extension is for %s %q, and the host has %q", k.LevelKey, wantLevel, level)
	case version == "" || version == wantVersion:
		return nil
	case wantVersion == "":
		return mismatch(RuleVersion, fmt.Sprintf("build it with VERSION_ID=%s, or ID=%s if it runs on every system", version, Any),
			"the extension is for %q without a VERSION_ID, and the host has %q", r.Get(KeyID), version)
	}
	return mismatch(RuleVersion, fmt.Sprintf("get the build for %s %s", h.Release.Get(KeyID), version),
		"the extension is for %s %s, and the host is %s %s", r.Get(KeyID), wantVersion, h.Release.Get(KeyID), version)
}
