package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// ApplyRequest asks for what bundles want.
type ApplyRequest struct {
	Bundles []config.Bundle
	// Root is the machine's: folders, local files and what is run temporarily lie
	// below it.
	Root *os.Root
	// Source says how to open images; where to spool is filled in.
	Source  source.Options
	Options Options // Machine is filled in
	// GoArchitecture is the machine's, in Go's words.
	GoArchitecture string
	// Output is where programs that are run write to.
	Output io.Writer
	DryRun bool
}

// States of a [Step]. In a dry run they say what would be.
const (
	Unpacked = "unpacked"
	Same     = "same" // the folder holds these images already
	Ran      = "ran"
	Failed   = "failed"
)

// Step is one folder that bundles want, or one program.
type Step struct {
	// Targets are the images, as they were written. Several for one folder are
	// laid on top of each other, in this order.
	Targets []string `json:"targets"`
	// Origins say where they were asked for.
	Origins []string        `json:"origins,omitempty"`
	State   string          `json:"state"`
	Path    string          `json:"path,omitempty"` // the folder; of a program, its BUNDLE_TARGET
	Digests []source.Digest `json:"digests,omitempty"`
	Counts  *Counts         `json:"counts,omitempty"`
	Use     *Use            `json:"extension,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Errors  []StepError     `json:"errors,omitempty"`

	rootFS  string
	place   *Place
	targets []target
	refused error // why the target was not understood
}

// StepError says what is wrong with one target.
type StepError struct {
	Target string   `json:"target"`
	Origin string   `json:"origin"`
	Error  string   `json:"error"`
	Hints  []string `json:"hints,omitempty"`
}

// Apply does what bundles want, one after the other. One that fails stops no other:
// the error joins those of all, each with its target, and the steps say which they
// are. Targets for the same folder are one step: it holds all of them, or stays as
// it was.
func Apply(ctx context.Context, r ApplyRequest) ([]*Step, error) {
	r.Options.Machine = r.Root
	var errs []error
	steps := steps(r)
	for _, s := range steps {
		if err := s.do(ctx, r); err != nil {
			if ctx.Err() != nil {
				return steps, context.Cause(ctx)
			}
			errs = append(errs, err)
		}
	}
	return steps, errors.Join(errs...)
}

// steps puts targets together that go into one folder.
func steps(r ApplyRequest) []*Step {
	var list []*Step
	folders := map[string]*Step{}
	for _, b := range r.Bundles {
		rootFS := b.RootFS
		if rootFS == "" {
			rootFS = "/"
		}
		for _, text := range b.Targets {
			s := &Step{Path: path.Clean(rootFS), rootFS: rootFS, Targets: []string{text}, Origins: []string{b.Origin}}
			t, err := parseTarget(r.Root, text, b.LocalFile)
			s.targets = []target{t}
			if err == nil {
				err = s.find(r.Root, t)
			}
			if err != nil {
				s.refused = s.fail(0, err)
			}
			known := folders[s.Path]
			switch {
			case s.place == nil || t.runs():
			case known != nil:
				known.add(s)
				continue
			default:
				folders[s.Path] = s
			}
			list = append(list, s)
		}
	}
	return list
}

// add puts the target of another step on top.
func (s *Step) add(top *Step) {
	s.Targets = append(s.Targets, top.Targets...)
	s.Origins = append(s.Origins, top.Origins...)
	s.targets = append(s.targets, top.targets...)
}

// find finds the place of a folder. What a program makes of its target is its own
// business: that may be the whole root.
func (s *Step) find(root *os.Root, t target) error {
	place, err := Below(root, s.rootFS)
	if err == nil {
		s.place, s.Path = place, place.Path
		return nil
	}
	if t.runs() && path.Clean(s.rootFS) == "/" {
		s.Path = root.Name()
		return nil
	}
	return err
}

// fail notes an error of the nth target and returns it with its name.
func (s *Step) fail(n int, err error) error {
	s.State = Failed
	s.Errors = append(s.Errors, StepError{Target: s.Targets[n], Origin: s.Origins[n], Error: err.Error(), Hints: hint.Of(err)})
	return fmt.Errorf("target %q (%s): %w", s.Targets[n], s.Origins[n], err)
}
