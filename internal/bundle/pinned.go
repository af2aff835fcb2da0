package bundle

import (
	"fmt"
	"path"
	"slices"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// Pinned are the digests of the images that a trusted boot runs, or lays into the
// system: those that its signed image names. What else a configuration on the disk
// pins, whoever wrote to the disk has pinned. The zero value names none.
type Pinned struct{ Digests []source.Digest }

// dataFolders are the only ones that are neither the system's nor looked into for
// extensions, settings or programs: what lies there decides about nothing.
func dataFolders() []string { return []string{"srv", "home", "mnt", "media", "tmp", "var"} }

// keptFolders of those are for the system all the same.
func keptFolders() []string {
	kept := []string{
		"var/lib/inlay", "var/lib/systemd", "var/lib/portables", "var/lib/machines", "var/spool/cron", "var/lock", "var/run",
		"var/lib/extensions.mutable", "var/lib/confexts.mutable", "var/lib/kairos",
	}
	for _, k := range extension.Kinds() {
		kept = append(kept, k.Store, k.RunFolder)
		kept = append(kept, discover.Folders(discover.Options{Kind: k})...)
		kept = append(kept, discover.OldFolders(k)...)
	}
	return kept
}

// check refuses targets of a step that nobody has signed for.
func (p *Pinned) check(s *Step) error {
	if p == nil {
		return nil
	}
	what := "is to run"
	if !s.targets[0].runs() {
		if what = p.goes(s.place.full()); what == "" {
			return nil
		}
	}
	for n, t := range s.targets {
		if t.pin != "" && slices.Contains(p.Digests, t.pin) {
			continue
		}
		err := fmt.Errorf("it %s, and this is a trusted boot, whose signed image doesn't name its digest", what)
		advice := "write the target as IMAGE@sha256:…, and have the image's /usr/lib/inlay/config.yaml list that digest below boot: bundles:"
		if t.pin != "" {
			advice = fmt.Sprintf("have the image's /usr/lib/inlay/config.yaml list %s below boot: bundles:", t.pin)
		}
		return s.fail(n, hint.Wrap(err, advice))
	}
	return nil
}

// goes says why it matters what goes to a place below the root, "" if it doesn't.
func (p *Pinned) goes(at string) string {
	at = path.Clean(at)
	within := func(folder string) bool { return at == folder || extension.Within(at, []string{folder}) }
	around := func(folder string) bool { return at == folder || extension.Within(folder, []string{at}) }
	if slices.ContainsFunc(keptFolders(), func(folder string) bool { return within(folder) || around(folder) }) {
		return "goes to where extensions lie"
	}
	// A folder of its own, below one for data.
	if slices.ContainsFunc(dataFolders(), func(folder string) bool { return at != folder && within(folder) }) {
		return ""
	}
	return "goes into the system"
}
