package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/stage"
	"inlay/internal/tree"
)

// Owner says whom the files of a root file system belong to.
type Owner string

// The owners. OwnerAuto keeps those of an image, and those of a folder if the
// folder itself is root's; a folder of somebody else was unpacked without root
// and tells no owners, so its files become root's.
const (
	OwnerAuto Owner = ""
	OwnerRoot Owner = "root"
	OwnerKeep Owner = "keep"
)

// SystemOptions say how to open a root file system.
type SystemOptions struct {
	// Folder is the path of a source that is a folder: its files are read in
	// place. "" for an image, whose content is kept in a file without a name.
	Folder string
	// Overlay is a folder that is laid over the source, or "".
	Overlay string
	// SpoolDir is where that file lies: in the output's file system.
	SpoolDir string
	Owner    Owner
	// Epoch, if set, is the newest time that a file may have.
	Epoch *time.Time
}

// System is a root file system: the tree and the content of its files.
type System struct {
	tree    *tree.Tree
	notes   []string
	folders []*os.Root  // by layer; nil for layers whose content is spooled
	origins []origin    // of files in folders; Inode.Ref is the index
	spool   *stage.File // nil until something is kept in it
	made    map[*tree.Inode][]byte
}

// origin says which file of a folder holds a file's content.
type origin struct {
	layer int
	name  string // in its folder
	size  int64
	sec   int64
	nsec  uint32
}

// Wanted says which files of a source matter to media: not what lies in the
// folders that a running system mounts something over.
func Wanted(name string) bool {
	for _, folder := range transient() {
		if strings.HasPrefix(name, folder+"/") {
			return false
		}
	}
	return true
}

// transient are the folders whose content is made anew at each boot.
func transient() []string { return []string{"proc", "sys", "dev", "run", "tmp"} }

// OpenSystem merges all layers of image, and the overlay, into one tree. The
// system must be closed; the image must stay open no longer than this call.
func OpenSystem(ctx context.Context, image *source.Image, o SystemOptions) (*System, error) {
	if image.OS != "" && image.OS != "linux" {
		return nil, hint.Wrap(fmt.Errorf("the image is for %s, not for Linux", image.OS), "name an image for Linux")
	}
	s := &System{}
	if err := s.read(ctx, image, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *System) read(ctx context.Context, image *source.Image, o SystemOptions) error {
	all, err := source.ParseLayers("all")
	if err != nil {
		return err
	}
	chosen, err := image.Select(all)
	if err != nil {
		return err
	}
	var sink *keeper
	watch := func(l tree.Layer, number int) tree.Layer {
		return watchedLayer{l, func(e *tree.Entry) { sink.layer, sink.entry = number, e }}
	}
	sink = &keeper{system: s, dir: o.SpoolDir}
	over := &overlay{}
	var layers []tree.Layer
	for _, l := range chosen {
		var root *os.Root
		if o.Folder != "" {
			if root, err = os.OpenRoot(o.Folder); err != nil {
				return err
			}
		}
		s.folders = append(s.folders, root)
		layers = append(layers, watch(l, len(layers)))
	}
	if o.Overlay != "" {
		root, err := openOverlay(o.Overlay)
		if err != nil {
			return err
		}
		s.folders = append(s.folders, root)
		over = &overlay{Layer: tree.Dir(root, Wanted)}
		layers = append(layers, watch(over, len(layers)))
	}
	attributes, err := s.attributes(sink, o)
	if err != nil {
		return err
	}
	s.tree, _, err = tree.Merge(ctx, layers, tree.Options{Keep: Wanted, Transform: attributes}, sink)
	if err != nil {
		return err
	}
	if err := sink.flush(); err != nil {
		return err
	}
	if err := image.Empty(chosen); err != nil {
		return err
	}
	sink.layer = len(layers) - 1
	return over.makeFolders(s, attributes)
}

func openOverlay(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the overlay: %w", hint.Wrap(err, "--overlay-rootfs names a folder with files for the root file system"))
	}
	return root, nil
}

// attributes returns what changes the owners and times of entries as they are
// read: owners for each layer that is a folder on its own.
func (s *System) attributes(sink *keeper, o SystemOptions) (func(*tree.Entry) error, error) {
	toRoot := make([]bool, len(s.folders))
	for i, folder := range s.folders {
		toRoot[i] = o.Owner == OwnerRoot
		if o.Owner != OwnerAuto || folder == nil {
			continue
		}
		info, err := folder.Stat(".")
		if err != nil {
			return nil, err
		}
		if owner, known := ownerOf(info); known && owner != 0 {
			toRoot[i] = true
			s.notes = append(s.notes, fmt.Sprintf("the folder %q belongs to user %d, so its files become root's: keep their owners with --owner keep", folder.Name(), owner))
		}
	}
	return func(e *tree.Entry) error {
		if toRoot[sink.layer] {
			e.UID, e.GID = 0, 0
		}
		if o.Epoch != nil && (e.Sec > o.Epoch.Unix() || e.Sec == o.Epoch.Unix() && int64(e.Nsec) > int64(o.Epoch.Nanosecond())) {
			e.Sec, e.Nsec = o.Epoch.Unix(), uint32(o.Epoch.Nanosecond())
		}
		return nil
	}, nil
}

// Close frees what the system holds.
func (s *System) Close() error {
	var errs []error
	for _, folder := range s.folders {
		if folder != nil {
			errs = append(errs, folder.Close())
		}
	}
	if s.spool != nil {
		s.spool.Discard()
	}
	s.folders, s.spool = nil, nil
	return errors.Join(errs...)
}

// Tree returns the merged tree. Whoever changes it changes what is packed.
func (s *System) Tree() *tree.Tree { return s.tree }

// Notes returns what a user should know of how the system was read.
func (s *System) Notes() []string { return s.notes }

// ReadFile returns the content of the regular file name, links followed, of at
// most so many bytes. Its error is fs.ErrNotExist if there is none.
func (s *System) ReadFile(name string, most int64) ([]byte, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > most {
		return nil, fmt.Errorf("reading %q: %d bytes are more than the %d that it may have", "/"+name, f.Size(), most)
	}
	return io.ReadAll(f)
}
