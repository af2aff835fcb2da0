package inspect

import (
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/osrelease"
)

// Uses say what systemd would take the tree for, by its structure and its
// metadata alone, under the name that it has.
type Uses struct {
	BootableUEFI           bool `json:"useBootableUefi"`
	BootableContainer      bool `json:"useBootableContainer"`
	Initrd                 bool `json:"useInitrd"`
	PortableService        bool `json:"usePortableService"`
	SystemExtension        bool `json:"useSystemExtension"`
	InitrdSystemExtension  bool `json:"useInitRDSystemExtension"`
	PortableSysext         bool `json:"usePortableSystemExtension"`
	ConfigurationExtension bool `json:"useConfigurationExtension"`
	InitrdConfext          bool `json:"useInitRDConfigurationExtension"`
	PortableConfext        bool `json:"usePortableConfigurationExtension"`
}

// Use is one of the Uses in words.
type Use struct {
	What string
	Fit  bool
}

// List returns the uses in systemd-dissect's order and words.
func (u *Uses) List() []Use {
	return []Use{
		{"bootable system for UEFI", u.BootableUEFI},
		{"bootable system for container", u.BootableContainer},
		{"portable service", u.PortableService},
		{"initrd", u.Initrd},
		{"sysext for system", u.SystemExtension},
		{"sysext for portable service", u.PortableSysext},
		{"sysext for initrd", u.InitrdSystemExtension},
		{"confext for system", u.ConfigurationExtension},
		{"confext for portable service", u.PortableConfext},
		{"confext for initrd", u.InitrdConfext},
	}
}

// scopes says what an extension with release file r is for: systems and
// portable services, unless it says something else.
func scopes(k extension.Kind, r *osrelease.Release) (system, portable, initrd bool) {
	if r == nil {
		return false, false, false
	}
	scope, said := r.Lookup(k.ScopeKey)
	if !said {
		return true, true, false
	}
	words := strings.Fields(scope)
	return slices.Contains(words, "system"), slices.Contains(words, "portable"), slices.Contains(words, "initrd")
}

// hasInit says whether the tree has a program that a kernel or a container
// manager starts first.
func hasInit(tree *content.Tree) bool {
	for _, path := range []string{"usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init"} {
		if _, _, err := tree.Resolve(path); err == nil {
			return true
		}
	}
	return false
}
