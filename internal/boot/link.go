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
)

// linkGood judges what this boot wants of a kind, and links what is good.
func (p *pass) linkGood(ctx context.Context, k extension.Kind) (string, error) {
	all, err := p.wants(k)
	if err != nil {
		return "", err
	}
	var linked, not int
	var keep []string
	for _, w := range all {
		x := p.decide(ctx, w)
		if x.Result == Linked && !p.DryRun {
			if err := p.link(k, w); err != nil {
				x.Result, x.Reason = LeftOut, err.Error()
			}
		}
		if x.Result == Linked {
			linked++
			keep = append(keep, w.fileName)
		} else {
			not++
			p.say(fmt.Sprintf("%s: %s: %s: %s", k.Name, x.Name, x.Result, x.Reason))
		}
		p.report.Extensions = append(p.report.Extensions, x)
	}
	if !p.DryRun {
		err = p.unlinkOthers(k, keep)
	}
	if linked+not == 0 {
		return "", err
	}
	return fmt.Sprintf("%d linked, %d not", linked, not), err
}

// decide says what becomes of one image.
func (p *pass) decide(ctx context.Context, w wanted) Extension {
	trial, refusal, err := p.try(&w)
	if err != nil {
		p.problem("%v", err)
	}
	var x Extension
	if refusal != "" {
		x = Extension{Kind: w.kind.Name, Name: w.name, FileName: w.fileName, Path: path.Join("/", w.path), From: w.from, Result: LeftOut, Reason: refusal}
	} else {
		x = p.judge(ctx, w)
	}
	x.Trial = trial
	return x
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
