package layer

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/verify"
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
	// Links are what systemd needs to find those extensions that lie in the folders
	// of Request.Old.
	Links []discover.Link
	// Folders are those whose mode, owner or label an extension would change: the
	// host's are to be given to the merged ones.
	Folders []Folder

	modeOrigin string
	explicit   bool                 // hierarchies or mode were asked for by the request itself
	views      map[string]*hostView // by hierarchy
	union      union
	inMemory   int64 // bytes of the copies that are kept there
	closers    []func() error
}

// close closes an item, if it is still open.
func (i *Item) close() error {
	err := i.rest()
	if i.Opened != nil {
		err = errors.Join(err, i.Opened.Close())
	}
	return err
}

// rest closes the folders that were opened to look at an item. There may be hundreds
// of items: only one at a time has them open.
func (i *Item) rest() error {
	if i.tree == nil {
		return nil
	}
	return i.tree.Close()
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
func MakePlan(ctx context.Context, r Request) (_ *Plan, err error) {
	p := &Plan{Request: r}
	defer func() {
		if _, ok := errors.AsType[*RefusedError](err); err != nil && !ok {
			_ = p.Close()
		}
	}()
	if err := p.choose(); err != nil {
		return nil, err
	}
	if err := p.find(ctx); err != nil {
		return nil, err
	}
	if err := p.arrange(ctx); err != nil {
		return nil, err
	}
	return p, p.allowed()
}

// find looks for extensions and judges them.
func (p *Plan) find(ctx context.Context) error {
	r := &p.Request
	o := discover.Options{
		Root: r.Root, Kind: r.Kind, Systemd: r.Systemd, Initrd: r.Host.Initrd, Architecture: r.Host.Architecture, User: r.User,
		Ignore: r.Ignore,
	}
	if r.Old {
		o.More = discover.OldFolders(r.Kind)
	}
	found, err := discover.Find(ctx, o)
	if err != nil {
		return err
	}
	p.Links = found.Links(o)
	var others []*Item
	for n := range found.Candidates {
		c := &found.Candidates[n]
		i, err := p.judge(ctx, c)
		if err != nil {
			return err
		}
		p.Items = append(p.Items, i)
		p.closers = append(p.closers, i.close)
		for _, s := range c.Shadowed {
			others = append(others, &Item{Name: c.Name, Place: path.Join("/", s.Path), State: Shadowed, Reason: s.Reason})
		}
	}
	for _, s := range found.Skipped {
		others = append(others, &Item{Name: path.Base(s.Path), Place: path.Join("/", s.Path), State: Skipped, Reason: s.Reason, Hints: s.Hints})
	}
	p.Items = append(p.Items, others...)
	return nil
}

// sort puts the items in the order that Items promises.
func (p *Plan) sort() {
	slices.SortStableFunc(p.Items, func(a, b *Item) int {
		switch {
		case a.State == Merge && b.State == Merge:
			return 0 // as they were found
		case a.State == Merge:
			return -1
		case b.State == Merge:
			return 1
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Place, b.Place))
	})
}

// Unsettled returns the items that are merged if Settle agrees.
func (p *Plan) Unsettled() []*Item {
	return slices.DeleteFunc(p.Merged(), func(i *Item) bool { return !i.Unsettled })
}

// Settle looks at the files of an item that is mounted now, as far as MakePlan
// could not, and changes its State, and the Stacks with it. tree is used until the
// plan is closed. The error is that of ctx, or of looking at the host.
func (p *Plan) Settle(ctx context.Context, i *Item, tree *content.Tree) error {
	if i.State != Merge || !i.Unsettled {
		return nil
	}
	i.tree, i.Unsettled = tree, false
	i.settle(p.fitting(i))
	return p.arrange(ctx)
}
