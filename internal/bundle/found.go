package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"inlay/internal/discover"
	"inlay/internal/rooted"
)

// find looks for a folder where a merge would, and says why that doesn't find it;
// "" if it does.
func (u *Use) find(ctx context.Context, d discover.Options, p *Place, folder *os.Root) (why, mend string) {
	found, err := discover.Find(ctx, d)
	if err != nil {
		return err.Error(), firstHint(err)
	}
	is, err := folder.Stat(".")
	if err != nil {
		return err.Error(), ""
	}
	above, err := p.root.Stat(p.above)
	if err != nil {
		return err.Error(), ""
	}
	const otherwise = "remove that one, or unpack this one to a folder of another name"
	for _, c := range found.Candidates {
		if leads(d.Root, c.Path, is) {
			u.Name = c.Name // of a version, that of all of them
			return "", ""
		}
		for _, s := range c.Shadowed {
			if leads(d.Root, s.Path, is) {
				return s.Reason, otherwise
			}
		}
		if c.Picked != nil && leads(d.Root, path.Dir(c.Place), above) {
			return fmt.Sprintf("of the versions in its folder, %q is picked", "/"+c.Place), otherwise
		}
	}
	for _, s := range found.Skipped {
		if leads(d.Root, s.Path, is) {
			return s.Reason, ""
		}
	}
	why = "it does not lie where extensions are looked for"
	if len(d.More) == 0 && slices.ContainsFunc(discover.OldFolders(d.Kind), func(dir string) bool { return inFolder(p, d.Root, dir) }) {
		why += ": the configuration of this machine says search: false"
	}
	return why, "unpack it to " + filepath.Join(d.Root.Name(), searched(d.Kind)[0], p.name)
}

// leads says whether a path of the machine leads to a folder.
func leads(machine *os.Root, name string, to fs.FileInfo) bool {
	clean, err := rooted.Resolve(machine, name)
	if err != nil {
		return false
	}
	info, err := machine.Lstat(clean)
	return err == nil && os.SameFile(info, to)
}
