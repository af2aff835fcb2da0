package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

// Content is what a look for the release file reads of an extension or of a
// host. Names are paths without a leading slash; links, absolute ones too, are
// resolved inside of it and never lead out.
type Content interface {
	// ReadFile returns a whole file, or an error if it has more than limit
	// bytes. A file that is not there is fs.ErrNotExist, and so is a link to
	// nothing.
	ReadFile(name string, limit int64) ([]byte, error)
	// Regular returns the sorted names of the regular files in a folder, links
	// not among them.
	Regular(folder string) ([]string, error)
	// Xattr returns the value of an extended attribute of a file.
	Xattr(name, attribute string) (value []byte, found bool, err error)
}

// Ways in which a release file was found to be the extension's.
const (
	ByName     = "exact"      // it is called as the extension is
	ByBaseName = "base name"  // it is called as the extension is without its version
	ByConsent  = "not strict" // its author allows any name, by an extended attribute
)

// Found is the release file that counts for an extension.
type Found struct {
	// Path has no leading slash.
	Path string
	// Name is what follows "extension-release." in the file's name.
	Name string
	// Release is what the file says.
	Release *osrelease.Release
	// By is one of ByName, ByBaseName and ByConsent.
	By string
}

// Reasons for which an extension has no release data: systemd passes over it.
var (
	ErrNoRelease        = errors.New("no release file for this name")
	ErrAmbiguousRelease = errors.New("several release files for this name")
)

// NoReleaseError is ErrNoRelease, and tells what is there instead.
type NoReleaseError struct {
	// Kind is the kind that the release files are of, which are there for Names. A
	// zero Kind has none.
	Kind  Kind
	Names []string

	text string
}

func (e *NoReleaseError) Error() string { return ErrNoRelease.Error() + ": " + e.text }

// Is says that it is ErrNoRelease.
func (e *NoReleaseError) Is(target error) bool { return target == ErrNoRelease }

// strictAttribute on a release file says whether its name must be the
// extension's.
const strictAttribute = "user.extension-release.strict"

// LookupRelease finds the release file of the extension called name, as systemd
// 257 and later do: the one with its name; else the only one with its base name,
// or whose attribute user.extension-release.strict is false. Errors are
// ErrNoRelease, ErrAmbiguousRelease, or those of reading.
func LookupRelease(c Content, k Kind, name string) (*Found, error) {
	if err := ValidName(name); err != nil {
		return nil, err
	}
	found, err := readRelease(c, k, name, ByName)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	there, err := releaseNames(c, k)
	if err != nil {
		return nil, err
	}
	candidates := there
	if ValidName(BaseName(name)) != nil {
		candidates = nil // as for "_1.0": systemd gives up here
	}
	var fitting []string
	by := map[string]string{}
	for _, candidate := range candidates {
		if candidate == BaseName(name) {
			by[candidate] = ByBaseName
		} else if lax, err := consents(c, k.ReleaseFile(candidate)); err != nil {
			return nil, err
		} else if lax {
			by[candidate] = ByConsent
		} else {
			continue
		}
		fitting = append(fitting, candidate)
	}
	switch len(fitting) {
	case 0:
		return nil, missingRelease(c, k, name, there)
	case 1:
		return readRelease(c, k, fitting[0], by[fitting[0]])
	}
	return nil, hint.Wrap(fmt.Errorf("%w: for %q there are %s in /%s, and systemd takes none", ErrAmbiguousRelease, name,
		quoted(fitting), k.ReleaseFolder), fmt.Sprintf("leave one of them in the image, or add %q", ReleasePrefix+name))
}

// readRelease reads the release file for name.
func readRelease(c Content, k Kind, name, by string) (*Found, error) {
	path := k.ReleaseFile(name)
	text, err := c.ReadFile(path, osrelease.MaxSize)
	if errors.Is(err, syscall.EISDIR) {
		return nil, hint.Wrap(fmt.Errorf("%w: %q is a folder", ErrNoRelease, "/"+path), "put a file in its place")
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the release file: %w", err)
	}
	r, err := osrelease.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+path, err)
	}
	return &Found{Path: path, Name: name, Release: r, By: by}, nil
}

// releaseNames lists what the release files of kind k are for.
func releaseNames(c Content, k Kind) ([]string, error) {
	files, err := c.Regular(k.ReleaseFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for release files: %w", err)
	}
	var names []string
	for _, file := range files {
		if name, ok := strings.CutPrefix(file, ReleasePrefix); ok && ValidName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// consents says whether the author of a release file allows any name for the
// image. All but a plain no to strictness is a yes.
func consents(c Content, path string) (bool, error) {
	value, found, err := c.Xattr(path, strictAttribute)
	if err != nil {
		return false, fmt.Errorf("looking for %s: %w", strictAttribute, err)
	}
	return found && slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, asciiLower(string(value))), nil
}

// asciiLower leaves alone what only looks like a letter of ASCII elsewhere.
func asciiLower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// missingRelease says what is there instead of a release file for name.
func missingRelease(c Content, k Kind, name string, there []string) error {
	if len(there) > 0 {
		missing := fmt.Sprintf("no %q", ReleasePrefix+name)
		if base := BaseName(name); base != name {
			missing = fmt.Sprintf("neither %q nor %q", ReleasePrefix+name, ReleasePrefix+base)
		}
		return hint.Wrap(&NoReleaseError{k, there, fmt.Sprintf("for %q there is %s in /%s, but %s", name, missing, k.ReleaseFolder, quoted(there))},
			fmt.Sprintf("name the image %q, or that and a version: %q", k.FileName(there[0]), k.FileName(there[0]+"_1.0")))
	}
	for _, other := range Kinds() {
		if other.Name == k.Name {
			continue
		}
		if names, err := releaseNames(c, other); err == nil && len(names) > 0 {
			return hint.Wrap(&NoReleaseError{other, names, fmt.Sprintf("%q is a %s and no %s", name, other.Name, k.Name)},
				fmt.Sprintf("name the image %q and use it as a %s", other.FileName(names[0]), other.Name))
		}
	}
	return hint.Wrap(&NoReleaseError{text: fmt.Sprintf("/%s has no %q", k.ReleaseFolder, ReleasePrefix+name)},
		"build the extension with inlay build, which adds the file")
}

// quoted lists the file names of the first few release files.
func quoted(names []string) string {
	const most = 3
	var list []string
	for _, name := range names[:min(len(names), most)] {
		list = append(list, fmt.Sprintf("%q", ReleasePrefix+name))
	}
	if more := len(names) - most; more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}
