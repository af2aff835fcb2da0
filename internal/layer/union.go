package layer

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"inlay/internal/content"
)

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
