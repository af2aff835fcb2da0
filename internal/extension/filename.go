package extension

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
)

// KindOfFile tells the kind of an image from the end of its file's name, if
// that says any: ".raw" alone fits each.
func KindOfFile(fileName string) (Kind, bool) {
	for _, k := range Kinds() {
		if strings.HasSuffix(fileName, k.Suffix) {
			return k, true
		}
	}
	return Kind{}, false
}

// NameOf returns the name that an image file goes by among extensions of kind
// k: its file's name without .raw, and then without the kind's own .sysext or
// .confext (systemd 255 and later). A version stays: "foo_1.0.raw" is "foo_1.0".
func NameOf(k Kind, fileName string) string {
	return NameOfFolder(k, strings.TrimSuffix(fileName, ".raw"))
}

// NameOfFolder is NameOf for an extension that is a folder, where .raw means
// nothing.
func NameOfFolder(k Kind, folderName string) string {
	return strings.TrimSuffix(folderName, "."+k.Name)
}

// BaseName returns the name whose release file an extension may carry instead
// of its own: without the version, which begins at the first underscore or plus
// sign, and without the suffixes of files. "foo_1.0" has "foo"; "foo-1.0" has
// itself.
func BaseName(name string) string {
	name = trimImageSuffix(name)
	if i := strings.IndexAny(name, "_+"); i >= 0 {
		return name[:i]
	}
	return name
}

// VersionOf returns what BaseName cuts off a name, without the underscore or
// plus sign, or "".
func VersionOf(name string) string {
	name = trimImageSuffix(name)
	if i := strings.IndexAny(name, "_+"); i >= 0 {
		return name[i+1:]
	}
	return ""
}

// trimImageSuffix cuts one suffix of an image file, of any kind.
func trimImageSuffix(name string) string {
	for _, k := range Kinds() {
		if bare, found := strings.CutSuffix(name, k.Suffix); found {
			return bare
		}
	}
	return strings.TrimSuffix(name, ".raw")
}

// ValidName refuses what systemd does not take as an extension's name. It is
// laxer than CheckName, by which new extensions are named.
func ValidName(name string) error {
	refuse := func(reason string) error {
		return hint.Wrap(fmt.Errorf("systemd passes over an extension called %q: the name %s", name, reason),
			"give the file a name of letters, digits, dots, dashes and underscores")
	}
	switch {
	case name == "":
		return hint.Wrap(errors.New("the extension has no name"), "put a name before the suffix, as in \"k3s.sysext.raw\"")
	case name == "." || name == "..":
		return refuse("means a folder")
	case strings.Contains(name, "/"):
		return refuse("holds a slash")
	case len(name) > maxFileName:
		return refuse(fmt.Sprintf("is longer than %d bytes", maxFileName))
	case strings.HasPrefix(name, ".#"):
		return refuse(`begins with ".#", as files do that are not complete`)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isNoncharacter):
		return refuse("is not valid UTF-8")
	case strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return refuse("holds a control character")
	}
	return nil
}

// isNoncharacter knows the code points that Unicode sets aside for no character
// at all; systemd refuses them with all else that isn't UTF-8.
func isNoncharacter(c rune) bool { return unicode.Is(unicode.Noncharacter_Code_Point, c) }
