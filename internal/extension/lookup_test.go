package extension_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/extension"
)

// memory is a Content of files by their paths. What stands behind a NUL in a
// text is the file's attribute user.extension-release.strict; a text that
// begins with "->" is a link.
type memory map[string]string

var errBroken = errors.New("the disk is broken")

func (m memory) ReadFile(name string, limit int64) ([]byte, error) {
	text, ok := m[name]
	if target, link := strings.CutPrefix(text, "->"); link {
		return m.ReadFile(target, limit)
	}
	text, _, _ = strings.Cut(text, "\x00")
	switch {
	case !ok:
		return nil, fmt.Errorf("reading %q: %w", name, fs.ErrNotExist)
	case text == "broken":
		return nil, errBroken
	case text == "a folder":
		return nil, syscall.EISDIR
	case int64(len(text)) > limit:
		return nil, errors.New("too large")
	}
	return []byte(text), nil
}

func (m memory) Regular(folder string) ([]string, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if path.Dir(name) != folder {
			continue
		}
		if strings.HasPrefix(m[name], "broken folder") {
			return nil, errBroken
		}
		if !strings.HasPrefix(m[name], "->") {
			names = append(names, path.Base(name))
		}
	}
	if names == nil {
		return nil, fs.ErrNotExist
	}
	return names, nil
}

func (m memory) Xattr(name, attribute string) ([]byte, bool, error) {
	_, value, found := strings.Cut(m[name], "\x00")
	if value == "broken" {
		return nil, false, errBroken
	}
	return []byte(value), found && attribute == "user.extension-release.strict", nil
}

// releases are the release files of sysexts in the order name, text, name, text.
func releases(pairs ...string) memory {
	m := memory{}
	for pair := range slices.Chunk(pairs, 2) {
		m["usr/lib/extension-release.d/"+pair[0]] = pair[1]
	}
	return m
}

func TestLookupRelease(t *testing.T) {
	t.Parallel()
	const own, lax = "ID=own\n", "ID=lax\n\x000"
	cases := map[string]struct {
		name  string
		files memory
		found string // NAME BY ID
	}{
		"exact":              {"foo", releases("extension-release.foo", own), "foo exact own"},
		"exact of a version": {"foo_1", releases("extension-release.foo", lax, "extension-release.foo_1", own), "foo_1 exact own"},
		"exact among many": {
			"foo", releases("extension-release.foo", own, "extension-release.a", lax, "extension-release.b", lax), "foo exact own",
		},
		"exact through a link":       {"foo", releases("extension-release.foo", "->etc/x", "x", "").with("etc/x", own), "foo exact own"},
		"a link to nothing":          {"foo_1", releases("extension-release.foo_1", "->x", "extension-release.foo", own), "foo base name own"},
		"base name":                  {"foo_1.0", releases("extension-release.foo", own), "foo base name own"},
		"base name of a count":       {"foo+3", releases("extension-release.foo", own), "foo base name own"},
		"base name of a file's name": {"foo.raw", releases("extension-release.foo", own), "foo base name own"},
		"base name, strict":          {"foo_1", releases("extension-release.foo", own+"\x001"), "foo base name own"},
		"base name, lax too":         {"foo_1", releases("extension-release.foo", lax), "foo base name lax"},
		"base name beside strict":    {"foo_1", releases("extension-release.foo", own, "extension-release.x", own), "foo base name own"},
		"not strict":                 {"foo", releases("extension-release.x", lax), "x not strict lax"},
		"not strict, upper case":     {"foo", releases("extension-release.x", "ID=lax\n\x00OFF"), "x not strict lax"},
		"not strict beside strict":   {"foo", releases("extension-release.x", lax, "extension-release.y", own), "x not strict lax"},
		"not strict beside no name":  {"foo", releases("extension-release.", lax, "extension-release.x", lax), "x not strict lax"},
		"not strict beside no file":  {"foo", releases("x", lax, "extension-release.x", lax), "x not strict lax"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := extension.LookupRelease(c.files, extension.Sysext(), c.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join([]string{f.Name, f.By, f.Release.Get("ID")}, " "); got != c.found {
				t.Errorf("found %q, want %q", got, c.found)
			}
			if want := "usr/lib/extension-release.d/extension-release." + f.Name; f.Path != want {
				t.Errorf("the path is %q, want %q", f.Path, want)
			}
		})
	}
}

func (m memory) with(name, text string) memory {
	m[name] = text
	return m
}

func TestLookupReleaseRefuses(t *testing.T) {
	t.Parallel()
	const own, lax = "ID=own\n", "ID=lax\n\x000"
	none, several := extension.ErrNoRelease, extension.ErrAmbiguousRelease
	cases := map[string]struct {
		name           string
		files          memory
		is             error // nil is any other
		reason, advice string
	}{
		"nothing at all":        {"foo", memory{}, none, "/usr/lib/extension-release.d", "inlay build"},
		"another name":          {"foo", releases("extension-release.bar", own), none, `"extension-release.bar"`, `"bar.sysext.raw"`},
		"a dash":                {"foo-1.0", releases("extension-release.foo", own), none, `"extension-release.foo-1.0"`, `"foo_1.0.sysext.raw"`},
		"another version":       {"foo_1", releases("extension-release.foo_2", own), none, "foo_2", "foo_2.sysext.raw"},
		"many others":           {"foo", releases("extension-release.a", own, "extension-release.b", own, "extension-release.c", own, "extension-release.d", own, "extension-release.e", own), none, "2 more", "a.sysext.raw"},
		"a link under the base": {"foo_1", releases("extension-release.foo", "->etc/x").with("etc/x", own), none, "foo_1", "inlay build"},
		"a folder":              {"foo", releases("extension-release.foo", "a folder"), none, "is a folder", "file"},
		"strict":                {"foo", releases("extension-release.x", own+"\x001"), none, "", ""},
		"strictness unclear":    {"foo", releases("extension-release.x", own+"\x00maybe"), none, "", ""},
		"strictness empty":      {"foo", releases("extension-release.x", own+"\x00"), none, "", ""},
		"false but for a NUL":   {"foo", releases("extension-release.x", own+"\x000\x00"), none, "", ""},
		"no base name":          {"_1", releases("extension-release.x", lax), none, "", ""},
		"another kind":          {"foo", memory{"etc/extension-release.d/extension-release.foo": own}, none, "is a confext", "foo.confext.raw"},
		"two":                   {"foo", releases("extension-release.x", lax, "extension-release.y", lax), several, `"extension-release.y"`, "extension-release.foo"},
		"base name and lax":     {"foo_1", releases("extension-release.foo", own, "extension-release.y", lax), several, "foo", "extension-release.foo_1"},
		"no name":               {".#foo", releases("extension-release.foo", own), nil, "complete", "letters"},
		"unreadable":            {"foo", releases("extension-release.foo", "broken", "extension-release.x", lax), nil, "broken", ""},
		"unreadable folder":     {"foo", releases("extension-release.x", "broken folder"), nil, "broken", ""},
		"unreadable attribute":  {"foo", releases("extension-release.x", "ID=x\n\x00broken"), nil, "broken", ""},
		"no release file":       {"foo", releases("extension-release.foo", "ID=\xff"), nil, "UTF-8", ""},
		"too large":             {"foo", releases("extension-release.foo", strings.Repeat("#", 65<<10)), nil, "large", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := extension.LookupRelease(c.files, extension.Sysext(), c.name)
			if f != nil || err == nil {
				t.Fatalf("found %+v, %v", f, err)
			}
			if errors.Is(err, none) != errors.Is(c.is, none) || errors.Is(err, several) != errors.Is(c.is, several) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			if c.reason != "" {
				wantRefusal(t, err, c.reason, c.advice)
			}
		})
	}
}
