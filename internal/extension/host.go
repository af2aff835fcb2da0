package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// Scopes of which an extension names those that it is for.
const (
	ScopeSystem   = "system"
	ScopeInitrd   = "initrd"
	ScopePortable = "portable"
)

// NewestSystemd is the version whose rules a Host without one follows: the
// newest that was measured.
const NewestSystemd = 262

// Host is what an extension is matched with. The zero Host takes nothing.
type Host struct {
	// Release is the host's os-release.
	Release *osrelease.Release
	// Architecture is systemd's word for it; see HostArchitecture.
	Architecture string
	// Initrd says that the host is an initial RAM disk.
	Initrd bool
	// Systemd is the version whose rules count; 0 means NewestSystemd.
	Systemd int
}

// HostAt describes the host whose files root shows, for an architecture in
// systemd's words.
func HostAt(root Content, architecture string) (Host, error) {
	var text []byte
	var err error
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		if text, err = root.ReadFile(name, osrelease.MaxSize); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Host{}, hint.Wrap(errors.New("there is no os-release in /etc or /usr/lib, without which systemd merges nothing"),
			"name the root folder of a system, or its os-release")
	}
	if err != nil {
		return Host{}, fmt.Errorf("looking for the host's os-release: %w", err)
	}
	h, err := HostFrom(text, architecture)
	if err != nil {
		return Host{}, err
	}
	switch _, err := root.ReadFile("etc/initrd-release", osrelease.MaxSize); {
	case err == nil:
		h.Initrd = true
	case !errors.Is(err, fs.ErrNotExist):
		return Host{}, fmt.Errorf("looking for the host's initrd-release: %w", err)
	}
	return h, nil
}

// HostFrom describes a host, no initial RAM disk, by the text of its os-release.
func HostFrom(release []byte, architecture string) (Host, error) {
	r, err := osrelease.Parse(release)
	if err != nil {
		return Host{}, fmt.Errorf("reading the host's os-release: %w", err)
	}
	if r.Get(KeyID) == "" {
		return Host{}, hint.Wrap(errors.New("the host's os-release has no ID, without which systemd merges nothing"),
			"check that it is an os-release, and add ID=linux if the system has no name")
	}
	return Host{Release: r, Architecture: architecture}, nil
}

// scope returns the word for what the host is.
func (h Host) scope() string {
	if h.Initrd {
		return ScopeInitrd
	}
	return ScopeSystem
}

// systemd returns the version whose rules count.
func (h Host) systemd() int {
	if h.Systemd == 0 {
		return NewestSystemd
	}
	return h.Systemd
}

// words parts a list as systemd does, at the blanks of ASCII.
func words(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(" \t\n\r", c) })
}
