package layer

import (
	"context"
	"errors"
	"os"

	"inlay/internal/content"
	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/verify"
	"inlay/internal/verity"
)

// State is what becomes of something in an extension folder.
type State string

// The states.
const (
	Merge      State = "merge"      // it is merged
	Masked     State = "masked"     // it is an empty folder, by which nothing of its name is merged
	Shadowed   State = "shadowed"   // another one has its name
	Skipped    State = "skipped"    // it is no extension
	Ignored    State = "ignored"    // it doesn't fit the host
	Refused    State = "refused"    // it is not to be trusted, or not safe to merge
	Unreadable State = "unreadable" // the medium, or the rights to it, failed
)

// Item is something that lies in an extension folder.
type Item struct {
	Name string
	// Place is the absolute path below the root, for people.
	Place string
	State State
	// Reason says why, in one line, for every State but Merge; Hints say what can
	// be done.
	Reason string
	Hints  []string

	// Candidate is nil for what is Skipped or Shadowed.
	Candidate *discover.Candidate
	// Verdict is nil where none was asked for.
	Verdict *verify.Verdict
	// Release is the release file, if one was found.
	Release *extension.Found
	// Opened is what is to be used: open, and the same that was verified. It is nil
	// unless State is Merge, and closed with the Plan.
	Opened *discover.Opened
	// Volume is what to mount of an image; nil for a folder.
	Volume *Volume
	// Unsettled says that nobody here can read the files of the image: whether it
	// fits, and what it brings, is known once it is mounted and Plan.Settle called.
	Unsettled bool

	tree *content.Tree // the files; nil if nobody here can read them
}

// Extent is a part of a file, in bytes.
type Extent struct{ Offset, Size int64 }

// Volume is the file system of an image and what protects it, as it was verified.
type Volume struct {
	// File is what the extents are parts of: Opened.File, or a sealed copy of it,
	// which Sealed says.
	File   *os.File
	Sealed bool
	// Designator is "root", or "usr": then the file system is to be mounted on the
	// folder usr of an empty one.
	Designator string
	// FileSystem is blkid's word for it.
	FileSystem string
	// SectorSize is that of the partition table; 512 if there is none.
	SectorSize uint32
	// Data is the file system.
	Data Extent
	// Protected says that there is a hash tree and the policy has it used: then the
	// rest is set. Else the data is mounted as it is.
	Protected  bool
	Superblock verity.Superblock
	RootHash   [verity.DigestSize]byte
	// Hash begins with the superblock. It is part of HashFile, which is File unless
	// the tree lies beside the image.
	Hash     Extent
	HashFile *os.File
	// Signature is in DER, nil if there is none; Signed says that the policy wants
	// a trusted one, and that this is.
	Signature []byte
	Signed    bool
}

// Stack is what is laid over one hierarchy.
type Stack struct {
	// Path is absolute, below the root: "/usr". Place is where that leads, without
	// links and without a leading slash.
	Path, Place string
	// Missing says that the host has no such folder: one with mode 0755 is made to
	// mount on. Bare says that it is missing or empty, and so is no layer.
	Missing, Bare bool
	// Layers are the extensions that bring something for it, the topmost first.
	Layers []Layer
	// Idle says that nothing is to be laid over it, as no extension brings anything
	// and the mode doesn't ask for an overlay all the same, or as Reason says. While
	// Plan.Unsettled has items it may be true too early.
	Idle   bool
	Reason string
	// MakesReadOnly are the paths that can be written to now, and could not after
	// the merge.
	MakesReadOnly []string
}

// Layer is what one extension brings for a hierarchy.
type Layer struct {
	*Item
	// Folder is the folder in the extension, without links and without a leading
	// slash.
	Folder string
}

// Warning is something to know before a merge, that doesn't stop it.
type Warning struct {
	Text  string   `json:"text"`
	Hints []string `json:"hints,omitempty"`
}

// Plan is what a merge would do. It holds images open; Close closes them.
type Plan struct {
	// Request is what was asked for, with Host, Systemd and Mutable filled in.
	Request Request
	// Items are all that was found: those that are merged first, lowest first, then
	// the others in the order of their names.
	Items []*Item
	// Stacks are by path.
	Stacks   []Stack
	Warnings []Warning
	// Folders are those whose mode, owner or label an extension would change: the
	// host's are to be given to the merged ones.
	Folders []Folder

	closers []func() error
}

// Merged returns the items that are merged, the lowest first. All of their names
// stand in the marker of every hierarchy, whether they bring something for it or
// not.
func (p *Plan) Merged() []*Item {
	var items []*Item
	for _, i := range p.Items {
		if i.State == Merge {
			items = append(items, i)
		}
	}
	return items
}

// Close closes everything that the plan holds open.
func (p *Plan) Close() error {
	var errs []error
	for _, c := range p.closers {
		errs = append(errs, c())
	}
	p.closers = nil
	return errors.Join(errs...)
}

// MakePlan finds out what a merge would do, and mounts nothing. The error is that
// the search ended early, that the host cannot be told, or that the request
// contradicts itself or, wrapping a *RefusedError, its policy. In the last case
// the plan is there all the same: to be shown, not to be executed.
func MakePlan(ctx context.Context, r Request) (*Plan, error) { return nil, errors.New("not yet") }

// RefusedError says that the policy refuses the way in which the merge is to be
// made, whatever the extensions are like.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// Unsettled returns the items that are merged if Settle agrees.
func (p *Plan) Unsettled() []*Item { return nil }

// Settle looks at the files of an item that is mounted now, as far as MakePlan
// could not, changes its State, and the Stacks with it.
func (p *Plan) Settle(ctx context.Context, i *Item, tree *content.Tree) error { return nil }
