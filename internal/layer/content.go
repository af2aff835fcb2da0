package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/hint"
)

// maxPaths bounds how many paths all extensions together may have, some 200 bytes
// of memory each.
const maxPaths = 1 << 21

// survey looks at every file that an item lays over the host. It refuses the item
// if that is not safe, and else takes the files into the union, and returns by
// hierarchy the folders of the item that have something in them.
func (p *Plan) survey(ctx context.Context, i *Item) (map[string]string, error) {
	defer func() { _ = i.rest() }()
	folders, err := p.foldersOf(i)
	if err != nil || len(folders) == 0 {
		return nil, err
	}
	var pieces []piece
	filled := map[string]string{}
	err = i.tree.Walk(ctx, func(f *content.File) error {
		for hierarchy, folder := range folders {
			rel, inside := strings.CutPrefix(f.Path, folder+"/")
			if f.Path == folder {
				rel, inside = ".", true
			}
			if !inside {
				continue
			}
			c := piece{p.views[hierarchy], rel, f}
			if rel != "." {
				filled[hierarchy] = folder
				if len(p.union.nodes)+len(pieces) >= maxPaths {
					return refusedAs(fmt.Errorf("with it, the extensions would have more than %d files", maxPaths))
				}
				pieces = append(pieces, c)
			}
			if p.Request.Engine == EngineSystemd {
				continue
			}
			if err := p.safe(c); err != nil {
				return err
			}
		}
		return nil
	})
	if _, decided := errors.AsType[*outcome](err); err != nil && !decided && !errors.Is(err, errHost) && ctx.Err() == nil {
		err = refusedAs(fmt.Errorf("reading its files: %w", err))
	}
	if err != nil {
		return nil, err
	}
	p.union.owners = append(p.union.owners, i)
	for _, c := range pieces {
		if err := p.take(i, c); err != nil {
			return nil, err
		}
	}
	return filled, nil
}

// errHost is wrapped where the host cannot be looked at, which is no extension's
// fault.
var errHost = errors.New("the host's own files cannot be read")

// foldersOf returns by hierarchy the folders of an item, without links.
func (p *Plan) foldersOf(i *Item) (map[string]string, error) {
	folders := map[string]string{}
	for _, h := range p.Request.Hierarchies {
		clean, f, err := i.tree.Resolve(h)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, refusedAs(fmt.Errorf("looking for its %q: %w", h, err))
		case f.Type() != content.TypeFolder:
			return nil, refusedAs(fmt.Errorf("its %q is no folder", h))
		default:
			folders[h] = clean
		}
	}
	return folders, nil
}

// safe refuses files that steer the overlay or are the merge's own, and those that
// would make more vanish than one file.
func (p *Plan) safe(c piece) error {
	r, f := &p.Request, c.file
	if first, _, _ := strings.Cut(c.rel, "/"); first == ".systemd-sysext" || first == ".systemd-confext" {
		return refusedAs(hint.Wrap(fmt.Errorf("it has %q, by which a merge is recognised and taken down", "/"+f.Path), "build it without that"))
	}
	if !r.Unsafe {
		const advice = "build it without them, or set unsafe_content: true in the configuration: they can hide any file of the host"
		if whiteout(f) {
			return refusedAs(hint.Wrap(fmt.Errorf("%q in it is a whiteout, which hides a file of the host", "/"+f.Path), advice))
		}
		if x := overlayAttribute(f); x != "" {
			return refusedAs(hint.Wrap(fmt.Errorf("%q in it has the attribute %s, which steers the overlay", "/"+f.Path, x), advice))
		}
	}
	if c.rel == "." || r.Override {
		return nil
	}
	kind, whose, err := p.below(c)
	if err != nil {
		return err
	}
	const advice = "build it for this host's layout of folders, or pass --force"
	switch {
	case whose == "":
	case f.Type() == content.TypeFolder && kind == content.TypeLink:
		return refusedAs(hint.Wrap(fmt.Errorf("its folder %q would replace %s", "/"+f.Path, owned("link", whose)), advice))
	case f.Type() != content.TypeFolder && kind == content.TypeFolder:
		return refusedAs(hint.Wrap(fmt.Errorf("its file %q would replace %s and all that is in it", "/"+f.Path, owned("folder", whose)), advice))
	}
	return nil
}

// owned says whose something is.
func owned(what, whose string) string {
	if whose == Host {
		return "a " + what + " of the host"
	}
	return fmt.Sprintf("a %s of the extension %q", what, whose)
}

func whiteout(f *content.File) bool {
	return f.Type() == content.TypeChar && f.Major == 0 && f.Minor == 0
}

// overlayAttribute returns the name of an attribute that overlayfs reads, or "".
func overlayAttribute(f *content.File) string {
	i := slices.IndexFunc(f.Xattrs, func(x content.Xattr) bool {
		return strings.HasPrefix(x.Name, "trusted.overlay.") || strings.HasPrefix(x.Name, "user.overlay.")
	})
	if i < 0 {
		return ""
	}
	return f.Xattrs[i].Name
}
