package build

import (
	"context"
	"fmt"
	"io"

	"inlay/internal/erofs"
	"inlay/internal/tree"
)

// packer makes a file system of a tree: the content of files as it arrives,
// then everything else.
type packer interface {
	tree.Sink
	// Pack ends the file system with what t holds and returns its length in
	// blocks of 4096 bytes.
	Pack(ctx context.Context, t *tree.Tree) (blocks int64, err error)
	// Close frees what the packer holds, finished or not.
	Close() error
}

// erofsPacker writes straight into the image.
type erofsPacker struct {
	w      *erofs.Writer
	result *Result // is told which Linux the image takes
}

// Store implements tree.Sink.
func (p *erofsPacker) Store(name string, ino *tree.Inode, r io.Reader) error {
	ref, err := p.w.File(attributes(ino), ino.Size, r)
	if err != nil {
		return fmt.Errorf("packing %q: %w", "/"+name, err)
	}
	ino.Ref = uint64(ref)
	return nil
}

// Pack implements packer.
func (p *erofsPacker) Pack(_ context.Context, t *tree.Tree) (int64, error) {
	root, err := p.folder("", t.Root(), map[*tree.Inode]erofs.Ref{})
	if err != nil {
		return 0, err
	}
	blocks, err := p.w.Finish(root)
	needs := p.w.Needs()
	p.result.Kernel = &Kernel{Version: kernelText(needs.Kernel), Because: needs.Because}
	return blocks, err
}

// Close implements packer.
func (p *erofsPacker) Close() error { return nil }

// folder turns a folder of the tree into one of the file system. linked holds
// what has several names and was met under one of them.
func (p *erofsPacker) folder(path string, ino *tree.Inode, linked map[*tree.Inode]erofs.Ref) (*erofs.Dir, error) {
	dir := &erofs.Dir{Attr: attributes(ino)}
	for name, child := range ino.Children() {
		entry := erofs.Dirent{Name: name, Type: child.Mode & typeMask}
		below := path + "/" + name
		var err error
		if child.Kind() == tree.Directory {
			entry.Dir, err = p.folder(below, child, linked)
		} else {
			entry.Ref, err = p.reference(child, linked)
		}
		if err != nil {
			return nil, fmt.Errorf("packing %q: %w", below, err)
		}
		dir.Entries = append(dir.Entries, entry)
	}
	return dir, nil
}

func (p *erofsPacker) reference(ino *tree.Inode, linked map[*tree.Inode]erofs.Ref) (ref erofs.Ref, err error) {
	if known, ok := linked[ino]; ok {
		return known, nil
	}
	switch ino.Kind() {
	case tree.Regular:
		ref = erofs.Ref(ino.Ref)
	case tree.Symlink:
		ref, err = p.w.Symlink(attributes(ino), ino.Target)
	default:
		ref, err = p.w.Special(attributes(ino))
	}
	if err == nil && ino.Links > 1 {
		linked[ino] = ref
		p.w.SetLinks(ref, ino.Links)
	}
	return ref, err
}

// typeMask cuts the file type out of a mode.
const typeMask = 0o170000

func attributes(ino *tree.Inode) erofs.Attr {
	a := erofs.Attr{
		Mode: ino.Mode, UID: ino.UID, GID: ino.GID,
		Sec: ino.Sec, Nsec: ino.Nsec,
		Major: ino.Major, Minor: ino.Minor,
	}
	for _, x := range ino.Xattrs {
		a.Xattrs = append(a.Xattrs, erofs.Xattr(x))
	}
	return a
}
