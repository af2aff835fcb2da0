package extension

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// Keys of the release file that more than one place needs.
const (
	KeyID            = "ID"
	KeyIDLike        = "ID_LIKE"
	KeyVersionID     = "VERSION_ID"
	KeyArchitecture  = "ARCHITECTURE"
	KeyReloadManager = "EXTENSION_RELOAD_MANAGER"
)

// Any is the value of ID and ARCHITECTURE that fits every host.
const Any = "_any"

// DefaultRelease is the release file that an image without one gets: it fits
// every host of the architecture.
func DefaultRelease(a Architecture) *osrelease.Release {
	r := new(osrelease.Release)
	r.Set(KeyID, Any)
	r.Set(KeyArchitecture, a.Word)
	return r
}

// CheckRelease refuses a release file that matches no host at all, whichever
// it is: an extension that can never merge should not be built. The order is
// that of systemd's own check.
func CheckRelease(k Kind, a Architecture, r *osrelease.Release) error {
	if scope, ok := r.Lookup(k.ScopeKey); ok {
		if err := checkScope(k, scope); err != nil {
			return err
		}
	}
	if err := checkArchitecture(a, r.Get(KeyArchitecture)); err != nil {
		return err
	}
	if r.Get(KeyID) == "" {
		return hint.Wrap(fmt.Errorf("the release file has no %s, so that no host accepts it", KeyID),
			"add --release ID=_any, or the ID of the host's os-release")
	}
	return nil
}

func checkScope(k Kind, scope string) error {
	known := []string{ScopeSystem, ScopeInitrd, ScopePortable}
	if slices.ContainsFunc(words(scope), func(w string) bool { return slices.Contains(known, w) }) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("the release file has %s=%q, which no host is in", k.ScopeKey, scope),
		fmt.Sprintf("leave %s out, or name one or more of: %s", k.ScopeKey, strings.Join(known, ", ")))
}

func checkArchitecture(a Architecture, word string) error {
	switch {
	case word == "" || word == Any || word == a.Word:
		return nil
	case slices.Contains(systemdWords(), word):
		return hint.Wrap(fmt.Errorf("the release file is for %s, but the image is built for %s", word, a.Word),
			fmt.Sprintf("build with --arch for %s, or change it with --release ARCHITECTURE=%s", word, a.Word))
	}
	return hint.Wrap(fmt.Errorf("the release file has ARCHITECTURE=%q, which is no name that systemd knows", word),
		fmt.Sprintf("change it with --release ARCHITECTURE=%s, or to %s for every host", a.Word, Any))
}

// NarrowRelease returns what a reader should know of a release file that can
// match a host but likely matches fewer than its author thinks, or "".
func NarrowRelease(k Kind, r *osrelease.Release) string {
	if r.Get(KeyID) == Any || r.Get(KeyVersionID) != "" || r.Get(k.LevelKey) != "" {
		return ""
	}
	return fmt.Sprintf("the release file has ID=%s but neither VERSION_ID nor %s: only hosts without a VERSION_ID accept it",
		r.Get(KeyID), k.LevelKey)
}
