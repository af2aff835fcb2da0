package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/source"
)

// The schemes of targets.
const (
	schemeContainer = "container"
	schemeDocker    = "docker"
	schemeRun       = "run"
	schemePackage   = "package"
)

// target is one image that a bundle names.
type target struct {
	text   string // as it was written
	scheme string
	ref    source.Ref
	pin    source.Digest
}

// runs says whether the image is a program and not a folder.
func (t target) runs() bool { return t.scheme == schemeRun }

// parseTarget reads SCHEME://IMAGE. With localFile what follows the scheme is the
// path of an archive, below root.
func parseTarget(root *os.Root, text string, localFile bool) (target, error) {
	t := target{text: text}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme == "" || rest == "" || strings.Contains(rest, "://") {
		return t, hint.Wrap(errors.New("it is not of the form SCHEME://IMAGE"), "write container://IMAGE to unpack it, or run://IMAGE to run it")
	}
	switch t.scheme = scheme; scheme {
	case schemeContainer, schemeDocker, schemeRun:
	case schemePackage:
		return t, hint.Wrap(errors.New("it is a package bundle, which only luet can install"),
			"install it with luet, or put its files into a container image and write container://IMAGE")
	default:
		return t, hint.Wrap(fmt.Errorf("the scheme %q is not known", scheme+"://"), "the schemes are container://, docker:// and run://")
	}
	var err error
	if localFile {
		t.ref, err = localArchive(root, rest)
		return t, err
	}
	// What a registry sends under a digest is checked; a daemon is only asked.
	where := "container:"
	if _, digest, pinned := strings.Cut(rest, "@"); pinned {
		where = "oci:"
		if t.pin, err = source.ParseDigest(digest); err != nil {
			return t, hint.Default(err, "write IMAGE@sha256: and 64 hexadecimal digits")
		}
	}
	t.ref, err = source.Parse(where + rest)
	return t, err
}

func localArchive(root *os.Root, name string) (source.Ref, error) {
	if !strings.HasPrefix(name, "/") {
		return source.Ref{}, hint.Wrap(fmt.Errorf("the local file %q is not an absolute path", name), "write it with three slashes, as in container:///srv/image.tar")
	}
	clean, err := rooted.Resolve(root, name)
	if errors.Is(err, rooted.ErrDangling) {
		err = fmt.Errorf("%w: %w", err, os.ErrNotExist)
	}
	if err != nil {
		return source.Ref{}, hint.Wrap(fmt.Errorf("looking for the local file %q: %w", name, err), "put an archive there, as docker save writes one")
	}
	return source.Ref{Scheme: source.File, Path: filepath.Join(root.Name(), clean)}, nil
}

// unpinned is the note for a target whose image may change from day to day, "" if
// there is nothing to say. The digest of a daemon's image is no name for it.
func (t target) unpinned(im *source.Image) string {
	if t.pin != "" || t.ref.Scheme == source.File {
		return ""
	}
	what := "gets"
	if t.runs() {
		what = "runs as root"
	}
	pin := "IMAGE@sha256:…"
	if im.Digest != "" && strings.HasPrefix(im.Origin, "registry ") {
		name, _, _ := strings.Cut(t.text, "://")
		pin = name + "://" + untagged(t.ref.Image) + "@" + string(im.Digest)
	}
	return fmt.Sprintf("%s is not pinned: whoever may write to that name decides what this machine %s; %s would be this image for ever", t.text, what, pin)
}

// untagged is a reference without its tag.
func untagged(image string) string {
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}
