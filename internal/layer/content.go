package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/hint"
)

// maxPaths bounds how many paths all extensions together may have, some 200 bytes
// of memory each.
const maxPaths = 1 << 21

// labelAttribute is SELinux's label of a file.
const labelAttribute = "security.selinux"

// union is what all extensions together lay over the host.
type union struct {
	// nodes are by absolute path below the root.
	nodes     map[string]node
	owners    []*Item
	conflicts map[string]*Conflict
	vanishing map[string]bool
	folders   map[string]Folder
}

// node is a path and who brings it: the topmost, by its number among the owners.
type node struct {
	kind  uint32 // content.Type bits
	owner int32
	host  bool // the host has something there, too
}

// piece is a file of an extension that lies in a hierarchy.
type piece struct {
	view *hostView
	rel  string // below the hierarchy; "." is the hierarchy itself
	file *content.File
}

func (c piece) path() string { return path.Join(c.view.path, c.rel) }

// survey looks at every file that an item lays over the host. It refuses the item
// if that is not safe, and else takes the files into the union, and returns by
// hierarchy the folders of the item that have something in them.
func (p *Plan) survey(ctx context.Context, i *Item) (map[string]string, error) {
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
		const advice = "build it without them, or allow them: overlay attributes can hide any file of the host"
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
	const advice = "build it for this host's layout of folders, or force it"
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

// below returns what lies under a piece: its type and whose it is, "" if nothing
// does.
func (p *Plan) below(c piece) (kind uint32, whose string, err error) {
	if n, ok := p.union.nodes[c.path()]; ok {
		return n.kind, p.union.owners[n.owner].Name, nil
	}
	mode, there, err := c.view.at(c.rel)
	if err != nil {
		return 0, "", fmt.Errorf("%w: %w", errHost, err)
	}
	if !there {
		return 0, "", nil
	}
	return typeOf(mode), Host, nil
}

// typeOf is the type of a file in content's words.
func typeOf(mode fs.FileMode) uint32 {
	switch mode.Type() {
	case fs.ModeDir:
		return content.TypeFolder
	case fs.ModeSymlink:
		return content.TypeLink
	case 0:
		return content.TypeRegular
	default:
		return content.TypeChar // some other: nothing here asks which
	}
}

// take puts a piece on top of the union.
func (p *Plan) take(i *Item, c piece) error {
	at, u := c.path(), &p.union
	kind, whose, err := p.below(c)
	if err != nil {
		return err
	}
	mine := c.file.Type()
	host, onHost, err := c.view.at(c.rel)
	if err != nil {
		return fmt.Errorf("%w: %w", errHost, err)
	}
	u.nodes[at] = node{mine, int32(len(u.owners) - 1), onHost} //nolint:gosec // far fewer than 2³¹
	if whose != "" && (mine != content.TypeFolder || kind != content.TypeFolder) {
		u.conflict(at, i.Name, whose, onHost, clash(mine, kind, whose))
	}
	if onHost && (host.IsDir() != (mine == content.TypeFolder) || whiteout(c.file)) {
		u.vanishing[at] = true
	}
	if onHost && host.IsDir() && mine == content.TypeFolder {
		return p.attributes(i, c)
	}
	return nil
}

// clash names what meets in a path.
func clash(mine, kind uint32, whose string) ConflictKind {
	switch {
	case mine == content.TypeFolder && kind == content.TypeLink:
		return DirOverLink
	case mine == content.TypeFolder:
		return DirOverFile
	case kind == content.TypeFolder:
		return FileOverDir
	case whose == Host:
		return OverHost
	default:
		return OverExtension
	}
}

// conflict notes that winner lies over loser.
func (u *union) conflict(at, winner, loser string, onHost bool, kind ConflictKind) {
	c := u.conflicts[at]
	if c == nil {
		c = &Conflict{Path: at, Losers: []string{loser}}
		if onHost && loser != Host {
			c.Losers = append(c.Losers, Host)
		}
		u.conflicts[at] = c
	} else {
		c.Losers = slices.Insert(c.Losers, 0, c.Winner)
	}
	c.Winner, c.Kind = winner, kind
}

// attributes notes whether a folder would change the host's.
func (p *Plan) attributes(i *Item, c piece) error {
	at := c.path()
	f, err := c.view.tree.Lstat(c.rel)
	if err != nil {
		return fmt.Errorf("%w: %w", errHost, err)
	}
	label := attribute(f, labelAttribute)
	same := f.Mode == c.file.Mode && f.UID == c.file.UID && f.GID == c.file.GID &&
		(label == nil || bytes.Equal(label, attribute(c.file, labelAttribute)))
	if same {
		delete(p.union.folders, at)
		return nil
	}
	p.union.folders[at] = Folder{Path: at, Mode: f.Mode, UID: f.UID, GID: f.GID, Label: label, Extension: i.Name}
	return nil
}

func attribute(f *content.File, name string) []byte {
	for _, x := range f.Xattrs {
		if x.Name == name {
			return x.Value
		}
	}
	return nil
}
