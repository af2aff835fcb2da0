package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
)

const (
	// maxJournal bounds a journal: some 20,000 steps, of which enabling every
	// image of a large store in every profile takes a tenth.
	maxJournal = 4 << 20
	maxSteps   = 1 << 16
	// spareSize is what a journal for removing some tens of images takes. It is
	// kept ready for a full disk, which people will want to remove images from.
	spareSize = 32 << 10

	journalVersion = 1
)

// journal says how to undo a change: what was where before. It is on the disk
// before the change's first step is made, and gone when the change is kept.
type journal struct {
	Version int    `json:"version"`
	Command string `json:"command,omitempty"`
	// Boot is the boot that the change was made in: what it did in the run
	// folder doesn't outlive it.
	Boot string `json:"boot,omitempty"`
	// Live says that the running system is merged by the change, before it is kept.
	Live bool `json:"live,omitempty"`
	// Folders are profiles whose folder the change makes; RunFolders are those
	// on the way to the run folder, below the root.
	Folders    []string `json:"folders,omitempty"`
	RunFolders []string `json:"runFolders,omitempty"`
	Steps      []step   `json:"steps"`
}

// step puts one entry in the place of another, either of which may be none.
type step struct {
	Place string `json:"place"`
	Name  string `json:"name"`
	Was   *entry `json:"was,omitempty"`
	Now   *entry `json:"now,omitempty"`
	// Sealed says that the file of that name which was there had a record that counted.
	Sealed bool `json:"sealed,omitempty"`

	// fill makes the new file under a name that is set aside for it.
	fill func(name string) error
}

// entry is a link, or else the file with an inode (0: not known before).
type entry struct {
	Link  string `json:"link,omitempty"`
	Inode uint64 `json:"inode,omitempty"`
}

// The places of steps that are no profile's folder.
const (
	placeImages  = "images"
	placeRecords = "records"
	placeRun     = "run"
	placeGood    = "good/" // with a profile of trials behind it
)

// folderOf returns the folder of a place, below the store's or the run folder.
func folderOf(place string) string {
	switch place {
	case placeImages, placeRun:
		return "."
	case placeRecords:
		return recordsFolder
	}
	if profile, ok := strings.CutPrefix(place, placeGood); ok {
		return path.Join(goodFolder, profile)
	}
	return place
}

func (s step) path() string { return path.Join(folderOf(s.Place), s.Name) }

// parseJournal reads a journal, strictly: what it says is done.
func parseJournal(text []byte) (*journal, error) {
	var j journal
	if err := parseStrict(text, maxJournal, &j); err != nil {
		return nil, err
	}
	if j.Version != journalVersion {
		return nil, fmt.Errorf("version %d, which is not known here", j.Version)
	}
	if len(j.Steps) > maxSteps {
		return nil, fmt.Errorf("more than %d steps", maxSteps)
	}
	for _, folder := range j.Folders {
		if !isProfile(folder) {
			return nil, fmt.Errorf("a folder %q of no profile", folder)
		}
	}
	for _, folder := range j.RunFolders {
		if !filepath.IsLocal(folder) || path.Clean(folder) != folder || folder == "." {
			return nil, fmt.Errorf("a run folder %q", folder)
		}
	}
	for i, s := range j.Steps {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
	}
	return &j, nil
}

func (s step) check() error {
	switch {
	case s.Place != placeImages && s.Place != placeRecords && s.Place != placeRun && !isGoodPlace(s.Place) && !isProfile(s.Place):
		return fmt.Errorf("the place %q is unknown", s.Place)
	case !isEntryName(s.Name):
		return fmt.Errorf("%q is no name of a file", s.Name)
	case s.Place == placeImages && !isImageName(s.Name):
		return fmt.Errorf("%q is no image", s.Name)
	case s.Was == nil && s.Now == nil:
		return errors.New("nothing becomes nothing")
	case s.Place == placeRun && (s.Was != nil && s.Was.Link == "" || s.Now != nil && s.Now.Link == ""):
		return errors.New("the run folder takes links only")
	}
	return nil
}

// isImageName says whether an entry of the store itself can be an image.
func isImageName(name string) bool { return isEntryName(name) && name != ownFolder && !isProfile(name) }

// isGoodPlace says whether a place is where the good images of a profile are kept.
func isGoodPlace(place string) bool {
	profile, ok := strings.CutPrefix(place, placeGood)
	return ok && slices.Contains(trialProfiles(), profile)
}

func isProfile(name string) bool { return slices.Contains(Profiles(), Profile(name)) }

// isEntryName says whether name can be that of one entry of a folder.
func isEntryName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// writeJournal puts j on the disk in one rename. Where the disk is full it
// takes the room that was kept for that.
func (s *Store) writeJournal(j *journal) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if len(text) > maxJournal || len(j.Steps) > maxSteps {
		return hint.Wrap(fmt.Errorf("a change of %d steps is too large", len(j.Steps)), "name fewer extensions at once")
	}
	next := path.Join(asideFolder, "journal.new")
	err = s.disk.writeFile(s.dir, next, text)
	if noSpace(err) && len(text) <= spareSize {
		next, err = spareFile, s.fillSpare(text, err)
	}
	if err != nil {
		return err
	}
	if err := s.disk.rename(s.dir, next, journalFile); err != nil {
		return err
	}
	return s.disk.syncFolder(s.dir, ownFolder)
}

// fillSpare writes text over the spare file, in the blocks that it has. A spare
// that is not there, or too short, leaves the full disk's own error.
func (s *Store) fillSpare(text []byte, full error) error {
	f, err := s.dir.OpenFile(spareFile, os.O_RDWR, 0)
	if err != nil {
		return full
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != spareSize {
		return full
	}
	if err := s.disk.writeAt(f, spare(text), 0); err != nil {
		return err
	}
	return s.disk.sync(f)
}

// spare pads text with what a journal may end in.
func spare(text []byte) []byte {
	return append(bytes.Clone(text), bytes.Repeat([]byte("\n"), spareSize-len(text))...)
}

// keepSpare makes the spare file anew, if there is room.
func (s *Store) keepSpare() error {
	info, err := s.dir.Lstat(spareFile)
	if err == nil && info.Mode().IsRegular() && info.Size() == spareSize {
		return nil
	}
	next := path.Join(asideFolder, "spare.new")
	if err := s.disk.writeFile(s.dir, next, spare(nil)); err != nil {
		if noSpace(err) {
			return s.disk.remove(s.dir, next)
		}
		return err
	}
	return s.disk.rename(s.dir, next, spareFile)
}

// readJournal returns the journal of a change that was interrupted, or nil.
func (s *Store) readJournal() (*journal, error) {
	text, err := readFile(s.dir, journalFile, maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var j *journal
	if err == nil {
		j, err = parseJournal(text)
	}
	if err != nil {
		at := path.Join(s.at, ownFolder)
		return nil, hint.Wrap(fmt.Errorf("reading how to undo an interrupted change, %q: %w", path.Join(s.at, journalFile), err),
			fmt.Sprintf("what that change took away lies in \"/%s/aside\": move back by hand what is missing, then remove \"/%s/journal\"", at, at))
	}
	return j, nil
}

// boot returns what the kernel calls the boot that is going on, or "" where
// nothing tells, as under the root of another system.
func (s *Store) boot() string {
	id, err := readFile(s.root, "proc/sys/kernel/random/boot_id", 64)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
