package store

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"inlay/internal/extension"
)

// Problem is something in the store that is not as it should be, and that
// stops nothing else.
type Problem struct {
	// Path is what it is about, below the root.
	Path string `json:"path"`
	// Image is the file name of the image that is concerned, or "".
	Image string `json:"image,omitempty"`
	Text  string `json:"text"`
	// Advice is what helps, or "".
	Advice string `json:"advice,omitempty"`
}

func (sc *scan) problem(at, image, text, advice string) {
	sc.problems = append(sc.problems, Problem{Path: at, Image: image, Text: text, Advice: advice})
}

// Problems returns what is wrong with the store, sorted by path.
func (s *Store) Problems() []Problem {
	sc, err := s.scan()
	if err != nil {
		return []Problem{{Path: s.at, Text: err.Error()}}
	}
	if s.interrupted() {
		sc.problem(path.Join(s.at, journalFile), "", "a command was interrupted while it changed the store",
			"the next command that changes the store undoes what it left")
	}
	if s.Stale() {
		sc.problem(path.Join(s.at, staleFile), "", "the running system may still be merged as an undone command had it",
			"the next command that changes the store merges it anew")
	}
	slices.SortStableFunc(sc.problems, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
	return sc.problems
}

// judge adds what is wrong with images as such.
func (s *Store) judge(sc *scan) {
	called := map[string][]string{} // file names by name
	for fileName, image := range sc.images {
		if image.Missing {
			continue
		}
		called[image.Name] = append(called[image.Name], fileName)
		kind, known := extension.KindOfFile(fileName)
		switch {
		case !known:
			sc.problem(image.Path, fileName, "its name doesn't say which kind of extension it is",
				fmt.Sprintf("if it is a %s, download it again as %q", s.kind.Name, s.kind.FileName(image.Name)))
		case kind.Name != s.kind.Name:
			sc.problem(image.Path, fileName, fmt.Sprintf("by its name it is a %s, and this is the store for kind %q", kind.Name, s.kind.Name),
				fmt.Sprintf("remove it, and download it as a %s", kind.Name))
		}
		if err := extension.ValidName(image.Name); err != nil {
			sc.problem(image.Path, fileName, err.Error(), "remove it, and download it under another name")
		} else if why := extension.AwkwardName(image.Name); why != "" {
			sc.problem(image.Path, fileName, why, "remove it, and download it under another name")
		}
	}
	for name, files := range called {
		if len(files) < 2 {
			continue
		}
		slices.Sort(files)
		for _, f := range files[1:] {
			sc.problem(sc.images[f].Path, f, fmt.Sprintf("systemd calls it %q, as it does %q: of the two, any may be merged", name, files[0]),
				"remove one of the two")
		}
	}
}
