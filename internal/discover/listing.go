package discover

import (
	"path"
	"slices"
	"strings"
	"time"
)

// Listing is what "systemd-sysext list --json" tells of one extension.
type Listing struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
	Path string `json:"path"`
	// Time is in microseconds since 1970, 0 if there is none to tell: when an
	// image changed last, when a folder was made.
	Time int64 `json:"time"`
}

// List lists the candidates as systemd does, by name bytewise, without those in
// Options.More, of which systemd knows nothing.
func (f *Found) List(o Options) []Listing {
	list := []Listing{}
	for _, c := range f.Candidates {
		if !c.Old {
			list = append(list, c.Listing(o))
		}
	}
	slices.SortFunc(list, func(a, b Listing) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Listing is what a list has of one candidate.
func (c *Candidate) Listing(o Options) Listing {
	l := Listing{Name: c.Name, Type: c.Type, Path: path.Join("/", c.Place)}
	if rulesOf(o).stacks() {
		l.Path = path.Join("/", c.Path)
	}
	if at := c.Time(); !at.IsZero() {
		l.Time = at.UnixMicro()
	}
	return l
}

// Time is the time that a list shows: zero if there is none to tell. What a
// folder holds can change without its own time of change.
func (c *Candidate) Time() time.Time {
	switch c.Type {
	case Raw:
		return c.ModTime
	case Block:
		return time.Time{}
	default:
		return c.Created
	}
}
