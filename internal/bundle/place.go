package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// Place is where a folder is to appear: a name in a folder, which need not be
// there yet.
type Place struct {
	// Path is the whole path on this machine, links resolved.
	Path string

	root  *os.Root
	above string // the folder that it lies in, below root
	name  string
	own   bool // root is the Place's to close
}

// Below returns the place of name below root. Links are followed as they would be
// there, and never lead out. The caller closes root after the Place.
func Below(root *os.Root, name string) (*Place, error) {
	if slices.Contains(strings.Split(name, "/"), "..") {
		return nil, hint.Wrap(fmt.Errorf("the path %q holds two dots", name), "write it without them")
	}
	clean, err := resolve(root, strings.Trim(path.Clean("/"+name), "/"))
	if err != nil {
		return nil, hint.Default(fmt.Errorf("looking for %q below %q: %w", name, root.Name(), err), "name a folder below the root")
	}
	if clean == "." {
		return nil, wholeSystem(root.Name())
	}
	p := &Place{Path: filepath.Join(root.Name(), clean), root: root, above: path.Dir(clean), name: path.Base(clean)}
	return p, p.check()
}

// At returns the place of a path of whoever calls, relative to here.
func At(name string) (*Place, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	there, rest := absolute, "."
	resolved, err := filepath.EvalSymlinks(there)
	for errors.Is(err, fs.ErrNotExist) {
		if _, linkErr := os.Lstat(there); linkErr == nil {
			return nil, hint.Wrap(fmt.Errorf("looking for %q: %q is a link to what is not there", name, there), "remove the link, or make what it leads to")
		}
		there, rest = filepath.Dir(there), path.Join(filepath.Base(there), rest)
		resolved, err = filepath.EvalSymlinks(there)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for %q: %w", name, err)
	}
	whole := filepath.Join(resolved, rest)
	if whole == "/" {
		return nil, wholeSystem(whole)
	}
	if rest == "." {
		resolved, rest = filepath.Split(resolved)
	}
	root, err := os.OpenRoot(resolved)
	if err != nil {
		return nil, err
	}
	p := &Place{Path: whole, root: root, above: path.Dir(rest), name: path.Base(rest), own: true}
	if err := p.check(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func wholeSystem(root string) error {
	return hint.Wrap(fmt.Errorf("%q is the root of a whole system, and not a folder for one image", root),
		"name a folder of its own, such as /var/lib/extensions/NAME")
}

// maxPlaceName leaves room in a file name for what surrounds it while it is made.
const maxPlaceName = 255 - len(stagePrefix) - len(stageSuffix)

func (p *Place) check() error {
	if len(p.name) <= maxPlaceName {
		return nil
	}
	return hint.Wrap(fmt.Errorf("the name of the folder %q is longer than %d bytes", p.Path, maxPlaceName), "choose a shorter one")
}

// Close gives back what At has opened.
func (p *Place) Close() error {
	if !p.own {
		return nil
	}
	return p.root.Close()
}

// Near returns the path of the last folder on the way to the place that is there:
// what is spooled meanwhile belongs on the same file system.
func (p *Place) Near() string {
	at := p.above
	for at != "." {
		if _, err := p.root.Lstat(at); err == nil {
			break
		}
		at = path.Dir(at)
	}
	return filepath.Join(p.root.Name(), at)
}

// full is the place's path below its root.
func (p *Place) full() string { return path.Join(p.above, p.name) }

// resolve follows the links of as much of name as is there.
func resolve(root *os.Root, name string) (string, error) {
	missing := ""
	for there := name; ; there = path.Dir(there) {
		clean, err := rooted.Resolve(root, there)
		if errors.Is(err, fs.ErrNotExist) && there != "." && there != "" {
			missing = path.Join(path.Base(there), missing)
			continue
		}
		if err != nil {
			return "", err
		}
		return path.Join(clean, missing), nil
	}
}

// opened is a Place whose folder is there and open.
type opened struct {
	*Place
	folder *os.Root
	handle *os.File // the same folder
	made   []string // the folders that were made for it, the deepest first
}

// open makes the folders above the place that are missing, and opens the last.
func (p *Place) open() (_ *opened, err error) {
	o := &opened{Place: p}
	defer func() {
		if err != nil {
			o.takeBack()
			err = fmt.Errorf("opening the folder of %q: %w", p.Path, underMerge(err, p.Path))
		}
	}()
	if err := o.make(); err != nil {
		return nil, err
	}
	if o.folder, err = p.root.OpenRoot(p.above); err != nil {
		return nil, err
	}
	if o.handle, err = o.folder.Open("."); err != nil {
		return nil, errors.Join(err, o.folder.Close())
	}
	return o, nil
}

func (o *opened) make() error {
	at := "."
	for part := range strings.SplitSeq(o.above, "/") {
		if at = path.Join(at, part); part == "." {
			continue
		}
		err := o.root.Mkdir(at, 0o755)
		switch {
		case err == nil:
			o.made = slices.Insert(o.made, 0, at)
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil
}

// takeBack removes the folders that were made in vain.
func (o *opened) takeBack() {
	for _, name := range o.made {
		// One that somebody uses meanwhile stays.
		_ = o.root.Remove(name)
	}
	o.made = nil
}

func (o *opened) close() {
	_ = o.handle.Close()
	_ = o.folder.Close()
}
