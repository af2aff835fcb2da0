package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/verify"
)

// candidate is what this boot wants, and what becomes of it.
type candidate struct {
	wanted
	Extension
	verdict *verify.Verdict // nil if there is none
}

// linkGood judges what this boot wants of a kind, and links what is good.
func (p *pass) linkGood(ctx context.Context, k extension.Kind) (string, error) {
	if err := p.clearRun(k); err != nil {
		return "", err
	}
	wants, err := p.wants(k)
	if err != nil {
		return "", err
	}
	var all []candidate
	good := map[string]wanted{}
	for _, w := range wants {
		if by, twice := good[w.name]; twice {
			p.overruled(w, by)
			continue
		}
		c := p.judge(ctx, w)
		if c.Result == Linked {
			good[w.name] = w
		}
		all = append(all, c)
	}
	var keep []string
	for _, c := range p.tryOut(ctx, k, all) {
		if p.abandoned() {
			return "", nil
		}
		if c.Result == Linked && !p.DryRun {
			if err := p.link(k, c.wanted); err != nil {
				c.Result, c.Reason = LeftOut, err.Error()
			}
		}
		if c.Result == Linked {
			keep = append(keep, c.fileName)
		}
		if c.Reason != "" {
			p.say(fmt.Sprintf("%s: %s: %s: %s", k.Name, c.Name, c.Result, c.Reason))
		}
		p.note(func(r *Report) { r.Extensions = append(r.Extensions, c.Extension) })
	}
	if !p.DryRun {
		err = p.unlinkOthers(k, keep)
	}
	if len(all) == 0 {
		return "", err
	}
	return fmt.Sprintf("%d linked, %d not", len(keep), len(all)-len(keep)), err
}

// link makes the link in the run folder that systemd finds. What is there of ours is
// replaced, anything else stays.
func (p *pass) link(k extension.Kind, w wanted) error {
	if err := p.System.MkdirAll(k.RunFolder, 0o755); err != nil {
		return fmt.Errorf("making %q: %w", "/"+k.RunFolder, err)
	}
	at := path.Join(k.RunFolder, w.fileName)
	target := strings.Repeat("../", strings.Count(k.RunFolder, "/")+1) + w.path
	switch old, err := p.System.Readlink(at); {
	case err == nil && old == target:
		return nil
	case err == nil && !p.ours(k, old):
		return fmt.Errorf("%q is there and leads to %q, which is not ours", "/"+at, old)
	case err == nil:
		if err := p.System.Remove(at); err != nil {
			return fmt.Errorf("replacing link %q: %w", "/"+at, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%q is there and is no link", "/"+at)
	}
	if err := p.System.Symlink(target, at); err != nil {
		return fmt.Errorf("linking %q: %w", "/"+at, err)
	}
	return nil
}

// ours says whether a link of the run folder leads to a place of ours.
func (p *pass) ours(k extension.Kind, target string) bool {
	clean := strings.TrimPrefix(path.Join("/", k.RunFolder, target), "/")
	if path.IsAbs(target) {
		clean = strings.TrimPrefix(path.Clean(target), "/")
	}
	if extension.Within(clean, []string{k.Store}) {
		return true
	}
	return slices.ContainsFunc(p.places, func(at place) bool {
		return at.at != "" && extension.Within(clean, []string{strings.TrimPrefix(at.at, "/")})
	})
}

// unlinkOthers removes links of ours to what this boot does not want.
func (p *pass) unlinkOthers(k extension.Kind, keep []string) error {
	entries, err := fs.ReadDir(p.System.FS(), k.RunFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", "/"+k.RunFolder, err)
	}
	var errs []error
	for _, e := range entries {
		if e.Type() != fs.ModeSymlink || slices.Contains(keep, e.Name()) {
			continue
		}
		at := path.Join(k.RunFolder, e.Name())
		target, err := p.System.Readlink(at)
		if err == nil && p.ours(k, target) {
			err = p.System.Remove(at)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("removing link %q: %w", "/"+at, err))
		}
	}
	return errors.Join(errs...)
}
