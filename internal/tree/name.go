package tree

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"inlay/internal/hint"
)

const (
	maxComponent = 255  // NAME_MAX: no Linux file system holds a longer name
	maxName      = 4096 // PATH_MAX: no program could open a longer one
	maxTarget    = 4095 // what readlink gives back at most

	whiteoutPrefix = ".wh."
	metadataPrefix = ".wh..wh." // AUFS's own files, of no use to anyone else
	opaqueMarker   = ".wh..wh..opq"
)

// clean brings the name of an entry, or the target of a hard link, into the
// form of Entry.Name, or says why that cannot be.
func clean(raw string) (string, error) {
	if raw == "" {
		return "", errors.New("the name is empty")
	}
	if strings.IndexByte(raw, 0) >= 0 {
		return "", errors.New("the name has a NUL byte in it")
	}
	name := raw
	for {
		rest := strings.TrimLeft(name, "/")
		rest = strings.TrimPrefix(rest, "./")
		if rest == name {
			break
		}
		name = rest
	}
	name = strings.TrimRight(name, "/")
	if name == "." || name == "" {
		return "", nil
	}
	if len(name) > maxName {
		return "", fmt.Errorf("the name is %d bytes long, more than %d", len(name), maxName)
	}
	dots := false
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "", hint.Wrap(errors.New("the name has an empty component"),
				"make the archive again, without doubled slashes in the names given to tar")
		case part == "..":
			return "", hint.Wrap(errors.New(`the name has ".." in it`),
				"make the archive again, from inside the folder it is to hold")
		case len(part) > maxComponent:
			return "", fmt.Errorf("a component of the name is %d bytes long, more than %d", len(part), maxComponent)
		}
		dots = dots || part == "."
	}
	if dots {
		name = withoutDots(name)
	}
	return name, nil
}

// withoutDots drops "." components, which stand for nothing.
func withoutDots(name string) string {
	var kept []string
	for part := range strings.SplitSeq(name, "/") {
		if part != "." {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "/")
}

// mark finds out whether the cleaned name speaks of the layers below instead
// of naming a file. It returns what the marker means and the name it is about;
// skip is set for what AUFS left behind for itself.
func mark(name string) (about string, kind Kind, skip bool, err error) {
	if !strings.Contains(name, whiteoutPrefix) {
		return name, 0, false, nil
	}
	for i, part := range components(name) {
		end := i + len(part)
		last := end == len(name)
		above := name[:max(i-1, 0)]
		switch {
		case !strings.HasPrefix(part, whiteoutPrefix):
			continue
		case part == opaqueMarker && last:
			return above, Opaque, false, nil
		case strings.HasPrefix(part, metadataPrefix) && part != opaqueMarker:
			return "", 0, true, nil
		case !last:
			return "", 0, false, fmt.Errorf("it lies below the whiteout %q", name[:end])
		}
		hidden := part[len(whiteoutPrefix):]
		if hidden == "" || hidden == "." || hidden == ".." {
			return "", 0, false, fmt.Errorf("a whiteout cannot hide %q", hidden)
		}
		if above != "" {
			hidden = above + "/" + hidden
		}
		return hidden, Whiteout, false, nil
	}
	return name, 0, false, nil
}

// components walks the parts of a cleaned name, each with its offset.
func components(name string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		at := 0
		for part := range strings.SplitSeq(name, "/") {
			if !yield(at, part) {
				return
			}
			at += len(part) + 1
		}
	}
}

// quote quotes a name for a message; a hostile one should not fill the screen.
func quote(name string) string {
	const enough = 200
	if len(name) <= enough {
		return strconv.Quote(name)
	}
	return strconv.Quote(name[:enough]) + "…"
}
