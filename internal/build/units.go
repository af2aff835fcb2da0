package build

import (
	"fmt"
	"strings"

	"inlay/internal/hint"
)

// unitFolders are where an extension can bring units, best first.
func unitFolders() []string {
	return []string{"usr/lib/systemd/system", "usr/local/lib/systemd/system", "etc/systemd/system"}
}

// enableUnits makes units start with the extension. An [Install] section is
// no use here: it works by links in /etc, which an extension of /usr cannot
// bring. Upholds= (systemd 249) starts them both at boot and when the image
// is merged into a running system, whose manager reloads. The drop-in's name
// says the kind, as of two with one name systemd would see only that in /etc.
func (b *builder) enableUnits() error {
	if len(b.EnableUnits) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("[Unit]\n")
	for _, unit := range b.EnableUnits {
		if err := CheckUnit(unit); err != nil {
			return err
		}
		if !b.bringsUnit(unit) {
			b.warn("the source brings no unit %q: it starts only on hosts that have it", unit)
		}
		fmt.Fprintf(&text, "Upholds=%s\n", unit)
	}
	name := "10-inlay-" + b.Name + "." + b.Kind.Name + ".conf"
	if len(name) > 255 {
		return hint.Wrap(fmt.Errorf("the name %q is too long for the file that enables units", b.Name), fmt.Sprintf("use at most %d bytes", 255-len(name)+len(b.Name)))
	}
	return b.addFile(b.Kind.UnitFolder+"/multi-user.target.d/"+name, []byte(text.String()))
}

// bringsUnit looks for unit, or for the template that it is an instance of.
func (b *builder) bringsUnit(unit string) bool {
	names := []string{unit}
	if stem, rest, found := strings.Cut(unit, "@"); found {
		names = append(names, stem+"@"+rest[strings.LastIndexByte(rest, '.'):])
	}
	for _, folder := range unitFolders() {
		for _, name := range names {
			if b.tree.Lookup(folder+"/"+name) != nil {
				return true
			}
		}
	}
	return false
}

// CheckUnit says whether name can be the full name of a unit (systemd.unit(5)).
func CheckUnit(name string) error {
	stem, suffix := name, ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		stem, suffix = name[:i], name[i+1:]
	}
	switch suffix {
	case "service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice":
	default:
		return hint.Wrap(fmt.Errorf("%q is not the name of a unit", name), "name it in full, such as \"k3s.service\"")
	}
	odd := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(":-_.\\@", c))
	}
	if stem == "" || len(name) > 255 || strings.ContainsFunc(stem, odd) {
		return hint.Wrap(fmt.Errorf("%q is not the name of a unit", name), "a unit's name has letters, digits and : - _ . \\ @")
	}
	if bare, template := strings.CutSuffix(stem, "@"); template {
		return hint.Wrap(fmt.Errorf("%q is a template, which cannot be started", name),
			fmt.Sprintf("name an instance of it, such as %q", bare+"@1."+suffix))
	}
	return nil
}
