// Package discover says which extensions a system has, by the rules of
// systemd-sysext(8) 252 to 262: where it looks, what it takes for an extension,
// under what name, which of two it takes, and which version of a versioned folder
// (systemd.v(7)). Nothing is mounted, and no image is read. Each thing that is
// passed over is named with its reason, where systemd is silent.
//
// Where systemd is not exact, or would fail altogether, this package differs, and
// on purpose:
//
//   - Of two with one NAME in one folder, systemd takes the one that the file
//     system happens to list first. Here the order is fixed; see [Find].
//   - A link in a circle makes systemd list nothing. Here it is passed over.
//   - Links are followed under another root folder as they are in it, which
//     systemd does since 260. One that leads above the root is passed over.
//   - systemd 262 passes over the unfinished files of systemd-sysupdate; here that
//     counts for every version.
//
// Left out on purpose: whether an extension fits the host (internal/extension),
// whether it can be trusted (internal/verify), and the trial counters of versioned
// folders, which are read and never lowered.
package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/version"
)

// maxEntries bounds how many names one folder may have. A folder with more ends
// the search: what it masks is not known.
const maxEntries = 1 << 14

// Options say where to look and by which rules.
type Options struct {
	Root *os.Root
	Kind extension.Kind
	// Systemd is the version whose rules count; 0 means the newest known.
	Systemd int
	// Initrd says that Root is an initial RAM disk.
	Initrd bool
	// Architecture is systemd's word for the host's; "" means this process's.
	Architecture string
	// More are folders to look in after systemd's own; see [OldFolders].
	More []string
	// Ignore are places that are looked at as if they weren't there.
	Ignore []string
	// User is who may own what is found and the folders above it, beside root;
	// see [Opened.Exposed].
	User int
}

// Type is what an extension is, in the words of systemd's list.
type Type string

// The types.
const (
	Directory Type = "directory"
	Subvolume Type = "subvolume" // of btrfs
	Raw       Type = "raw"       // an image in a regular file
	Block     Type = "block"     // an image on a block device
	Stack     Type = "mstack"    // a folder of layers, which systemd 260 lists and doesn't merge
)

// Folder says whether an extension of this type is a folder.
func (t Type) Folder() bool { return t == Directory || t == Subvolume || t == Stack }

// Candidate is an extension that was found, whether it fits or not. Its paths
// have no leading slash and lie below the root.
type Candidate struct {
	Name string
	Type Type
	// Folder is the search folder as systemd names it, Entry the name in it.
	Folder string
	Entry  string
	// Place is Entry in Folder without the links that lead to Folder; of a
	// versioned folder it is the version that was picked.
	Place string
	// Path is what Place leads to, without any link: another than Place if that
	// is a link, or its versioned folder is.
	Path string
	// Picked says which version of a versioned folder it is; else nil.
	Picked *Pick
	// Old says that it lies in one of Options.More.
	Old bool
	// Masks says that it is an empty folder: nothing is merged by its name.
	Masks bool
	// ModTime is when the file changed last, or anything in a subvolume; Created is
	// when it appeared: zero if the file system doesn't tell.
	ModTime, Created time.Time
	// Size is the size of a file in bytes, else 0.
	Size int64
	// Shadowed are those that go by the same name and lose.
	Shadowed []Shadow

	is   identity
	kind extension.Kind
	user int
}

// Shadow is something that lost, and why.
type Shadow struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Skipped is something that was passed over, why, and what can be done.
type Skipped struct {
	Path   string   `json:"path"`
	Reason string   `json:"reason"`
	Hints  []string `json:"hints,omitempty"`
}

// Found is what [Find] found.
type Found struct {
	// Candidates are in the order in which they are laid over each other: of
	// their names as versions, the oldest first.
	Candidates []Candidate
	// Skipped are in the order of the folders, and by name in each.
	Skipped []Skipped
}

// Find looks into every folder. Of two extensions with one name the one in the
// folder that comes first wins. Inside of one folder the order is the one in
// which systemd-dissect and portablectl try the names: NAME.sysext, NAME,
// NAME.sysext.raw, NAME.raw, NAME.sysext.mstack, NAME.mstack, and then those with
// ".v". So an empty folder masks an image beside it.
//
// The error is that of ctx, or that a folder could not be read to its end: what
// it masks is not known then.
func Find(ctx context.Context, o Options) (*Found, error) {
	f := finder{options: o, rules: rulesOf(o), found: new(Found), byName: make(map[string]int)}
	for _, folder := range Folders(o) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := f.folder(folder, false); err != nil {
			return nil, err
		}
	}
	for _, folder := range o.More {
		if folder = cleaned(folder); !slices.Contains(Folders(o), folder) {
			if err := f.folder(folder, true); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(f.found.Candidates, func(a, b Candidate) int {
		if order := version.Compare(a.Name, b.Name); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return f.found, nil
}

// finder is one search.
type finder struct {
	options Options
	rules   rules
	found   *Found
	byName  map[string]int // of Candidates
	// here is the search folder that is looked through, nil if it won't open; at is
	// its path without links.
	here *os.Root
	at   string
}

// folder looks through one search folder.
func (f *finder) folder(folder string, old bool) error {
	at, err := rooted.Resolve(f.options.Root, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var names []string
	if err == nil {
		names, err = rooted.ReadNames(f.options.Root, at, maxEntries)
	}
	if err == nil {
		f.here, f.at = nil, at
		if here, err := f.options.Root.OpenRoot(at); err == nil {
			f.here = here
			defer here.Close()
		}
	}
	switch reason, known := unfit(err); {
	case err == nil:
	case known:
		f.skip(folder, hint.Wrap(errors.New("no folder to look in: "+reason), "make it a folder, or remove it"))
		return nil
	default:
		return fmt.Errorf("looking for extensions in %q: %w", path.Join("/", folder), err)
	}
	var here []entry
	for _, name := range names {
		if slices.Contains(f.options.Ignore, path.Join(at, name)) {
			continue
		}
		e, err := f.entry(at, name)
		if err != nil {
			f.skip(path.Join(at, name), err)
			continue
		}
		e.Folder, e.Old = folder, old
		here = append(here, e)
	}
	slices.SortStableFunc(here, func(a, b entry) int { return a.rank - b.rank })
	for _, e := range here {
		f.add(e)
	}
	return nil
}

// add takes a candidate in, as the winner of its name or as a loser.
func (f *finder) add(e entry) {
	i, taken := f.byName[e.Name]
	if !taken {
		f.byName[e.Name] = len(f.found.Candidates)
		f.found.Candidates = append(f.found.Candidates, e.Candidate)
		return
	}
	winner := &f.found.Candidates[i]
	winner.Shadowed = append(winner.Shadowed, Shadow{Path: e.Place, Reason: why(*winner, e.Candidate)})
}

// why says why a winner wins.
func why(winner, loser Candidate) string {
	switch {
	case winner.is == loser.is && winner.Path == loser.Path:
		return fmt.Sprintf("it is %q, which has been found already", path.Join("/", winner.Place))
	case winner.Folder != loser.Folder && winner.Masks:
		return fmt.Sprintf("the empty folder %q masks the name %q", path.Join("/", winner.Place), winner.Name)
	case winner.Folder != loser.Folder:
		return fmt.Sprintf("%q has the name %q too, and its folder comes first", path.Join("/", winner.Place), winner.Name)
	default:
		return fmt.Sprintf("%q in the same folder has the name %q too, and comes first", winner.Entry, winner.Name)
	}
}

func (f *finder) skip(name string, err error) {
	f.found.Skipped = append(f.found.Skipped, Skipped{Path: name, Reason: err.Error(), Hints: hint.Of(err)})
}
