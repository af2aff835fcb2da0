// Package store keeps a node's extension images of one kind: the files, and
// for each boot profile a folder of links to those that it uses. It is the
// layout of kairos-agent, whose stores are taken over as they are:
//
//	var/lib/kairos/extensions/          an image: NAME.sysext.raw, or NAME.raw
//	var/lib/kairos/extensions/PROFILE/  NAME.sysext.raw -> ../NAME.sysext.raw
//	var/lib/kairos/extensions/.inlay/   lock, journal, records, boots; ours alone
//	run/extensions/                     what is linked until the next boot
//
// Links are written relative, so that a store works under any root; absolute
// ones are understood, and rewritten when they are touched.
//
// Whoever changes a store holds its lock. A change is journalled before its
// first step, and what it takes away is set aside until it is kept: a change
// that nobody kept, because its process was killed, say, is undone under the
// next lock. Undoing moves things back and so needs no space on the disk.
//
// Reading takes no lock and creates nothing. All paths lie below an os.Root;
// no link is followed out of it, and an absolute link starts at the root.
//
// Left out on purpose: what an image holds (package content), whether it may be
// let in (package verify), and the merge itself (package layer).
package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// Profile is what a machine can be booted as, with images of its own.
type Profile string

// The profiles. Images of Common are used whatever was booted.
const (
	Active   Profile = "active"
	Passive  Profile = "passive"
	Recovery Profile = "recovery"
	Common   Profile = "common"
)

// Profiles lists every profile, in the order in which they are shown.
func Profiles() []Profile { return []Profile{Active, Passive, Recovery, Common} }

// Errors that callers branch on.
var (
	// ErrNotFound says that the store holds no image of a name.
	ErrNotFound = errors.New("no such extension in the store")
	// ErrNoSpace says that an image does not fit on the disk.
	ErrNoSpace = errors.New("not enough space")

	errNotLocked = errors.New("the store is not locked")
)

// The folder for what is ours, and what lies in it.
const (
	ownFolder     = ".inlay"
	lockFile      = ownFolder + "/lock"
	journalFile   = ownFolder + "/journal"
	spareFile     = ownFolder + "/spare"
	recordsFolder = ownFolder + "/records"
	asideFolder   = ownFolder + "/aside"
	stagingFolder = ownFolder + "/staging"
	goodFolder    = ownFolder + "/good"
	trialsFile    = ownFolder + "/boot.json"
)

// Options are for Open. The zero value is right for a store in its own system.
type Options struct {
	// At is where the store lies below the root, if not where its kind has it: on a
	// partition that its system mounts elsewhere. Links in it still lead to where its
	// system has it.
	At string

	disk disk
}

// Store is the store of one kind below one root. It is for one goroutine; two
// of them take a Store each.
type Store struct {
	root *os.Root
	kind extension.Kind
	disk disk

	at  string   // where the store lies below root, free of links
	dir *os.Root // the folder at; nil while there is none

	held    *os.File // the lock, while it is ours
	command string
	change  *Change // neither kept nor undone
}

// Open returns the store of kind k below root, which need not exist: it is
// made by the first change. The caller closes root after the Store.
func Open(root *os.Root, k extension.Kind, o Options) (*Store, error) {
	s := &Store{root: root, kind: k, disk: o.disk}
	if s.disk.before == nil {
		s.disk.before = killer()
	}
	place := cmp.Or(o.At, k.Store)
	at, err := resolve(root, place)
	if err != nil {
		return nil, fmt.Errorf("looking for the store %q: %w", place, err)
	}
	s.at = at
	if _, err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close gives back what Open took. An open change is left to the next Lock;
// unlock first.
func (s *Store) Close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// Kind returns the kind of extension that the store is for.
func (s *Store) Kind() extension.Kind { return s.kind }

// Path returns where the store lies below the root, free of links.
func (s *Store) Path() string { return s.at }

// open opens the store's folder, if there is one.
func (s *Store) open() (found bool, err error) {
	if s.dir != nil {
		return true, nil
	}
	dir, err := s.root.OpenRoot(s.at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("opening the store %q: %w", s.at, err)
	}
	s.dir = dir
	return true, nil
}

// make creates what is missing of the store's folders, but for profiles.
func (s *Store) make() error {
	if _, err := s.open(); err != nil {
		return err
	}
	if s.dir == nil {
		for _, folder := range parents(s.at) {
			if err := s.disk.mkdir(s.root, folder); err != nil {
				return s.explain(fmt.Errorf("creating the store %q: %w", s.at, err))
			}
		}
		if found, err := s.open(); err != nil || !found {
			return fmt.Errorf("opening the store %q: %w", s.at, cmpErr(err, fs.ErrNotExist))
		}
	}
	own := []string{ownFolder, recordsFolder, asideFolder, stagingFolder, goodFolder}
	for _, profile := range trialProfiles() {
		own = append(own, path.Join(goodFolder, profile))
	}
	for _, folder := range own {
		if err := s.disk.mkdir(s.dir, folder); err != nil {
			return s.explain(fmt.Errorf("creating %q: %w", path.Join(s.at, folder), err))
		}
		info, err := s.dir.Lstat(folder)
		if err != nil {
			return fmt.Errorf("creating %q: %w", path.Join(s.at, folder), err)
		}
		if !info.IsDir() {
			return hint.Wrap(fmt.Errorf("%q is not a folder", path.Join(s.at, folder)), "move it away; inlay makes it anew")
		}
	}
	return nil
}

// parents returns the folders on the way to name, and name, the outermost first.
func parents(name string) []string {
	var all []string
	for ; name != "." && name != "/"; name = path.Dir(name) {
		all = append(all, name)
	}
	slices.Reverse(all)
	return all
}

// explain adds what helps against the two things that stop most changes.
func (s *Store) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case noSpace(err) && !errors.Is(err, ErrNoSpace):
		return hint.Default(fmt.Errorf("%w: %w", ErrNoSpace, err),
			fmt.Sprintf("make room on the file system of \"/%s\", or remove extensions", s.at))
	case errors.Is(err, fs.ErrPermission):
		return hint.Default(err, "run it as root")
	}
	return err
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
