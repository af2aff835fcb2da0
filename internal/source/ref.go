package source

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/name"

	"inlay/internal/hint"
)

// maxReference bounds what is taken for a reference: PATH_MAX and some room
// for the scheme and a digest.
const maxReference = 4096 + 256

// Scheme says where an image comes from.
type Scheme string

// The schemes. Any is what a reference without a scheme asks for: the daemon
// first, then the registry.
const (
	Any      Scheme = "container"
	Dir      Scheme = "dir"
	File     Scheme = "file"
	Layout   Scheme = "layout"
	Daemon   Scheme = "docker"
	Registry Scheme = "oci"
)

// Ref is a parsed reference to an image.
type Ref struct {
	Scheme Scheme
	Path   string // dir, file, layout: as the user wrote it
	Image  string // docker, oci, any: as the user wrote it, without the scheme
	Tag    string // layout only; "" if none was given
	Digest Digest // layout only; "" if none was given
}

// String returns r in a form that Parse takes.
func (r Ref) String() string {
	switch r.Scheme {
	case Dir, File:
		return string(r.Scheme) + ":" + r.Path
	case Layout:
		s := string(Layout) + ":" + r.Path
		if r.Tag != "" {
			s += ":" + r.Tag
		}
		if r.Digest != "" {
			s += "@" + string(r.Digest)
		}
		return s
	case Any:
		return r.Image
	default:
		return string(r.Scheme) + ":" + r.Image
	}
}

// Parse reads a reference: dir:PATH, file:PATH, layout:PATH[:TAG|@DIGEST],
// docker:REF, oci:REF and container:REF, each also with // after the colon, or
// a bare REF, which means the same as container:REF. It looks at the file
// system only to find a better hint for a reference that it refuses.
func Parse(s string) (Ref, error) {
	if err := checkText(s); err != nil {
		return Ref{}, err
	}
	word, rest, _ := strings.Cut(s, ":")
	rest = strings.TrimPrefix(rest, "//")
	switch Scheme(word) {
	case Dir, File:
		if rest == "" {
			return Ref{}, noOperand(word, "PATH")
		}
		return Ref{Scheme: Scheme(word), Path: rest}, nil
	case Layout:
		return parseLayout(rest)
	case Daemon, Registry, Any:
		if rest == "" || !strings.Contains(s, ":") {
			return Ref{}, noOperand(word, "REF")
		}
		return parseImage(Scheme(word), rest)
	}
	if err := foreignScheme(s); err != nil {
		return Ref{}, err
	}
	return parseImage(Any, s)
}

func checkText(s string) error {
	const usage = "name a source such as dir:PATH, file:PATH, layout:PATH, docker:REF, oci:REF or REF"
	switch {
	case strings.TrimSpace(s) == "":
		return hint.Wrap(errors.New("the source is empty"), usage)
	case len(s) > maxReference:
		return hint.Wrap(fmt.Errorf("the source has %d bytes, more than %d", len(s), maxReference), usage)
	case !utf8.ValidString(s):
		return hint.Wrap(fmt.Errorf("the source %q is not valid UTF-8", s), usage)
	case strings.ContainsFunc(s, unicode.IsControl):
		return hint.Wrap(fmt.Errorf("the source %q holds control characters", s), usage)
	}
	return nil
}

func noOperand(scheme, operand string) error {
	return hint.Wrap(fmt.Errorf("the source %q names nothing", scheme+":"),
		fmt.Sprintf("write %s:%s", scheme, operand))
}

func parseLayout(rest string) (Ref, error) {
	r := Ref{Scheme: Layout, Path: rest}
	if path, digest, ok := strings.Cut(rest, "@sha256:"); ok {
		d, err := ParseDigest("sha256:" + digest)
		if err != nil {
			return Ref{}, hint.Default(fmt.Errorf("parsing layout %q: %w", rest, err), "copy the digest from the layout's index.json")
		}
		r.Path, r.Digest = path, d
	} else if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.Contains(rest[i:], "/") {
		// A tag cannot hold a slash, so a colon before one belongs to the path.
		r.Path, r.Tag = rest[:i], rest[i+1:]
		if !tagPattern().MatchString(r.Tag) {
			return Ref{}, hint.Wrap(fmt.Errorf("parsing layout %q: %q is not a tag", rest, r.Tag),
				"write layout:PATH, layout:PATH:TAG or layout:PATH@sha256:DIGEST")
		}
	}
	if r.Path == "" {
		return Ref{}, noOperand(string(Layout), "PATH")
	}
	return r, nil
}

// tagPattern is a registry's tag, and "+" for the versions that some tools
// write into a layout.
func tagPattern() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$`)
}

func parseImage(scheme Scheme, ref string) (Ref, error) {
	if _, err := parseName(ref); err != nil {
		if advice := localPath(ref); advice != "" {
			return Ref{}, hint.Wrap(err, advice)
		}
		return Ref{}, hint.Wrap(err, "write [HOST[:PORT]/]NAME[:TAG|@sha256:DIGEST], the name in lower case")
	}
	return Ref{Scheme: scheme, Image: ref}, nil
}

// parseName reads an image reference. The library takes a name of dots and
// dashes, too; as part of a URL's path such a name could lead elsewhere.
func parseName(ref string, options ...name.Option) (name.Reference, error) {
	parsed, err := name.ParseReference(ref, options...)
	if err != nil || !repositoryPattern().MatchString(parsed.Context().RepositoryStr()) || !startsHost(ref) {
		return nil, fmt.Errorf("%q is not an image reference", clip(ref))
	}
	// The library takes SHA-384 and SHA-512, too, which nothing here would check.
	if d, ok := parsed.(name.Digest); ok {
		if _, err := ParseDigest(d.DigestStr()); err != nil {
			return nil, fmt.Errorf("parsing %q: %w", clip(ref), err)
		}
	}
	return parsed, nil
}

// startsHost keeps "." and "-x" from being hosts.
func startsHost(ref string) bool {
	c := ref[0]
	return c == '[' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// repositoryPattern is the grammar of the OCI distribution specification.
func repositoryPattern() *regexp.Regexp {
	const part = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	return regexp.MustCompile(`^` + part + `(?:/` + part + `)*$`)
}

// localPath says how to name ref if it is or looks like a local path.
func localPath(ref string) string {
	info, err := os.Stat(ref)
	switch {
	case err == nil && info.IsDir():
		return fmt.Sprintf("did you mean the folder dir:%s (or layout:%s)?", ref, ref)
	case err == nil:
		return fmt.Sprintf("did you mean the archive file:%s?", ref)
	case strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, ".") || strings.HasPrefix(ref, "~"):
		return "for a local path write dir:PATH, file:PATH or layout:PATH; this one does not exist"
	}
	return ""
}

// foreignScheme knows what people bring along from other tools and browsers.
func foreignScheme(s string) error {
	for prefix, advice := range map[string]string{
		"http://":             "write oci:HOST/NAME, and allow plain HTTP if the registry needs it",
		"https://":            "write oci:HOST/NAME without https://",
		"docker-archive:":     "write file:PATH",
		"oci-archive:":        "write file:PATH",
		"tar:":                "write file:PATH",
		"docker-daemon:":      "write docker:REF",
		"oci-layout:":         "write layout:PATH",
		"containers-storage:": "start podman's socket and write docker:REF",
	} {
		if strings.HasPrefix(s, prefix) {
			return hint.Wrap(fmt.Errorf("the source %q has the unknown scheme %q", s, prefix), advice)
		}
	}
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return hint.Wrap(fmt.Errorf("the source %q has the unknown scheme %q", s, scheme+"://"),
			"the schemes are dir:, file:, layout:, docker:, oci: and container:")
	}
	return nil
}
