package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// versionedSuffix ends the name of a folder of versions.
const versionedSuffix = ".v"

// unfinished begins the names that systemd-sysupdate gives to what it is still
// downloading.
const unfinished = ".sysupdate."

// entry is a candidate and its rank among those of its name in its folder.
type entry struct {
	Candidate
	rank int
}

// form is what the name of an entry says of it beside its name.
type form struct {
	name      string // the extension's
	class     bool   // it has the kind's own suffix
	format    string // ".raw", ".mstack" or ""
	versioned bool
}

// suffix is what follows the name.
func (m form) suffix(k extension.Kind) string {
	if m.class {
		return "." + k.Name + m.format
	}
	return m.format
}

// rank orders the forms as systemd tries them when it looks for one name.
func (m form) rank() int {
	n := map[string]int{"": 0, ".raw": 2, ".mstack": 4}[m.format]
	if !m.class {
		n++
	}
	if m.versioned {
		n += 6
	}
	return n
}

// entry says what an entry of a search folder, whose path has no links, is. The
// error is why it is passed over.
func (f *finder) entry(folder, name string) (entry, error) {
	if strings.HasPrefix(name, unfinished) {
		return entry{}, errors.New("systemd-sysupdate has not finished it")
	}
	place := path.Join(folder, name)
	t, err := f.nearby(place, name)
	if err != nil {
		return entry{}, err
	}
	m, err := f.form(name, t)
	if err != nil {
		return entry{}, err
	}
	e := entry{
		Candidate: Candidate{Name: m.name, Entry: name, Place: place, kind: f.options.Kind, user: f.options.User},
		rank:      m.rank(),
	}
	if m.versioned {
		if e.Picked, t, err = f.pick(t.path, m); err != nil {
			return entry{}, err
		}
		e.Place = path.Join(e.Place, e.Picked.Entry)
	}
	e.Type, e.Path, e.is = f.typeOf(t), t.path, t.identity
	e.ModTime, e.Created = t.modified, t.created
	if e.Type == Raw {
		e.Size = t.size
	}
	if e.Type.Folder() {
		e.Masks, err = f.empty(t.path)
	}
	return e, err
}

// form reads the name of an entry, by what it leads to.
func (f *finder) form(name string, t target) (form, error) {
	m := form{name: name}
	switch {
	case t.mode.IsRegular():
		bare, found := strings.CutSuffix(name, ".raw")
		if !found {
			return form{}, f.notRaw(name)
		}
		m.name, m.format = bare, ".raw"
	case t.mode.IsDir():
		bare, versioned := strings.CutSuffix(name, versionedSuffix)
		if versioned && f.rules.versioned() {
			m.name, m.versioned = bare, true
			if bare, found := strings.CutSuffix(m.name, ".raw"); found {
				m.name, m.format = bare, ".raw"
			}
		}
		if bare, found := strings.CutSuffix(m.name, ".mstack"); found && m.format == "" && f.rules.stacks() {
			m.name, m.format = bare, ".mstack"
		}
	case isBlock(t.mode):
		// A device goes by its whole name.
		return m, extension.ValidName(m.name)
	default:
		return form{}, hint.Wrap(errors.New(described(t.mode)+": no folder, regular file or block device"),
			"an empty folder called after the extension masks it")
	}
	if bare := extension.NameOfFolder(f.options.Kind, m.name); bare != m.name && f.rules.suffixes() {
		m.name, m.class = bare, true
	}
	return m, extension.ValidName(m.name)
}

// notRaw says why a regular file is none.
func (f *finder) notRaw(name string) error {
	for _, ending := range []string{".roothash", ".usrhash", ".p7s", ".verity"} {
		if strings.HasSuffix(name, ending) {
			return errors.New("it belongs to an image, and is none")
		}
	}
	if bare, found := strings.CutSuffix(name, versionedSuffix); found && f.rules.versioned() {
		return hint.Wrap(errors.New(`a regular file, though its name ends with ".v" as that of a folder`), fmt.Sprintf("call it %q", bare))
	}
	return hint.Wrap(errors.New(`a regular file, and its name doesn't end with ".raw"`), fmt.Sprintf("if it is an image, call it %q", name+".raw"))
}

// typeOf names the type of what form has let pass.
func (f *finder) typeOf(t target) Type {
	switch {
	case isBlock(t.mode):
		return Block
	case t.mode.IsRegular():
		return Raw
	case f.rules.stacks() && strings.HasSuffix(t.path, ".mstack"):
		return Stack
	case t.subvolume:
		return Subvolume
	default:
		return Directory
	}
}

// empty says whether a folder has nothing in it.
func (f *finder) empty(name string) (bool, error) {
	root, below := f.options.Root, name
	if f.here != nil && path.Dir(name) == f.at {
		root, below = f.here, path.Base(name)
	}
	folder, err := root.OpenFile(below, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(1) // the end of the folder is an error
	return len(names) == 0, nil
}

// nearby is target of a name in the search folder, without going all the way there
// again for what is no link.
func (f *finder) nearby(place, name string) (target, error) {
	if f.here != nil {
		if t, err := look(f.here, name); err == nil && t.mode.Type() != fs.ModeSymlink {
			t.path = place
			return t, nil
		}
	}
	return f.target(place)
}

// target follows a place to what it leads to.
func (f *finder) target(place string) (target, error) {
	at, err := rooted.Resolve(f.options.Root, place)
	if errors.Is(err, fs.ErrNotExist) {
		return target{}, errors.New("it vanished while it was looked at")
	}
	if err == nil {
		var t target
		if t, err = look(f.options.Root, at); err == nil {
			return t, nil
		}
	}
	if reason, known := unfit(err); known {
		return target{}, hint.Wrap(errors.New(reason), "mend the link, or remove it")
	}
	return target{}, err
}

// unfit puts into words why a path leads nowhere. What it doesn't know is the
// file system's fault.
func unfit(err error) (reason string, known bool) {
	switch {
	case err == nil:
		return "", false
	case errors.Is(err, rooted.ErrDangling), errors.Is(err, fs.ErrNotExist):
		return rooted.ErrDangling.Error(), true
	case errors.Is(err, unix.ENOTDIR):
		return "it is no folder, or leads through something that is none", true
	case errors.Is(err, rooted.ErrLinks), errors.Is(err, rooted.ErrLeads):
		return err.Error(), true
	default:
		return "", false
	}
}

func isBlock(mode fs.FileMode) bool { return mode&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice }

// described names what is no extension by its type.
func described(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeNamedPipe:
		return "a FIFO"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeDevice | fs.ModeCharDevice:
		return "a character device"
	default:
		return "something else"
	}
}
