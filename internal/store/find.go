package store

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

const (
	// maxPattern bounds what people may ask for; no name is as long.
	maxPattern = 512
	// maxNear is how many names are offered for one that isn't there.
	maxNear = 5
)

// AmbiguousError says that a pattern fits several images.
type AmbiguousError struct {
	Pattern string
	// Names are the file names of the images, in the order of Images.
	Names []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%q fits %d extensions: %s", e.Pattern, len(e.Names), strings.Join(e.Names, ", "))
}

// Find returns the images that patterns name, each once, in the order of
// Images. A pattern is the name of an image, with or without its suffix; or
// else a part of one; or else a regular expression that fits any part of one.
// If it fits several it is an *AmbiguousError, unless all are wanted; if it
// fits none, ErrNotFound, with the names that are near, if any are, for advice.
func (s *Store) Find(patterns []string, all bool) ([]Image, error) {
	images, err := s.Images()
	if err != nil {
		return nil, err
	}
	chosen := make([]bool, len(images))
	for _, pattern := range patterns {
		hits, err := find(s.kind, images, pattern)
		if err != nil {
			return nil, err
		}
		if len(hits) > 1 && !all {
			e := &AmbiguousError{Pattern: pattern}
			for _, i := range hits {
				e.Names = append(e.Names, images[i].FileName)
			}
			return nil, hint.Wrap(e, "give the whole name of one, or --all for each of them")
		}
		for _, i := range hits {
			chosen[i] = true
		}
	}
	var found []Image
	for i, image := range images {
		if chosen[i] {
			found = append(found, image)
		}
	}
	return found, nil
}

// find returns the indices of the images that a pattern fits, at least one.
func find(k extension.Kind, images []Image, pattern string) ([]int, error) {
	if pattern == "" || len(pattern) > maxPattern {
		return nil, hint.Wrap(fmt.Errorf("a name of %d bytes names no extension", len(pattern)), "give the name of an extension")
	}
	where := func(fits func(Image) bool) []int {
		var hits []int
		for i, image := range images {
			if fits(image) {
				hits = append(hits, i)
			}
		}
		return hits
	}
	if hits := where(func(i Image) bool { return i.FileName == pattern }); len(hits) > 0 {
		return hits, nil
	}
	bare := extension.NameOf(k, pattern)
	if hits := where(func(i Image) bool { return i.Name == pattern || i.Name == bare }); len(hits) > 0 {
		return hits, nil
	}
	// What is in a name as it stands was meant, too: "a+b" as an expression
	// does not fit "a+b".
	expression, invalid := regexp.Compile(pattern)
	hits := where(func(i Image) bool {
		return strings.Contains(i.FileName, pattern) || invalid == nil && expression.MatchString(i.FileName)
	})
	if len(hits) > 0 {
		return hits, nil
	}
	err := fmt.Errorf("%q: %w", pattern, ErrNotFound)
	if invalid != nil {
		err = errors.Join(err, fmt.Errorf("reading it as an expression: %w", invalid))
	}
	if near := nearest(images, pattern); near != "" {
		return nil, hint.Wrap(err, near)
	}
	return nil, err
}

// nearest offers the names that are nearest to one that isn't there, if any are.
func nearest(images []Image, pattern string) string {
	type near struct {
		name     string
		distance int
	}
	var names []near
	for _, image := range images {
		d := distance(strings.ToLower(pattern), strings.ToLower(image.Name))
		if d <= max(2, len(pattern)/3) {
			names = append(names, near{image.Name, d})
		}
	}
	slices.SortStableFunc(names, func(a, b near) int { return a.distance - b.distance })
	if len(names) == 0 {
		return ""
	}
	var text []string
	for _, n := range names[:min(len(names), maxNear)] {
		text = append(text, fmt.Sprintf("%q", n.name))
	}
	return "did you mean " + strings.Join(text, " or ") + "?"
}

// distance is how many letters must be typed or taken away to make b of a,
// or of the beginning of b if that is nearer: a version is seldom typed.
func distance(a, b string) int {
	return slices.Min(hint.Edits(a, b[:min(len(b), maxPattern)]))
}
