package discover

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/verify"
)

// ErrExchanged says that a place no longer leads to what was found there.
var ErrExchanged = errors.New("it was exchanged since it was found")

// Opened is a candidate that is open: what is verified and what is used are the
// same file, whatever becomes of its name.
type Opened struct {
	// Subject is for the verifier. It shares File, Folder and what lies beside
	// the image.
	Subject *verify.Subject
	// File is an image or a block device, else nil.
	File *os.File
	// Folder is a folder, else nil.
	Folder *os.Root

	candidate *Candidate
	root      *os.Root
}

// Exposed returns nil if only root, and the user of the search, could change the
// image or put another in its place; else it says who else could, and where. It looks
// at the way to the candidate, below the root that Open was given.
func (o *Opened) Exposed() error { return o.candidate.exposed(o.root) }

// Close closes what Open opened.
func (o *Opened) Close() error { return o.Subject.Close() }

// Open opens a candidate below the root in which it was found, once and for all.
// That it isn't there any more, or isn't the same, is ErrExchanged. Files beside
// it that state a root hash are looked for below the root, beside Place and Path.
func (c *Candidate) Open(root *os.Root) (*Opened, error) {
	o := &Opened{candidate: c, root: root}
	var err error
	if c.Type.Folder() {
		o.Folder, err = c.openFolder(root)
	} else {
		o.File, err = c.openFile(root)
	}
	if err == nil {
		o.Subject, err = verify.From(verify.Given{
			Path: path.Join(root.Name(), c.Place), Name: c.Name, Kind: &c.kind,
			File: o.File, Folder: o.Folder, Root: root, Beside: c.beside(root),
		})
	}
	if err != nil {
		return nil, hint.Default(fmt.Errorf("opening %q: %w", path.Join("/", c.Place), err), "try again")
	}
	return o, nil
}

// openFile opens an image, and waits for nobody if it is something else by now.
func (c *Candidate) openFile(root *os.Root) (*os.File, error) {
	f, err := root.OpenFile(c.Path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := c.same(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openFolder opens a folder, which os.Root alone would not do without waiting at
// a FIFO in its place, nor twice without a moment in between.
func (c *Candidate) openFolder(root *os.Root) (*os.Root, error) {
	f, err := root.OpenFile(c.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := c.same(f); err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	return folder, hint.Wrap(err, "mount /proc")
}

// same says whether an open file is the one that was found.
func (c *Candidate) same(f *os.File) error {
	t, err := inspect(f)
	if err == nil && t.identity != c.is {
		err = ErrExchanged
	}
	return err
}

// beside returns the names that files beside the image can be called after: the
// one it was found by, and the one that this leads to.
func (c *Candidate) beside(root *os.Root) []string {
	folder, name := path.Split(c.Place)
	found, err := rooted.Resolve(root, folder)
	if found = path.Join(found, name); err != nil || found == c.Path {
		return []string{c.Path}
	}
	return []string{found, c.Path}
}
