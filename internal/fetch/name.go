package fetch

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
)

// maxName bounds a file name, as Linux does.
const maxName = 255

// CheckName refuses what must not become the name of a file in a folder that
// people list: anything that is a path, hidden, an option to a careless command,
// or not what a terminal shows.
func CheckName(name string) error {
	var reason string
	switch {
	case name == "":
		reason = "is empty"
	case len(name) > maxName:
		return hint.Wrap(fmt.Errorf("a file name of %d bytes is longer than %d", len(name), maxName), "give a shorter one with --name")
	case strings.ContainsAny(name, `/\`):
		reason = "is a path"
	case name[0] == '.':
		reason = "begins with a dot"
	case name[0] == '-':
		reason = "begins with a dash"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }):
		reason = "holds characters that do not print"
	case strings.TrimSpace(name) != name:
		reason = "begins or ends with a space"
	default:
		return nil
	}
	return hint.Wrap(fmt.Errorf("the file name %q %s", name, reason), "give another with --name")
}

// dispositionName returns the file name that a Content-Disposition (RFC 6266)
// proposes, or "". Of a path only the last part is taken; what could do harm even
// so is no proposal.
func dispositionName(header string) string {
	_, params, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	name := params["filename"] // filename* has been preferred
	return safe(name[strings.LastIndexAny(name, `/\`)+1:])
}

// pathName returns the last part of the URL's path, decoded, or "".
func pathName(u *url.URL) string {
	path := u.EscapedPath()
	name, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return ""
	}
	return safe(name)
}

func safe(name string) string {
	if CheckName(name) != nil {
		return ""
	}
	return name
}

// names are what a server calls a file: by its header, by the address that was
// asked for, and by the one where it was found.
type names struct{ header, asked, found string }

func namesOf(asked, found *url.URL, h http.Header) names {
	return names{dispositionName(h.Get("Content-Disposition")), pathName(asked), pathName(found)}
}

// best returns the name to use. An address like /latest that leads to an image's
// own is the one case where the place it was found at knows better.
func (n names) best() string {
	switch {
	case n.header != "":
		return n.header
	case !isImage(n.asked) && isImage(n.found), n.asked == "":
		return n.found
	}
	return n.asked
}

func isImage(name string) bool { return strings.HasSuffix(name, ".raw") }

// localName returns the last part of a path of this machine.
func localName(path string) (string, error) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if name == "" {
		return "", errors.New("the path ends with a slash")
	}
	return name, CheckName(name)
}
