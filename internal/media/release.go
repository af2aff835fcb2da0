package media

import (
	"errors"
	"fmt"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// Release is the os-release of a root file system.
type Release struct {
	Path   string
	Text   []byte
	Fields *osrelease.Release
}

// Name is what people call the system.
func (r *Release) Name() string {
	for _, key := range []string{"PRETTY_NAME", "NAME", "ID"} {
		if v := r.Fields.Get(key); v != "" {
			return v
		}
	}
	return "Linux"
}

// Release reads the os-release of the system.
func (s *System) Release() (*Release, error) {
	at, ok := s.Find("etc/os-release", "usr/lib/os-release")
	if !ok {
		return nil, hint.Wrap(errors.New("the source has no os-release, neither in /etc nor in /usr/lib"),
			"name the image or folder of a whole system, not of an extension or a single program")
	}
	text, err := s.ReadFile(at, osrelease.MaxSize)
	if err != nil {
		return nil, err
	}
	fields, err := osrelease.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+at, hint.Default(err, "correct the file in the source; os-release(5) says what it may hold"))
	}
	return &Release{Path: at, Text: text, Fields: fields}, nil
}

// Kairos says whether the system is one of Kairos's, which is booted with words
// of its own.
func (s *System) Kairos() bool {
	if _, ok := s.Find("usr/bin/immucore", "etc/kairos-release"); ok {
		return true
	}
	release, err := s.Release()
	if err != nil {
		return false
	}
	for _, f := range release.Fields.Fields() {
		if strings.HasPrefix(f.Key, "KAIROS_") {
			return true
		}
	}
	return false
}
