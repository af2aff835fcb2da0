package discover

import (
	"io/fs"
	"path"

	"inlay/internal/extension"
)

// Link is a symbolic link by which systemd finds an extension that lies in one of
// Options.More.
type Link struct {
	// Name is for the kind's run folder: whatever else goes by the extension's
	// name lies in no folder that systemd looks in.
	Name string
	// Target is the absolute path, below the root, of what it leads to.
	Target string
	// Recursive says that the extension is a folder inside of a hierarchy that it
	// is to be laid over. The kernel refuses that: systemd's merge fails as a
	// whole if it is linked.
	Recursive bool
	Candidate *Candidate
}

// Links returns the links that systemd needs to find every candidate. One that
// is there already is none of them: its extension was found by it. A link leads
// to the version that was picked of a versioned folder, whatever appears there.
func (f *Found) Links(o Options) []Link {
	rules := finder{options: o, rules: rulesOf(o)}
	var links []Link
	for i := range f.Candidates {
		c := &f.Candidates[i]
		if !c.Old {
			continue
		}
		l := Link{Name: c.Name, Target: path.Join("/", c.Path), Candidate: c}
		ending, mode := "", fs.ModeDir
		switch c.Type {
		case Block:
			mode = fs.ModeDevice
		case Raw:
			ending, mode = ".raw", 0
		case Directory, Subvolume, Stack:
			l.Recursive = extension.Within(c.Path, o.Kind.Mergeable)
		}
		l.Name += ending
		// A name can look as if it had a suffix that is part of it.
		if m, err := rules.form(l.Name, target{mode: mode}); err != nil || m.name != c.Name {
			l.Name = c.Name + "." + o.Kind.Name + ending
		}
		links = append(links, l)
	}
	return links
}
