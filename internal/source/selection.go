package source

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"inlay/internal/hint"
)

// Selection chooses layers of an image. The zero value chooses the last one,
// which is what the documents promise.
type Selection struct {
	all      bool
	from, to int // 1-based, counted from the lowest; 0 means the last
}

// ParseLayers reads last, all, N or N-M. Layers are counted from 1, the lowest,
// as tools that list an image's layers do; N-M includes both ends.
func ParseLayers(s string) (Selection, error) {
	switch s {
	case "last", "":
		return Selection{}, nil
	case "all":
		return Selection{all: true}, nil
	}
	first, last, isRange := strings.Cut(s, "-")
	from, err := parseNumber(first)
	to := from
	if err == nil && isRange {
		to, err = parseNumber(last)
	}
	if err == nil && to < from {
		err = errors.New("the range runs backwards")
	}
	if err != nil {
		return Selection{}, hint.Wrap(fmt.Errorf("parsing layers %q: %w", clip(s), err),
			"write last, all, N or N-M, where 1 is the lowest layer")
	}
	return Selection{from: from, to: to}, nil
}

func parseNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	switch {
	case err != nil:
		return 0, errors.New("not a number")
	case n == 0:
		return 0, errors.New("layers are counted from 1")
	}
	return int(n), nil
}

// String returns the form that ParseLayers takes.
func (s Selection) String() string {
	switch {
	case s.all:
		return "all"
	case s.from == 0:
		return "last"
	case s.from == s.to:
		return strconv.Itoa(s.from)
	}
	return fmt.Sprintf("%d-%d", s.from, s.to)
}

// Range returns the first and the last chosen layer of an image that has
// count, both 1-based and included.
func (s Selection) Range(count int) (from, to int, err error) {
	switch {
	case count < 1:
		return 0, 0, errors.New("the image has no layers")
	case s.all:
		return 1, count, nil
	case s.from == 0:
		return count, count, nil
	case s.to > count:
		advice := fmt.Sprintf("choose from 1 to %d, 1 being the lowest", count)
		if count == 1 {
			advice = "choose last or all"
		}
		return 0, 0, hint.Wrap(fmt.Errorf("layers %s: the image has %d", s, count), advice)
	}
	return s.from, s.to, nil
}
