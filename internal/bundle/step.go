package bundle

import (
	"context"
	"errors"
	"fmt"

	"inlay/internal/source"
)

// do does one step. The error joins those of its targets.
func (s *Step) do(ctx context.Context, r ApplyRequest) (err error) {
	if s.State == Failed { // its target could not be understood
		return s.refused
	}
	if s.holds(r) {
		s.State = Same
		return nil
	}
	parts, err := s.open(ctx, r)
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, p.Image.Close())
		}
	}()
	if err != nil {
		return err
	}
	for i, p := range parts {
		if p.Image.Digest != "" {
			s.Digests = append(s.Digests, p.Image.Digest)
		}
		if note := s.targets[i].unpinned(p.Image); note != "" {
			s.Notes = append(s.Notes, note)
		}
	}
	if s.targets[0].runs() {
		err = s.run(ctx, r, parts[0])
	} else {
		err = s.unpack(ctx, r, parts)
	}
	if err != nil {
		return s.failAll(err)
	}
	return nil
}

// holds says whether the folder holds what is asked for without having to ask
// anybody: it was unpacked from the digests that the targets name.
func (s *Step) holds(r ApplyRequest) bool {
	if s.targets[0].runs() || r.Options.Replace {
		return false
	}
	var pins []source.Digest
	for _, t := range s.targets {
		pins = append(pins, t.pin)
	}
	has, err := s.place.record()
	if err != nil || !has.pinned(pins, r.Options.NoSameOwner) {
		return false
	}
	s.Digests = nil
	for _, im := range has.Images {
		s.Digests = append(s.Digests, im.Digest)
	}
	return true
}

// open opens the images of all targets, and goes on where one fails, to name each.
func (s *Step) open(ctx context.Context, r ApplyRequest) ([]Part, error) {
	var parts []Part
	var errs []error
	for n, t := range s.targets {
		o := r.Source
		o.Architecture = r.GoArchitecture
		if o.SpoolDir == "" && s.place != nil {
			o.SpoolDir = s.place.Near()
		}
		im, err := source.Open(ctx, t.ref, o)
		if err == nil {
			parts = append(parts, Part{Image: im, Pin: t.pin})
			err = CheckPlatform(im, r.GoArchitecture)
		}
		if err != nil {
			errs = append(errs, s.fail(n, err))
		}
	}
	if len(errs) > 0 && len(s.targets) > 1 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s stays as it was: of the %d images that are to lie on top of each other there, not all can be had", s.Path, len(s.targets)))
	}
	return parts, errors.Join(errs...)
}

func (s *Step) unpack(ctx context.Context, r ApplyRequest, parts []Part) error {
	if r.DryRun {
		at, err := s.place.look(parts, r.Options)
		s.State = at
		return err
	}
	result, err := Unpack(ctx, s.place, parts, r.Options)
	if err != nil {
		return err
	}
	s.State, s.Counts, s.Use = Unpacked, result.Counts, result.Use
	if result.Same {
		s.State = Same
	}
	s.Notes = append(s.Notes, result.Notes...)
	return nil
}

// failAll notes an error that all targets of the step share, under the first.
func (s *Step) failAll(err error) error {
	if len(s.targets) > 1 {
		err = fmt.Errorf("with %d more on top of it: %w", len(s.targets)-1, err)
	}
	return s.fail(0, err)
}
