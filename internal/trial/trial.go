// Package trial keeps count of boots that went bad, so that an extension which
// breaks the boot is left out of a later one: the file .inlay/boot.json of a store.
//
// An image that was never part of a boot that went well is on trial. It is counted
// before each boot that uses it, and gets so many; a boot that is marked good ends
// the trial of all that it used. What an image is told by is its root hash, or
// another text that changes with its content: another image of the same name is on
// trial anew.
//
// It follows the boot counting of the Boot Loader Specification, with files in
// place of entries. Left out on purpose: where the state lies, and who may write it
// (package store), and what is linked (package boot).
package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// DefaultTries is how many boots an image gets to be part of a good one.
const DefaultTries = 3

const (
	// MaxSize bounds the text of a State, in bytes: 5000 images take half of it.
	MaxSize = 4 << 20
	// maxEntries bounds the images of a profile, and maxProfiles the profiles, of
	// which four are known.
	maxEntries  = 10_000
	maxProfiles = 16

	version = 1
)

// State is what is known of earlier boots, by profile. The zero State knows of none.
type State struct {
	Version  int                 `json:"version"`
	Profiles map[string]*Profile `json:"profiles,omitempty"`
}

// Profile is what is known of the boots of one profile.
type Profile struct {
	// Good is what the boot used that last went well, Marked when that was said.
	Good   []Image   `json:"good,omitempty"`
	Marked time.Time `json:"marked,omitzero"`
	// Tried are the images on trial.
	Tried []Try `json:"tried,omitempty"`
}

// Image is one content under one name of a file.
type Image struct {
	FileName string `json:"fileName"`
	// ID is the root hash, or what else changes with the content.
	ID string `json:"id"`
}

// Try is an image on trial.
type Try struct {
	Image
	// Boots are those that used it, Of how many it gets.
	Boots int `json:"boots"`
	Of    int `json:"of"`
	// Last is when the last of them began, and Boot what the kernel calls it.
	Last time.Time `json:"last"`
	Boot string    `json:"boot,omitempty"`
}

// Left is how many more boots it gets.
func (t Try) Left() int { return max(0, t.Of-t.Boots) }

// Parse reads a state, strictly. No text at all is the zero State.
func Parse(text []byte) (*State, error) {
	if len(text) == 0 {
		return &State{Version: version}, nil
	}
	if len(text) > MaxSize {
		return nil, fmt.Errorf("parsing the state of trials: %d bytes, more than %d", len(text), MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	s := &State{}
	err := d.Decode(s)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the end")
		}
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("parsing the state of trials: %w", err)
	}
	return s, nil
}

func (s *State) check() error {
	if s.Version != version {
		return fmt.Errorf("version %d, which is not known here", s.Version)
	}
	if len(s.Profiles) > maxProfiles {
		return fmt.Errorf("%d profiles, more than %d", len(s.Profiles), maxProfiles)
	}
	for name, p := range s.Profiles {
		switch {
		case p == nil:
			return fmt.Errorf("nothing of profile %q", name)
		case len(p.Good) > maxEntries || len(p.Tried) > maxEntries:
			return fmt.Errorf("more than %d images of profile %q", maxEntries, name)
		}
		for _, t := range p.Tried {
			if t.Boots < 0 || t.Of < 0 {
				return fmt.Errorf("a negative count of %q", t.FileName)
			}
		}
	}
	return nil
}

// Marshal returns the text of a state.
func (s *State) Marshal() ([]byte, error) {
	s.Version = version
	text, err := json.MarshalIndent(s, "", "\t")
	return append(text, '\n'), err
}

// Trusted says whether a profile's last good boot used the image.
func (s *State) Trusted(profile string, im Image) bool {
	p := s.Profiles[profile]
	return p != nil && slices.Contains(p.Good, im)
}

// Begin counts a boot that is about to use an image, unless that has booted well,
// and returns its trial; nil is no trial. If spent, the image had all its boots and
// nothing is counted: it is not to be used. boot is what the kernel calls this boot:
// a second count in the same one is none.
func (s *State) Begin(profile string, im Image, of int, boot string, now time.Time) (t *Try, spent bool) {
	if s.Trusted(profile, im) {
		return nil, false
	}
	p := s.profile(profile)
	at := slices.IndexFunc(p.Tried, func(t Try) bool { return t.FileName == im.FileName })
	if at < 0 {
		p.Tried = append(p.Tried, Try{})
		at = len(p.Tried) - 1
	}
	t = &p.Tried[at]
	if t.Image != im {
		*t = Try{Image: im}
	}
	t.Of = of
	switch {
	case boot != "" && t.Boot == boot:
	case t.Boots >= of:
		return t, true
	default:
		t.Boots++
		t.Last, t.Boot = now, boot
	}
	return t, false
}

// Good says that a boot of a profile which used images went well. It ends their
// trials, and those of images that are not wanted any more.
func (s *State) Good(profile string, used []Image, wanted func(fileName string) bool, now time.Time) {
	p := s.profile(profile)
	p.Good, p.Marked = slices.Clone(used), now
	p.Tried = slices.DeleteFunc(p.Tried, func(t Try) bool {
		return slices.Contains(used, t.Image) || !wanted(t.FileName)
	})
}

// Forget ends the trials of a file in every profile: it gets all its boots again.
// It says whether there were any.
func (s *State) Forget(fileName string) bool {
	var some bool
	for _, p := range s.Profiles {
		before := len(p.Tried)
		p.Tried = slices.DeleteFunc(p.Tried, func(t Try) bool { return t.FileName == fileName })
		some = some || len(p.Tried) < before
	}
	return some
}

func (s *State) profile(name string) *Profile {
	if s.Profiles == nil {
		s.Profiles = map[string]*Profile{}
	}
	if s.Profiles[name] == nil {
		s.Profiles[name] = &Profile{}
	}
	return s.Profiles[name]
}
