package extension

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
)

// ReleasePrefix starts the name of every release file.
const ReleasePrefix = "extension-release."

// maxFileName is the longest file name that Linux file systems take, in bytes.
const maxFileName = 255

// CheckName says whether name can be the name of an extension of kind k: what
// systemd takes (section "Name" of its image discovery), less what it takes
// but can't use. Suffixes that a user types by mistake get the name without
// them as advice.
func CheckName(k Kind, name string) error {
	bare := TrimSuffix(name)
	refuse := func(reason, advice string) error {
		return hint.Wrap(fmt.Errorf("the name %q %s", name, reason), advice)
	}
	switch {
	case name == "":
		return hint.Wrap(errors.New("the name of the extension is empty"), "give it a name such as \"k3s\"")
	case strings.Contains(name, "/"):
		return refuse("holds a slash", "give the bare name; --output says in which folder the image appears")
	case strings.HasPrefix(name, "."):
		return refuse("starts with a dot", "start it with a letter or a digit")
	case strings.HasPrefix(name, "-"):
		return refuse("starts with a dash", "start it with a letter or a digit")
	case !utf8.ValidString(name):
		return refuse("is not valid UTF-8", "use letters, digits, dots, dashes and underscores")
	case strings.ContainsFunc(name, unicode.IsControl):
		return refuse("holds a control character", "use letters, digits, dots, dashes and underscores")
	case bare != name:
		return refuse("ends with a suffix that inlay adds by itself", fmt.Sprintf("call it %q", bare))
	case len(k.FileName(name)) > maxFileName || len(ReleasePrefix+name) > maxFileName:
		return refuse("is too long for a file name", fmt.Sprintf("use at most %d bytes", maxFileName-len(ReleasePrefix)))
	}
	return nil
}

// TrimSuffix cuts what marks an image file from a name: .raw, and before it
// .sysext or .confext.
func TrimSuffix(name string) string {
	name = strings.TrimSuffix(name, ".raw")
	for _, k := range Kinds() {
		if bare, found := strings.CutSuffix(name, "."+k.Name); found {
			return bare
		}
	}
	return name
}

// AwkwardName returns why systemd's own merge would fail for a name that it
// accepts, or "". Its mount options are one comma-separated string in which
// colons part the layers, and it escapes neither.
func AwkwardName(name string) string {
	if i := strings.IndexAny(name, ":,"); i >= 0 {
		return fmt.Sprintf("the name %q holds a %q, which systemd-sysext cannot merge", name, name[i])
	}
	return ""
}
