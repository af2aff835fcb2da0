package content

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/osrelease"
)

// Release finds the release file of kind k that systemd would take for an
// extension called name. If none fits the name but there is only one, that one
// is returned, and fits is false: whoever looks at a renamed image still wants
// to know what it is. It returns nil if there is none at all.
func (t *Tree) Release(k extension.Kind, name string) (found *extension.Found, fits bool, err error) {
	found, err = extension.LookupRelease(t, k, name)
	if err == nil {
		return found, true, nil
	}
	if !errors.Is(err, extension.ErrNoRelease) {
		return nil, false, err
	}
	files, listErr := t.Regular(k.ReleaseFolder)
	if listErr != nil && !errors.Is(listErr, fs.ErrNotExist) {
		return nil, false, listErr
	}
	var there []string
	for _, file := range files {
		if name, ok := strings.CutPrefix(file, extension.ReleasePrefix); ok {
			there = append(there, name)
		}
	}
	switch len(there) {
	case 0:
		return nil, false, nil
	case 1:
	default:
		return nil, false, err
	}
	path := k.ReleaseFile(there[0])
	text, err := t.ReadFile(path, osrelease.MaxSize)
	if err != nil {
		return nil, false, err
	}
	release, err := osrelease.Parse(text)
	if err != nil {
		return nil, false, fmt.Errorf("reading %q: %w", "/"+path, err)
	}
	return &extension.Found{Path: path, Name: there[0], Release: release}, false, nil
}
