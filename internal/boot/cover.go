package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// maxHeld is how many names of what is covered the report has.
const maxHeld = 8

// covering is a folder that is to be covered.
type covering struct {
	path string
	// kinds are the names of those that are not to be merged while it is open; none
	// are all.
	kinds []string
	// drop says that it is made of single settings: it matters only if it is there.
	drop bool
}

// coverings are the folders from which, on a trusted boot, nothing may count: where
// systemd looks for extensions, for no image policy is asked of a folder, and where
// it looks for certificates and for settings of the merge, as far as a disk holds
// them. The run folders are of this boot.
func (p *pass) coverings() []covering {
	var all []covering
	for _, k := range extension.Kinds() {
		folders := slices.Concat(discover.Folders(discover.Options{Kind: k}), discover.OldFolders(k))
		for _, folder := range folders {
			if folder != k.RunFolder {
				all = append(all, covering{path: folder, kinds: []string{k.Name}})
			}
		}
		all = append(all, dropIns(k.Unit, k.Name)...)
	}
	all = append(all, covering{path: "etc/verity.d"}, covering{path: "usr/local/lib/verity.d"})
	if !p.InMemory(p.Target, "usr/lib/verity.d") {
		all = append(all, covering{path: "usr/lib/verity.d"})
	}
	return append(all, dropIns("inlay-boot.service")...)
}

// cover lays an empty folder over each of those. What cannot be covered keeps
// systemd from merging the kinds that it is about.
func (p *pass) cover(ctx context.Context) (string, error) {
	if p.State == nil || !p.State.TrustedBoot {
		return "", nil
	}
	var folders []string
	var errs []error
	about := map[string]covering{}
	for _, c := range p.coverings() {
		at, err := p.findCovering(c)
		switch {
		case err != nil:
			errs = append(errs, p.uncovered(c, err))
		case at != "":
			folders = append(folders, at)
			about[at] = c
		}
	}
	for _, k := range extension.Kinds() {
		if err := p.unitElsewhere(k); err != nil {
			errs = append(errs, p.uncovered(covering{path: "etc/systemd/system/" + k.Unit, kinds: []string{k.Name}}, err))
		}
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	held := map[string][]string{}
	for _, at := range folders {
		held[at] = p.holds(at)
	}
	failed := map[string]error{}
	if !p.DryRun {
		do := p.Cover
		if do == nil {
			do = p.mountCovers
		}
		failed = do(folders)
	}
	done := 0
	for _, at := range folders {
		c := Covered{Path: "/" + at, Holds: held[at]}
		if err := failed[at]; err != nil {
			errs = append(errs, p.uncovered(about[at], err))
			continue
		}
		done++
		p.note(func(r *Report) { r.Covered = append(r.Covered, c) })
	}
	errs = append(errs, p.reload(ctx, folders, held, about))
	return fmt.Sprintf("%d folders in which nothing counts on a trusted boot", done), errors.Join(errs...)
}

// reload has systemd forget the settings that were in covered folders, as it had read
// them before.
func (p *pass) reload(ctx context.Context, folders []string, held map[string][]string, about map[string]covering) error {
	read := slices.DeleteFunc(slices.Clone(folders), func(at string) bool { return !about[at].drop || len(held[at]) == 0 })
	if p.DryRun || p.Reload == nil || len(read) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.PerImage)
	defer cancel()
	err := p.Reload(ctx)
	if err == nil {
		return nil
	}
	var errs []error
	for _, at := range read {
		errs = append(errs, p.uncovered(about[at], fmt.Errorf("what was in it counts until systemd is reloaded: %w", err)))
	}
	return errors.Join(errs...)
}

// uncovered notes that a folder stays open, and what follows.
func (p *pass) uncovered(c covering, why error) error {
	err := fmt.Errorf("covering %q: %w", "/"+c.path, why)
	p.note(func(r *Report) {
		r.Covered = append(r.Covered, Covered{Path: "/" + c.path, Error: strings.ReplaceAll(why.Error(), "\n", "; ")})
	})
	for _, k := range extension.Kinds() {
		if len(c.kinds) == 0 || slices.Contains(c.kinds, k.Name) {
			p.open[k.Name] = err.Error()
		}
	}
	return err
}

// findCovering returns where a folder really lies, "" if there is none and there need
// not be one. Where the disk can be written to, one is made: nobody else can put
// anything there then.
func (p *pass) findCovering(c covering) (string, error) {
	above, err := rooted.Resolve(p.Target, path.Dir(c.path))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, rooted.ErrDangling) || errors.Is(err, unix.ENOTDIR) {
		return "", nil // there is nothing that it could lie in
	}
	if err != nil {
		return "", err
	}
	at := path.Join(above, path.Base(c.path))
	info, err := p.Target.Lstat(at)
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return "", nil // above it is a file
	case errors.Is(err, fs.ErrNotExist) && (c.drop || p.DryRun):
		return "", nil
	case errors.Is(err, fs.ErrNotExist):
		err = p.Target.Mkdir(at, 0o755)
		if errors.Is(err, unix.EROFS) {
			return "", nil
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	case err != nil:
		return "", err
	case info.Mode().Type() == fs.ModeSymlink:
		return "", errors.New("it is a link, and what that leads to is not for us to cover: remove it")
	case !info.IsDir():
		return "", nil // nothing is in it
	}
	if at != c.path {
		return p.aside(at)
	}
	return at, nil
}

// aside is for a place that links on the way have led to. What must stay is not
// covered; what came with the signed image needn't be.
func (p *pass) aside(at string) (string, error) {
	kept := []string{"run", "proc", "sys", "dev", "usr"}
	for _, k := range extension.Kinds() {
		kept = append(kept, k.Store)
	}
	switch {
	case extension.Within(at, []string{"run", "proc", "sys", "dev"}):
	case p.InMemory(p.Target, at):
		return "", nil
	case !extension.Within(at, kept), extension.Within(at, []string{"usr/local"}):
		return at, nil
	}
	return "", fmt.Errorf("links on the way there lead to %q, which must stay", "/"+at)
}

// holds returns the first names in a folder.
func (p *pass) holds(at string) []string {
	names, err := rooted.ReadNames(p.Target, at, maxNames)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	if len(names) > maxHeld {
		names = append(names[:maxHeld:maxHeld], fmt.Sprintf("and %d more", len(names)-maxHeld))
	}
	return names
}
