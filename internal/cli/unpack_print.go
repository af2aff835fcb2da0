package cli

import (
	"cmp"
	"fmt"
	"strings"

	"inlay/internal/bundle"
	"inlay/internal/source"
)

func (env *Env) printUnpacked(r unpackReport) {
	state := "unpacked"
	if r.Same {
		state = "there already"
	}
	env.printFacts([]fact{
		{state, r.Path},
		{"image", r.Origin},
		{"digest", joinDigests(r.Digests)},
		{"holds", holds(r.Counts)},
		{"extension", merges(r.Use)},
	})
	env.warnUse(r.Path, r.Use)
	env.note(r.Notes)
}

// merges says what an extension is that is merged here; else warnUse does.
func merges(u *bundle.Use) string {
	if u == nil || !u.Merges {
		return ""
	}
	return fmt.Sprintf("%s %s, which this machine merges: inlay %s refresh", u.Kind, u.Name, u.Kind)
}

func (env *Env) warnUse(path string, u *bundle.Use) {
	if u == nil || u.Merges {
		return
	}
	env.warn([]string{fmt.Sprintf("%s is no %s that this machine merges: %s", path, cmp.Or(u.Kind, "extension"), u.Why)})
	if u.Mend != "" {
		env.note([]string{u.Mend})
	}
}

// note prints notes on standard error.
func (env *Env) note(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(env.Stderr, "note: %s\n", printable(n))
	}
}

func joinDigests(digests []source.Digest) string {
	var texts []string
	for _, d := range digests {
		texts = append(texts, string(d))
	}
	return strings.Join(texts, ", ")
}

// holds says in a line what was unpacked.
func holds(c *bundle.Counts) string {
	if c == nil {
		return ""
	}
	text := count(c.Files, "file") + ", " + count(c.Folders, "folder")
	if c.Symlinks > 0 {
		text += ", " + count(c.Symlinks, "link")
	}
	if c.Devices > 0 {
		text += ", " + count(c.Devices, "device")
	}
	return text + ", " + size(c.Bytes)
}
