package extension

import (
	"fmt"
	"strings"

	"inlay/internal/hint"
)

// Kind is one class of extension. All that differs between the classes is
// here, so that no other code asks which one it has before it.
type Kind struct {
	// Name is the word of systemd's command line: "sysext" or "confext".
	Name string
	// Suffix ends the file name of an image: ".sysext.raw".
	Suffix string
	// Hierarchies are the folders that an image of this kind carries unless
	// more are asked for, as cleaned names without a leading slash.
	Hierarchies []string
	// Mergeable are all folders that systemd lays over a host for this kind.
	// What an image carries elsewhere never shows.
	Mergeable []string
	// ReleaseFolder is where the release file lies in the image.
	ReleaseFolder string
	// ScopeKey and LevelKey are the kind's own keys in the release file.
	ScopeKey string
	LevelKey string
	// UnitFolder is where the manager looks for units in this kind's hierarchy.
	UnitFolder string
	// Store is the folder of a node's images, RunFolder the one that systemd
	// looks for extensions in until the next boot.
	Store     string
	RunFolder string
	// Unit is the service that merges at boot, Tool the program that it runs.
	Unit string
	Tool string
	// Configuration says that the kind carries configuration, in which
	// programs with privileges of their own have no place.
	Configuration bool
}

// Sysext is the kind that extends /usr, and /opt on request.
func Sysext() Kind {
	return Kind{
		Name:          "sysext",
		Suffix:        ".sysext.raw",
		Hierarchies:   []string{"usr"},
		Mergeable:     []string{"usr", "opt"},
		ReleaseFolder: "usr/lib/extension-release.d",
		ScopeKey:      "SYSEXT_SCOPE",
		LevelKey:      "SYSEXT_LEVEL",
		UnitFolder:    "usr/lib/systemd/system",
		Store:         "var/lib/kairos/extensions",
		RunFolder:     "run/extensions",
		Unit:          "systemd-sysext.service",
		Tool:          "systemd-sysext",
	}
}

// Confext is the kind that extends /etc.
func Confext() Kind {
	return Kind{
		Name:          "confext",
		Suffix:        ".confext.raw",
		Hierarchies:   []string{"etc"},
		Mergeable:     []string{"etc"},
		ReleaseFolder: "etc/extension-release.d",
		ScopeKey:      "CONFEXT_SCOPE",
		LevelKey:      "CONFEXT_LEVEL",
		UnitFolder:    "etc/systemd/system",
		Store:         "var/lib/kairos/confexts",
		RunFolder:     "run/confexts",
		Unit:          "systemd-confext.service",
		Tool:          "systemd-confext",
		Configuration: true,
	}
}

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{Sysext(), Confext()} }

// KindNamed returns the kind that goes by name.
func KindNamed(name string) (Kind, error) {
	var known []string
	for _, k := range Kinds() {
		if k.Name == name {
			return k, nil
		}
		known = append(known, k.Name)
	}
	return Kind{}, hint.Wrap(fmt.Errorf("unknown kind %q", name), "the kinds are "+strings.Join(known, " and "))
}

// ReleaseFile returns the path of the release file in an image called name.
func (k Kind) ReleaseFile(name string) string {
	return k.ReleaseFolder + "/" + ReleasePrefix + name
}

// FileName returns the name of the image file of the extension name.
func (k Kind) FileName(name string) string { return name + k.Suffix }

// Within says whether the cleaned path lies in one of folders, or is one.
func Within(path string, folders []string) bool {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, f) && path[len(f)] == '/' {
			return true
		}
	}
	return false
}
